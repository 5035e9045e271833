//! ModuleList and UnloadedModuleList.

use crate::plan::assembly::{Assembly, BlobId, FixupKind, Section};
use crate::plan::filter_text::Privacy;
use crate::target::{DebugId, ModuleRecords, ProcessSnapshot};
use dumpwright_format::minidump::{
    CV_SIGNATURE_ELF, CV_SIGNATURE_NB10, CV_SIGNATURE_RSDS, CvInfoPdb20, CvInfoPdb70,
    LocationDescriptor, Module, StreamType, UnloadedModule, UnloadedModuleList, VS_FFI_SIGNATURE,
    VS_FFI_STRUCVERSION, VsFixedFileInfo,
};
use std::mem::{offset_of, size_of};
use zerocopy::FromZeros;
use zerocopy::little_endian::U32;

pub(super) fn module_list(snapshot: &ProcessSnapshot, privacy: Privacy, out: &mut Assembly) {
    let mut section = Section::new();
    section.put(&U32::new(snapshot.modules.len() as u32));
    for (index, module) in snapshot.modules.iter().enumerate() {
        let records = snapshot.original.as_ref().and_then(|original| original.modules.get(index));
        let name = out.string(&privacy.path(&module.path));
        let code_view = match records {
            Some(records) => stored_code_view(records, privacy, out),
            None => code_view(&module.debug_id, privacy, out),
        };
        let misc = records.and_then(|records| misc_record(records, privacy, out));
        let version_info =
            records.map_or_else(|| version_info(module.version), |records| records.version_info);
        let at = section.put(&Module {
            base_of_image: module.base.into(),
            size_of_image: u32::try_from(module.size).unwrap_or(u32::MAX).into(),
            check_sum: module.check_sum.into(),
            time_date_stamp: module.time_date_stamp.into(),
            module_name_rva: 0.into(),
            version_info,
            cv_record: LocationDescriptor::new_zeroed(),
            misc_record: LocationDescriptor::new_zeroed(),
            reserved0: 0.into(),
            reserved1: 0.into(),
        });
        section.fix(at + offset_of!(Module, module_name_rva), FixupKind::Rva(name));
        if let Some(record) = code_view {
            section.fix(at + offset_of!(Module, cv_record), FixupKind::Location(record));
        }
        if let Some(record) = misc {
            section.fix(at + offset_of!(Module, misc_record), FixupKind::Location(record));
        }
    }
    out.stream(StreamType::MODULE_LIST, section);
}

fn code_view(id: &DebugId, privacy: Privacy, out: &mut Assembly) -> Option<BlobId> {
    let mut record = Section::new();
    match id {
        DebugId::None => return None,
        DebugId::ElfBuildId(id) => {
            record.put(&U32::new(CV_SIGNATURE_ELF));
            record.put(id.as_slice());
        }
        DebugId::Pdb70 { guid, age, name } => {
            record.put(&U32::new(CV_SIGNATURE_RSDS));
            record.put(guid);
            record.put(&U32::new(*age));
            record.put_text(privacy.path(name).as_bytes());
            record.put(&[0u8]);
        }
    }
    Some(out.blob(record))
}

/// A CodeView record as it stands, the name of the debug file as far as the dump
/// may show it.
fn stored_code_view(
    records: &ModuleRecords,
    privacy: Privacy,
    out: &mut Assembly,
) -> Option<BlobId> {
    let bytes = &records.code_view;
    if bytes.is_empty() {
        return None;
    }
    let signature = bytes.first_chunk().map(|signature| u32::from_le_bytes(*signature));
    let head = match signature {
        Some(CV_SIGNATURE_RSDS) => size_of::<CvInfoPdb70>(),
        Some(CV_SIGNATURE_NB10) => size_of::<CvInfoPdb20>(),
        // An id and nothing else.
        Some(CV_SIGNATURE_ELF) => bytes.len(),
        _ if privacy.paths || privacy.triage => return None,
        _ => 0,
    };
    let (head, name) = bytes.split_at_checked(head).unwrap_or((bytes, &[]));
    let mut record = Section::new();
    record.put(head);
    record.put_text(&privacy.stored_path(name));
    Some(out.blob(record))
}

/// A record of another kind, which holds the path of a debug file.
fn misc_record(records: &ModuleRecords, privacy: Privacy, out: &mut Assembly) -> Option<BlobId> {
    if records.misc.is_empty() || privacy.paths || privacy.triage {
        return None;
    }
    let mut record = Section::new();
    record.put_text(&records.misc);
    Some(out.blob(record))
}

fn version_info(version: Option<[u16; 4]>) -> VsFixedFileInfo {
    let mut info = VsFixedFileInfo::new_zeroed();
    if let Some([a, b, c, d]) = version {
        let high = u32::from(a) << 16 | u32::from(b);
        let low = u32::from(c) << 16 | u32::from(d);
        info.signature = VS_FFI_SIGNATURE.into();
        info.struct_version = VS_FFI_STRUCVERSION.into();
        info.file_version_hi = high.into();
        info.file_version_lo = low.into();
        info.product_version_hi = high.into();
        info.product_version_lo = low.into();
    }
    info
}

pub(super) fn unloaded_module_list(
    snapshot: &ProcessSnapshot,
    privacy: Privacy,
    out: &mut Assembly,
) {
    let mut section = Section::new();
    section.put(&UnloadedModuleList {
        size_of_header: (size_of::<UnloadedModuleList>() as u32).into(),
        size_of_entry: (size_of::<UnloadedModule>() as u32).into(),
        number_of_entries: (snapshot.unloaded_modules.len() as u32).into(),
    });
    for module in &snapshot.unloaded_modules {
        let name = out.string(&privacy.path(&module.name));
        let at = section.put(&UnloadedModule {
            base_of_image: module.base.into(),
            size_of_image: u32::try_from(module.size).unwrap_or(u32::MAX).into(),
            check_sum: module.check_sum.into(),
            time_date_stamp: module.time_date_stamp.into(),
            module_name_rva: 0.into(),
        });
        section.fix(at + offset_of!(UnloadedModule, module_name_rva), FixupKind::Rva(name));
    }
    out.stream(StreamType::UNLOADED_MODULE_LIST, section);
}
