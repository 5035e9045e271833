//! `MINIDUMP_MISC_INFO` in its fifth form; earlier forms are its beginnings.

use crate::wire;
use zerocopy::little_endian::{I32, U16, U32, U64};

/// Sizes of the five forms of the structure, in bytes.
pub const MISC_INFO_SIZES: [usize; 5] = [24, 44, 232, 832, 1364];

wire! {
    /// `SYSTEMTIME`, minwinbase.h.
    pub struct SystemTime [16] {
        /// Year.
        pub year: U16,
        /// Month, 1 to 12.
        pub month: U16,
        /// Day of the week, Sunday 0.
        pub day_of_week: U16,
        /// Day.
        pub day: U16,
        /// Hour.
        pub hour: U16,
        /// Minute.
        pub minute: U16,
        /// Second.
        pub second: U16,
        /// Milliseconds.
        pub milliseconds: U16,
    }

    /// `TIME_ZONE_INFORMATION`, timezoneapi.h.
    pub struct TimeZoneInformation [172] {
        /// UTC = local time + bias, in minutes.
        pub bias: I32,
        /// Name of standard time.
        pub standard_name: [U16; 32],
        /// When it starts.
        pub standard_date: SystemTime,
        /// Added to `bias`, in minutes.
        pub standard_bias: I32,
        /// Name of daylight-saving time.
        pub daylight_name: [U16; 32],
        /// When it starts.
        pub daylight_date: SystemTime,
        /// Added to `bias`, in minutes.
        pub daylight_bias: I32,
    }

    /// `XSTATE_FEATURE`, winnt.h.
    pub struct XstateFeature [8] {
        /// Offset from the start of the XSAVE area, in bytes.
        pub offset: U32,
        /// Bytes.
        pub size: U32,
    }

    /// `XSTATE_CONFIG_FEATURE_MSC_INFO`, minidumpapiset.h.
    pub struct XstateConfigFeatureMscInfo [528] {
        /// 528.
        pub size_of_info: U32,
        /// Bytes of a thread's whole context.
        pub context_size: U32,
        /// Mask of the features.
        pub enabled_features: U64,
        /// Where each is.
        pub features: [XstateFeature; 64],
    }

    /// `MINIDUMP_MISC_INFO_5`, minidumpapiset.h.
    pub struct MiscInfo5 [1364] {
        /// 1364.
        pub size_of_info: U32,
        /// `MINIDUMP_MISC*` flags: which fields count.
        pub flags1: U32,
        /// Process id.
        pub process_id: U32,
        /// Seconds since 1970.
        pub process_create_time: U32,
        /// Seconds.
        pub process_user_time: U32,
        /// Seconds.
        pub process_kernel_time: U32,
        /// MHz.
        pub processor_max_mhz: U32,
        /// MHz.
        pub processor_current_mhz: U32,
        /// MHz.
        pub processor_mhz_limit: U32,
        /// Deepest idle state.
        pub processor_max_idle_state: U32,
        /// Idle state now.
        pub processor_current_idle_state: U32,
        /// Integrity level.
        pub process_integrity_level: U32,
        /// Execute flags.
        pub process_execute_flags: U32,
        /// Whether the process is protected.
        pub protected_process: U32,
        /// `TIME_ZONE_ID_*`.
        pub time_zone_id: U32,
        /// Time zone.
        pub time_zone: TimeZoneInformation,
        /// Build of the operating system.
        pub build_string: [U16; 260],
        /// Build of the writer.
        pub dbg_bld_str: [U16; 40],
        /// How extended contexts are laid out.
        pub xstate_data: XstateConfigFeatureMscInfo,
        /// Process cookie.
        pub process_cookie: U32,
    }
}

/// `MINIDUMP_MISC1_PROCESS_ID`
pub const MISC1_PROCESS_ID: u32 = 0x1;
/// `MINIDUMP_MISC1_PROCESS_TIMES`
pub const MISC1_PROCESS_TIMES: u32 = 0x2;
/// `MINIDUMP_MISC1_PROCESSOR_POWER_INFO`
pub const MISC1_PROCESSOR_POWER_INFO: u32 = 0x4;
/// `MINIDUMP_MISC3_PROCESS_INTEGRITY`
pub const MISC3_PROCESS_INTEGRITY: u32 = 0x10;
/// `MINIDUMP_MISC3_PROCESS_EXECUTE_FLAGS`
pub const MISC3_PROCESS_EXECUTE_FLAGS: u32 = 0x20;
/// `MINIDUMP_MISC3_TIMEZONE`
pub const MISC3_TIMEZONE: u32 = 0x40;
/// `MINIDUMP_MISC3_PROTECTED_PROCESS`
pub const MISC3_PROTECTED_PROCESS: u32 = 0x80;
/// `MINIDUMP_MISC4_BUILDSTRING`
pub const MISC4_BUILDSTRING: u32 = 0x100;
/// `MINIDUMP_MISC5_PROCESS_COOKIE`
pub const MISC5_PROCESS_COOKIE: u32 = 0x200;
