//! Types of kernel dumps.

/// `DUMP_HEADER*.DumpType`: what follows the header. Values without a constant
/// are legal in files of others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DumpType(pub u32);

macro_rules! dump_types {
    ($( $(#[$meta:meta])* $konst:ident = $value:expr, $name:expr; )*) => {
        impl DumpType {
            $( $(#[$meta])* pub const $konst: DumpType = DumpType($value); )*

            /// Every type that has a name, in order of value.
            pub const ALL: &'static [DumpType] = &[$( DumpType::$konst ),*];

            /// The name, or `None` for an unknown value.
            pub fn name(self) -> Option<&'static str> {
                match self.0 {
                    $( $value => Some($name), )*
                    _ => None,
                }
            }
        }
    };
}

dump_types! {
    /// `DUMP_TYPE_FULL`: the pages of each run of the header, back to back.
    FULL = 1, "full";
    /// `DUMP_TYPE_SUMMARY`: kernel pages behind a
    /// [`SummaryHeader64`](super::SummaryHeader64) and its bitmap.
    KERNEL_SUMMARY = 2, "kernel-summary";
    /// `DUMP_TYPE_HEADER`: nothing but the header.
    HEADER = 3, "header";
    /// `DUMP_TYPE_TRIAGE`: a small dump.
    TRIAGE = 4, "triage";
    /// `DUMP_TYPE_BITMAP_FULL`: a complete or active dump behind a
    /// [`BitmapHeader`](super::BitmapHeader).
    BITMAP_FULL = 5, "bitmap-full";
    /// `DUMP_TYPE_BITMAP_KERNEL`: a kernel dump behind a
    /// [`BitmapHeader`](super::BitmapHeader).
    BITMAP_KERNEL = 6, "bitmap-kernel";
    /// `DUMP_TYPE_AUTOMATIC`: what Windows chose by itself; laid out as a kernel
    /// dump.
    AUTOMATIC = 7, "automatic";
    /// Made by `.dump /k` (kdmp-parser: `KernelMemory`), behind an
    /// [`RdmpHeader`](super::RdmpHeader).
    KERNEL_MEMORY = 8, "kernel-memory";
    /// Made by `.dump /ka` (kdmp-parser: `KernelAndUserMemory`).
    KERNEL_AND_USER_MEMORY = 9, "kernel-and-user-memory";
    /// Made by `.dump /f` (kdmp-parser: `CompleteMemory`).
    COMPLETE_MEMORY = 10, "complete-memory";
}

impl core::fmt::Display for DumpType {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "type {}", self.0),
        }
    }
}
