//! MiscInfo, Token and ProcessVmCounters.

use crate::plan::assembly::{Assembly, Section};
use crate::target::{NtFacts, ProcessSnapshot, XstateLayout};
use dumpwright_format::minidump::{
    MISC1_PROCESS_ID, MISC1_PROCESS_TIMES, MISC1_PROCESSOR_POWER_INFO, MISC3_PROCESS_EXECUTE_FLAGS,
    MISC3_PROCESS_INTEGRITY, MISC3_PROTECTED_PROCESS, MISC3_TIMEZONE, MISC4_BUILDSTRING,
    MISC5_PROCESS_COOKIE, MiscInfo5, StreamType, TimeZoneInformation, TokenInfoHeader,
    TokenInfoList, XstateConfigFeatureMscInfo, XstateFeature,
};
use std::mem::{offset_of, size_of};
use zerocopy::FromZeros;
use zerocopy::little_endian::U16;

/// 100 ns units in a second.
const UNITS_PER_SECOND: u64 = 10_000_000;

pub(super) fn misc_info(snapshot: &ProcessSnapshot, out: &mut Assembly) {
    if let Some(original) = &snapshot.original {
        // As it stands: a dump that does not say when its process began would
        // otherwise say something that is not so.
        if let Some(bytes) = &original.misc_info {
            let mut section = Section::from_bytes(bytes.clone());
            mark_names(&mut section);
            out.stream(StreamType::MISC_INFO, section);
        }
        return;
    }
    let process = &snapshot.process;
    let mut info = MiscInfo5::new_zeroed();
    info.size_of_info = (size_of::<MiscInfo5>() as u32).into();
    let mut flags = MISC1_PROCESS_ID | MISC1_PROCESS_TIMES | MISC4_BUILDSTRING;
    info.process_id = process.pid.0.into();
    info.process_create_time = seconds(process.create_time.unix_seconds());
    info.process_user_time = seconds(process.user_time / UNITS_PER_SECOND);
    info.process_kernel_time = seconds(process.kernel_time / UNITS_PER_SECOND);
    if let Some([max, current]) = snapshot.system.processor_mhz {
        flags |= MISC1_PROCESSOR_POWER_INFO;
        info.processor_max_mhz = max.into();
        info.processor_mhz_limit = max.into();
        info.processor_current_mhz = current.into();
    }
    if let Some((bias, name)) = &snapshot.system.time_zone {
        flags |= MISC3_TIMEZONE;
        info.time_zone.bias = (*bias).into();
        fill_utf16(&mut info.time_zone.standard_name, name);
    }
    fill_utf16(&mut info.build_string, &snapshot.system.build);
    let writer = format!("dumpwright {}", env!("CARGO_PKG_VERSION"));
    fill_utf16(&mut info.dbg_bld_str, &writer);
    if let Some(facts) = &process.nt {
        flags |= nt_facts(facts, &mut info);
    }
    info.flags1 = flags.into();
    if let Some(layout) = &snapshot.system.xstate {
        info.xstate_data = xstate_data(layout);
    }
    let mut section = Section::new();
    section.put(&info);
    mark_names(&mut section);
    out.stream(StreamType::MISC_INFO, section);
}

/// Marks the names in a MiscInfo of any length as text.
fn mark_names(section: &mut Section) {
    let zone = offset_of!(MiscInfo5, time_zone);
    let len = section.bytes().len();
    for (start, units) in [
        (zone + offset_of!(TimeZoneInformation, standard_name), 32),
        (zone + offset_of!(TimeZoneInformation, daylight_name), 32),
        (offset_of!(MiscInfo5, build_string), 260),
        (offset_of!(MiscInfo5, dbg_bld_str), 40),
    ] {
        let end = start + 2 * units;
        if end <= len {
            section.mark_text(start..end);
        }
    }
}

/// Fills in what only Windows tells; the flags of what it told.
fn nt_facts(facts: &NtFacts, info: &mut MiscInfo5) -> u32 {
    let mut flags = 0;
    if let Some([max, current, limit, max_idle, idle]) = facts.power {
        flags |= MISC1_PROCESSOR_POWER_INFO;
        info.processor_max_mhz = max.into();
        info.processor_current_mhz = current.into();
        info.processor_mhz_limit = limit.into();
        info.processor_max_idle_state = max_idle.into();
        info.processor_current_idle_state = idle.into();
    }
    if let Some(level) = facts.integrity_level {
        flags |= MISC3_PROCESS_INTEGRITY;
        info.process_integrity_level = level.into();
    }
    if let Some(execute) = facts.execute_flags {
        flags |= MISC3_PROCESS_EXECUTE_FLAGS;
        info.process_execute_flags = execute.into();
    }
    if let Some(is_protected) = facts.is_protected {
        flags |= MISC3_PROTECTED_PROCESS;
        info.protected_process = u32::from(is_protected).into();
    }
    if let Some((id, zone)) = facts.time_zone {
        flags |= MISC3_TIMEZONE;
        info.time_zone_id = id.into();
        info.time_zone = zone;
    }
    if let Some(cookie) = facts.cookie {
        flags |= MISC5_PROCESS_COOKIE;
        info.process_cookie = cookie.into();
    }
    flags
}

/// Seconds as a 32-bit field holds them: the last moment rather than a wrong one.
fn seconds(seconds: u64) -> zerocopy::little_endian::U32 {
    u32::try_from(seconds).unwrap_or(u32::MAX).into()
}

fn xstate_data(layout: &XstateLayout) -> XstateConfigFeatureMscInfo {
    let mut data = XstateConfigFeatureMscInfo::new_zeroed();
    data.size_of_info = (size_of::<XstateConfigFeatureMscInfo>() as u32).into();
    data.context_size = layout.context_size.into();
    data.enabled_features = layout.features.into();
    for (feature, offset, size) in &layout.components {
        if let Some(entry) = data.features.get_mut(*feature as usize) {
            *entry = XstateFeature { offset: (*offset).into(), size: (*size).into() };
        }
    }
    data
}

/// Fills a fixed UTF-16 field, cut so that a NUL ends it and no surrogate pair
/// is torn.
fn fill_utf16(field: &mut [U16], text: &str) {
    let mut used = 0;
    for character in text.chars() {
        let mut units = [0; 2];
        let units = character.encode_utf16(&mut units);
        if used + units.len() >= field.len() {
            break;
        }
        for unit in units {
            field[used] = (*unit).into();
            used += 1;
        }
    }
}

/// The Token stream. Windows has a token structure behind each entry's header;
/// a Linux process's credentials are text, one `key: value` a line.
pub(super) fn token(snapshot: &ProcessSnapshot, out: &mut Assembly) {
    let Some(token) = &snapshot.token else { return };
    let header = size_of::<TokenInfoHeader>() as u32;
    let size = header + token.len() as u32;
    let mut section = Section::new();
    section.put(&TokenInfoList {
        token_list_size: (size_of::<TokenInfoList>() as u32 + size).into(),
        token_list_entries: 1.into(),
        list_header_size: (size_of::<TokenInfoList>() as u32).into(),
        element_header_size: header.into(),
    });
    section.put(&TokenInfoHeader {
        token_size: size.into(),
        token_id: snapshot.process.pid.0.into(),
        token_handle: 0.into(),
    });
    section.put(token.as_bytes());
    out.stream(StreamType::TOKEN, section);
}

pub(super) fn vm_counters(snapshot: &ProcessSnapshot, out: &mut Assembly) {
    if let Some(counters) = &snapshot.vm_counters {
        let mut section = Section::new();
        section.put(counters);
        out.stream(StreamType::PROCESS_VM_COUNTERS, section);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_is_cut_before_a_surrogate_pair_and_ends_with_nul() {
        let mut field = [U16::new(0); 4];
        fill_utf16(&mut field, "ab😀");
        assert_eq!(field.map(U16::get), [u16::from(b'a'), u16::from(b'b'), 0, 0]);
        fill_utf16(&mut field, "abcdef");
        assert_eq!(field[3].get(), 0);
    }

    #[test]
    fn times_past_2106_stay_at_the_last_moment() {
        assert_eq!(seconds(u64::MAX).get(), u32::MAX);
    }
}
