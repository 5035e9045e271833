//! The processor, as `SystemInfo` describes it.

/// Family, model and stepping, and the 24 bytes of `CPU_INFORMATION`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Cpu {
    /// `SystemInfo::processor_level`.
    pub level: u16,
    /// `SystemInfo::processor_revision`.
    pub revision: u16,
    /// `SystemInfo::cpu`.
    pub information: [u8; 24],
}

#[cfg(target_arch = "x86_64")]
impl Cpu {
    /// The processor that this runs on, by CPUID.
    pub fn of_this_machine() -> Cpu {
        let vendor = cpuid(0);
        let version = cpuid(1);
        let extended = cpuid(0x8000_0000)[0];
        let amd = if extended > 0x8000_0000 { cpuid(0x8000_0001)[3] } else { 0 };
        Cpu::from_cpuid([vendor[1], vendor[3], vendor[2]], version[0], version[3], amd)
    }

    /// From the vendor (EBX, EDX, ECX of leaf 0), EAX and EDX of leaf 1, and
    /// EDX of leaf 0x80000001.
    fn from_cpuid(vendor: [u32; 3], version: u32, features: u32, amd: u32) -> Cpu {
        let words = [vendor[0], vendor[1], vendor[2], version, features, amd];
        let mut information = [0; 24];
        for (four, word) in information.chunks_exact_mut(4).zip(words) {
            four.copy_from_slice(&word.to_le_bytes());
        }
        // Intel's and AMD's rules: the extended family counts for family 15,
        // the extended model for 6 and 15.
        let base_family = version >> 8 & 0xf;
        let family = base_family + if base_family == 15 { version >> 20 & 0xff } else { 0 };
        let high_model = if matches!(base_family, 6 | 15) { version >> 16 & 0xf } else { 0 };
        let model = high_model << 4 | (version >> 4 & 0xf);
        Cpu { level: family as u16, revision: (model << 8 | (version & 0xf)) as u16, information }
    }
}

#[cfg(target_arch = "x86_64")]
fn cpuid(leaf: u32) -> [u32; 4] {
    // Safe to call only in newer compilers than the oldest that is supported.
    #[allow(unused_unsafe)]
    // SAFETY: every x86-64 processor has the instruction.
    let result = unsafe { std::arch::x86_64::__cpuid(leaf) };
    [result.eax, result.ebx, result.ecx, result.edx]
}

#[cfg(all(test, target_arch = "x86_64"))]
mod tests {
    use super::*;

    #[test]
    fn family_and_model_follow_the_extended_fields() {
        // Zen 3: family 0x19, model 0x21, stepping 0.
        let zen = Cpu::from_cpuid([0; 3], 0x00a2_0f10, 0, 0);
        assert_eq!((zen.level, zen.revision), (0x19, 0x2100));
        // Skylake server: family 6, model 0x55, stepping 4.
        let skylake = Cpu::from_cpuid([0; 3], 0x0005_0654, 0, 0);
        assert_eq!((skylake.level, skylake.revision), (6, 0x5504));
    }
}
