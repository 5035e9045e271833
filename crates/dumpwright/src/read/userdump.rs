//! The reader of full user-mode dumps of the old kind (`USERDUMP`, `USERDU64`).
//!
//! As the reader of minidumps it promises, for any bytes, not to panic and not
//! to allocate more than a small multiple of the file's length.

use super::source::Source;
use super::string::eight_bit;
use super::{Exception, Location, MemoryRange, MemoryRegion};
use crate::error::{Error, Result};
use dumpwright_format::context::amd64::{CONTEXT_AMD64, ContextAmd64};
use dumpwright_format::context::x86::{CONTEXT_X86, ContextX86};
use dumpwright_format::minidump::{
    EXCEPTION_MAXIMUM_PARAMETERS, MEM_COMMIT, MemoryInfo, PageProtection,
};
use dumpwright_format::nt::{ExceptionRecord32, ExceptionRecord64};
use dumpwright_format::userdump::{
    DebugEventHead, EXCEPTION_DEBUG_EVENT, HeaderStart, MACHINE_AMD64, MACHINE_I386,
    MemoryBasicInformation32, Module32, Module64, Offsets32, Offsets64, SIGNATURE, Thread32,
    Thread64, VALID_DUMP32, VALID_DUMP64, VersionInfo,
};
use std::path::{Path, PathBuf};
use zerocopy::little_endian::U32;
use zerocopy::{FromBytes, Immutable, KnownLayout};

/// The longest name of a module that is believed.
const MAX_NAME: u32 = 0x1_0000;
/// Bytes of a list that is read: of more than a million regions.
const MAX_LIST: u64 = 64 << 20;
/// Threads and modules that are believed, each.
const MAX_COUNT: u32 = 0x1_0000;

/// A dump with everything read but contexts and memory.
#[derive(Clone, Debug)]
pub struct UserDump {
    /// Its header.
    pub header: HeaderStart,
    /// Bytes of a pointer.
    pub pointer_size: u64,
    /// Threads.
    pub threads: Vec<UserDumpThread>,
    /// Modules.
    pub modules: Vec<UserDumpModule>,
    /// The address space.
    pub regions: Vec<MemoryRegion>,
    /// Memory whose contents it has.
    pub memory: Vec<MemoryRange>,
    /// The process id, as the debug event has it.
    pub process_id: Option<u32>,
    /// The exception, as the debug event has it, without a context of its own.
    pub exception: Option<Exception>,
}

/// A thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UserDumpThread {
    /// Thread id.
    pub thread_id: u32,
    /// Suspend count.
    pub suspend_count: u32,
    /// Priority class.
    pub priority_class: u32,
    /// Priority.
    pub priority: u32,
    /// TEB.
    pub teb: u64,
    /// Where its context is.
    pub context: Location,
}

/// A module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserDumpModule {
    /// Load address.
    pub base: u64,
    /// Size.
    pub size: u32,
    /// Path.
    pub name: String,
}

impl UserDump {
    /// Reads a dump.
    ///
    /// # Errors
    /// [`Error::NotATarget`] for what is no such dump, is of a processor other
    /// than x86 and x86-64, or leads out of its file; [`Error::Io`].
    pub fn read(source: &dyn Source, file: &Path) -> Result<UserDump> {
        Reader { source, file: file.to_owned() }.read()
    }
}

struct Reader<'a> {
    source: &'a dyn Source,
    file: PathBuf,
}

impl Reader<'_> {
    fn refuse(&self, reason: String) -> Error {
        Error::NotATarget { file: self.file.clone(), reason }
    }

    fn bytes(&self, what: &str, offset: u64, size: u64) -> Result<Vec<u8>> {
        if offset.checked_add(size).is_none_or(|end| end > self.source.len()) {
            return Err(self.refuse(format!(
                "its {what} ({size} bytes at file offset {offset:#x}) reach past the end of the file; it may be cut off"
            )));
        }
        let mut bytes = vec![0; size as usize];
        self.source.read_at(offset, &mut bytes).map_err(|source| Error::Io {
            action: "read",
            file: self.file.clone(),
            source,
        })?;
        Ok(bytes)
    }

    fn get<T: FromBytes + KnownLayout + Immutable>(&self, what: &str, offset: u64) -> Result<T> {
        let bytes = self.bytes(what, offset, size_of::<T>() as u64)?;
        T::read_from_bytes(&bytes).map_err(|_| self.refuse(format!("its {what} cannot be read")))
    }

    fn list<T: FromBytes + KnownLayout + Immutable>(
        &self,
        what: &str,
        offset: u64,
        count: u32,
    ) -> Result<Vec<T>> {
        let size = u64::from(count) * size_of::<T>() as u64;
        if size > MAX_LIST {
            return Err(self.refuse(format!("its header states {count} {what}")));
        }
        let bytes = self.bytes(what, offset, size)?;
        let entries = bytes.chunks_exact(size_of::<T>());
        Ok(entries.filter_map(|entry| T::read_from_bytes(entry).ok()).collect())
    }

    fn read(&self) -> Result<UserDump> {
        let header: HeaderStart = self.get("header", 0)?;
        let wide = match (header.signature.get(), header.valid_dump.get()) {
            (SIGNATURE, VALID_DUMP32) => false,
            (SIGNATURE, VALID_DUMP64) => true,
            _ => return Err(self.refuse("it does not begin with USERDUMP or USERDU64".into())),
        };
        for (what, count) in [("threads", header.thread_count), ("modules", header.module_count)] {
            if count.get() > MAX_COUNT {
                return Err(self.refuse(format!("its header states {count} {what}")));
            }
        }
        let start = size_of::<HeaderStart>() as u64;
        let offsets: Offsets64 =
            if wide { self.get("header", start)? } else { widen(&self.get("header", start)?) };
        let context_size = match (header.machine.get(), wide) {
            (MACHINE_I386, false) => size_of::<ContextX86>(),
            (MACHINE_AMD64, true) => size_of::<ContextAmd64>(),
            (machine, _) => {
                return Err(self.refuse(format!(
                    "it is of a process on machine {machine:#x}; only x86 and x86-64 are read"
                )));
            }
        };
        let regions = self.regions(wide, offsets.regions.get(), header.region_count.get())?;
        let memory = self.memory(&regions, &offsets)?;
        let (process_id, exception) = self.debug_event(wide, offsets.debug_event.get())?;
        Ok(UserDump {
            header,
            pointer_size: if wide { 8 } else { 4 },
            threads: self.threads(wide, &header, &offsets, context_size as u64)?,
            modules: self.modules(wide, &header, &offsets)?,
            regions,
            memory,
            process_id,
            exception,
        })
    }

    fn threads(
        &self,
        wide: bool,
        header: &HeaderStart,
        offsets: &Offsets64,
        context_size: u64,
    ) -> Result<Vec<UserDumpThread>> {
        let count = header.thread_count.get();
        let (mut contexts, mut at) = (offsets.contexts.get(), offsets.threads.get());
        // No writer's own description says which is which: contexts tell.
        if !self.is_context(wide, contexts) && self.is_context(wide, at) {
            std::mem::swap(&mut contexts, &mut at);
        }
        let threads: Vec<Thread64> = if wide {
            self.list("threads", at, count)?
        } else {
            let narrow: Vec<Thread32> = self.list("threads", at, count)?;
            narrow.iter().map(widen_thread).collect()
        };
        let context = |index: u64| Location {
            rva: contexts.saturating_add(index * context_size),
            size: context_size,
        };
        let threads = threads.into_iter().zip(0..).map(|(thread, index)| UserDumpThread {
            thread_id: thread.thread_id.get(),
            suspend_count: thread.suspend_count.get(),
            priority_class: thread.priority_class.get(),
            priority: thread.priority.get(),
            teb: thread.teb.get(),
            context: context(index),
        });
        Ok(threads.collect())
    }

    /// Whether what stands at an offset has the flags of a context.
    fn is_context(&self, wide: bool, at: u64) -> bool {
        /// Neither the parts that there are of it, nor what the kernel says of how
        /// it came to be.
        const ARCHITECTURE: u32 = 0x00FF_FF80;
        let (flags_at, architecture) = if wide {
            (std::mem::offset_of!(ContextAmd64, context_flags), CONTEXT_AMD64)
        } else {
            (std::mem::offset_of!(ContextX86, context_flags), CONTEXT_X86)
        };
        let flags: Result<U32> = self.get("contexts", at.saturating_add(flags_at as u64));
        flags.is_ok_and(|flags| flags.get() & ARCHITECTURE == architecture)
    }

    fn modules(
        &self,
        wide: bool,
        header: &HeaderStart,
        offsets: &Offsets64,
    ) -> Result<Vec<UserDumpModule>> {
        let mut at = offsets.modules.get();
        let mut modules = Vec::new();
        for _ in 0..header.module_count.get() {
            let module: Module64 = if wide {
                self.get("modules", at)?
            } else {
                let narrow: Module32 = self.get("modules", at)?;
                Module64 {
                    base: u64::from(narrow.base.get()).into(),
                    size: narrow.size,
                    name_length: narrow.name_length,
                }
            };
            let head = if wide { size_of::<Module64>() } else { size_of::<Module32>() } as u64;
            let length = module.name_length.get();
            if length > MAX_NAME {
                return Err(self.refuse(format!("a module's name has {length} bytes")));
            }
            let name = self.bytes("modules", at + head, length.into())?;
            modules.push(UserDumpModule {
                base: module.base.get(),
                size: module.size.get(),
                name: eight_bit(&name),
            });
            // Inside the file, and so without an overflow.
            at += head + u64::from(length);
        }
        Ok(modules)
    }

    fn regions(&self, wide: bool, offset: u64, count: u32) -> Result<Vec<MemoryRegion>> {
        if wide {
            let regions: Vec<MemoryInfo> = self.list("regions", offset, count)?;
            return Ok(regions
                .iter()
                .map(|region| MemoryRegion {
                    base: region.base_address.get(),
                    allocation_base: region.allocation_base.get(),
                    allocation_protect: region.allocation_protect.get(),
                    size: region.region_size.get(),
                    state: region.state.get(),
                    protect: region.protect.get(),
                    memory_type: region.memory_type.get(),
                })
                .collect());
        }
        let regions: Vec<MemoryBasicInformation32> = self.list("regions", offset, count)?;
        Ok(regions
            .iter()
            .map(|region| MemoryRegion {
                base: region.base.get().into(),
                allocation_base: region.allocation_base.get().into(),
                allocation_protect: region.allocation_protect.get(),
                size: region.size.get().into(),
                state: region.state.get(),
                protect: region.protect.get(),
                memory_type: region.memory_type.get(),
            })
            .collect())
    }

    /// Where the contents of the regions are: back to back, without those of
    /// guard pages where the version information says so.
    ///
    /// Writers without version information had their own ways, and which regions
    /// have no contents stands nowhere: if what is listed does not fill the file
    /// and another reading of it does to the byte, that one counts.
    fn memory(&self, regions: &[MemoryRegion], offsets: &Offsets64) -> Result<Vec<MemoryRange>> {
        let version = offsets.version_info.get();
        let without_guards = version != 0
            && self.get::<VersionInfo>("version information", version)?.ignore_guard_pages.get()
                != 0;
        let start = offsets.data.get();
        let others = [
            offsets.contexts,
            offsets.modules,
            offsets.regions,
            offsets.debug_event,
            offsets.threads,
            offsets.version_info,
        ];
        let behind = others.iter().map(|offset| offset.get()).filter(|offset| *offset > start);
        let end = behind.min().unwrap_or_else(|| self.source.len());
        let stated = if without_guards { Stored::NoGuards } else { Stored::Committed };
        let others = [Stored::Committed, Stored::NoGuards, Stored::Accessible, Stored::All];
        let fits = |stored: &Stored| stored.size(regions) == end.checked_sub(start);
        let stored = [stated].into_iter().chain(others).find(fits).unwrap_or(stated);
        let mut at = start;
        let mut memory = Vec::new();
        for region in regions.iter().filter(|region| stored.holds(region)) {
            memory.push(MemoryRange { start: region.base, size: region.size, file_offset: at });
            at = at.checked_add(region.size).ok_or_else(|| {
                self.refuse("the sizes of its regions add up to more than 64 bits".into())
            })?;
        }
        Ok(memory)
    }

    fn debug_event(&self, wide: bool, offset: u64) -> Result<(Option<u32>, Option<Exception>)> {
        if offset == 0 {
            return Ok((None, None));
        }
        let head: DebugEventHead = self.get("debug event", offset)?;
        let process_id = Some(head.process_id.get());
        if head.code.get() != EXCEPTION_DEBUG_EVENT {
            return Ok((process_id, None));
        }
        let behind = offset + size_of::<DebugEventHead>() as u64;
        // The record is aligned to 8 bytes in 64 bits.
        let record: ExceptionRecord64 = if wide {
            self.get("debug event", behind + 4)?
        } else {
            widen_record(&self.get("debug event", behind)?)
        };
        let number_parameters = record.number_parameters.get();
        let count = (number_parameters as usize).min(EXCEPTION_MAXIMUM_PARAMETERS);
        let exception = Exception {
            thread_id: head.thread_id.get(),
            code: record.code.get(),
            flags: record.flags.get(),
            nested_record: record.record.get(),
            address: record.address.get(),
            number_parameters,
            parameters: record.information[..count].iter().map(|p| p.get()).collect(),
            context: Location::default(),
        };
        Ok((process_id, Some(exception)))
    }
}

/// Which of the listed regions have contents in the file.
#[derive(Clone, Copy)]
enum Stored {
    /// Those that are committed.
    Committed,
    /// Those but guard pages.
    NoGuards,
    /// Those but pages that nobody may access.
    Accessible,
    /// All that are listed, whatever their state.
    All,
}

impl Stored {
    fn holds(self, region: &MemoryRegion) -> bool {
        let committed = region.state == MEM_COMMIT;
        let is = |protection: PageProtection| region.protect & protection.bits() != 0;
        match self {
            Stored::Committed => committed,
            Stored::NoGuards => committed && !is(PageProtection::GUARD),
            Stored::Accessible => {
                committed && !is(PageProtection::GUARD | PageProtection::NO_ACCESS)
            }
            Stored::All => true,
        }
    }

    /// Bytes of contents; `None` if they are more than 64 bits count.
    fn size(self, regions: &[MemoryRegion]) -> Option<u64> {
        let held = regions.iter().filter(|region| self.holds(region));
        held.map(|region| region.size).try_fold(0, u64::checked_add)
    }
}

fn widen(narrow: &Offsets32) -> Offsets64 {
    let wide = |offset: U32| u64::from(offset.get()).into();
    Offsets64 {
        contexts: wide(narrow.contexts),
        modules: wide(narrow.modules),
        data: wide(narrow.data),
        regions: wide(narrow.regions),
        debug_event: wide(narrow.debug_event),
        threads: wide(narrow.threads),
        version_info: wide(narrow.version_info),
        spare: wide(narrow.spare),
    }
}

fn widen_thread(narrow: &Thread32) -> Thread64 {
    Thread64 {
        thread_id: narrow.thread_id,
        suspend_count: narrow.suspend_count,
        priority_class: narrow.priority_class,
        priority: narrow.priority,
        teb: u64::from(narrow.teb.get()).into(),
        spare: [0.into(); 7],
    }
}

/// Addresses of a 32-bit process, extended as minidumps have them.
fn widen_record(narrow: &ExceptionRecord32) -> ExceptionRecord64 {
    ExceptionRecord64 {
        code: narrow.code,
        flags: narrow.flags,
        record: u64::from(narrow.record.get()).into(),
        address: u64::from(narrow.address.get()).into(),
        number_parameters: narrow.number_parameters,
        alignment: 0.into(),
        information: narrow.information.map(|value| u64::from(value.get()).into()),
    }
}
