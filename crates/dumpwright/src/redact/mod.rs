//! Redaction: what matches a pattern is overwritten, in everything that a dump
//! holds of its target but registers.
//!
//! Patterns are regular expressions of the `regex` crate. Each is looked for as
//! it stands (ASCII and UTF-8) and in UTF-16, little-endian, at any address. What
//! matches is overwritten with `*`, so that nothing moves. A match may lie in as
//! many pieces of memory as there are, as long as their addresses follow each
//! other; one of more than [`MAX_MATCH`] bytes is overwritten up to there, and
//! what is left of it is looked at anew.
//!
//! Memory is looked at when it is written, as the very bytes that go into the
//! file: nothing can change between the look and the write. Text outside of
//! memory (names, `/proc` files, comments, streams that are carried) is looked at
//! when the dump is planned. Structures with numbers are never touched.

#![forbid(unsafe_code)]

mod audit;
mod pattern;
mod scan;
#[cfg(test)]
mod tests;

pub use audit::{Audit, AuditEntry, AuditKind};
pub use pattern::{Encoding, MAX_MATCH, RedactPattern, Redactor};
pub(crate) use scan::Scanner;

use crate::plan::assembly::Assembly;
use crate::soft_error::SoftError;
use crate::target::StreamBytes;
use crate::target::stream_bytes::TextPacker;

/// Bytes of a text that are looked at at once.
const PIECE: usize = 64 << 10;

impl Redactor {
    /// Overwrites what matches in `bytes`, and tells where.
    pub(crate) fn redact(&self, bytes: &mut [u8]) -> Vec<Found> {
        let mut scanner = Scanner::new(self);
        let mut out = Vec::new();
        // What is given out stands before what was taken in.
        let mut done = 0;
        let mut taken = 0;
        while taken < bytes.len() {
            let end = bytes.len().min(taken + PIECE);
            scanner.feed(taken as u64, &bytes[taken..end], &mut out);
            taken = end;
            if taken == bytes.len() {
                scanner.flush(&mut out);
            }
            bytes[done..done + out.len()].copy_from_slice(&out);
            done += out.len();
            out.clear();
        }
        scanner.into_found()
    }

    /// As [`redact`](Self::redact), of text that is packed.
    fn redact_pieces(&self, text: &StreamBytes) -> (StreamBytes, Vec<Found>) {
        let mut scanner = Scanner::new(self);
        let mut packer = TextPacker::default();
        let mut out = Vec::new();
        let mut give_out = |out: &mut Vec<u8>, all: bool| {
            let lines = out.iter().rposition(|b| *b == b'\n').map_or(0, |at| at + 1);
            let end = if all { out.len() } else { lines };
            packer.push(&out[..end]);
            out.drain(..end);
        };
        let mut taken = 0;
        for piece in text.pieces() {
            for part in piece.chunks(PIECE) {
                scanner.feed(taken, part, &mut out);
                taken += part.len() as u64;
                give_out(&mut out, false);
            }
        }
        scanner.flush(&mut out);
        give_out(&mut out, true);
        (packer.finish(), scanner.into_found())
    }

    /// Whether anything matches in `bytes`.
    fn matches(&self, bytes: &[u8]) -> bool {
        let mut scanner = Scanner::new(self);
        let mut out = Vec::new();
        for (index, piece) in bytes.chunks(PIECE).enumerate() {
            scanner.feed((index * PIECE) as u64, piece, &mut out);
            out.clear();
        }
        scanner.flush(&mut out);
        !scanner.into_found().is_empty()
    }

    /// A match in memory, for the list.
    pub(crate) fn entry(&self, found: &Found) -> AuditEntry {
        AuditEntry {
            pattern: Some(self.name(found.pattern).to_owned()),
            encoding: Some(found.encoding),
            address: Some(found.address),
            length: found.length,
            ..AuditEntry::of(AuditKind::Redaction)
        }
    }

    /// Overwrites what matches in the text of streams, strings and records.
    pub(crate) fn redact_assembly(&self, assembly: &mut Assembly, audit: &mut Audit) {
        for (stream_type, section) in assembly.sections_mut() {
            let place = stream_type.map_or_else(|| "strings".into(), |kind| kind.to_string());
            let mut list = |start: u64, found: Found| {
                audit.add(AuditEntry {
                    address: None,
                    stream: Some(place.clone()),
                    offset: Some(start + found.address),
                    ..self.entry(&found)
                });
            };
            if let Some(text) = section.packed_mut() {
                let (redacted, found) = self.redact_pieces(text);
                *text = redacted;
                for found in found {
                    list(0, found);
                }
            }
            for range in section.text().to_vec() {
                // What is changed is copied: it may be shared, and large.
                if !section.bytes().get(range.clone()).is_some_and(|bytes| self.matches(bytes)) {
                    continue;
                }
                let start = range.start as u64;
                for found in self.redact(section.text_mut(range)) {
                    list(start, found);
                }
            }
        }
    }

    /// Overwrites what matches in messages that the dump stores.
    pub(crate) fn redact_soft_errors(&self, errors: &mut [SoftError]) {
        for error in errors {
            for text in [&mut error.subject, &mut error.message] {
                let mut bytes = text.as_bytes().to_vec();
                if !self.redact(&mut bytes).is_empty() {
                    *text = String::from_utf8_lossy(&bytes).into_owned();
                }
            }
        }
    }
}

/// A match that was overwritten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    /// Which pattern.
    pub pattern: usize,
    pub encoding: Encoding,
    /// Address, or offset in the text.
    pub address: u64,
    pub length: u64,
}
