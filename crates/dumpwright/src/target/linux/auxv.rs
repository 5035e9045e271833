//! The auxiliary vector that the kernel gave the program.

use object::elf;

/// The auxiliary vector of a 64-bit process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::target) struct Auxv(Vec<(u64, u64)>);

// Types of entries: include/uapi/linux/auxvec.h.
/// Address of the program headers.
pub(in crate::target) const AT_PHDR: u64 = 3;
/// Number of program headers.
pub(in crate::target) const AT_PHNUM: u64 = 5;
/// Bytes of a page.
pub(in crate::target) const AT_PAGESZ: u64 = 6;
/// Entry point of the executable.
pub(in crate::target) const AT_ENTRY: u64 = 9;
/// Capabilities of the processor.
#[cfg(target_arch = "aarch64")]
pub(in crate::target) const AT_HWCAP: u64 = 16;
/// Address of the name of the platform.
pub(in crate::target) const AT_PLATFORM: u64 = 15;
/// Address of the name of the real platform, where the two differ.
pub(in crate::target) const AT_BASE_PLATFORM: u64 = 24;
/// Address of 16 random bytes.
pub(in crate::target) const AT_RANDOM: u64 = 25;
/// Address of the name of the executable.
pub(in crate::target) const AT_EXECFN: u64 = 31;
/// Address of the vDSO.
pub(in crate::target) const AT_SYSINFO_EHDR: u64 = 33;

impl Auxv {
    /// Parses `/proc/<pid>/auxv`.
    pub fn parse(bytes: &[u8]) -> Self {
        let word = |b: &[u8]| b.iter().rev().fold(0, |acc, byte| acc << 8 | u64::from(*byte));
        let pairs = bytes.chunks_exact(16).map(|pair| (word(&pair[..8]), word(&pair[8..])));
        Auxv(pairs.take_while(|(kind, _)| *kind != 0).collect())
    }

    /// The value of an entry; `None` if it is missing or zero.
    pub fn get(&self, kind: u64) -> Option<u64> {
        self.0.iter().find(|(k, v)| *k == kind && *v != 0).map(|(_, v)| *v)
    }
}

/// The class of an ELF file by its first bytes: whether it is a 32-bit one,
/// whose auxiliary vector and modules this engine does not read.
pub(in crate::target) fn is_32_bit(ident: &[u8]) -> bool {
    ident.starts_with(&elf::ELFMAG) && ident.get(4) == Some(&elf::ELFCLASS32.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_end_at_the_null_entry_and_a_torn_one_is_ignored() {
        let mut bytes = Vec::new();
        for word in [9u64, 0x1234, 31, 0, 0, 0, 3, 7] {
            bytes.extend_from_slice(&word.to_le_bytes());
        }
        let auxv = Auxv::parse(&bytes);
        assert_eq!(auxv.get(AT_ENTRY), Some(0x1234));
        assert_eq!(auxv.get(AT_EXECFN), None);
        assert_eq!(auxv.get(AT_PHDR), None);
        assert_eq!(Auxv::parse(&bytes[..7]), Auxv::default());
    }
}
