//! The MiscInfo stream in any of its five forms.

use super::error::ReadResult;
use super::minidump::Minidump;
use super::string::utf16_array;
use dumpwright_format::minidump::{
    MISC_INFO_SIZES, MISC1_PROCESS_ID, MISC1_PROCESS_TIMES, MISC1_PROCESSOR_POWER_INFO,
    MISC3_PROCESS_EXECUTE_FLAGS, MISC3_PROCESS_INTEGRITY, MISC3_PROTECTED_PROCESS, MISC3_TIMEZONE,
    MISC4_BUILDSTRING, MISC5_PROCESS_COOKIE, MiscInfo5, StreamType,
};

/// The MiscInfo stream. A field is `None` where the form that is stored does
/// not have it or its flag says that it does not count.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MiscInfo {
    /// Which of the five forms is stored, 1 to 5.
    pub form: u8,
    /// `MINIDUMP_MISC*` flags as they stand in the file.
    pub flags: u32,
    /// Process id.
    pub process_id: Option<u32>,
    /// Creation of the process, seconds since 1970.
    pub process_create_time: Option<u32>,
    /// Seconds in user mode.
    pub process_user_time: Option<u32>,
    /// Seconds in the kernel.
    pub process_kernel_time: Option<u32>,
    /// Clock of the processor.
    pub processor_power: Option<ProcessorPower>,
    /// Integrity level: `SECURITY_MANDATORY_*_RID`.
    pub process_integrity_level: Option<u32>,
    /// `MEM_EXECUTE_OPTION_*`.
    pub process_execute_flags: Option<u32>,
    /// Whether the process is a protected one.
    pub protected_process: Option<u32>,
    /// Time zone.
    pub time_zone: Option<TimeZone>,
    /// Build of the operating system.
    pub build_string: Option<String>,
    /// Build of what wrote the dump.
    pub debugger_build: Option<String>,
    /// How extended contexts are laid out.
    pub xstate: Option<XstateData>,
    /// The process cookie.
    pub process_cookie: Option<u32>,
}

/// Clock and idle states of the processor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProcessorPower {
    /// MHz at most.
    pub max_mhz: u32,
    /// MHz now.
    pub current_mhz: u32,
    /// MHz that it is limited to.
    pub mhz_limit: u32,
    /// Deepest idle state.
    pub max_idle_state: u32,
    /// Idle state now.
    pub current_idle_state: u32,
}

/// The time zone that was set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimeZone {
    /// `TIME_ZONE_ID_*`: 1 standard time, 2 daylight time.
    pub id: u32,
    /// Minutes to add to local time for UTC.
    pub bias: i32,
    /// Name of standard time.
    pub standard_name: Option<String>,
    /// Name of daylight time.
    pub daylight_name: Option<String>,
}

/// Layout of the XSAVE area behind an extended context.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct XstateData {
    /// Bytes of a whole extended context.
    pub context_size: u32,
    /// Mask of features.
    pub enabled_features: u64,
    /// Feature number, offset and size of each enabled feature.
    pub features: Vec<(u32, u32, u32)>,
}

impl Minidump {
    /// Times, ids and more of the process, from the MiscInfo stream.
    pub fn misc_info(&self) -> ReadResult<Option<MiscInfo>> {
        let Some(mut bytes) = self.load(StreamType::MISC_INFO)? else { return Ok(None) };
        // A form that is stored in part counts as the one before it.
        let form = MISC_INFO_SIZES.iter().take_while(|size| **size <= bytes.data.len()).count();
        bytes.data.truncate(form.checked_sub(1).map_or(0, |last| MISC_INFO_SIZES[last]));
        let info: MiscInfo5 = bytes.get_padded(MISC_INFO_SIZES[0])?;
        Ok(Some(decode(&info, form as u8)))
    }
}

fn decode(info: &MiscInfo5, form: u8) -> MiscInfo {
    let flags = info.flags1.get();
    let has = |flag: u32, since: u8| flags & flag != 0 && form >= since;
    MiscInfo {
        form,
        flags,
        process_id: has(MISC1_PROCESS_ID, 1).then(|| info.process_id.get()),
        process_create_time: has(MISC1_PROCESS_TIMES, 1).then(|| info.process_create_time.get()),
        process_user_time: has(MISC1_PROCESS_TIMES, 1).then(|| info.process_user_time.get()),
        process_kernel_time: has(MISC1_PROCESS_TIMES, 1).then(|| info.process_kernel_time.get()),
        processor_power: has(MISC1_PROCESSOR_POWER_INFO, 2).then(|| ProcessorPower {
            max_mhz: info.processor_max_mhz.get(),
            current_mhz: info.processor_current_mhz.get(),
            mhz_limit: info.processor_mhz_limit.get(),
            max_idle_state: info.processor_max_idle_state.get(),
            current_idle_state: info.processor_current_idle_state.get(),
        }),
        process_integrity_level: has(MISC3_PROCESS_INTEGRITY, 3)
            .then(|| info.process_integrity_level.get()),
        process_execute_flags: has(MISC3_PROCESS_EXECUTE_FLAGS, 3)
            .then(|| info.process_execute_flags.get()),
        protected_process: has(MISC3_PROTECTED_PROCESS, 3).then(|| info.protected_process.get()),
        time_zone: has(MISC3_TIMEZONE, 3).then(|| TimeZone {
            id: info.time_zone_id.get(),
            bias: info.time_zone.bias.get(),
            standard_name: utf16_array(&info.time_zone.standard_name),
            daylight_name: utf16_array(&info.time_zone.daylight_name),
        }),
        build_string: has(MISC4_BUILDSTRING, 4).then(|| utf16_array(&info.build_string)).flatten(),
        debugger_build: has(MISC4_BUILDSTRING, 4).then(|| utf16_array(&info.dbg_bld_str)).flatten(),
        xstate: (form >= 5).then(|| xstate(info)).flatten(),
        process_cookie: has(MISC5_PROCESS_COOKIE, 5).then(|| info.process_cookie.get()),
    }
}

fn xstate(info: &MiscInfo5) -> Option<XstateData> {
    let data = &info.xstate_data;
    let enabled = data.enabled_features.get();
    (data.size_of_info.get() != 0 && enabled != 0).then(|| XstateData {
        context_size: data.context_size.get(),
        enabled_features: enabled,
        features: (0..64)
            .zip(&data.features)
            .filter(|(index, _)| enabled >> index & 1 == 1)
            .map(|(index, feature)| (index, feature.offset.get(), feature.size.get()))
            .collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::super::synth::Synth;
    use super::*;
    use zerocopy::{FromZeros, IntoBytes};

    fn read(size: usize, flags: u32) -> Option<MiscInfo> {
        let mut info = MiscInfo5::new_zeroed();
        info.size_of_info = (size as u32).into();
        info.flags1 = flags.into();
        info.process_id = 7.into();
        info.build_string[0] = u16::from(b'b').into();
        info.process_cookie = 9.into();
        let mut synth = Synth::new();
        synth.stream(StreamType::MISC_INFO, &info.as_bytes()[..size]);
        synth.open().misc_info().ok().flatten()
    }

    #[test]
    fn each_of_the_five_forms_is_told_by_its_size() {
        for (form, size) in (1..).zip(MISC_INFO_SIZES) {
            let info = read(size, u32::MAX).unwrap();
            assert_eq!(info.form, form);
            assert_eq!(info.process_id, Some(7));
            assert_eq!(info.processor_power.is_some(), form >= 2);
            assert_eq!(info.time_zone.is_some(), form >= 3);
            assert_eq!(info.build_string.as_deref(), (form >= 4).then_some("b"));
            assert_eq!(info.process_cookie, (form >= 5).then_some(9));
        }
        assert_eq!(read(831, u32::MAX).unwrap().form, 3, "a form in part counts as the one before");
        assert_eq!(read(23, u32::MAX), None);
    }

    #[test]
    fn a_field_without_its_flag_does_not_count() {
        assert_eq!(read(1364, 0).unwrap(), MiscInfo { form: 5, ..MiscInfo::default() });
    }
}
