//! Names inside a cabinet: safe to extract on Windows and Linux, and unique.

use dumpwright_format::cab::MAX_NAME;
use std::collections::{HashMap, HashSet};

/// Names for files in a cabinet: each the last part of the path given, without
/// anything that an extractor could take for a path, a device or a pattern, at
/// most 255 bytes long, and unlike all others also where case does not count.
///
/// The first of several equal names keeps it; the others become `name~2.ext`,
/// `name~3.ext`, …
///
/// ```
/// use dumpwright::package::safe_cab_names;
/// let names = safe_cab_names(["a.dmp", "/lib/libc.so.6", "../../LIBC.so.6", "C:\\con.txt"]);
/// assert_eq!(names, ["a.dmp", "libc.so.6", "LIBC~2.so.6", "_con.txt"]);
/// ```
pub fn safe_cab_names<'a>(names: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let mut taken = HashSet::new();
    // Where to go on counting, so that many equal names stay cheap.
    let mut counters = HashMap::<String, u32>::new();
    let mut unique = |name: String| {
        if taken.insert(name.to_lowercase()) {
            return name;
        }
        let counter = counters.entry(name.to_lowercase()).or_insert(1);
        loop {
            *counter += 1;
            let candidate = numbered(&name, *counter);
            if taken.insert(candidate.to_lowercase()) {
                return candidate;
            }
        }
    };
    names.into_iter().map(|name| unique(safe(name))).collect()
}

/// One name, made safe.
fn safe(path: &str) -> String {
    let base = path.trim_end_matches(is_separator).rsplit(is_separator).next().unwrap_or(path);
    let clean: String = base.chars().map(|c| if is_unsafe(c) { '_' } else { c }).collect();
    // Leading dots hide a file or lead upwards; Windows drops trailing ones.
    let clean = clean.trim_start_matches(['.', ' ']).trim_end_matches(['.', ' ']);
    let name = match clean {
        "" => "file".to_owned(),
        name if is_device(name) => format!("_{name}"),
        name => name.to_owned(),
    };
    fit(&name, "")
}

fn is_separator(c: char) -> bool {
    matches!(c, '/' | '\\')
}

/// Characters that a file system refuses, that a shell or Windows reads as more
/// than a name, or that make a name look like another.
fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c, ':' | '*' | '?' | '"' | '<' | '>' | '|' | '\u{FFFD}')
        // Invisible ones, and those that turn the direction of writing.
        || matches!(c, '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2060}'..='\u{206F}' | '\u{FEFF}')
}

/// Whether Windows takes the name for a device, whatever its extension.
fn is_device(name: &str) -> bool {
    let stem = name.split('.').next().unwrap_or(name).trim_end().to_uppercase();
    if matches!(stem.as_str(), "CON" | "PRN" | "AUX" | "NUL" | "CONIN$" | "CONOUT$" | "CLOCK$") {
        return true;
    }
    let port = stem.strip_prefix("COM").or_else(|| stem.strip_prefix("LPT"));
    port.is_some_and(|n| {
        matches!(n, "0" | "1" | "2" | "3" | "4" | "5" | "6" | "7" | "8" | "9" | "¹" | "²" | "³")
    })
}

fn numbered(name: &str, number: u32) -> String {
    fit(name, &format!("~{number}"))
}

/// `name` with `suffix` before its extensions, shortened before the suffix to
/// what a cabinet and most file systems take.
fn fit(name: &str, suffix: &str) -> String {
    // All of `.so.6` counts as an extension, unless that leaves too little of
    // the name to shorten.
    let (stem, extension) = match name.find('.') {
        Some(dot) if name.len() - dot <= MAX_NAME / 4 => name.split_at(dot),
        _ => (name, ""),
    };
    let room = MAX_NAME - extension.len() - suffix.len();
    let cut = (0..=room.min(stem.len())).rev().find(|at| stem.is_char_boundary(*at)).unwrap_or(0);
    // A cut must not bring a dot or space to the end.
    let stem = stem[..cut].trim_end_matches(['.', ' ']);
    format!("{stem}{suffix}{extension}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(name: &str) -> String {
        safe_cab_names([name]).remove(0)
    }

    #[test]
    fn a_name_is_only_the_last_part_of_a_path() {
        for (given, safe) in [
            ("/usr/lib/libc.so.6", "libc.so.6"),
            ("C:\\Windows\\ntdll.dll", "ntdll.dll"),
            ("../../etc/passwd", "passwd"),
            ("a/..", "file"),
            ("a/../", "file"),
            ("/", "file"),
            ("", "file"),
            ("dir/", "dir"),
            ("...hidden", "hidden"),
            ("lib.so (deleted)", "lib.so (deleted)"),
            ("trailing. . ", "trailing"),
            ("a:b*c?d\"e<f>g|h", "a_b_c_d_e_f_g_h"),
            ("C:evil.dll", "C_evil.dll"),
            ("bell\u{7}\n\0end", "bell___end"),
            ("gnp\u{202E}.exe", "gnp_.exe"),
            ("lib\u{FFFD}.so", "lib_.so"),
            ("Größe 試.so", "Größe 試.so"),
        ] {
            assert_eq!(one(given), safe, "{given:?}");
        }
    }

    #[test]
    fn names_of_devices_are_not_used() {
        for name in ["con", "NUL.txt", "Com1.so.6", "lpt9", "COM¹", "conout$"] {
            assert_eq!(one(name), format!("_{name}"));
        }
        assert_eq!(one("aux .x"), "_aux.x");
        for name in ["console", "com10", "com", "nul-x.so", "common.so"] {
            assert_eq!(one(name), name);
        }
    }

    #[test]
    fn names_differ_also_where_case_does_not_count() {
        let names = ["lib.so", "LIB.SO", "lib.so", "lib~2.so", "ä", "Ä", "lib.so"];
        let unique = safe_cab_names(names);
        assert_eq!(
            unique,
            ["lib.so", "LIB~2.SO", "lib~3.so", "lib~2~2.so", "ä", "Ä~2", "lib~4.so"]
        );
    }

    #[test]
    fn names_fit_and_are_cut_between_characters() {
        for name in [
            "ä".repeat(300),
            format!("{}.so.6", "x".repeat(300)),
            format!("a.{}", "試".repeat(200)),
            format!("x{}", ".y".repeat(300)),
        ] {
            let both = safe_cab_names([name.as_str(), &name]);
            assert!(both.iter().all(|n| n.len() <= MAX_NAME && n.len() > MAX_NAME - 4), "{both:?}");
            assert_ne!(both[0], both[1]);
        }
        assert!(one(&format!("{}.so.6", "x".repeat(300))).ends_with("x.so.6"));
    }

    #[test]
    fn many_equal_names_stay_cheap_and_differ() {
        let names = vec!["lib.so"; 65_535];
        let unique: HashSet<_> = safe_cab_names(names).into_iter().collect();
        assert_eq!(unique.len(), 65_535);
    }

    proptest::proptest! {
        #[test]
        fn any_names_become_safe_and_unique(names in proptest::collection::vec(".{0,300}", 0..20)) {
            let safe = safe_cab_names(names.iter().map(String::as_str));
            let mut seen = HashSet::new();
            for name in &safe {
                assert!(!name.is_empty() && name.len() <= MAX_NAME);
                assert!(!name.starts_with('.') && !name.ends_with(['.', ' ']));
                assert!(!name.contains(['/', '\\', '\0', ':']));
                assert!(!is_device(name));
                assert!(seen.insert(name.to_lowercase()), "{name:?} twice");
            }
        }
    }
}
