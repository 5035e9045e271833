//! Strings of a dump, and the allowance that keeps many references to the same
//! bytes from costing more than the file could.

use super::error::{Malformed, ReadError, ReadResult};
use super::minidump::Minidump;
use dumpwright_format::minidump::StreamType;
use zerocopy::FromBytes;
use zerocopy::little_endian::U16;

/// The longest string in bytes: a `UNICODE_STRING` says its length in 16 bits;
/// twice that leaves room for writers that do not know.
const MAX_STRING: u32 = 0x2_0000;

/// A `MINIDUMP_STRING` with what is worth knowing of how it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredString {
    /// The text; what is not UTF-16 became U+FFFD.
    pub text: String,
    /// Bytes of it in the file, without length field and final NUL.
    pub byte_length: u32,
    /// Whether the NUL that the format asks for follows.
    pub terminated: bool,
    /// Whether all of it is UTF-16.
    pub valid: bool,
}

/// What may yet be spent on strings and records that a list refers to.
#[derive(Debug)]
pub(crate) struct Allowance(u64);

impl Allowance {
    /// Takes `bytes` from it; `false` if there are not so many left.
    pub(crate) fn spend(&mut self, bytes: u64) -> bool {
        match self.0.checked_sub(bytes) {
            Some(left) => {
                self.0 = left;
                true
            }
            None => false,
        }
    }
}

impl Minidump {
    /// An allowance for one list: entries may share strings (`File` is the type
    /// of many handles), so it is a few times the file, not the file; and much
    /// less than a large file, most of which is memory or a hole.
    pub(crate) fn allowance(&self) -> Allowance {
        Allowance(self.work_allowance().min(256 << 20))
    }

    /// Bytes that may be read, not kept, for entries that share places.
    pub(crate) fn work_allowance(&self) -> u64 {
        self.len().saturating_mul(4).saturating_add(1 << 20).min(4 << 30)
    }

    /// The `MINIDUMP_STRING` at a file offset.
    pub fn string(&self, rva: u64) -> ReadResult<StoredString> {
        let mut length = [0; 4];
        self.read_file(rva, &mut length)?;
        let byte_length = u32::from_le_bytes(length);
        let fault = |reason: String| -> ReadError {
            Malformed { stream: None, offset: rva, reason }.into()
        };
        if byte_length % 2 != 0 {
            return Err(fault(format!("a UTF-16 string has an odd length of {byte_length} bytes")));
        }
        if byte_length > MAX_STRING {
            return Err(fault(format!(
                "a string of {byte_length} bytes; {MAX_STRING} is the most that is believed"
            )));
        }
        let mut bytes = vec![0; byte_length as usize];
        let start = rva.saturating_add(4);
        self.read_file(start, &mut bytes)?;
        let mut nul = [1; 2];
        let terminated = self.read_file(start.saturating_add(byte_length.into()), &mut nul).is_ok()
            && nul == [0; 2];
        let (text, valid) = utf16(&bytes);
        Ok(StoredString { text, byte_length, terminated, valid })
    }

    /// The string that a list's entry refers to: `None` at offset 0 (no string),
    /// where there is none, or when the list's allowance is spent.
    pub(crate) fn referred_string(&self, rva: u64, allowance: &mut Allowance) -> Option<String> {
        if rva == 0 {
            return None;
        }
        // Paid for before it is decoded: time is limited like memory.
        let mut length = [0; 4];
        self.read_file(rva, &mut length).ok()?;
        let cost = u64::from(u32::from_le_bytes(length).min(MAX_STRING)) + 4;
        if !allowance.spend(cost) {
            return None;
        }
        Some(self.string(rva).ok()?.text)
    }

    /// A structure's bytes that a list's entry refers to, `max` at most.
    pub(crate) fn referred_bytes(
        &self,
        rva: u64,
        size: u64,
        max: usize,
        allowance: &mut Allowance,
    ) -> Option<Vec<u8>> {
        let size = size.min(max as u64);
        if rva == 0 || size == 0 || !self.holds(rva, size) || !allowance.spend(size) {
            return None;
        }
        let mut bytes = vec![0; size as usize];
        self.read_file(rva, &mut bytes).ok()?;
        Some(bytes)
    }

    /// An error for a stream that refers to something that is not there.
    pub(crate) fn malformed(
        stream: StreamType,
        offset: u64,
        reason: impl Into<String>,
    ) -> ReadError {
        Malformed { stream: Some(stream), offset, reason: reason.into() }.into()
    }
}

/// UTF-16 up to the first NUL, and whether all of it was valid.
pub(crate) fn utf16(bytes: &[u8]) -> (String, bool) {
    let units = bytes.chunks_exact(2).filter_map(|pair| U16::read_from_bytes(pair).ok());
    let mut valid = true;
    let text = char::decode_utf16(units.map(U16::get).take_while(|unit| *unit != 0))
        .map(|unit| {
            unit.unwrap_or_else(|_| {
                valid = false;
                char::REPLACEMENT_CHARACTER
            })
        })
        .collect();
    (text, valid)
}

/// Text of a fixed array of UTF-16 units; `None` if it is empty.
pub(crate) fn utf16_array(units: &[U16]) -> Option<String> {
    let units = units.iter().map(|unit| unit.get()).take_while(|unit| *unit != 0);
    let text: String =
        char::decode_utf16(units).map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER)).collect();
    (!text.is_empty()).then_some(text)
}

/// Text in an unnamed 8-bit code: UTF-8 if it is that, else each byte as the
/// character of that number.
pub(crate) fn eight_bit(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|b| *b == 0).unwrap_or(bytes.len());
    match std::str::from_utf8(&bytes[..end]) {
        Ok(text) => text.to_owned(),
        Err(_) => bytes[..end].iter().map(|b| char::from(*b)).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_that_is_not_utf16_survives_as_replacement_characters() {
        assert_eq!(utf16(&[0x41, 0, 0x00, 0xd8, 0x42, 0]), ("A\u{fffd}B".to_owned(), false));
        assert_eq!(utf16(&[0x41, 0, 0, 0, 0x42, 0]), ("A".to_owned(), true));
    }

    #[test]
    fn eight_bit_text_is_utf8_or_latin1() {
        assert_eq!(eight_bit("grün\0x".as_bytes()), "grün");
        assert_eq!(eight_bit(b"gr\xfcn"), "grün");
    }
}
