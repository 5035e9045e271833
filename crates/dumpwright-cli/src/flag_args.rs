//! A long option for every `DEBUG_FORMAT_*` flag, and `--format-flags`.

use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches};
use dumpwright::FormatFlags;

/// The format flags that the command line names.
#[derive(Clone, Copy, Debug, Default)]
pub struct FlagArgs {
    /// All together.
    pub flags: FormatFlags,
    /// Whether SCAN_PARTIAL_PAGES is there by its name; it shares a bit with
    /// CAB_SECONDARY_ALL_IMAGES.
    scan_partial_pages: bool,
    /// Whether CAB_SECONDARY_ALL_IMAGES is there by its name.
    all_images: bool,
}

impl FlagArgs {
    /// The bit with two names means one thing with a CAB and another without:
    /// a name that asks for the other meaning is refused. A number means either.
    pub fn check_shared_bit(self, cab: bool) -> Result<(), String> {
        if cab && self.scan_partial_pages {
            return Err("SCAN_PARTIAL_PAGES (--scan-partial-pages) cannot be had with a CAB: its bit means CAB_SECONDARY_ALL_IMAGES there; leave one out".into());
        }
        if !cab && self.all_images {
            return Err("CAB_SECONDARY_ALL_IMAGES (--cab-secondary-all-images) needs a CAB (-b): without one its bit means SCAN_PARTIAL_PAGES".into());
        }
        Ok(())
    }
}

const RAW: &str = "format-flags";
const HEADING: &str = "DEBUG_FORMAT flags";

/// Flag, long option, help.
const OPTIONS: [(FormatFlags, &str, &str); 26] = {
    use FormatFlags as F;
    [
        (F::USER_SMALL_FULL_MEMORY, "full-memory", "All readable populated memory"),
        (F::USER_SMALL_HANDLE_DATA, "handle-data", "Open file descriptors"),
        (F::USER_SMALL_UNLOADED_MODULES, "unloaded-modules", "Modules that were unloaded"),
        (
            F::USER_SMALL_INDIRECT_MEMORY,
            "indirect-memory",
            "Memory that stacks and registers point to",
        ),
        (F::USER_SMALL_DATA_SEGMENTS, "data-segments", "Writable image segments"),
        (F::USER_SMALL_FILTER_MEMORY, "filter-memory", "Zero what the stack trace does not need"),
        (F::USER_SMALL_FILTER_PATHS, "filter-paths", "Names instead of paths, everywhere"),
        (
            F::USER_SMALL_PROCESS_THREAD_DATA,
            "process-thread-data",
            "Initial stack, link map, thread-local storage",
        ),
        (
            F::USER_SMALL_PRIVATE_READ_WRITE_MEMORY,
            "private-read-write-memory",
            "Private writable pages",
        ),
        (
            F::USER_SMALL_NO_OPTIONAL_DATA,
            "no-optional-data",
            "Take out full, indirect, private and process memory, environment and command line",
        ),
        (
            F::USER_SMALL_FULL_MEMORY_INFO,
            "full-memory-info",
            "Information on the whole address space",
        ),
        (F::USER_SMALL_THREAD_INFO, "thread-info", "Thread times, start addresses, affinities"),
        (F::USER_SMALL_CODE_SEGMENTS, "code-segments", "Executable image segments"),
        (F::USER_SMALL_NO_AUXILIARY_STATE, "no-auxiliary-state", "No auxiliary state"),
        (F::USER_SMALL_FULL_AUXILIARY_STATE, "full-auxiliary-state", "All auxiliary state"),
        (
            F::USER_SMALL_MODULE_HEADERS,
            "module-headers",
            "Headers, notes and unwind tables of images",
        ),
        (F::USER_SMALL_FILTER_TRIAGE, "filter-triage", "Drop what identifies a person or machine"),
        (F::USER_SMALL_ADD_AVX_XSTATE_CONTEXT, "add-avx-xstate-context", "AVX and later registers"),
        (F::USER_SMALL_IPT_TRACE, "ipt-trace", "Intel Processor Trace"),
        (
            F::USER_SMALL_NO_IGNORE_INACCESSIBLE_MEM,
            "no-ignore-inaccessible-mem",
            "Stop at unreadable memory",
        ),
        (
            F::USER_SMALL_IGNORE_INACCESSIBLE_MEM,
            "ignore-inaccessible-mem",
            "Go on past unreadable memory",
        ),
        (
            F::USER_SMALL_SCAN_PARTIAL_PAGES,
            "scan-partial-pages",
            "Keep readable parts of bad pages (not with a CAB)",
        ),
        (F::WRITE_CAB, "write-cab", "Pack the dump into a CAB"),
        (F::CAB_SECONDARY_FILES, "cab-secondary-files", "With a CAB: add images and debug files"),
        (F::CAB_SECONDARY_ALL_IMAGES, "cab-secondary-all-images", "With a CAB: add all images"),
        (
            F::NO_OVERWRITE,
            "no-overwrite",
            "Never replace an existing file (the default without -o)",
        ),
    ]
};

impl Args for FlagArgs {
    fn augment_args(command: Command) -> Command {
        let raw = Arg::new(RAW)
            .long(RAW)
            .value_name("FLAGS")
            .help("Flags by value (0x…) or by name, separated by commas")
            .help_heading(HEADING)
            .action(ArgAction::Append)
            .value_parser(parse_flags);
        OPTIONS.iter().fold(command.arg(raw), |command, (_, long, help)| {
            command.arg(
                Arg::new(*long)
                    .long(*long)
                    .help(*help)
                    .help_heading(HEADING)
                    .action(ArgAction::SetTrue),
            )
        })
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for FlagArgs {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut args = FlagArgs::default();
        args.update_from_arg_matches(matches)?;
        Ok(args)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        for flags in matches.get_many::<FormatFlags>(RAW).into_iter().flatten() {
            self.flags |= *flags;
        }
        for (flag, long, _) in OPTIONS {
            if matches.get_flag(long) {
                self.flags |= flag;
            }
        }
        let named = |long: &str| {
            let name = long.to_uppercase().replace('-', "_");
            let given = matches.get_raw(RAW).into_iter().flatten();
            matches.get_flag(long)
                || given.filter_map(|text| text.to_str()).any(|text| names_flag(text, &name))
        };
        self.scan_partial_pages |= named("scan-partial-pages");
        self.all_images |= named("cab-secondary-all-images");
        Ok(())
    }
}

/// Whether flags that are given as text have this one among their names.
fn names_flag(text: &str, name: &str) -> bool {
    parts(text).any(|part| part.to_uppercase().ends_with(name))
}

/// The values and names of a text.
fn parts(text: &str) -> impl Iterator<Item = &str> {
    text.split([',', '|']).map(str::trim)
}

/// `0x801`, `2049`, or names as in dbgeng.h, separated by `,` or `|`.
pub fn parse_flags(text: &str) -> Result<FormatFlags, String> {
    parts(text).try_fold(FormatFlags::empty(), |flags, part| {
        if let Ok(value) = crate::numbers::parse_number(part) {
            let value =
                u32::try_from(value).map_err(|_| format!("{part} has more than 32 bits"))?;
            return FormatFlags::from_bits(value).map(|f| flags | f).ok_or_else(|| {
                format!(
                    "bits {:#x} are not DEBUG_FORMAT_* values",
                    value & !FormatFlags::all().bits()
                )
            });
        }
        FormatFlags::from_documented_name(part)
            .or_else(|| FormatFlags::from_documented_name(&format!("USER_SMALL_{part}")))
            .map(|f| flags | f)
            .ok_or_else(|| format!("'{part}' is not a DEBUG_FORMAT_* name"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_flag_has_one_option_named_after_it() {
        let mut all = FormatFlags::empty();
        for (flag, long, _) in OPTIONS {
            let name = long.to_uppercase().replace('-', "_");
            let named = FormatFlags::from_documented_name(&name)
                .or_else(|| FormatFlags::from_documented_name(&format!("USER_SMALL_{name}")));
            assert_eq!(named, Some(flag), "{long}");
            all |= flag;
        }
        assert_eq!(all, FormatFlags::all());
    }

    #[test]
    fn flags_are_read_by_value_and_by_name() {
        assert_eq!(parse_flags("0x3").unwrap().bits(), 3);
        assert_eq!(parse_flags("full_memory, WRITE_CAB").unwrap().bits(), 0x2000_0001);
        assert_eq!(parse_flags("DEBUG_FORMAT_USER_SMALL_THREAD_INFO|0x1").unwrap().bits(), 0x801);
        assert!(parse_flags("0x80000").unwrap_err().contains("0x80000"));
        assert!(parse_flags("fullmem").unwrap_err().contains("fullmem"));
    }
}
