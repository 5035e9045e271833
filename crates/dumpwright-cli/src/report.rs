//! The summary of a dump, for people.

use dumpwright::Summary;
use dumpwright::format::kernel::bug_check_name;
use dumpwright::info::clean;
use dumpwright::summary::KernelSummary;
use dumpwright::target::machine::GuestKind;
use indicatif::{BinaryBytes, HumanCount};
use std::fmt::Write;
use std::time::Duration;

/// Lists are cut after this many lines, and say so.
const MAX_LINES: usize = 10;

/// The summary as text.
pub fn text(summary: &Summary) -> String {
    let mut out = String::new();
    let name = summary.file.as_ref().map_or_else(|| "-".into(), |f| f.display().to_string());
    let mut line = |label: &str, value: String| {
        let _ = writeln!(out, "{label:<10}{}", clean(&value));
    };
    line("file", name);
    line("type", format!("{} ({})", summary.kind, summary.qualifier));
    if let Some(kernel) = &summary.kernel {
        machine(kernel, &mut line);
    } else {
        let linux = summary.unix_pid.map(|pid| format!(", process {pid} of Linux"));
        let linux = linux.unwrap_or_default();
        line("process", format!("{} ({}){linux}", summary.pid, summary.process));
    }
    if let Some(exception) = &summary.exception {
        let (name, thread) = (&exception.name, exception.thread);
        line("exception", format!("{name} at {:#x} in thread {thread}", exception.address));
    }
    line(
        "flags",
        if summary.format_flags.is_empty() {
            "none".into()
        } else {
            summary.format_flags.join(" ")
        },
    );
    line("size", bytes(summary.size));
    if !summary.cab_files.is_empty() {
        line("in CAB", cut(&summary.cab_files).join(", "));
        line("dump", bytes(summary.dump_size));
    }
    if summary.kernel.is_none() {
        line("threads", summary.threads.to_string());
    }
    line("modules", summary.modules.to_string());
    line(
        "memory",
        format!(
            "{} in {} ranges",
            bytes(summary.memory_bytes),
            HumanCount(summary.memory_ranges as u64)
        ),
    );
    let holes = summary.holes.len();
    line("holes", if holes == 0 { "none".into() } else { holes.to_string() });
    for hole in cut(&summary
        .holes
        .iter()
        .map(|h| format!("{}-{}: {}", h.start, h.end, h.reason))
        .collect::<Vec<_>>())
    {
        line("", hole);
    }
    for left in &summary.left_out {
        line("left out", format!("{} of {}", bytes(left.bytes), left.reason));
    }
    let notes: Vec<_> =
        summary.soft_error_list.iter().map(|e| format!("{}: {}", e.subject, e.message)).collect();
    for note in cut(&notes) {
        line("note", note);
    }
    line("stopped", millis(summary.held));
    line("total", millis(summary.total));
    out
}

/// What a kernel dump is of.
fn machine(kernel: &KernelSummary, line: &mut impl FnMut(&str, String)) {
    let guest = match kernel.guest {
        GuestKind::Windows => format!("Windows, build {}", kernel.build),
        GuestKind::Other => "not Windows, or not recognised".into(),
    };
    line("machine", format!("{guest}; {} processors", kernel.processors));
    if let Some(bug) = &kernel.bug_check {
        let name = bug_check_name(bug.code).map(|name| format!(" ({name})")).unwrap_or_default();
        line("bugcheck", format!("{:#x}{name}", bug.code));
    }
    if kernel.data_blocks > 0 {
        line("blocks", HumanCount(kernel.data_blocks as u64).to_string());
    } else {
        let (pages, of) = (HumanCount(kernel.pages), HumanCount(kernel.pages_of_ram));
        line("pages", format!("{pages} of {of}"));
    }
}

fn cut(list: &[String]) -> Vec<String> {
    let mut shown: Vec<String> = list.iter().take(MAX_LINES).cloned().collect();
    if list.len() > MAX_LINES {
        shown.push(format!("and {} more (--json shows all)", list.len() - MAX_LINES));
    }
    shown
}

fn bytes(n: u64) -> String {
    if n < 1024 {
        format!("{n} bytes")
    } else {
        format!("{} ({} bytes)", BinaryBytes(n), HumanCount(n))
    }
}

fn millis(duration: Duration) -> String {
    format!("{:.1} ms", duration.as_secs_f64() * 1000.0)
}
