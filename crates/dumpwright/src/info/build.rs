//! Makes [`DumpInfo`] from an open dump.

use super::hex::Hex;
use super::model::{
    DumpInfo, FileInfo, HandleInfo, HandleTypeInfo, ModuleInfo, StreamInfo, SystemSummary,
    ThreadSummary, UnloadedModuleInfo,
};
use super::process::{self, Sources, file_name};
use super::soft_errors;
use super::{exception, memory};
use crate::error::{Error, Result};
use crate::read::{
    CodeView, HandleData, Location, MAX_CONTEXT, Minidump, MiscInfo, Module, ReadError, ReadResult,
    Registers, SystemInfo, Thread,
};
use crate::time::CivilTime;
use dumpwright_format::MinidumpType;
use dumpwright_format::context::xstate::feature_name;
use dumpwright_format::minidump::StreamType;
use std::collections::{BTreeMap, HashMap};
use std::fmt::Write;

/// Characters of a module's name that a location shows.
const MAX_NAME: usize = 128;

impl DumpInfo {
    /// Everything that a dump says.
    ///
    /// Fails with [`Error::Io`] if the file cannot be read; what cannot be
    /// decoded goes to [`DumpInfo::damage`].
    pub fn new(dump: &Minidump) -> Result<DumpInfo> {
        let mut builder = Builder {
            dump,
            damage: Vec::new(),
            contexts_left: dump.work_allowance(),
            contexts_skipped: 0,
        };
        let mut info = builder.build()?;
        if builder.contexts_skipped > 0 {
            builder.damage.push(format!(
                "{} threads share contexts that were not read again and again",
                builder.contexts_skipped
            ));
        }
        info.damage = builder.damage;
        Ok(info)
    }
}

struct Builder<'d> {
    dump: &'d Minidump,
    damage: Vec<String>,
    /// Bytes of contexts that may yet be read: threads may share one.
    contexts_left: u64,
    contexts_skipped: usize,
}

impl Builder<'_> {
    /// What was read; damage is noted, and only a failing disk is an error.
    fn take<T>(&mut self, result: ReadResult<Option<T>>) -> Result<Option<T>> {
        match result {
            Ok(value) => Ok(value),
            Err(ReadError::Io { source, .. }) => {
                Err(Error::Io { action: "read", file: self.dump.file().to_owned(), source })
            }
            Err(error) => {
                self.damage.push(error.to_string());
                Ok(None)
            }
        }
    }

    fn build(&mut self) -> Result<DumpInfo> {
        let dump = self.dump;
        let comment = self.take(dump.comment())?;
        let system = self.take(dump.system_info())?;
        let misc = self.take(dump.misc_info())?;
        let modules = self.take(dump.modules())?.unwrap_or_default();
        let threads = self.take(dump.threads())?.unwrap_or_default();
        let status = self.take(dump.text_stream(StreamType::LINUX_PROC_STATUS))?;
        let maps = self.take(dump.text_stream(StreamType::LINUX_MAPS))?;
        let regions = self.take(dump.memory_info())?;
        let locator = Locator::new(&modules);

        let mut process = process::summary(Sources {
            misc: misc.as_ref(),
            status: status.as_deref(),
            command_line: self.take(dump.strings_stream(StreamType::LINUX_CMD_LINE))?,
            executable: modules.first(),
        });
        process.vm_counters = self.take(dump.vm_counters())?;

        let registers = threads
            .iter()
            .map(|thread| self.registers(system.as_ref(), thread.context))
            .collect::<Result<Vec<_>>>()?;
        let exception = match self.take(dump.exception())? {
            Some(exception) => {
                let registers = self.registers(system.as_ref(), exception.context)?;
                let locate = |address| locator.locate(address);
                Some(exception::summary(&exception, system.as_ref(), registers.as_ref(), locate))
            }
            None => None,
        };
        let known = memory::Known {
            threads: &threads,
            stack_pointers: registers.iter().flatten().map(|r| r.stack_pointer).collect(),
            modules: &modules,
            regions: regions.as_deref(),
            linux_maps: maps.as_deref(),
        };
        let map = self.take(dump.memory_map().map(Some))?;
        let map = map.map(crate::read::MemoryMap::ranges).unwrap_or_default();
        let listed = self.take(dump.memory_ranges().map(Some))?.map_or(0, |list| list.len() as u64);

        Ok(DumpInfo {
            comment,
            file: file(dump),
            system: self.system(system.as_ref(), misc.as_ref())?,
            process,
            exception,
            streams: streams(dump),
            memory: memory::summary(listed, map, &known),
            threads: self.threads(&threads, &registers, &locator)?,
            modules: modules.iter().map(module).collect(),
            unloaded_modules: self.unloaded_modules()?,
            handles: self.take(dump.handles())?.map(|data| handles(&data)),
            soft_errors: self.soft_errors()?,
            damage: Vec::new(),
        })
    }

    fn registers(
        &mut self,
        system: Option<&SystemInfo>,
        context: Location,
    ) -> Result<Option<Registers>> {
        let Some(system) = system else { return Ok(None) };
        let Some(left) = self.contexts_left.checked_sub(context.size.min(MAX_CONTEXT)) else {
            self.contexts_skipped += 1;
            return Ok(None);
        };
        self.contexts_left = left;
        self.take(self.dump.registers(system.processor_architecture, context))
    }

    fn system(
        &mut self,
        system: Option<&SystemInfo>,
        misc: Option<&MiscInfo>,
    ) -> Result<Option<SystemSummary>> {
        let memory = self.take(self.dump.system_memory())?;
        let Some(system) = system else { return Ok(None) };
        let [model, stepping] = system.processor_revision.to_be_bytes();
        let processors = u32::from(system.number_of_processors);
        let counted = memory.as_ref().map_or(0, |memory| memory.number_of_processors);
        Ok(Some(SystemSummary {
            platform: system.platform_name().to_owned(),
            platform_id: system.platform_id,
            version: format!(
                "{}.{}.{}",
                system.major_version, system.minor_version, system.build_number
            ),
            description: system.csd_version.clone(),
            build: misc.and_then(|m| m.build_string.clone()),
            architecture: system.architecture_name().to_owned(),
            cpu_vendor: system.cpu_vendor(),
            cpu: format!("family {} model {model} stepping {stepping}", system.processor_level),
            // The one has 8 bits and stays at 255.
            processors: if processors == 255 { counted.max(255) } else { processors },
            memory,
        }))
    }

    fn threads(
        &mut self,
        threads: &[Thread],
        registers: &[Option<Registers>],
        locator: &Locator,
    ) -> Result<Vec<ThreadSummary>> {
        let names = self.take(self.dump.thread_names())?.unwrap_or_default();
        let mut names: HashMap<u32, String> =
            names.into_iter().filter_map(|n| Some((n.thread_id, n.name?))).collect();
        let infos = self.take(self.dump.thread_info())?.unwrap_or_default();
        let infos: HashMap<u32, _> = infos.into_iter().map(|i| (i.thread_id, i)).collect();
        let seconds = |time: u64| time as f64 / 1e7;
        let summary = |(thread, registers): (&Thread, &Option<Registers>)| {
            let registers = registers.as_ref();
            let info = infos.get(&thread.thread_id);
            let mask = registers.and_then(|r| r.extended).map_or(0, |extended| extended.mask);
            ThreadSummary {
                thread_id: thread.thread_id,
                // Taken, not copied: any number of entries may state one id.
                name: names.remove(&thread.thread_id),
                instruction_pointer: registers.map(|r| Hex(r.instruction_pointer)),
                location: registers.and_then(|r| locator.locate(r.instruction_pointer)),
                stack_pointer: registers.map(|r| Hex(r.stack_pointer)),
                stack_start: Hex(thread.stack_start),
                stack_size: thread.stack.size,
                teb: Hex(thread.teb),
                extended_state: extended_state(mask),
                user_seconds: info.map(|info| seconds(info.user_time)),
                kernel_seconds: info.map(|info| seconds(info.kernel_time)),
            }
        };
        Ok(threads.iter().zip(registers).map(summary).collect())
    }

    fn unloaded_modules(&mut self) -> Result<Vec<UnloadedModuleInfo>> {
        let modules = self.take(self.dump.unloaded_modules())?.unwrap_or_default();
        let info = |m: crate::read::UnloadedModule| UnloadedModuleInfo {
            base: Hex(m.base),
            size: m.size,
            name: m.name,
        };
        Ok(modules.into_iter().map(info).collect())
    }

    fn soft_errors(&mut self) -> Result<Vec<String>> {
        let bytes = self.take(self.dump.stream_bytes(StreamType::MOZ_SOFT_ERRORS))?;
        Ok(match bytes.map(|bytes| soft_errors::lines(&bytes)) {
            None => Vec::new(),
            Some(Ok(lines)) => lines,
            Some(Err(reason)) => {
                self.damage.push(format!("{}: {reason}", StreamType::MOZ_SOFT_ERRORS));
                Vec::new()
            }
        })
    }
}

/// Finds the module of an address.
struct Locator<'a> {
    sorted: Vec<&'a Module>,
}

impl<'a> Locator<'a> {
    fn new(modules: &'a [Module]) -> Self {
        let mut sorted: Vec<_> = modules.iter().collect();
        sorted.sort_by_key(|module| module.base);
        Locator { sorted }
    }

    /// An address as `libc.so.6+0x1234`.
    fn locate(&self, address: u64) -> Option<String> {
        let after = self.sorted.partition_point(|module| module.base <= address);
        let module = self.sorted.get(after.checked_sub(1)?)?;
        let name = file_name(module.name.as_deref().unwrap_or("?"));
        // Any number of threads may be in a module with a very long name.
        let name = name.char_indices().nth(MAX_NAME).map_or(name, |(end, _)| &name[..end]);
        (address < module.end()).then(|| format!("{name}+{:#x}", address - module.base))
    }
}

fn file(dump: &Minidump) -> FileInfo {
    let flags = dump.minidump_type();
    let timestamp = dump.header().time_date_stamp.get();
    FileInfo {
        path: dump.file().to_string_lossy().into_owned(),
        size: dump.len(),
        timestamp,
        time: CivilTime::from_unix(timestamp.into()).to_string(),
        flags: Hex(flags.bits()),
        flag_names: flag_names(flags),
    }
}

/// The names of minidumpapiset.h: `WITH_FULL_MEMORY` is `MiniDumpWithFullMemory`.
fn flag_names(flags: MinidumpType) -> Vec<String> {
    let mut names: Vec<String> = flags
        .iter_names()
        .map(|(name, _)| {
            let words = name.split('_').map(|word| match word {
                "XSTATE" => "XState".to_owned(),
                word => word[..1].to_owned() + &word[1..].to_ascii_lowercase(),
            });
            "MiniDump".to_owned() + &words.collect::<String>()
        })
        .collect();
    let unknown = flags.bits() & !MinidumpType::all().bits();
    if unknown != 0 {
        names.push(format!("{unknown:#x}"));
    }
    names
}

fn streams(dump: &Minidump) -> Vec<StreamInfo> {
    dump.directory()
        .iter()
        .filter(|entry| entry.stream_type != StreamType::UNUSED)
        .map(|entry| StreamInfo {
            stream_type: entry.stream_type.0,
            name: entry.stream_type.to_string(),
            size: entry.location.size,
            rva: Hex(entry.location.rva),
        })
        .collect()
}

fn extended_state(mask: u64) -> Vec<String> {
    (0..64)
        .filter(|index| mask >> index & 1 == 1)
        .map(|index| feature_name(index).map_or_else(|| format!("feature {index}"), str::to_owned))
        .collect()
}

fn module(module: &Module) -> ModuleInfo {
    let build_id = match &module.code_view {
        Some(CodeView::ElfBuildId(id)) => Some(digits(id)),
        _ => None,
    };
    let debug_file = module.code_view.as_ref().and_then(CodeView::debug_file);
    ModuleInfo {
        base: Hex(module.base),
        size: module.size,
        name: module.name.clone(),
        version: module
            .file_version
            .filter(|version| *version != [0; 4])
            .map(|[a, b, c, d]| format!("{a}.{b}.{c}.{d}")),
        debug_id: module.debug_id(),
        debug_file: debug_file.map(str::to_owned),
        build_id,
    }
}

fn digits(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut digits, byte| {
        // Writing to a `String` does not fail.
        let _ = write!(digits, "{byte:02x}");
        digits
    })
}

fn handles(data: &HandleData) -> HandleInfo {
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    for handle in &data.handles {
        *counts.entry(handle.type_name.as_deref().unwrap_or_default()).or_default() += 1;
    }
    let mut by_type: Vec<_> = counts
        .into_iter()
        .map(|(name, count)| HandleTypeInfo { type_name: name.to_owned(), count })
        .collect();
    by_type.sort_by_key(|ty| std::cmp::Reverse(ty.count));
    HandleInfo { count: data.handles.len() as u64, by_type }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_have_the_names_of_the_header() {
        let flags = MinidumpType::WITH_FULL_MEMORY | MinidumpType::WITH_AVX_XSTATE_CONTEXT;
        let flags = MinidumpType::from_bits_retain(flags.bits() | 1 << 40);
        assert_eq!(
            flag_names(flags),
            ["MiniDumpWithFullMemory", "MiniDumpWithAvxXStateContext", "0x10000000000"]
        );
    }
}
