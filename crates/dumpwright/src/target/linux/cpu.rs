//! The processor, as `SystemInfo` describes it.

use super::auxv::Auxv;
pub(super) use crate::target::processor::Cpu;

impl Cpu {
    /// The processor that this runs on.
    #[cfg(target_arch = "x86_64")]
    pub(in crate::target::linux) fn native(_: &Auxv, _: &str) -> Cpu {
        Cpu::of_this_machine()
    }

    /// The processor that this runs on: MIDR rebuilt from `/proc/cpuinfo`, and
    /// the capabilities that the kernel gave the process, as Breakpad lays them
    /// out for ARM.
    #[cfg(target_arch = "aarch64")]
    pub(in crate::target::linux) fn native(auxv: &Auxv, cpuinfo: &str) -> Cpu {
        let field = |key| {
            let text = super::file_text::value(cpuinfo, key)?;
            match text.strip_prefix("0x") {
                Some(digits) => u32::from_str_radix(digits, 16).ok(),
                None => text.parse().ok(),
            }
        };
        let get = |key| field(key).unwrap_or_default();
        let (part, variant, revision) =
            (get("CPU part") & 0xfff, get("CPU variant") & 0xf, get("CPU revision") & 0xf);
        // MIDR_EL1: implementer, variant, architecture (15: by id registers),
        // part, revision.
        let midr = get("CPU implementer") << 24 | variant << 20 | 0xf << 16 | part << 4 | revision;
        let hwcap = auxv.get(super::auxv::AT_HWCAP).unwrap_or_default() as u32;
        let mut information = [0; 24];
        information[..4].copy_from_slice(&midr.to_le_bytes());
        information[4..8].copy_from_slice(&hwcap.to_le_bytes());
        Cpu { level: part as u16, revision: (variant << 8 | revision) as u16, information }
    }
}

#[cfg(all(test, target_arch = "x86_64"))]
mod tests {
    use super::*;

    #[test]
    fn the_processor_says_what_cpuinfo_says() {
        let cpuinfo = std::fs::read_to_string("/proc/cpuinfo").unwrap();
        let cpu = Cpu::native(&Auxv::default(), &cpuinfo);
        let number = |key| crate::target::linux::file_text::number(&cpuinfo, key).unwrap();
        assert_eq!(u64::from(cpu.level), number("cpu family"));
        assert_eq!(u64::from(cpu.revision >> 8), number("model"));
        let vendor = crate::target::linux::file_text::value(&cpuinfo, "vendor_id").unwrap();
        assert_eq!(&cpu.information[..12], vendor.as_bytes());
    }
}
