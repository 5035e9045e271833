//! FILTER_PATHS, FILTER_TRIAGE and NO_OPTIONAL_DATA in the strings of a process.

use super::data::{ProcessData, Role, UnicodeString};
use crate::address::AddressRange;
use crate::plan::Context;
use crate::plan::assembly::utf16;
use crate::plan::filter_text::Privacy;
use dumpwright_format::nt::NtOffsets;

/// The bytes that stand instead of the process's.
pub(super) fn replacements(
    context: &Context<'_>,
    privacy: Privacy,
    data: &ProcessData,
) -> Vec<(u64, Vec<u8>)> {
    let mut out = Out { context, layout: data.layout, replacements: Vec::new() };
    for string in &data.strings {
        match string.role {
            Role::Personal if privacy.drops_arguments() => {
                out.zero(string.text);
                out.describe(string, 0, 0);
            }
            _ => out.shorten(privacy, string),
        }
    }
    if let Some(environment) = data.environment {
        if privacy.drops_arguments() {
            out.zero(environment);
        } else {
            out.shorten_environment(privacy, environment);
        }
    }
    // What a thread converted last, whatever it was.
    for scratch in &data.scratch {
        let buffer = scratch.start.saturating_add(data.layout.string_size());
        out.zero(AddressRange::new(buffer, scratch.end));
        out.zero(AddressRange::with_len(scratch.start, 2));
    }
    out.replacements
}

struct Out<'a> {
    context: &'a Context<'a>,
    layout: NtOffsets,
    replacements: Vec<(u64, Vec<u8>)>,
}

impl Out<'_> {
    /// Zeroes a range, whether or not it can be read now.
    fn zero(&mut self, range: AddressRange) {
        for part in self.context.readable_parts(range) {
            self.replacements.push((part.start, vec![0; part.len() as usize]));
        }
    }

    fn read(&self, range: AddressRange) -> Option<Vec<u8>> {
        let mut bytes = vec![0; range.len() as usize];
        self.context.memory.read_exact(range.start, &mut bytes).then_some(bytes)
    }

    /// Makes a `UNICODE_STRING` say where its text is now and how long.
    fn describe(&mut self, string: &UnicodeString, skip: u64, length: u64) {
        let length = (length as u16).to_le_bytes();
        // Nothing further on in the buffer is for anyone to look at.
        self.replacements.push((string.at, [length, length].concat()));
        if skip > 0 {
            let buffer = string.text.start + skip;
            let at = string.at + self.layout.string_buffer;
            let pointer = buffer.to_le_bytes()[..self.layout.pointer as usize].to_vec();
            self.replacements.push((at, pointer));
        }
    }

    fn shorten(&mut self, privacy: Privacy, string: &UnicodeString) {
        let Some(bytes) = self.read(string.text) else {
            // It cannot be said what is in it, nor whether it will be read yet.
            self.zero(string.text);
            return;
        };
        let units = units(&bytes);
        if string.role == Role::Path {
            let shown = privacy.path_units(&units);
            if shown.len() == units.len() {
                return;
            }
            let slash = |unit: &u16| *unit == u16::from(b'\\') || *unit == u16::from(b'/');
            let trailing = u64::from(units.last().is_some_and(slash) && !shown.is_empty());
            let skip = 2 * (units.len() - shown.len()) as u64 - 2 * trailing;
            self.zero(AddressRange::with_len(string.text.start, skip));
            self.describe(string, skip, 2 * shown.len() as u64);
            return;
        }
        let text = String::from_utf16_lossy(&units);
        let shown = utf16(&privacy.text(&text));
        if shown.len() < bytes.len() {
            let mut padded = shown.clone();
            padded.resize(bytes.len(), 0);
            self.replacements.push((string.text.start, padded));
            self.describe(string, 0, shown.len() as u64);
        }
    }

    /// The variables with their paths shortened, moved together: an empty one
    /// would end them.
    fn shorten_environment(&mut self, privacy: Privacy, range: AddressRange) {
        if !(privacy.paths || privacy.triage) {
            return;
        }
        let Some(bytes) = self.read(range) else {
            self.zero(range);
            return;
        };
        let mut shown = Vec::with_capacity(bytes.len());
        for variable in units(&bytes).split(|unit| *unit == 0).filter(|v| !v.is_empty()) {
            let text = String::from_utf16_lossy(variable);
            shown.extend(utf16(&privacy.text(&text)));
            shown.extend([0, 0]);
        }
        shown.truncate(bytes.len());
        shown.resize(bytes.len(), 0);
        if shown != bytes {
            self.replacements.push((range.start, shown));
        }
    }
}

fn units(bytes: &[u8]) -> Vec<u16> {
    bytes.chunks_exact(2).map(|unit| u16::from_le_bytes([unit[0], unit[1]])).collect()
}
