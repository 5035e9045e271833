//! What the tests share: targets, the command under test, and readers.

pub mod cli;
pub mod compile;
pub mod cores;
pub mod crashes;
pub mod dump;
pub mod frames;
pub mod frozen;
pub mod guest;
pub mod initramfs;
pub mod machine;
pub mod processor;
pub mod readers;
pub mod redump;
pub mod same_process;
pub mod target;
pub mod tools;
pub mod wine;

/// splitmix64, as the fixtures have it: what their memory is filled with.
pub fn mix(x: u64) -> u64 {
    let x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// Bytes from the hex text of a READY line or a reader.
pub fn unhex(text: &str) -> Vec<u8> {
    text.as_bytes()
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

/// Where `needle` first is in `haystack`.
///
/// Looks for the first byte by `memchr`'s cousin in the standard library, since
/// dumps of tens of megabytes are searched for dozens of needles.
pub fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    let (first, rest) = needle.split_first().expect("something is searched for");
    let mut at = 0;
    while let Some(step) = haystack[at..].iter().position(|b| b == first) {
        at += step + 1;
        if haystack[at..].starts_with(rest) {
            return Some(at - 1);
        }
    }
    None
}

/// The bytes of `text` as UTF-16, as the strings of a minidump have them.
pub fn utf16(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}
