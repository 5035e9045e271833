//! Modules: loaded, unloaded, and the records that name their debug files.

use super::{LocationDescriptor, Rva};
use crate::wire;
use zerocopy::little_endian::{U16, U32, U64};

wire! {
    /// `VS_FIXEDFILEINFO`, verrsrc.h.
    pub struct VsFixedFileInfo [52] {
        /// [`VS_FFI_SIGNATURE`], or 0 when there is no version.
        pub signature: U32,
        /// [`VS_FFI_STRUCVERSION`].
        pub struct_version: U32,
        /// File version, first two parts.
        pub file_version_hi: U32,
        /// File version, last two parts.
        pub file_version_lo: U32,
        /// Product version, first two parts.
        pub product_version_hi: U32,
        /// Product version, last two parts.
        pub product_version_lo: U32,
        /// Which bits of `file_flags` count.
        pub file_flags_mask: U32,
        /// `VS_FF_*`.
        pub file_flags: U32,
        /// `VOS_*`.
        pub file_os: U32,
        /// `VFT_*`.
        pub file_type: U32,
        /// `VFT2_*`.
        pub file_subtype: U32,
        /// File date, high part.
        pub file_date_hi: U32,
        /// File date, low part.
        pub file_date_lo: U32,
    }

    /// `MINIDUMP_MODULE`, minidumpapiset.h. The stream is a `u32` count and
    /// these entries.
    pub struct Module [108] {
        /// Load address.
        pub base_of_image: U64,
        /// Size in memory.
        pub size_of_image: U32,
        /// Checksum of the PE header; 0 for ELF.
        pub check_sum: U32,
        /// Timestamp of the PE header; 0 for ELF.
        pub time_date_stamp: U32,
        /// Offset of a `MINIDUMP_STRING` with the module's name.
        pub module_name_rva: Rva,
        /// Version resource.
        pub version_info: VsFixedFileInfo,
        /// CodeView record.
        pub cv_record: LocationDescriptor,
        /// `IMAGE_DEBUG_MISC` record.
        pub misc_record: LocationDescriptor,
        /// 0.
        pub reserved0: U64,
        /// 0.
        pub reserved1: U64,
    }

    /// `MINIDUMP_UNLOADED_MODULE_LIST`, minidumpapiset.h: the head of the stream.
    pub struct UnloadedModuleList [12] {
        /// 12.
        pub size_of_header: U32,
        /// 24.
        pub size_of_entry: U32,
        /// Entries that follow.
        pub number_of_entries: U32,
    }

    /// `MINIDUMP_UNLOADED_MODULE`, minidumpapiset.h.
    pub struct UnloadedModule [24] {
        /// Load address it had.
        pub base_of_image: U64,
        /// Size in memory.
        pub size_of_image: U32,
        /// Checksum of the PE header.
        pub check_sum: U32,
        /// Timestamp of the PE header.
        pub time_date_stamp: U32,
        /// Offset of a `MINIDUMP_STRING` with the module's name.
        pub module_name_rva: Rva,
    }

    /// `CV_INFO_PDB20` without the name, cvinfo of the Microsoft linker.
    pub struct CvInfoPdb20 [16] {
        /// [`CV_SIGNATURE_NB10`].
        pub cv_signature: U32,
        /// 0: the debug information is in the PDB.
        pub offset: U32,
        /// Seconds since 1970; identifies the PDB.
        pub timestamp: U32,
        /// How often the PDB was written.
        pub age: U32,
    }

    /// `CV_INFO_PDB70` without the name, cvinfo of the Microsoft linker.
    pub struct CvInfoPdb70 [24] {
        /// [`CV_SIGNATURE_RSDS`].
        pub cv_signature: U32,
        /// GUID, first part.
        pub data1: U32,
        /// GUID, second part.
        pub data2: U16,
        /// GUID, third part.
        pub data3: U16,
        /// GUID, last part.
        pub data4: [u8; 8],
        /// How often the PDB was written since its GUID was made.
        pub age: U32,
    }
}

/// `VS_FFI_SIGNATURE`, verrsrc.h.
pub const VS_FFI_SIGNATURE: u32 = 0xFEEF_04BD;
/// `VS_FFI_STRUCVERSION`, verrsrc.h.
pub const VS_FFI_STRUCVERSION: u32 = 0x1_0000;
/// Signature of [`CvInfoPdb20`]: the bytes `NB10`.
pub const CV_SIGNATURE_NB10: u32 = 0x3031_424E;
/// Signature of [`CvInfoPdb70`]: the bytes `RSDS`.
pub const CV_SIGNATURE_RSDS: u32 = 0x5344_5352;
/// Breakpad's signature of an ELF build id; the id's bytes follow it.
pub const CV_SIGNATURE_ELF: u32 = 0x4270_454C;
