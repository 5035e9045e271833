//! What a kernel dump holds, as text.

use super::{KernelDriver, KernelInfo};
use crate::info::text::{Page, TextOptions, bytes, clean, counted};
use std::fmt::Write;

impl KernelInfo {
    /// The information as text, comment first, as a debugger shows it on load.
    pub fn text(&self, options: TextOptions) -> String {
        let mut page = Page { out: String::new(), options };
        page.comment(self.comment.as_deref());
        self.file_and_system(&mut page);
        let bug = &self.bug_check;
        let name = bug.name.map(|name| format!(" ({name})")).unwrap_or_default();
        let parameters = bug.parameters.map(|p| p.to_string()).join(", ");
        page.field("Bug check", format_args!("{}{name}, {parameters}", bug.code));
        page.field(
            "Exception",
            format_args!("{} at {}", bug.exception_code, bug.exception_address),
        );
        for registers in self.registers.chunks(4) {
            let mut line = String::new();
            for (name, value) in registers {
                let _ = write!(line, " {name:>6} {value:<18}");
            }
            page.field("", line.trim_end());
        }
        if let Some(pages) = &self.pages {
            let pieces = counted(pages.pieces as u64, "piece");
            page.field(
                "Pages",
                format_args!("{} ({}) in {pieces}", pages.count, bytes(pages.size)),
            );
        }
        if let Some(triage) = &self.triage {
            let stack = &triage.stack;
            page.field("Stack", format_args!("{} at {}", bytes(stack.size), stack.address));
            page.field(
                "Memory",
                format_args!(
                    "{} in {}",
                    bytes(triage.data_size),
                    counted(triage.data_blocks as u64, "data block")
                ),
            );
        }
        page.list("Memory map", &self.memory_map, |run| {
            format!("{:<18} {}", run.start, bytes(run.size))
        });
        let driver = |driver: &KernelDriver| {
            let name = driver.name.as_deref().map_or_else(|| "(no name)".to_owned(), clean);
            format!("{:<18} {:>10} {name}", driver.base, driver.size)
        };
        page.list("Processors", &self.processors, |processor| {
            let some = processor.registers.iter().filter(|(name, _)| {
                ["rip", "rsp", "eip", "esp", "pc", "sp", "cr3"].contains(&name.as_str())
            });
            let some: Vec<_> = some.map(|(name, value)| format!("{name} {value}")).collect();
            let current = if processor.current { "  (current)" } else { "" };
            format!("{} {}{current}", processor.number, some.join("  "))
        });
        page.list("Modules", &self.modules, driver);
        page.list("Unloaded modules", &self.unloaded_modules, driver);
        page.list("Secondary data", &self.secondary, |block| {
            let what = block.what.as_deref().map(|w| format!("  {}", clean(w))).unwrap_or_default();
            format!("{} {:>10} bytes{what}", block.guid, block.size)
        });
        page.list("Soft errors", &self.soft_errors, |error| clean(error));
        page.list("Damage", &self.damage, |damage| clean(damage));
        page.out
    }

    fn file_and_system(&self, page: &mut Page) {
        let (file, system) = (&self.file, &self.system);
        page.field("File", format_args!("{} ({})", clean(&file.path), bytes(file.size)));
        page.field(
            "Type",
            format_args!(
                "kernel dump, {} (type {}, {})",
                file.type_name, file.dump_type, file.signature
            ),
        );
        if let Some(time) = &file.time {
            page.field("Written", time);
        }
        if let Some(up) = file.up_time {
            let (hours, minutes, seconds) = (up / 3600, up / 60 % 60, up % 60);
            page.field("Up", format_args!("{hours}:{minutes:02}:{seconds:02}"));
        }
        let product = system.product.map(|p| format!(", {p}")).unwrap_or_default();
        page.field(
            "System",
            format_args!(
                "{}, {}, build {}{product}",
                system.architecture,
                counted(system.processors.into(), "processor"),
                system.build
            ),
        );
        page.field(
            "Kernel",
            format_args!(
                "page table {}, modules {}, processes {}, KDBG {}",
                system.directory_table_base,
                system.loaded_module_list,
                system.active_process_head,
                system.debugger_data
            ),
        );
    }
}
