//! HandleData: on Linux one descriptor per open file descriptor.

use crate::plan::assembly::{Assembly, FixupKind, Section};
use crate::plan::filter_text::Privacy;
use crate::target::{HandleSnapshot, ProcessSnapshot};
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
    for handle in &snapshot.handles {
        descriptor(handle, privacy, &mut section, out);
    }
    out.stream(StreamType::HANDLE_DATA, section);
}

fn descriptor(
    handle: &HandleSnapshot,
    privacy: Privacy,
    section: &mut Section,
    out: &mut Assembly,
) {
    let at = section.put(&HandleDescriptor2 {
        base: HandleDescriptor {
            handle: handle.handle.into(),
            type_name_rva: 0.into(),
            object_name_rva: 0.into(),
            attributes: if handle.inherit { OBJ_INHERIT } else { 0 }.into(),
            granted_access: handle.granted_access.into(),
            handle_count: 1.into(),
            pointer_count: 1.into(),
        },
        object_info_rva: 0.into(),
        reserved0: 0.into(),
    });
    let type_name = out.string(&handle.type_name);
    section.fix(at + offset_of!(HandleDescriptor, type_name_rva), FixupKind::Rva(type_name));
    // Names and endpoints say who talks to whom: a triage dump has neither.
    if privacy.triage {
        return;
    }
    if !handle.object_name.is_empty() {
        let name = out.string(&privacy.path(&handle.object_name));
        section.fix(at + offset_of!(HandleDescriptor, object_name_rva), FixupKind::Rva(name));
    }
    if !handle.details.is_empty() {
        let details = privacy.text(&handle.details);
        let mut info = Section::new();
        info.put(&HandleObjectInformation {
            next_info_rva: 0.into(),
            info_type: LINUX_FD_INFORMATION.into(),
            size_of_info: (details.len() as u32).into(),
        });
        info.put(details.as_bytes());
        let info = out.blob(info);
        section.fix(at + offset_of!(HandleDescriptor2, object_info_rva), FixupKind::Rva(info));
    }
}
