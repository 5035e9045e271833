//! The comment, as a header can hold it.

use crate::soft_error::SoftError;
use dumpwright_format::kernel::COMMENT_SIZE;

/// A comment in a header.
pub struct Encoded {
    /// Latin-1, without a NUL, at most [`COMMENT_SIZE`] less one bytes.
    pub bytes: Vec<u8>,
    /// Whether that is all of it.
    pub whole: bool,
}

/// The field is "ANSI", whatever that was where the dump is read: what ASCII and
/// Latin-1 share is the same in most code pages.
pub fn encode(text: &str, soft_errors: &mut Vec<SoftError>) -> Encoded {
    let room = COMMENT_SIZE - 1;
    let latin = |c: char| u8::try_from(u32::from(c)).ok();
    let length = text.chars().count();
    let bytes = text.chars().take(room).map(|c| latin(c).unwrap_or(b'?')).collect();
    let cut = length > room;
    let replaced = text.chars().any(|c| latin(c).is_none());
    if cut || replaced {
        let how = match (cut, replaced) {
            (true, true) => "was cut and has characters replaced",
            (true, false) => "was cut",
            (false, _) => "has characters replaced",
        };
        soft_errors.push(SoftError::new(
            "comment",
            format!("the header holds {room} characters of an 8-bit code and the comment, of {length}, {how} there; all of it is in the dump's secondary data"),
        ));
    }
    Encoded { bytes, whole: !cut && !replaced }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comment_is_whole_or_a_warning_says_so() {
        let mut notes = Vec::new();
        let fits = encode(&"x".repeat(127), &mut notes);
        assert!(fits.whole && fits.bytes.len() == 127 && notes.is_empty());
        assert_eq!(encode("grün", &mut notes).bytes, b"gr\xfcn");
        assert!(notes.is_empty());
        let cut = encode(&"y".repeat(128), &mut notes);
        assert!(!cut.whole && cut.bytes.len() == 127);
        assert!(!encode("日本", &mut notes).whole);
        assert_eq!(notes.len(), 2);
    }
}
