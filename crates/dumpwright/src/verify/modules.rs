//! Modules, their names and their debug records.

use super::contents::Contents;
use super::report::Report;
use crate::read::{CodeView, Module};
use dumpwright_format::minidump::StreamType;

const LIST: StreamType = StreamType::MODULE_LIST;

pub(super) fn check(report: &mut Report, contents: &Contents) {
    let modules = contents.modules.as_deref().unwrap_or_default();
    for module in modules {
        check_module(report, module);
    }
    check_overlaps(report, modules);
    for module in contents.unloaded_modules.iter().flatten() {
        let what = || format!("the name of the unloaded module at {:#x}", module.base);
        report.string(StreamType::UNLOADED_MODULE_LIST, module.name_rva.into(), what);
    }
    if let Some(debug) = report.decoded(StreamType::LINUX_DSO_DEBUG, report.dump.dso_debug()) {
        let named = debug.entries.iter().filter(|entry| entry.name.is_some()).count();
        if named < debug.entries.len() {
            report.warning(StreamType::LINUX_DSO_DEBUG, None, || {
                format!("{} of its libraries have no name", debug.entries.len() - named)
            });
        }
    }
}

fn check_module(report: &mut Report, module: &Module) {
    let what = || match &module.name {
        Some(name) => format!("module {:#x} ({name})", module.base),
        None => format!("module {:#x}", module.base),
    };
    report.string(LIST, module.name_rva.into(), || format!("the name of {}", what()));
    if module.size == 0 {
        report.error(LIST, None, || format!("{} has size 0", what()));
    }
    if module.base.checked_add(module.size.into()).is_none() {
        report.error(LIST, None, || format!("{} wraps around", what()));
    }
    if module.misc_location.size > 0 {
        let whose = || format!("the misc record of {}", what());
        report.in_file(LIST, module.misc_location, whose);
    }
    let place = module.code_view_location;
    let whose = || format!("the CodeView record of {}", what());
    if place.size == 0 || !report.in_file(LIST, place, whose) {
        return;
    }
    match &module.code_view {
        None => report.error(LIST, place.rva, || format!("{} cannot be decoded", whose())),
        Some(CodeView::Unknown { signature }) => report.warning(LIST, place.rva, || {
            format!("{} has the unknown signature {signature:#x}", whose())
        }),
        Some(CodeView::Pdb70 { .. } | CodeView::Pdb20 { .. }) => {
            let mut last = [1];
            let end = place.end().saturating_sub(1);
            if report.dump.read_file(end, &mut last).is_err() || last != [0] {
                report.warning(LIST, place.rva, || {
                    format!("the file name in {} is not terminated by NUL", whose())
                });
            }
        }
        Some(CodeView::ElfBuildId(id)) => {
            if id.is_empty() {
                report.warning(LIST, place.rva, || format!("{} is an empty build id", whose()));
            }
        }
    }
}

fn check_overlaps(report: &mut Report, modules: &[Module]) {
    let mut sorted: Vec<&Module> = modules.iter().filter(|module| module.size > 0).collect();
    sorted.sort_by_key(|module| module.base);
    let mut last: Option<&Module> = None;
    for module in sorted {
        if let Some(before) = last {
            if module.base < before.end() {
                report.error(LIST, None, || {
                    format!("modules {:#x} and {:#x} overlap", before.base, module.base)
                });
            }
            if before.end() >= module.end() {
                continue;
            }
        }
        last = Some(module);
    }
}
