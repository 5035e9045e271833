//! `KUSER_SHARED_DATA`: times and the kind of system, at a fixed address.

use crate::target::FileTime;
use crate::target::machine::{AddressSpace, Gva, MachineSnapshot};
use dumpwright_format::machine::windows::{
    KUSER_SHARED_DATA, SHARED_BUILD_NUMBER, SHARED_INTERRUPT_TIME, SHARED_MAJOR_VERSION,
    SHARED_PRODUCT_TYPE, SHARED_SUITE_MASK, SHARED_SYSTEM_TIME,
};

/// Bytes of it that are read.
const SIZE: usize = SHARED_SUITE_MASK + 4;

/// Whether an address space has it, and so is one of a Windows kernel.
pub(super) fn is_there(space: &AddressSpace<'_>) -> bool {
    let Some(bytes) = space.read_bytes(Gva(KUSER_SHARED_DATA), SIZE) else { return false };
    // Versions 5 (2000, XP) to 10 (10, 11), and room for some more.
    let version = (5..=20).contains(&word(&bytes, SHARED_MAJOR_VERSION));
    version && (1..=3).contains(&word(&bytes, SHARED_PRODUCT_TYPE))
}

/// Fills in what it tells.
pub(super) fn read(space: &AddressSpace<'_>, snapshot: &mut MachineSnapshot) {
    let Some(bytes) = space.read_bytes(Gva(KUSER_SHARED_DATA), SIZE) else { return };
    snapshot.system_time = FileTime(time(&bytes, SHARED_SYSTEM_TIME));
    snapshot.system_up_time = time(&bytes, SHARED_INTERRUPT_TIME);
    snapshot.product_type = word(&bytes, SHARED_PRODUCT_TYPE);
    snapshot.suite_mask = word(&bytes, SHARED_SUITE_MASK);
    let build = word(&bytes, SHARED_BUILD_NUMBER);
    if word(&bytes, SHARED_MAJOR_VERSION) >= 10 {
        snapshot.build = build & 0xffff;
    }
}

fn word(bytes: &[u8], at: usize) -> u32 {
    bytes[at..].first_chunk().map_or(0, |word| u32::from_le_bytes(*word))
}

/// A `KSYSTEM_TIME`: low part, high part, and the high part once more.
fn time(bytes: &[u8], at: usize) -> u64 {
    u64::from(word(bytes, at + 4)) << 32 | u64::from(word(bytes, at))
}
