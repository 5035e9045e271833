//! The inputs of `IDebugClient4::WriteDumpFile2`: qualifiers and format flags,
//! and the `MINIDUMP_TYPE` that the flags stand for.

use bitflags::bitflags;

/// Which kind of dump to write: the `DEBUG_DUMP_*` values of dbgeng.h.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u32)]
pub enum Qualifier {
    /// `DEBUG_DUMP_SMALL`: a minidump of a process (its contents chosen by the
    /// format flags), a triage dump of a kernel.
    Small = 1024,
    /// `DEBUG_DUMP_DEFAULT`: the full user-mode dump, the kernel summary dump.
    Default = 1025,
    /// `DEBUG_DUMP_FULL`: the complete kernel dump; not for user mode.
    Full = 1026,
    /// `DEBUG_DUMP_IMAGE_FILE`: an executable opened as a dump; cannot be written.
    ImageFile = 1027,
    /// `DEBUG_DUMP_TRACE_LOG`: a trace log; cannot be written.
    TraceLog = 1028,
    /// `DEBUG_DUMP_WINDOWS_CE`: a Windows CE dump; cannot be written.
    WindowsCe = 1029,
    /// `DEBUG_DUMP_ACTIVE`: the active-memory kernel dump; not for user mode.
    Active = 1030,
}

impl Qualifier {
    /// Every qualifier, in order of value.
    pub const ALL: [Qualifier; 7] = [
        Qualifier::Small,
        Qualifier::Default,
        Qualifier::Full,
        Qualifier::ImageFile,
        Qualifier::TraceLog,
        Qualifier::WindowsCe,
        Qualifier::Active,
    ];

    /// The qualifier of a `DEBUG_DUMP_*` value, if there is one.
    pub fn from_value(value: u32) -> Option<Qualifier> {
        Self::ALL.into_iter().find(|q| *q as u32 == value)
    }

    /// The name in dbgeng.h.
    pub fn name(self) -> &'static str {
        match self {
            Qualifier::Small => "DEBUG_DUMP_SMALL",
            Qualifier::Default => "DEBUG_DUMP_DEFAULT",
            Qualifier::Full => "DEBUG_DUMP_FULL",
            Qualifier::ImageFile => "DEBUG_DUMP_IMAGE_FILE",
            Qualifier::TraceLog => "DEBUG_DUMP_TRACE_LOG",
            Qualifier::WindowsCe => "DEBUG_DUMP_WINDOWS_CE",
            Qualifier::Active => "DEBUG_DUMP_ACTIVE",
        }
    }
}

bitflags! {
    /// The `DEBUG_FORMAT_*` flags of dbgeng.h; each constant is the documented
    /// name without the prefix `DEBUG_FORMAT_`.
    ///
    /// Bit `0x1000_0000` has two documented names. It means
    /// [`CAB_SECONDARY_ALL_IMAGES`](Self::CAB_SECONDARY_ALL_IMAGES) when
    /// [`WRITE_CAB`](Self::WRITE_CAB) is set and
    /// [`USER_SMALL_SCAN_PARTIAL_PAGES`](Self::USER_SMALL_SCAN_PARTIAL_PAGES)
    /// otherwise; [`scans_partial_pages`](Self::scans_partial_pages) and
    /// [`adds_all_images`](Self::adds_all_images) decide.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
    pub struct FormatFlags: u32 {
        /// Every accessible committed page (`MiniDumpWithFullMemory`).
        const USER_SMALL_FULL_MEMORY = 0x1;
        /// The open handles (`MiniDumpWithHandleData`).
        const USER_SMALL_HANDLE_DATA = 0x2;
        /// The modules that were unloaded (`MiniDumpWithUnloadedModules`).
        const USER_SMALL_UNLOADED_MODULES = 0x4;
        /// Memory that stacks point to (`MiniDumpWithIndirectlyReferencedMemory`).
        const USER_SMALL_INDIRECT_MEMORY = 0x8;
        /// Writable image segments (`MiniDumpWithDataSegs`).
        const USER_SMALL_DATA_SEGMENTS = 0x10;
        /// Zero what the stack trace does not need (`MiniDumpFilterMemory`).
        const USER_SMALL_FILTER_MEMORY = 0x20;
        /// Module names without paths (`MiniDumpFilterModulePaths`).
        const USER_SMALL_FILTER_PATHS = 0x40;
        /// PEB and TEBs or their counterparts (`MiniDumpWithProcessThreadData`).
        const USER_SMALL_PROCESS_THREAD_DATA = 0x80;
        /// Private read-write pages (`MiniDumpWithPrivateReadWriteMemory`).
        const USER_SMALL_PRIVATE_READ_WRITE_MEMORY = 0x100;
        /// Takes out optional data (`MiniDumpWithoutOptionalData`).
        const USER_SMALL_NO_OPTIONAL_DATA = 0x200;
        /// Information on the whole address space (`MiniDumpWithFullMemoryInfo`).
        const USER_SMALL_FULL_MEMORY_INFO = 0x400;
        /// Thread times and start addresses (`MiniDumpWithThreadInfo`).
        const USER_SMALL_THREAD_INFO = 0x800;
        /// Executable image segments (`MiniDumpWithCodeSegs`).
        const USER_SMALL_CODE_SEGMENTS = 0x1000;
        /// No auxiliary state (`MiniDumpWithoutAuxiliaryState`).
        const USER_SMALL_NO_AUXILIARY_STATE = 0x2000;
        /// All auxiliary state (`MiniDumpWithFullAuxiliaryState`).
        const USER_SMALL_FULL_AUXILIARY_STATE = 0x4000;
        /// Image headers (`MiniDumpWithModuleHeaders`).
        const USER_SMALL_MODULE_HEADERS = 0x8000;
        /// Triage filter (`MiniDumpFilterTriage`).
        const USER_SMALL_FILTER_TRIAGE = 0x1_0000;
        /// Extended processor state (`MiniDumpWithAvxXStateContext`).
        const USER_SMALL_ADD_AVX_XSTATE_CONTEXT = 0x2_0000;
        /// Intel Processor Trace (`MiniDumpWithIptTrace`).
        const USER_SMALL_IPT_TRACE = 0x4_0000;
        /// Explicitly stop at inaccessible memory; newer headers only.
        const USER_SMALL_NO_IGNORE_INACCESSIBLE_MEM = 0x400_0000;
        /// Go on past inaccessible memory (`MiniDumpIgnoreInaccessibleMemory`).
        const USER_SMALL_IGNORE_INACCESSIBLE_MEM = 0x800_0000;
        /// Keep readable parts of bad pages (`MiniDumpScanInaccessiblePartialPages`);
        /// this meaning holds without `WRITE_CAB`.
        const USER_SMALL_SCAN_PARTIAL_PAGES = 0x1000_0000;
        /// Add all images to the CAB; this meaning holds with `WRITE_CAB`.
        const CAB_SECONDARY_ALL_IMAGES = 0x1000_0000;
        /// Package the dump in a CAB.
        const WRITE_CAB = 0x2000_0000;
        /// Add symbols and mapped images to the CAB; ignored without `WRITE_CAB`.
        const CAB_SECONDARY_FILES = 0x4000_0000;
        /// Never replace an existing file.
        const NO_OVERWRITE = 0x8000_0000;
    }
}

bitflags! {
    /// `MINIDUMP_TYPE`, minidumpapiset.h: what a minidump holds, as its header's
    /// `Flags` field states it.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
    pub struct MinidumpType: u64 {
        /// `MiniDumpWithDataSegs`
        const WITH_DATA_SEGS = 0x1;
        /// `MiniDumpWithFullMemory`
        const WITH_FULL_MEMORY = 0x2;
        /// `MiniDumpWithHandleData`
        const WITH_HANDLE_DATA = 0x4;
        /// `MiniDumpFilterMemory`
        const FILTER_MEMORY = 0x8;
        /// `MiniDumpScanMemory`
        const SCAN_MEMORY = 0x10;
        /// `MiniDumpWithUnloadedModules`
        const WITH_UNLOADED_MODULES = 0x20;
        /// `MiniDumpWithIndirectlyReferencedMemory`
        const WITH_INDIRECTLY_REFERENCED_MEMORY = 0x40;
        /// `MiniDumpFilterModulePaths`
        const FILTER_MODULE_PATHS = 0x80;
        /// `MiniDumpWithProcessThreadData`
        const WITH_PROCESS_THREAD_DATA = 0x100;
        /// `MiniDumpWithPrivateReadWriteMemory`
        const WITH_PRIVATE_READ_WRITE_MEMORY = 0x200;
        /// `MiniDumpWithoutOptionalData`
        const WITHOUT_OPTIONAL_DATA = 0x400;
        /// `MiniDumpWithFullMemoryInfo`
        const WITH_FULL_MEMORY_INFO = 0x800;
        /// `MiniDumpWithThreadInfo`
        const WITH_THREAD_INFO = 0x1000;
        /// `MiniDumpWithCodeSegs`
        const WITH_CODE_SEGS = 0x2000;
        /// `MiniDumpWithoutAuxiliaryState`
        const WITHOUT_AUXILIARY_STATE = 0x4000;
        /// `MiniDumpWithFullAuxiliaryState`
        const WITH_FULL_AUXILIARY_STATE = 0x8000;
        /// `MiniDumpWithPrivateWriteCopyMemory`
        const WITH_PRIVATE_WRITE_COPY_MEMORY = 0x1_0000;
        /// `MiniDumpIgnoreInaccessibleMemory`
        const IGNORE_INACCESSIBLE_MEMORY = 0x2_0000;
        /// `MiniDumpWithTokenInformation`
        const WITH_TOKEN_INFORMATION = 0x4_0000;
        /// `MiniDumpWithModuleHeaders`
        const WITH_MODULE_HEADERS = 0x8_0000;
        /// `MiniDumpFilterTriage`
        const FILTER_TRIAGE = 0x10_0000;
        /// `MiniDumpWithAvxXStateContext`
        const WITH_AVX_XSTATE_CONTEXT = 0x20_0000;
        /// `MiniDumpWithIptTrace`
        const WITH_IPT_TRACE = 0x40_0000;
        /// `MiniDumpScanInaccessiblePartialPages`
        const SCAN_INACCESSIBLE_PARTIAL_PAGES = 0x80_0000;
        /// `MiniDumpFilterWriteCombinedMemory`
        const FILTER_WRITE_COMBINED_MEMORY = 0x100_0000;
    }
}

/// Each format flag that has a `MINIDUMP_TYPE` of its own, with that type.
const PAIRS: [(FormatFlags, MinidumpType); 20] = {
    use FormatFlags as F;
    use MinidumpType as M;
    [
        (F::USER_SMALL_FULL_MEMORY, M::WITH_FULL_MEMORY),
        (F::USER_SMALL_HANDLE_DATA, M::WITH_HANDLE_DATA),
        (F::USER_SMALL_UNLOADED_MODULES, M::WITH_UNLOADED_MODULES),
        (F::USER_SMALL_INDIRECT_MEMORY, M::WITH_INDIRECTLY_REFERENCED_MEMORY),
        (F::USER_SMALL_DATA_SEGMENTS, M::WITH_DATA_SEGS),
        (F::USER_SMALL_FILTER_MEMORY, M::FILTER_MEMORY),
        (F::USER_SMALL_FILTER_PATHS, M::FILTER_MODULE_PATHS),
        (F::USER_SMALL_PROCESS_THREAD_DATA, M::WITH_PROCESS_THREAD_DATA),
        (F::USER_SMALL_PRIVATE_READ_WRITE_MEMORY, M::WITH_PRIVATE_READ_WRITE_MEMORY),
        (F::USER_SMALL_NO_OPTIONAL_DATA, M::WITHOUT_OPTIONAL_DATA),
        (F::USER_SMALL_FULL_MEMORY_INFO, M::WITH_FULL_MEMORY_INFO),
        (F::USER_SMALL_THREAD_INFO, M::WITH_THREAD_INFO),
        (F::USER_SMALL_CODE_SEGMENTS, M::WITH_CODE_SEGS),
        (F::USER_SMALL_NO_AUXILIARY_STATE, M::WITHOUT_AUXILIARY_STATE),
        (F::USER_SMALL_FULL_AUXILIARY_STATE, M::WITH_FULL_AUXILIARY_STATE),
        (F::USER_SMALL_MODULE_HEADERS, M::WITH_MODULE_HEADERS),
        (F::USER_SMALL_FILTER_TRIAGE, M::FILTER_TRIAGE),
        (F::USER_SMALL_ADD_AVX_XSTATE_CONTEXT, M::WITH_AVX_XSTATE_CONTEXT),
        (F::USER_SMALL_IPT_TRACE, M::WITH_IPT_TRACE),
        (F::USER_SMALL_IGNORE_INACCESSIBLE_MEM, M::IGNORE_INACCESSIBLE_MEMORY),
    ]
};

impl FormatFlags {
    /// The flags that only mean something for a user-mode target, whether or
    /// not `WRITE_CAB` gives bit `0x1000_0000` its CAB meaning.
    pub const USER_ONLY: FormatFlags = {
        let mut bits = Self::USER_SMALL_NO_IGNORE_INACCESSIBLE_MEM.bits();
        let mut i = 0;
        while i < PAIRS.len() {
            bits |= PAIRS[i].0.bits();
            i += 1;
        }
        FormatFlags::from_bits_retain(bits)
    };

    /// What `.dump /ma` stands for: `/mfFhut`.
    pub const DUMP_MA: FormatFlags = Self::USER_SMALL_FULL_MEMORY
        .union(Self::USER_SMALL_FULL_MEMORY_INFO)
        .union(Self::USER_SMALL_HANDLE_DATA)
        .union(Self::USER_SMALL_UNLOADED_MODULES)
        .union(Self::USER_SMALL_THREAD_INFO);

    /// Whether bit `0x1000_0000` asks for partial pages (no `WRITE_CAB`).
    pub fn scans_partial_pages(self) -> bool {
        self.contains(Self::USER_SMALL_SCAN_PARTIAL_PAGES) && !self.contains(Self::WRITE_CAB)
    }

    /// Whether bit `0x1000_0000` asks for all images in the CAB (`WRITE_CAB`).
    pub fn adds_all_images(self) -> bool {
        self.contains(Self::CAB_SECONDARY_ALL_IMAGES | Self::WRITE_CAB)
    }

    /// The `MINIDUMP_TYPE` that these flags stand for.
    ///
    /// Lossless for the `USER_SMALL_*` flags: `FormatFlags::from` a
    /// [`MinidumpType`] gives them back. The CAB and overwrite flags say nothing
    /// about a dump's contents and have no `MINIDUMP_TYPE`.
    pub fn minidump_type(self) -> MinidumpType {
        let mut ty = MinidumpType::empty();
        for (flag, bit) in PAIRS {
            ty.set(bit, self.contains(flag));
        }
        if self.contains(Self::USER_SMALL_NO_IGNORE_INACCESSIBLE_MEM) {
            ty.remove(MinidumpType::IGNORE_INACCESSIBLE_MEMORY);
        }
        ty.set(MinidumpType::SCAN_INACCESSIBLE_PARTIAL_PAGES, self.scans_partial_pages());
        ty
    }

    /// The names of the set flags as dbgeng.h has them without
    /// `DEBUG_FORMAT_`; bit `0x1000_0000` by the meaning it has here.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        let cab = self.contains(Self::WRITE_CAB);
        self.iter_names().map(|(name, _)| name).map(move |name| match name {
            "USER_SMALL_SCAN_PARTIAL_PAGES" if cab => "CAB_SECONDARY_ALL_IMAGES",
            other => other,
        })
    }

    /// The flag of a documented name, with or without the prefix
    /// `DEBUG_FORMAT_`, in any case.
    pub fn from_documented_name(name: &str) -> Option<FormatFlags> {
        let upper = name.to_ascii_uppercase();
        let short = upper.strip_prefix("DEBUG_FORMAT_").unwrap_or(&upper);
        Self::from_name(short)
    }
}

/// The documented names of the bits of a `MINIDUMP_TYPE` that no
/// `DEBUG_FORMAT_*` flag stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoFormatFlag(pub MinidumpType);

impl TryFrom<MinidumpType> for FormatFlags {
    type Error = NoFormatFlag;

    /// The `USER_SMALL_*` flags of a `MINIDUMP_TYPE`; fails with the bits that
    /// have none (`ScanMemory`, `WithTokenInformation`, …).
    fn try_from(ty: MinidumpType) -> Result<Self, NoFormatFlag> {
        let mut flags = FormatFlags::empty();
        let mut rest = ty;
        for (flag, bit) in PAIRS {
            if ty.contains(bit) {
                flags |= flag;
                rest.remove(bit);
            }
        }
        if ty.contains(MinidumpType::SCAN_INACCESSIBLE_PARTIAL_PAGES) {
            flags |= FormatFlags::USER_SMALL_SCAN_PARTIAL_PAGES;
            rest.remove(MinidumpType::SCAN_INACCESSIBLE_PARTIAL_PAGES);
        }
        if rest.is_empty() { Ok(flags) } else { Err(NoFormatFlag(rest)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_user_flag_survives_the_way_to_minidump_type_and_back() {
        for flag in FormatFlags::USER_ONLY | FormatFlags::USER_SMALL_SCAN_PARTIAL_PAGES {
            if flag == FormatFlags::USER_SMALL_NO_IGNORE_INACCESSIBLE_MEM {
                continue;
            }
            let ty = flag.minidump_type();
            assert_eq!(ty.bits().count_ones(), 1, "{flag:?}");
            assert_eq!(FormatFlags::try_from(ty), Ok(flag));
        }
    }

    #[test]
    fn the_shared_bit_is_read_by_write_cab() {
        let shared = FormatFlags::CAB_SECONDARY_ALL_IMAGES;
        assert!(shared.scans_partial_pages() && !shared.adds_all_images());
        let cab = shared | FormatFlags::WRITE_CAB;
        assert!(!cab.scans_partial_pages() && cab.adds_all_images());
        assert!(cab.minidump_type().is_empty());
        assert!(cab.names().any(|n| n == "CAB_SECONDARY_ALL_IMAGES"));
    }

    #[test]
    fn types_without_a_flag_are_named() {
        let ty = MinidumpType::WITH_TOKEN_INFORMATION | MinidumpType::WITH_FULL_MEMORY;
        assert_eq!(
            FormatFlags::try_from(ty),
            Err(NoFormatFlag(MinidumpType::WITH_TOKEN_INFORMATION))
        );
    }

    #[test]
    fn names_are_found_in_each_form() {
        for name in ["write_cab", "DEBUG_FORMAT_WRITE_CAB", "WRITE_CAB"] {
            assert_eq!(FormatFlags::from_documented_name(name), Some(FormatFlags::WRITE_CAB));
        }
        assert_eq!(FormatFlags::from_documented_name("FULL"), None);
        for q in Qualifier::ALL {
            assert_eq!(Qualifier::from_value(q as u32), Some(q));
        }
        assert_eq!(Qualifier::from_value(1031), None);
    }
}
