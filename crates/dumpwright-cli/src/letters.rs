//! WinDbg's `.dump` letters: `-mfFh`, `-ba`, `-xt` and the like become long
//! options before clap sees them, since single-dash words of several letters
//! are not clap's way.

use dumpwright::dot_dump::mini_flags;
use std::ffi::OsString;

/// Rewrites the arguments of `dumpwright dump`; others pass through.
pub fn expand(arguments: impl Iterator<Item = OsString>) -> Result<Vec<OsString>, String> {
    let mut arguments = arguments.peekable();
    let mut out: Vec<OsString> = arguments.next().into_iter().collect();
    if arguments.peek().is_none_or(|a| a != "dump") {
        out.extend(arguments);
        return Ok(out);
    }
    while let Some(argument) = arguments.next() {
        match argument.to_str() {
            Some("--") => {
                out.push(argument);
                out.extend(arguments);
                break;
            }
            // Their values are free text and must not be taken for letters.
            Some(
                "-c" | "--comment" | "-n" | "--name" | "-z" | "--open" | "--redact" | "--qemu",
            ) => {
                out.push(argument);
                out.extend(arguments.next());
            }
            Some(word) => out.push(expand_word(word)?.into()),
            None => out.push(argument),
        }
    }
    Ok(out)
}

fn expand_word(word: &str) -> Result<String, String> {
    let Some(letters) = word.strip_prefix('-').filter(|w| !w.starts_with('-')) else {
        return Ok(word.to_owned());
    };
    let (first, rest) = letters.split_at(letters.len().min(1));
    Ok(match (first, rest) {
        ("m", letters) => {
            mini_flags(letters)?;
            format!("--mini={letters}")
        }
        ("f", "" | "y") => format!("--full={rest}"),
        ("b", "" | "a") => format!("--cab={rest}"),
        ("f", _) => return Err(format!("'{word}' is not -f or -fy; minidump letters follow -m")),
        ("b", _) => return Err(format!("'{word}' is not -b or -ba")),
        ("x", "t") => "--exception-thread".into(),
        ("x", "c") => "--exception-context".into(),
        ("x", "r") => "--exception-record".into(),
        ("x", "p") => "--exception-pointers".into(),
        ("x", _) => return Err(format!("'{word}' is not -xt, -xc, -xr or -xp")),
        ("k", "" | "a") => format!("--kernel={rest}"),
        ("k", _) => return Err(format!("'{word}' is not -k or -ka")),
        ("j", "") => "--jit-debug-info".into(),
        _ => word.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expanded(words: &[&str]) -> Vec<String> {
        let arguments = ["dumpwright"].iter().chain(words).map(OsString::from);
        expand(arguments).unwrap().into_iter().map(|w| w.into_string().unwrap()).collect()
    }

    #[test]
    fn letters_become_long_options() {
        assert_eq!(
            expanded(&["dump", "-p", "12", "-mfFh", "-ba", "-xt", "7", "-fy", "-o", "x.dmp"])[1..],
            [
                "dump",
                "-p",
                "12",
                "--mini=fFh",
                "--cab=a",
                "--exception-thread",
                "7",
                "--full=y",
                "-o",
                "x.dmp"
            ]
        );
        assert_eq!(expanded(&["dump", "-m", "x.dmp"])[2], "--mini=");
    }

    #[test]
    fn free_text_and_other_commands_are_left_alone() {
        assert_eq!(expanded(&["dump", "-c", "-mx", "-n", "-b"])[3], "-mx");
        assert_eq!(expanded(&["info", "-mx"])[2], "-mx");
        assert_eq!(expanded(&["dump", "--", "-mx"])[3], "-mx");
    }

    #[test]
    fn wrong_letters_are_named() {
        for (word, named) in
            [("-mz", "'z'"), ("-kz", "-ka"), ("-xq", "-xt"), ("-bz", "-ba"), ("-fa", "-fy")]
        {
            let error = expand(["d", "dump", word].iter().map(OsString::from)).unwrap_err();
            assert!(error.contains(named), "{error}");
        }
    }
}
