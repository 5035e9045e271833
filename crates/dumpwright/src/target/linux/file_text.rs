//! Reading the `key: value` text files that `/proc` is full of.

/// The value of the line that begins with `key` and a colon, trimmed.
pub(super) fn value<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    text.lines().find_map(|line| {
        let rest = line.strip_prefix(key)?.trim_start();
        Some(rest.strip_prefix(':')?.trim())
    })
}

/// The number that a value such as `123 kB` begins with.
pub(super) fn number(text: &str, key: &str) -> Option<u64> {
    value(text, key)?.split_ascii_whitespace().next()?.parse().ok()
}

/// A value in kB, as bytes.
pub(super) fn kilobytes(text: &str, key: &str) -> Option<u64> {
    number(text, key).map(|kb| kb.saturating_mul(1024))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_matched_whole() {
        let text = "VmSizeX:\t1 kB\nVmSize:\t 12 kB\nmodel name\t: Fast: CPU\n";
        assert_eq!(kilobytes(text, "VmSize"), Some(12 * 1024));
        assert_eq!(value(text, "model name"), Some("Fast: CPU"));
        assert_eq!(number(text, "VmSwap"), None);
    }
}
