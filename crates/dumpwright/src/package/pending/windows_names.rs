//! File names that Windows would take for something else than a file of that
//! name.
//!
//! The folder of a dump is resolved to a path that Windows takes literally
//! (`\\?\`). A file that is called `nul.dmp` or `x.dmp.` could be made there, and
//! hardly any program could open it afterwards.

/// Names of devices, whatever extension they are given ("Naming Files, Paths, and
/// Namespaces" of the Windows documentation), but for those with a number.
const DEVICES: [&str; 6] = ["CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$"];
/// Those with a number behind, which can be a superscript one.
const NUMBERED: [&str; 2] = ["COM", "LPT"];

/// Why no dump may be called `name`; `literal` of a path that begins with `\\?\`.
pub(super) fn refusal(name: &str, literal: bool) -> Option<&'static str> {
    if name.contains(':') {
        return Some("what stands behind a ':' is a stream of a file; give the dump a file");
    }
    if literal {
        return None;
    }
    if name.ends_with([' ', '.']) {
        return Some("Windows takes spaces and dots away from the end of a name; leave them out");
    }
    let stem = name.split('.').next().unwrap_or_default().trim_end();
    is_device(stem).then_some("its name is that of a device, with any extension; give it another")
}

fn is_device(stem: &str) -> bool {
    let numbered = |device: &&str| -> bool {
        let head = stem.get(..device.len()).filter(|head| head.eq_ignore_ascii_case(device));
        let mut rest = stem.chars().skip(device.len());
        let number = rest.next().is_some_and(|c| matches!(c, '1'..='9' | '¹' | '²' | '³'));
        head.is_some() && number && rest.next().is_none()
    };
    DEVICES.iter().any(|device| stem.eq_ignore_ascii_case(device)) || NUMBERED.iter().any(numbered)
}

/// The last part of a path without the drive that can stand before it: `C:x.dmp`
/// is a file in the folder where drive C is.
pub(super) fn without_drive(last: &[u8]) -> &[u8] {
    match last {
        [drive, b':', name @ ..] if drive.is_ascii_alphabetic() => name,
        _ => last,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_streams_and_names_that_windows_cuts_are_refused() {
        for name in [
            "nul.dmp",
            "CON.dmp",
            "Aux.tar.dmp",
            "com1.dmp",
            "LPT9.dmp",
            "lpt².dmp",
            "con .dmp",
            "conout$.dmp",
            "a:b.dmp",
            "x.dmp.",
            "x.dmp ",
        ] {
            assert!(refusal(name, false).is_some(), "{name}");
        }
        for name in
            ["console.dmp", "com.dmp", "com10.dmp", "com0.dmp", "null.dmp", "x.nul", "ü.dmp"]
        {
            assert_eq!(refusal(name, false), None, "{name}");
        }
    }

    #[test]
    fn a_literal_path_may_have_any_name_but_a_stream() {
        assert_eq!(refusal("nul.dmp", true), None);
        assert_eq!(refusal("x.dmp ", true), None);
        assert!(refusal("x:y.dmp", true).is_some());
    }

    #[test]
    fn a_drive_before_a_name_is_no_part_of_it() {
        assert_eq!(without_drive(b"C:x.dmp"), b"x.dmp");
        assert_eq!(without_drive(b"x.dmp"), b"x.dmp");
        assert_eq!(without_drive(b"ab:x.dmp"), b"ab:x.dmp");
    }
}
