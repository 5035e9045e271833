//! Finds PEB, process parameters, loader data and TEBs, with all bounds that
//! memory of a stranger needs.

use crate::address::AddressRange;
use crate::plan::Context;
use crate::plan::stacks::little_endian;
use crate::target::{Architecture, MemorySource};
use dumpwright_format::nt::{
    DRIVE_LETTER_PATH, DRIVE_LETTERS, NtOffsets, STATIC_UNICODE_BUFFER, WOW64_TEB_OFFSET,
};
use std::collections::HashSet;

/// Loader entries that are followed.
const MAX_ENTRIES: usize = 4096;
/// The most bytes that an environment is believed to have; Windows gives a
/// process 64 KiB of units at most, and services have had more.
const MAX_ENVIRONMENT: u64 = 1 << 20;
const CHUNK: u64 = 4096;

/// What a string says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// A path of a file that is part of the program: image or library.
    Path,
    /// A path, or text with paths, that says what a user did.
    Personal,
}

/// A `UNICODE_STRING`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct UnicodeString {
    /// Address of the structure.
    pub at: u64,
    /// The characters.
    pub text: AddressRange,
    pub role: Role,
}

/// The data of one side (64-bit or 32-bit) of a process.
pub(super) struct ProcessData {
    pub layout: NtOffsets,
    /// All of it.
    pub memory: Vec<AddressRange>,
    pub strings: Vec<UnicodeString>,
    pub environment: Option<AddressRange>,
    /// Buffers of threads, with the `UNICODE_STRING` before each.
    pub scratch: Vec<AddressRange>,
}

impl ProcessData {
    /// Each side of the process.
    pub(super) fn all(context: &Context<'_>) -> Vec<ProcessData> {
        let memory = context.memory;
        let snapshot = context.snapshot;
        let tebs: Vec<u64> =
            snapshot.threads.iter().map(|t| t.thread_pointer).filter(|teb| *teb != 0).collect();
        let peb = snapshot.process.peb;
        if snapshot.system.architecture == Architecture::X86 {
            let mut sides = vec![Self::read(memory, &NtOffsets::NARROW, peb, &tebs)];
            let words = Words { memory, layout: NtOffsets::WIDE };
            let tebs: Vec<u64> = tebs.iter().filter_map(|teb| words.wide_teb(*teb)).collect();
            if let Some(first) = tebs.first() {
                let peb = words.pointer(*first, NtOffsets::WIDE.teb_peb).unwrap_or(0);
                sides.push(Self::read(memory, &NtOffsets::WIDE, peb, &tebs));
            }
            return sides;
        }
        let mut sides = vec![Self::read(memory, &NtOffsets::WIDE, peb, &tebs)];
        let narrow = |teb: &u64| {
            let teb = teb.checked_add(WOW64_TEB_OFFSET)?;
            let own = Words { memory, layout: NtOffsets::NARROW }
                .pointer(teb, NtOffsets::NARROW.teb_self)?;
            (own == teb).then_some(teb)
        };
        let tebs: Vec<u64> = tebs.iter().filter_map(narrow).collect();
        if let Some(first) = tebs.first() {
            let words = Words { memory, layout: NtOffsets::NARROW };
            let peb = words.pointer(*first, NtOffsets::NARROW.teb_peb).unwrap_or(0);
            sides.push(Self::read(memory, &NtOffsets::NARROW, peb, &tebs));
        }
        sides
    }

    fn read(memory: &dyn MemorySource, layout: &NtOffsets, peb: u64, tebs: &[u64]) -> ProcessData {
        let words = Words { memory, layout: *layout };
        let mut data = ProcessData {
            layout: *layout,
            memory: Vec::new(),
            strings: Vec::new(),
            environment: None,
            scratch: Vec::new(),
        };
        for teb in tebs {
            data.memory.push(AddressRange::with_len(*teb, layout.teb_size));
            data.scratch.push(AddressRange::with_len(
                teb.saturating_add(layout.teb_static_string),
                layout.string_size() + STATIC_UNICODE_BUFFER,
            ));
        }
        if peb == 0 {
            return data;
        }
        data.memory.push(AddressRange::with_len(peb, layout.peb_size));
        if let Some(parameters) = words.pointer(peb, layout.peb_process_parameters) {
            data.parameters(&words, parameters);
        }
        if let Some(ldr) = words.pointer(peb, layout.peb_ldr) {
            data.loader(&words, ldr);
        }
        data
    }

    fn parameters(&mut self, words: &Words<'_>, at: u64) {
        let layout = self.layout;
        self.memory.push(AddressRange::with_len(at, layout.parameters_size));
        self.string(words, at, layout.parameters_image_path, Role::Path);
        let string = |index| layout.parameters_window_title + index * layout.string_size();
        let drive = DRIVE_LETTER_PATH + layout.string_size();
        let drives = (0..DRIVE_LETTERS)
            .map(|index| layout.parameters_current_directories + index * drive + DRIVE_LETTER_PATH);
        let personal = [
            layout.parameters_current_directory,
            layout.parameters_dll_path,
            layout.parameters_command_line,
        ]
        .into_iter()
        .chain((0..4).map(string))
        .chain(drives);
        for offset in personal {
            self.string(words, at, offset, Role::Personal);
        }
        let Some(start) = words.pointer(at, layout.parameters_environment) else { return };
        let stated = words.pointer(at, layout.parameters_environment_size).unwrap_or(0);
        let found = words.environment_len(start);
        let len = if stated <= MAX_ENVIRONMENT { stated.max(found) } else { found };
        let environment = AddressRange::with_len(start, len);
        self.memory.push(environment);
        self.environment = Some(environment);
    }

    fn loader(&mut self, words: &Words<'_>, ldr: u64) {
        let layout = self.layout;
        self.memory.push(AddressRange::with_len(ldr, layout.ldr_size));
        let Some(head) = ldr.checked_add(layout.ldr_load_order) else { return };
        let mut seen = HashSet::from([head]);
        let mut entry = words.pointer(head, 0);
        while let Some(at) = entry.filter(|at| seen.len() <= MAX_ENTRIES && seen.insert(*at)) {
            self.memory.push(AddressRange::with_len(at, layout.entry_size));
            self.string(words, at, layout.entry_full_name, Role::Path);
            if let Some(name) = words.string(at, layout.entry_base_name, Role::Path) {
                self.memory.push(name.text);
            }
            entry = words.pointer(at, 0);
        }
    }

    fn string(&mut self, words: &Words<'_>, base: u64, offset: u64, role: Role) {
        if let Some(string) = words.string(base, offset, role) {
            self.memory.push(string.text);
            self.strings.push(string);
        }
    }
}

/// The stacks of the 64-bit side of a 32-bit process.
pub(super) fn wide_stacks(context: &Context<'_>) -> Vec<AddressRange> {
    let layout = NtOffsets::WIDE;
    let words = Words { memory: context.memory, layout };
    let stack = |teb: u64| {
        let start = words.pointer(teb, layout.teb_deallocation_stack)?;
        let end = words.pointer(teb, layout.teb_stack_base)?;
        (start < end).then(|| AddressRange::new(start, end))
    };
    let tebs = context.snapshot.threads.iter().filter_map(|t| words.wide_teb(t.thread_pointer));
    tebs.filter_map(stack).collect()
}

/// Memory in the words of one side.
struct Words<'a> {
    memory: &'a dyn MemorySource,
    layout: NtOffsets,
}

impl Words<'_> {
    /// The 64-bit TEB that stands before a 32-bit one.
    fn wide_teb(&self, narrow: u64) -> Option<u64> {
        let teb = narrow.checked_sub(WOW64_TEB_OFFSET)?;
        (self.pointer(teb, self.layout.teb_self)? == teb).then_some(teb)
    }

    /// The pointer at an offset, unless it is null or cannot be read.
    fn pointer(&self, base: u64, offset: u64) -> Option<u64> {
        let mut bytes = [0; 8];
        let bytes = &mut bytes[..self.layout.pointer as usize];
        let read = self.memory.read_exact(base.checked_add(offset)?, bytes);
        Some(little_endian(bytes)).filter(|value| read && *value != 0)
    }

    fn string(&self, base: u64, offset: u64, role: Role) -> Option<UnicodeString> {
        let at = base.checked_add(offset)?;
        let mut length = [0; 2];
        if !self.memory.read_exact(at, &mut length) {
            return None;
        }
        let length = u64::from(u16::from_le_bytes(length) & !1);
        let buffer = self.pointer(at, self.layout.string_buffer)?;
        let text = AddressRange::with_len(buffer, length);
        (length > 0).then_some(UnicodeString { at, text, role })
    }

    /// Bytes of an environment up to the empty string that ends it, or to where
    /// memory ends.
    fn environment_len(&self, start: u64) -> u64 {
        let mut zeros = 0;
        let mut len = 0;
        while len < MAX_ENVIRONMENT {
            let Some(at) = start.checked_add(len) else { return len };
            // Up to the next page, which may not be there.
            let mut chunk = vec![0; (CHUNK - at % CHUNK) as usize & !1];
            if chunk.is_empty() || !self.memory.read_exact(at, &mut chunk) {
                return len;
            }
            for unit in chunk.chunks_exact(2) {
                len += 2;
                zeros = if unit == [0, 0] { zeros + 1 } else { 0 };
                if zeros == 2 {
                    return len;
                }
            }
        }
        len
    }
}
