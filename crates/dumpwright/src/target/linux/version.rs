//! Versions of libraries, which on Linux stand only in their names.

/// The version in the name of a library: `libfoo.so.1.2.3` is 1.2.3.0, and so
/// is `libfoo-1.2.3.so`. Numbers past 65535 (dates) end it.
pub(super) fn in_name(name: &[u8]) -> Option<[u16; 4]> {
    let name = String::from_utf8_lossy(name);
    let digits = match name.rsplit_once(".so.") {
        Some((_, after)) => after,
        None => name.strip_suffix(".so")?.rsplit_once('-')?.1,
    };
    let mut version = [0; 4];
    let mut parts = 0;
    for (part, slot) in digits.split('.').zip(&mut version) {
        let end = part.find(|c: char| !c.is_ascii_digit()).unwrap_or(part.len());
        let Ok(number) = part[..end].parse() else { break };
        *slot = number;
        parts += 1;
        if end < part.len() {
            break;
        }
    }
    (parts > 0).then_some(version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_those_in_the_names() {
        for (name, version) in [
            ("libfoo.so.1.2.3", Some([1, 2, 3, 0])),
            ("libstdc++.so.6.0.30", Some([6, 0, 30, 0])),
            ("libdbus-1.so.3", Some([3, 0, 0, 0])),
            ("libc-2.31.so", Some([2, 31, 0, 0])),
            ("libicu.so.72.1rc2.9", Some([72, 1, 0, 0])),
            ("libx.so.20231105", None),
            ("libfoo.so", None),
            ("ld-linux-x86-64.so.2", Some([2, 0, 0, 0])),
            ("cat", None),
            ("libx.so.", None),
        ] {
            assert_eq!(in_name(name.as_bytes()), version, "{name}");
        }
    }
}
