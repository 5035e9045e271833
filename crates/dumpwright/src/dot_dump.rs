//! WinDbg's `.dump` command: its letters, its quoting and its file names.
//!
//! ```
//! use dumpwright::{FormatFlags, dot_dump::DotDump};
//! let dump = DotDump::parse(r#"/o /ma /c "hangs after login" "my app.dmp""#).unwrap();
//! assert_eq!(dump.file, "my app.dmp");
//! assert!(dump.flags.contains(FormatFlags::DUMP_MA));
//! ```

#![forbid(unsafe_code)]

use crate::kernel_type::KernelDumpType;
use crate::request::{DumpRequest, Extensions};
use crate::target::{ExceptionSource, Pid, Tid};
use crate::time::CivilTime;
use dumpwright_format::{FormatFlags, Qualifier};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// The flags that the letters of `/m` stand for.
///
/// # Errors
/// A message that names the letter that is none.
pub fn mini_flags(letters: &str) -> Result<FormatFlags, String> {
    letters.chars().try_fold(FormatFlags::empty(), |flags, letter| {
        Ok(flags
            | match letter {
                'a' => FormatFlags::DUMP_MA,
                'A' => FormatFlags::DUMP_MA | FormatFlags::USER_SMALL_IGNORE_INACCESSIBLE_MEM,
                'f' => FormatFlags::USER_SMALL_FULL_MEMORY,
                'F' => FormatFlags::USER_SMALL_FULL_MEMORY_INFO,
                'h' => FormatFlags::USER_SMALL_HANDLE_DATA,
                'u' => FormatFlags::USER_SMALL_UNLOADED_MODULES,
                'i' => FormatFlags::USER_SMALL_INDIRECT_MEMORY,
                'p' => FormatFlags::USER_SMALL_PROCESS_THREAD_DATA,
                'w' => FormatFlags::USER_SMALL_PRIVATE_READ_WRITE_MEMORY,
                'd' => FormatFlags::USER_SMALL_DATA_SEGMENTS,
                'c' => FormatFlags::USER_SMALL_CODE_SEGMENTS,
                'r' => FormatFlags::USER_SMALL_FILTER_MEMORY,
                'R' => FormatFlags::USER_SMALL_FILTER_PATHS,
                't' => FormatFlags::USER_SMALL_THREAD_INFO,
                'y' => FormatFlags::USER_SMALL_ADD_AVX_XSTATE_CONTEXT,
                other => {
                    return Err(format!(
                        "'{other}' in -m{letters} is not one of the letters a A f F h u t i p w d c r R y"
                    ));
                }
            })
    })
}

/// `app.dmp` → `app_2026-11-24_03-13-53-042_1234.dmp`: UTC, and process id.
pub fn unique_name(file: &Path, pid: Pid, now: SystemTime) -> PathBuf {
    let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    let CivilTime { year, month, day, hour, minute, second } =
        CivilTime::from_unix(since.as_secs());
    let stamp = format!(
        "_{year:04}-{month:02}-{day:02}_{hour:02}-{minute:02}-{second:02}-{:03}_{pid}",
        since.subsec_millis()
    );
    let mut name = file.file_stem().map(OsString::from).unwrap_or_default();
    name.push(stamp);
    if let Some(extension) = file.extension() {
        name.push(".");
        name.push(extension);
    }
    file.with_file_name(name)
}

/// What kind of dump a command asks for; what that is of a process differs from
/// what it is of a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DotDumpKind {
    /// `/m`, or nothing.
    Small,
    /// `/f`: all of it.
    Full,
    /// `/k`: a machine's kernel memory.
    Kernel,
    /// `/ka`: a machine's kernel memory and that of the current process.
    KernelAndUser,
}

/// A `.dump` command, without the word `.dump`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DotDump {
    /// What kind of dump.
    pub kind: DotDumpKind,
    /// What the letters stand for. `NO_OVERWRITE` unless `/o` is given.
    pub flags: FormatFlags,
    /// `/c`.
    pub comment: Option<String>,
    /// `/u`: date, time and process id are added to the name.
    pub unique: bool,
    /// `/a`: every process that is a target is dumped.
    pub all: bool,
    /// `/xt`, `/xc`, `/xr`, `/xp`, `/j`.
    pub exception: ExceptionSource,
    /// The file name, which is always the last word.
    pub file: String,
}

impl DotDump {
    /// Reads the options and the file name. Words are separated by spaces and
    /// may stand in double quotes; options begin with `/` or `-`. The last word
    /// is the file name, so a Linux path can begin with `/`.
    ///
    /// # Errors
    /// A message for the user: an option that is none, or has no value; no name.
    pub fn parse(arguments: &str) -> Result<DotDump, String> {
        let mut words = words(arguments)?;
        let file = words.pop().ok_or("'.dump' needs a file name, as in '.dump /ma app.dmp'")?;
        if !file.quoted && file.is_option_without_name() {
            return Err(format!("'.dump' needs a file name after '{}'", file.text));
        }
        let mut dump = DotDump {
            kind: DotDumpKind::Small,
            flags: FormatFlags::NO_OVERWRITE,
            comment: None,
            unique: false,
            all: false,
            exception: ExceptionSource::default(),
            file: file.text,
        };
        let mut kinds = Vec::new();
        let mut words = words.into_iter();
        while let Some(word) = words.next() {
            let option = match word.text.strip_prefix(['/', '-']) {
                Some(option) if !word.quoted => option,
                _ => {
                    return Err(format!(
                        "'{}' is no option of '.dump'; put a file name with spaces in quotes",
                        word.text
                    ));
                }
            };
            let mut value = || {
                let missing = || format!("'/{option}' needs a value before the file name");
                words.next().map(|w| w.text).ok_or_else(missing)
            };
            match option {
                "o" => dump.flags.remove(FormatFlags::NO_OVERWRITE),
                "u" => dump.unique = true,
                "b" => dump.flags |= FormatFlags::WRITE_CAB,
                "ba" => dump.flags |= FormatFlags::WRITE_CAB | FormatFlags::CAB_SECONDARY_FILES,
                "c" => dump.comment = Some(value()?),
                "f" => kinds.push(DotDumpKind::Full),
                "k" => kinds.push(DotDumpKind::Kernel),
                "ka" => kinds.push(DotDumpKind::KernelAndUser),
                "fy" => {
                    kinds.push(DotDumpKind::Full);
                    dump.flags |= FormatFlags::USER_SMALL_ADD_AVX_XSTATE_CONTEXT;
                }
                "xt" => {
                    let tid = number(&value()?)?;
                    let tid = u32::try_from(tid).map_err(|_| "no thread id is that large")?;
                    dump.exception.thread = Some(Tid(tid));
                }
                "xc" => dump.exception.context = Some(number(&value()?)?),
                "xr" => dump.exception.record = Some(number(&value()?)?),
                "xp" => dump.exception.pointers = Some(number(&value()?)?),
                "a" => dump.all = true,
                "j" => dump.exception.jit_debug_info = Some(number(&value()?)?),
                "kpmf" => return Err("'/kpmf' is not supported: take /f, which has more".into()),
                letters if letters.starts_with('m') => {
                    kinds.push(DotDumpKind::Small);
                    dump.flags |= mini_flags(&letters[1..])?;
                }
                _ => return Err(format!("'{}' is no option of '.dump'", word.text)),
            }
        }
        if dump.all && !dump.unique {
            return Err("'/a' needs '/u', so that each process has a file of its own".into());
        }
        kinds.dedup();
        match kinds.as_slice() {
            [] => {}
            [kind] => dump.kind = *kind,
            _ => return Err("'/m', '/f' and '/k' choose different types; give one".into()),
        }
        Ok(dump)
    }

    /// The request to make of a process.
    ///
    /// # Errors
    /// A message for the user: the type is one of machines.
    pub fn of_process(&self, file: PathBuf) -> Result<DumpRequest, String> {
        let qualifier = match self.kind {
            DotDumpKind::Small => Qualifier::Small,
            DotDumpKind::Full => Qualifier::Default,
            DotDumpKind::Kernel | DotDumpKind::KernelAndUser => {
                return Err("'/k' makes a kernel dump, which a process has none of".into());
            }
        };
        Ok(self.request(file, qualifier))
    }

    /// The request to make of a machine.
    pub fn of_machine(&self, file: PathBuf) -> DumpRequest {
        let (qualifier, kind) = match self.kind {
            DotDumpKind::Small => (Qualifier::Small, None),
            DotDumpKind::Full => (Qualifier::Full, None),
            DotDumpKind::Kernel => (Qualifier::Default, None),
            DotDumpKind::KernelAndUser => {
                (Qualifier::Default, Some(KernelDumpType::KernelAndUserMemory))
            }
        };
        let mut request = self.request(file, qualifier);
        request.extensions.kernel_type = kind;
        request
    }

    fn request(&self, file: PathBuf, qualifier: Qualifier) -> DumpRequest {
        let extensions = Extensions { exception: self.exception, ..Extensions::default() };
        let mut request =
            DumpRequest::new(file, qualifier).flags(self.flags).extensions(extensions);
        request.comment.clone_from(&self.comment);
        request
    }
}

/// A word of a command.
struct Word {
    text: String,
    quoted: bool,
}

impl Word {
    /// Whether it is an option, and not a path that begins with `/`.
    fn is_option_without_name(&self) -> bool {
        self.text.strip_prefix(['/', '-']).is_some_and(|rest| !rest.contains(['/', '.', '\\']))
    }
}

/// Splits at spaces outside double quotes. Backslashes mean themselves, since
/// Windows paths are full of them.
fn words(text: &str) -> Result<Vec<Word>, String> {
    let mut words = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let (text, after) = if first == '"' {
            rest[1..].split_once('"').ok_or("a quotation mark is not closed")?
        } else {
            let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
            rest.split_at(end)
        };
        words.push(Word { text: text.to_owned(), quoted: first == '"' });
        rest = after.trim_start();
    }
    Ok(words)
}

/// A number as WinDbg reads it: hexadecimal, with or without `0x`, with `` ` ``
/// where one likes; decimal after `0n`.
fn number(text: &str) -> Result<u64, String> {
    let plain = text.replace('`', "");
    let parsed = match plain.strip_prefix("0n") {
        Some(decimal) => decimal.parse().ok(),
        None => u64::from_str_radix(plain.strip_prefix("0x").unwrap_or(&plain), 16).ok(),
    };
    parsed.ok_or_else(|| format!("'{text}' is no number (hexadecimal, or decimal after 0n)"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::time::Duration;

    #[test]
    fn ma_is_mffhut() {
        assert_eq!(mini_flags("a"), mini_flags("fFhut"));
    }

    #[test]
    fn a_unique_name_tells_when_and_of_whom() {
        let at = UNIX_EPOCH + Duration::from_millis(1_795_489_199_042);
        assert_eq!(
            unique_name(Path::new("out/app.dmp"), Pid(42), at),
            Path::new("out/app_2026-11-24_02-59-59-042_42.dmp")
        );
    }

    #[test]
    fn a_command_is_read_as_windbg_reads_it() {
        let dump = DotDump::parse(
            r#"/o /mfh -c "a comment; with /ma" /ba /u /xt 0n12 /xr 7ffe`1000 "C:\my dumps\x.dmp" "#,
        )
        .unwrap();
        assert_eq!(dump.file, r"C:\my dumps\x.dmp");
        assert_eq!(dump.comment.as_deref(), Some("a comment; with /ma"));
        assert!(dump.unique);
        assert_eq!(dump.exception.thread, Some(Tid(12)));
        assert_eq!(dump.exception.record, Some(0x7ffe_1000));
        assert_eq!(
            dump.flags,
            FormatFlags::USER_SMALL_FULL_MEMORY
                | FormatFlags::USER_SMALL_HANDLE_DATA
                | FormatFlags::WRITE_CAB
                | FormatFlags::CAB_SECONDARY_FILES
        );
    }

    #[test]
    fn all_processes_and_what_a_crash_told_a_debugger_can_be_asked_for() {
        let dump = DotDump::parse("/a /u /ma /j 0x00000000003e0000 x.dmp").unwrap();
        assert!(dump.all && dump.unique);
        assert_eq!(dump.exception.jit_debug_info, Some(0x3e_0000));
    }

    #[test]
    fn without_o_an_existing_file_stays_and_without_a_type_the_dump_is_small() {
        let dump = DotDump::parse("/tmp/x.dmp").unwrap();
        assert_eq!((dump.kind, dump.flags), (DotDumpKind::Small, FormatFlags::NO_OVERWRITE));
        assert_eq!(dump.file, "/tmp/x.dmp");
    }

    #[test]
    fn a_type_means_what_it_means_of_its_target() {
        let process = |options: &str| {
            let dump = DotDump::parse(&format!("{options} x.dmp")).unwrap();
            dump.of_process("x.dmp".into()).map(|request| request.qualifier)
        };
        assert_eq!(process("/m"), Ok(Qualifier::Small));
        assert_eq!(process("/f"), Ok(Qualifier::Default));
        assert!(process("/ka").unwrap_err().contains("kernel"));
        let machine = |options: &str| {
            let dump = DotDump::parse(&format!("{options} x.dmp")).unwrap();
            let request = dump.of_machine("x.dmp".into());
            request.validate_for_machine().unwrap();
            request.extensions.kernel_type.or(KernelDumpType::of(request.qualifier)).unwrap()
        };
        assert_eq!(machine(""), KernelDumpType::Triage);
        assert_eq!(machine("/m"), KernelDumpType::Triage);
        assert_eq!(machine("/f"), KernelDumpType::Full);
        assert_eq!(machine("/k"), KernelDumpType::KernelMemory);
        assert_eq!(machine("/ka"), KernelDumpType::KernelAndUserMemory);
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (command, named) in [
            ("", "file name"),
            ("/ma", "file name after '/ma'"),
            ("/mz x.dmp", "'z'"),
            ("/q x.dmp", "'/q'"),
            ("/c x.dmp", "'/c' needs a value"),
            ("my app.dmp", "quotes"),
            ("/f /ma x.dmp", "different types"),
            ("/xt zz x.dmp", "'zz'"),
            ("\"x.dmp", "not closed"),
            ("/a /ma x.dmp", "needs '/u'"),
            ("/j x.dmp", "'/j' needs a value"),
            ("/m /ka x.dmp", "different types"),
            ("/kpmf x.dmp", "/kpmf"),
        ] {
            let error = DotDump::parse(command).unwrap_err();
            assert!(error.contains(named), "{command}: {error}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_a_command_or_an_error_and_the_last_word_is_the_file(
            words in prop::collection::vec(
                prop_oneof![
                    "/(o|u|b|ba|f|fy|k|ka|m[aAfhutipwdcrRy]{0,4}|c|xt|xc|xr|xp|a|j|q)",
                    "(0n|0x)?[0-9a-f`]{1,18}",
                    "\"[^\"]{0,6}\"?",
                    "\\PC{0,6}",
                ],
                0..8,
            ),
            between in "[ \t\u{3000}]{1,2}",
        ) {
            let line = words.join(&between);
            if let Ok(dump) = DotDump::parse(&line) {
                // A quote ends a word that began with one, and is part of any other.
                let (bare, quoted) = (line.trim_end(), line.trim_end().trim_end_matches('"'));
                let last = [bare, quoted].iter().any(|text| text.ends_with(&dump.file));
                prop_assert!(last, "{line}");
                let _ = dump.of_process("x.dmp".into()).map(|request| request.validate());
                let _ = dump.of_machine("x.dmp".into()).validate_for_machine();
            }
        }
    }
}
