//! Handles with their object information.

use crate::read::{Handle, HandleData};
use crate::soft_error::SoftError;
use crate::target::{HandleRecords, HandleSnapshot};
use dumpwright_format::minidump::OBJ_INHERIT;

/// The handles, and what further the dump says of them.
pub(super) fn handles(
    stored: HandleData,
    notes: &mut Vec<SoftError>,
) -> (Vec<HandleSnapshot>, Vec<HandleRecords>) {
    let lost = stored.handles.iter().filter(|handle| !handle.object_infos_complete).count();
    if lost > 0 {
        notes.push(SoftError::new(
            "handles",
            format!("object information of {lost} handles leads nowhere and was left out"),
        ));
    }
    stored.handles.into_iter().map(handle).unzip()
}

fn handle(handle: Handle) -> (HandleSnapshot, HandleRecords) {
    let details = handle.object_infos.iter().find_map(crate::read::HandleObjectInfo::linux_text);
    let informations = handle.object_infos.into_iter().filter(|info| info.linux_text().is_none());
    let records = HandleRecords {
        attributes: handle.attributes,
        handle_count: handle.handle_count,
        pointer_count: handle.pointer_count,
        informations: informations.map(|info| (info.info_type, info.data)).collect(),
    };
    let snapshot = HandleSnapshot {
        handle: handle.handle,
        type_name: handle.type_name.unwrap_or_default(),
        object_name: handle.object_name.unwrap_or_default(),
        inherit: handle.attributes & OBJ_INHERIT != 0,
        granted_access: handle.granted_access,
        details: details.unwrap_or_default(),
        records: None,
    };
    (snapshot, records)
}
