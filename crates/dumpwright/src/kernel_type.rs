//! Which kind of kernel dump to write.

use dumpwright_format::Qualifier;
use dumpwright_format::kernel::DumpType;
use serde::Serialize;

/// What a kernel dump holds and how its file is laid out: the types that a real
/// header names, and the active dump, which is a [`BitmapFull`] with fewer pages.
///
/// [`BitmapFull`]: KernelDumpType::BitmapFull
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum KernelDumpType {
    /// Type 1: all memory, run by run.
    Full,
    /// Type 2: kernel memory, as before Windows 8.
    KernelSummary,
    /// Type 4: the small dump.
    Triage,
    /// Type 5: all memory, with a bitmap.
    BitmapFull,
    /// Type 6: kernel memory, with a bitmap.
    BitmapKernel,
    /// Type 7: kernel memory, laid out as type 6.
    Automatic,
    /// Type 8: kernel memory, as `.dump /k` writes it.
    KernelMemory,
    /// Type 9: kernel memory and that of the current process, as `.dump /ka`
    /// writes it.
    KernelAndUserMemory,
    /// Type 10: all memory, as `.dump /f` writes it.
    CompleteMemory,
    /// Type 5 with the pages that are in use.
    Active,
}

impl KernelDumpType {
    /// Every type, in the order of their values.
    pub const ALL: [KernelDumpType; 10] = [
        KernelDumpType::Full,
        KernelDumpType::KernelSummary,
        KernelDumpType::Triage,
        KernelDumpType::BitmapFull,
        KernelDumpType::BitmapKernel,
        KernelDumpType::Automatic,
        KernelDumpType::KernelMemory,
        KernelDumpType::KernelAndUserMemory,
        KernelDumpType::CompleteMemory,
        KernelDumpType::Active,
    ];

    /// The type that a `DEBUG_DUMP_*` qualifier asks for: the small dump, what
    /// `.dump /k` writes, the complete dump that every reader knows, the active
    /// dump. `None` for qualifiers that nothing is written of.
    pub fn of(qualifier: Qualifier) -> Option<KernelDumpType> {
        match qualifier {
            Qualifier::Small => Some(KernelDumpType::Triage),
            Qualifier::Default => Some(KernelDumpType::KernelMemory),
            Qualifier::Full => Some(KernelDumpType::Full),
            Qualifier::Active => Some(KernelDumpType::Active),
            Qualifier::ImageFile | Qualifier::TraceLog | Qualifier::WindowsCe => None,
        }
    }

    /// The qualifier that asks for memory of this kind.
    pub fn qualifier(self) -> Qualifier {
        match self {
            KernelDumpType::Triage => Qualifier::Small,
            KernelDumpType::Full | KernelDumpType::BitmapFull | KernelDumpType::CompleteMemory => {
                Qualifier::Full
            }
            KernelDumpType::KernelSummary
            | KernelDumpType::BitmapKernel
            | KernelDumpType::Automatic
            | KernelDumpType::KernelMemory
            | KernelDumpType::KernelAndUserMemory => Qualifier::Default,
            KernelDumpType::Active => Qualifier::Active,
        }
    }

    /// The header's `DumpType`.
    pub fn header_type(self) -> DumpType {
        match self {
            KernelDumpType::Full => DumpType::FULL,
            KernelDumpType::KernelSummary => DumpType::KERNEL_SUMMARY,
            KernelDumpType::Triage => DumpType::TRIAGE,
            KernelDumpType::BitmapFull | KernelDumpType::Active => DumpType::BITMAP_FULL,
            KernelDumpType::BitmapKernel => DumpType::BITMAP_KERNEL,
            KernelDumpType::Automatic => DumpType::AUTOMATIC,
            KernelDumpType::KernelMemory => DumpType::KERNEL_MEMORY,
            KernelDumpType::KernelAndUserMemory => DumpType::KERNEL_AND_USER_MEMORY,
            KernelDumpType::CompleteMemory => DumpType::COMPLETE_MEMORY,
        }
    }

    /// Its name, as `--type` takes it.
    pub fn name(self) -> &'static str {
        match self {
            KernelDumpType::Active => "active",
            other => other.header_type().name().unwrap_or_default(),
        }
    }

    /// The type of a name, or of a header's value in digits.
    pub fn from_name(name: &str) -> Option<KernelDumpType> {
        let value = name.parse::<u32>().ok();
        Self::ALL
            .into_iter()
            .find(|t| t.name().eq_ignore_ascii_case(name) || value == Some(t.header_type().0))
    }

    /// Which memory belongs in it.
    pub fn memory(self) -> MemoryChoice {
        match self {
            KernelDumpType::Full | KernelDumpType::BitmapFull | KernelDumpType::CompleteMemory => {
                MemoryChoice::All
            }
            KernelDumpType::Active => MemoryChoice::InUse,
            KernelDumpType::KernelSummary
            | KernelDumpType::BitmapKernel
            | KernelDumpType::Automatic
            | KernelDumpType::KernelMemory => MemoryChoice::Kernel,
            KernelDumpType::KernelAndUserMemory => MemoryChoice::KernelAndUser,
            KernelDumpType::Triage => MemoryChoice::Pieces,
        }
    }
}

/// Which memory belongs in a kernel dump.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemoryChoice {
    /// All of it.
    All,
    /// What is neither free nor a copy of what is on disk.
    InUse,
    /// What the kernel's half of the address space maps, and no user page.
    Kernel,
    /// The same, and the user pages of the current process.
    KernelAndUser,
    /// No page frames, but pieces of virtual memory.
    Pieces,
}

impl MemoryChoice {
    /// Whether the guest must be understood to make the choice.
    pub fn needs_page_tables(self) -> bool {
        matches!(self, MemoryChoice::Kernel | MemoryChoice::KernelAndUser | MemoryChoice::Pieces)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_type_is_found_by_name_and_by_value() {
        for kind in KernelDumpType::ALL {
            assert_eq!(KernelDumpType::from_name(kind.name()), Some(kind));
            if kind != KernelDumpType::Active {
                let value = kind.header_type().0.to_string();
                assert_eq!(KernelDumpType::from_name(&value), Some(kind));
            }
        }
        assert_eq!(KernelDumpType::from_name("3"), None, "nothing writes a header alone");
        assert_eq!(KernelDumpType::from_name("big"), None);
    }

    #[test]
    fn a_qualifier_and_its_type_name_each_other() {
        for qualifier in [Qualifier::Small, Qualifier::Default, Qualifier::Full, Qualifier::Active]
        {
            let kind = KernelDumpType::of(qualifier).unwrap();
            assert_eq!(kind.qualifier(), qualifier);
        }
    }
}
