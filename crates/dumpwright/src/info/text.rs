//! [`DumpInfo`] for people.

use super::exception::shows_address;
use super::model::{
    DumpInfo, ExceptionInfo, ModuleInfo, ProcessInfo, SystemSummary, ThreadSummary,
};
use super::process::file_name;
use dumpwright_format::minidump::{PLATFORM_ANDROID, PLATFORM_LINUX};
use std::fmt::{Display, Write};

/// How [`DumpInfo::text`] writes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TextOptions {
    /// Lists in full. Otherwise long ones are cut, with a line that says how
    /// many entries there are more.
    pub all: bool,
}

/// Entries of a list that are shown without [`TextOptions::all`].
const SHOWN: usize = 20;
/// Characters of a command line that are shown without it.
const SHOWN_CHARACTERS: usize = 300;

impl DumpInfo {
    /// The information as text, comment first, as a debugger shows it on load.
    /// Control characters in what the dump holds are shown as escapes.
    pub fn text(&self, options: TextOptions) -> String {
        let mut page = Page { out: String::new(), options };
        page.comment(self.comment.as_deref());
        page.file(self);
        if let Some(system) = &self.system {
            page.system(system);
        }
        page.process(&self.process);
        if let Some(exception) = &self.exception {
            page.exception(exception, self.system.as_ref());
        }
        page.memory(self);
        if let Some(handles) = &self.handles {
            let types = handles.by_type.iter().map(|ty| {
                let name = if ty.type_name.is_empty() { "unnamed" } else { &ty.type_name };
                format!("{} {}", ty.count, clean(name))
            });
            let types = types.collect::<Vec<_>>().join(", ");
            page.field("Handles", format_args!("{} ({types})", handles.count));
        }
        page.streams(self);
        page.threads(&self.threads);
        page.modules(self);
        page.list("Soft errors", &self.soft_errors, |error| clean(error));
        page.list("Damage", &self.damage, |damage| clean(damage));
        page.out
    }
}

/// Text as it grows.
pub(super) struct Page {
    pub(super) out: String,
    pub(super) options: TextOptions,
}

impl Page {
    pub(super) fn line(&mut self, line: impl Display) {
        // Writing to a `String` does not fail.
        let _ = writeln!(self.out, "{line}");
    }

    pub(super) fn field(&mut self, name: &str, value: impl Display) {
        self.line(format_args!("{name:<12}{value}"));
    }

    /// A heading and a line for each entry; nothing for an empty list.
    pub(super) fn list<T>(&mut self, name: &str, entries: &[T], line: impl Fn(&T) -> String) {
        if entries.is_empty() {
            return;
        }
        self.line(format_args!("\n{name} ({})", entries.len()));
        let shown = if self.options.all { entries.len() } else { SHOWN };
        for entry in entries.iter().take(shown) {
            self.line(format_args!("  {}", line(entry)));
        }
        if let Some(more @ 1..) = entries.len().checked_sub(shown) {
            self.line(format_args!("  ... and {more} more; --all shows them"));
        }
    }

    pub(super) fn comment(&mut self, comment: Option<&str>) {
        if let Some(comment) = comment {
            let lines: Vec<String> = comment.lines().map(clean).collect();
            self.line(format_args!("Comment: '{}'\n", lines.join("\n")));
        }
    }

    fn file(&mut self, info: &DumpInfo) {
        let file = &info.file;
        self.field("File", format_args!("{} ({})", clean(&file.path), bytes(file.size)));
        let names = match file.flag_names.join(" | ") {
            empty if empty.is_empty() => "MiniDumpNormal".to_owned(),
            names => names,
        };
        self.field("Type", format_args!("{names} ({})", file.flags));
        self.field("Written", &file.time);
    }

    fn system(&mut self, system: &SystemSummary) {
        let description = system.description.as_deref().map(|d| format!(" ({})", clean(d)));
        // Breakpad leaves the numbers at zero and tells it all in the description.
        let version = match system.version.as_str() {
            "0.0.0" => String::new(),
            version => format!(" {version}"),
        };
        self.field(
            "System",
            format_args!("{}{version}{}", system.platform, description.unwrap_or_default()),
        );
        if let Some(build) = &system.build {
            self.field("Build", clean(build));
        }
        let vendor = system.cpu_vendor.as_deref().map(|v| format!("{v} ")).unwrap_or_default();
        self.field(
            "Processor",
            format_args!("{} x {}, {vendor}{}", system.processors, system.architecture, system.cpu),
        );
        if let Some(memory) = &system.memory {
            let page = u64::from(memory.page_size);
            let total = page.saturating_mul(memory.number_of_physical_pages.into());
            let free = page.saturating_mul(memory.available_pages);
            self.field(
                "Memory of",
                format_args!("the system: {}, {} free", bytes(total), bytes(free)),
            );
        }
    }

    fn process(&mut self, process: &ProcessInfo) {
        let pid = process.pid.map_or_else(|| "unknown id".to_owned(), |pid| pid.to_string());
        let name = process.name.as_deref().map(|n| format!(" ({})", clean(n)));
        let inner = process.namespace_pids.iter().skip(1).map(u32::to_string).collect::<Vec<_>>();
        let inner = if inner.is_empty() {
            String::new()
        } else {
            format!(", {} in its own namespace", inner.join(", "))
        };
        self.field("Process", format_args!("{pid}{}{inner}", name.unwrap_or_default()));
        if let Some(arguments) = process.command_line.as_ref().filter(|a| !a.is_empty()) {
            let line = clean(&arguments.join(" "));
            let cut = line.char_indices().nth(SHOWN_CHARACTERS).map(|(at, _)| at);
            match cut.filter(|_| !self.options.all) {
                None => self.field("Command", line),
                Some(cut) => self.field(
                    "Command",
                    format_args!(
                        "{}... and {} bytes more; --all shows them",
                        &line[..cut],
                        line.len() - cut
                    ),
                ),
            }
        }
        if let Some(time) = &process.create_time {
            let used = process.user_seconds.zip(process.kernel_seconds);
            let used = used.map(|(user, kernel)| format!(" ({user} s user, {kernel} s kernel)"));
            self.field("Started", format_args!("{time}{}", used.unwrap_or_default()));
        }
        if let Some(counters) = &process.vm_counters {
            let virtual_size =
                counters.virtual_size.map(|size| format!(", {} of addresses", bytes(size)));
            self.field(
                "Resident",
                format_args!(
                    "{} (at most {}){}",
                    bytes(counters.working_set_size),
                    bytes(counters.peak_working_set_size),
                    virtual_size.unwrap_or_default()
                ),
            );
        }
    }

    fn exception(&mut self, exception: &ExceptionInfo, system: Option<&SystemSummary>) {
        let linux =
            system.is_some_and(|s| matches!(s.platform_id, PLATFORM_LINUX | PLATFORM_ANDROID));
        let at = if shows_address(exception, linux) {
            format!(" at {}", exception.address)
        } else {
            String::new()
        };
        self.field(
            "Exception",
            format_args!("{}{at} in thread {}", exception.name, exception.thread_id),
        );
        if let Some(pointer) = exception.instruction_pointer {
            let place = exception.location.as_deref().map(|l| format!(" ({})", clean(l)));
            self.field("", format_args!("executing {pointer}{}", place.unwrap_or_default()));
        }
        for registers in exception.registers.chunks(4) {
            let shown = registers.iter().map(|(name, value)| format!("{name:>6} {value:<18}"));
            let line = shown.collect::<String>();
            self.field("", line.trim_end());
        }
    }

    fn memory(&mut self, info: &DumpInfo) {
        let memory = &info.memory;
        self.field(
            "Memory",
            format_args!("{} in {}", bytes(memory.size), counted(memory.ranges, "range")),
        );
        for kind in &memory.by_kind {
            self.field(
                "",
                format_args!(
                    "{:<8}{} in {}",
                    kind.kind.name(),
                    bytes(kind.size),
                    counted(kind.ranges, "range")
                ),
            );
        }
        if memory.regions > 0 {
            let sizes = memory.committed.zip(memory.reserved).map(|(committed, reserved)| {
                format!(", {} committed, {} reserved", bytes(committed), bytes(reserved))
            });
            self.field(
                "Addresses",
                format_args!("{}{}", counted(memory.regions, "region"), sizes.unwrap_or_default()),
            );
        }
    }

    fn streams(&mut self, info: &DumpInfo) {
        let all = TextOptions { all: true };
        let options = std::mem::replace(&mut self.options, all);
        self.list("Streams", &info.streams, |stream| {
            format!("{:<22}{:>12} bytes at {}", stream.name, stream.size, stream.rva)
        });
        self.options = options;
    }

    fn threads(&mut self, threads: &[ThreadSummary]) {
        self.list("Threads", threads, |thread| {
            let name = thread.name.as_deref().map(clean).unwrap_or_default();
            let hex = |value: Option<super::Hex>| value.map(|v| v.to_string()).unwrap_or_default();
            let mut line = format!(
                "{:<8} {name:<16} ip {:<18} sp {:<18} stack {}",
                thread.thread_id,
                hex(thread.instruction_pointer),
                hex(thread.stack_pointer),
                bytes(thread.stack_size)
            );
            if let Some(location) = &thread.location {
                let _ = write!(line, "  {}", clean(location));
            }
            line
        });
    }

    fn modules(&mut self, info: &DumpInfo) {
        self.list("Modules", &info.modules, module_line);
        self.list("Unloaded modules", &info.unloaded_modules, |module| {
            let name = module.name.as_deref().map(clean).unwrap_or_default();
            format!("{:<18} {:>10} {name}", module.base, module.size)
        });
    }
}

fn module_line(module: &ModuleInfo) -> String {
    let mut line = format!(
        "{:<18} {:>10} {}",
        module.base,
        module.size,
        module.name.as_deref().map_or_else(|| "(no name)".to_owned(), clean)
    );
    if let Some(version) = &module.version {
        let _ = write!(line, "  {version}");
    }
    match (&module.debug_id, &module.debug_file) {
        (Some(id), Some(file))
            if module.name.as_deref().map(file_name) != Some(file_name(file)) =>
        {
            let _ = write!(line, "  {id} ({})", clean(file_name(file)));
        }
        (Some(id), _) => {
            let _ = write!(line, "  {id}");
        }
        (None, _) => {}
    }
    line
}

/// Text of a dump or target, with control characters as escapes: a name must not
/// be able to move the cursor or forge a line.
pub fn clean(text: &str) -> String {
    text.chars()
        .flat_map(|c| {
            let escaped = c.is_control().then(|| c.escape_default());
            let plain = (!c.is_control()).then_some(c);
            plain.into_iter().chain(escaped.into_iter().flatten())
        })
        .collect()
}

pub(super) fn counted(count: u64, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}

/// A size in the largest unit that it has one of.
pub(super) fn bytes(size: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    let mut value = size as f64;
    let mut unit = "bytes";
    for next in UNITS {
        if value < 1024.0 {
            break;
        }
        value /= 1024.0;
        unit = next;
    }
    if unit == "bytes" { format!("{size} bytes") } else { format!("{value:.1} {unit}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_the_unit_that_fits() {
        assert_eq!(bytes(1023), "1023 bytes");
        assert_eq!(bytes(1536), "1.5 KiB");
        assert_eq!(bytes(u64::MAX), "16.0 EiB");
    }

    #[test]
    fn names_cannot_move_the_cursor_or_forge_lines() {
        assert_eq!(clean("a\x1b[2Jb\nc"), "a\\u{1b}[2Jb\\nc");
        assert_eq!(clean("grün"), "grün");
    }
}
