//! The streams that only Linux dumps have.

use crate::plan::assembly::{Assembly, FixupKind, Section};
use crate::plan::filter_text::Privacy;
use crate::target::{DsoDebugSnapshot, ProcessSnapshot, StreamBytes};
use dumpwright_format::minidump::StreamType;
use dumpwright_format::minidump::linux::{DsoDebug32, DsoDebug64, LinkMap32, LinkMap64};
use std::mem::offset_of;

pub(super) fn platform_streams(snapshot: &ProcessSnapshot, privacy: Privacy, out: &mut Assembly) {
    for stream in &snapshot.platform_streams {
        if let Some(bytes) = privacy.platform_stream(stream) {
            let section = match (stream.stream_type, bytes) {
                // Numbers, the only ones among text.
                (StreamType::LINUX_AUXV, StreamBytes::Plain(bytes)) => Section::from_bytes(bytes),
                (_, bytes) => Section::from_stream(bytes),
            };
            out.stream(stream.stream_type, section);
        }
    }
}

pub(super) fn dso_debug(snapshot: &ProcessSnapshot, privacy: Privacy, out: &mut Assembly) {
    let Some(debug) = &snapshot.dso_debug else { return };
    if snapshot.system.architecture.pointer_size() == 4 {
        dso_debug_32(debug, privacy, out);
        return;
    }
    let mut map = Section::new();
    for entry in &debug.entries {
        let name = out.string(&privacy.path(&entry.name));
        let at = map.put(&LinkMap64 {
            addr: entry.addr.into(),
            name: 0.into(),
            padding: 0.into(),
            ld: entry.ld.into(),
        });
        map.fix(at + offset_of!(LinkMap64, name), FixupKind::Rva(name));
    }
    let map = out.blob(map);
    let mut section = Section::new();
    section.put(&DsoDebug64 {
        version: debug.version.into(),
        map: 0.into(),
        dso_count: (debug.entries.len() as u32).into(),
        padding: 0.into(),
        brk: debug.brk.into(),
        ldbase: debug.ldbase.into(),
        dynamic: debug.dynamic.into(),
    });
    section.fix(offset_of!(DsoDebug64, map), FixupKind::Rva(map));
    section.put(debug.dynamic_bytes.as_slice());
    out.stream(StreamType::LINUX_DSO_DEBUG, section);
}

/// The Unix side of a process under Wine, as JSON.
pub(super) fn unix_side(snapshot: &ProcessSnapshot, privacy: Privacy, out: &mut Assembly) {
    let Some(unix_side) = &snapshot.unix_side else { return };
    let mut shown = unix_side.as_ref().clone();
    for module in &mut shown.modules {
        module.path = privacy.path(&module.path).into_owned();
    }
    // Nothing in it can fail to be written as JSON.
    if let Ok(bytes) = serde_json::to_vec(&shown) {
        out.stream(StreamType::UNIX_SIDE, Section::from_text(bytes));
    }
}

/// The same of a 32-bit process.
fn dso_debug_32(debug: &DsoDebugSnapshot, privacy: Privacy, out: &mut Assembly) {
    let mut map = Section::new();
    for entry in &debug.entries {
        let name = out.string(&privacy.path(&entry.name));
        let (addr, ld) = (entry.addr as u32, entry.ld as u32);
        let at = map.put(&LinkMap32 { addr: addr.into(), name: 0.into(), ld: ld.into() });
        map.fix(at + offset_of!(LinkMap32, name), FixupKind::Rva(name));
    }
    let map = out.blob(map);
    let mut section = Section::new();
    section.put(&DsoDebug32 {
        version: debug.version.into(),
        map: 0.into(),
        dso_count: (debug.entries.len() as u32).into(),
        brk: (debug.brk as u32).into(),
        ldbase: (debug.ldbase as u32).into(),
        dynamic: (debug.dynamic as u32).into(),
    });
    section.fix(offset_of!(DsoDebug32, map), FixupKind::Rva(map));
    section.put(debug.dynamic_bytes.as_slice());
    out.stream(StreamType::LINUX_DSO_DEBUG, section);
}
