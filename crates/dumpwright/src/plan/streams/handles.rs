//! HandleData: on Linux one descriptor per open file descriptor.

use crate::plan::assembly::{Assembly, FixupKind, Section};
use crate::plan::filter_text::Privacy;
use crate::target::{HandleRecords, HandleSnapshot, ProcessSnapshot};
use dumpwright_format::minidump::{
    HandleDataStream, HandleDescriptor, HandleDescriptor2, HandleObjectInformation,
    LINUX_FD_INFORMATION, OBJ_INHERIT, StreamType,
};
use std::mem::{offset_of, size_of};

pub(super) fn handle_data(snapshot: &ProcessSnapshot, privacy: Privacy, out: &mut Assembly) {
    let mut section = Section::new();
    section.put(&HandleDataStream {
        size_of_header: (size_of::<HandleDataStream>() as u32).into(),
        size_of_descriptor: (size_of::<HandleDescriptor2>() as u32).into(),
        number_of_descriptors: (snapshot.handles.len() as u32).into(),
        reserved: 0.into(),
    });
    for (index, handle) in snapshot.handles.iter().enumerate() {
        let original = snapshot.original.as_ref();
        let records = original.and_then(|original| original.handles.get(index));
        let records = records.or(handle.records.as_ref());
        descriptor(handle, records, privacy, &mut section, out);
    }
    out.stream(StreamType::HANDLE_DATA, section);
}

fn descriptor(
    handle: &HandleSnapshot,
    records: Option<&HandleRecords>,
    privacy: Privacy,
    section: &mut Section,
    out: &mut Assembly,
) {
    let at = section.put(&HandleDescriptor2 {
        base: HandleDescriptor {
            handle: handle.handle.into(),
            type_name_rva: 0.into(),
            object_name_rva: 0.into(),
            attributes: records
                .map_or(if handle.inherit { OBJ_INHERIT } else { 0 }, |r| r.attributes)
                .into(),
            granted_access: handle.granted_access.into(),
            handle_count: records.map_or(1, |r| r.handle_count).into(),
            pointer_count: records.map_or(1, |r| r.pointer_count).into(),
        },
        object_info_rva: 0.into(),
        reserved0: 0.into(),
    });
    if !handle.type_name.is_empty() {
        let type_name = out.string(&handle.type_name);
        section.fix(at + offset_of!(HandleDescriptor, type_name_rva), FixupKind::Rva(type_name));
    }
    // Names and endpoints say who talks to whom: a triage dump has neither.
    if privacy.triage {
        return;
    }
    if !handle.object_name.is_empty() {
        let name = out.string(&privacy.path(&handle.object_name));
        section.fix(at + offset_of!(HandleDescriptor, object_name_rva), FixupKind::Rva(name));
    }
    let details = privacy.text(&handle.details);
    let linux = Some((LINUX_FD_INFORMATION, details.as_bytes())).filter(|(_, d)| !d.is_empty());
    // Those that Windows writes are numbers; in others anything may stand.
    let stored = records.into_iter().flat_map(|r| &r.informations).filter(|(info_type, _)| {
        !privacy.paths || (1..=LAST_KNOWN_INFORMATION).contains(info_type)
    });
    let stored = stored.map(|(info_type, bytes)| (*info_type, bytes.as_slice()));
    let informations: Vec<_> = linux.into_iter().chain(stored).collect();
    // From the last one on, since each names the next.
    let mut next = None;
    for (info_type, bytes) in informations.into_iter().rev() {
        let mut info = Section::new();
        info.put(&HandleObjectInformation {
            next_info_rva: 0.into(),
            info_type: info_type.into(),
            size_of_info: (bytes.len() as u32).into(),
        });
        if let Some(next) = next {
            let field = offset_of!(HandleObjectInformation, next_info_rva);
            info.fix(field, FixupKind::Rva(next));
        }
        info.put_text(bytes);
        next = Some(out.blob(info));
    }
    if let Some(first) = next {
        section.fix(at + offset_of!(HandleDescriptor2, object_info_rva), FixupKind::Rva(first));
    }
}

/// `MiniSemaphoreInformation1`, the last of
/// `MINIDUMP_HANDLE_OBJECT_INFORMATION_TYPE` in minidumpapiset.h.
const LAST_KNOWN_INFORMATION: u32 = 8;
