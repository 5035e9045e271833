//! The system that the process ran on.

use super::error::ReadResult;
use super::minidump::Minidump;
use dumpwright_format::minidump::{self as wire, StreamType};

/// The SystemInfo stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SystemInfo {
    /// `PROCESSOR_ARCHITECTURE_*`.
    pub processor_architecture: u16,
    /// Processor family.
    pub processor_level: u16,
    /// Model in the high byte, stepping in the low.
    pub processor_revision: u16,
    /// Processors, 255 at most.
    pub number_of_processors: u8,
    /// `VER_NT_*`: 1 workstation, 2 domain controller, 3 server.
    pub product_type: u8,
    /// Operating system version.
    pub major_version: u32,
    /// Operating system version.
    pub minor_version: u32,
    /// Operating system build.
    pub build_number: u32,
    /// `VER_PLATFORM_*`, or one of Breakpad's values.
    pub platform_id: u32,
    /// File offset of the string behind `csd_version`.
    pub csd_version_rva: u32,
    /// Service pack; on Linux kernel and distribution.
    pub csd_version: Option<String>,
    /// `VER_SUITE_*`.
    pub suite_mask: u16,
    /// `CPU_INFORMATION` as it stands in the file.
    pub cpu: [u8; 24],
}

impl SystemInfo {
    /// Name of the processor architecture.
    pub fn architecture_name(&self) -> &'static str {
        wire::architecture_name(self.processor_architecture)
    }

    /// Name of the platform.
    pub fn platform_name(&self) -> &'static str {
        wire::platform_name(self.platform_id)
    }

    /// Whether it is Linux or Android.
    pub fn is_linux(&self) -> bool {
        matches!(self.platform_id, wire::PLATFORM_LINUX | wire::PLATFORM_ANDROID)
    }

    /// Whether it is Windows.
    pub fn is_windows(&self) -> bool {
        self.platform_id <= wire::PLATFORM_WIN32_NT
    }

    /// Whether addresses have 32 bits.
    pub fn is_32_bit(&self) -> bool {
        matches!(self.processor_architecture, wire::PROCESSOR_ARCHITECTURE_INTEL | 1 | 3 | 5 | 10)
    }

    /// The vendor of an x86 processor, such as `GenuineIntel`.
    pub fn cpu_vendor(&self) -> Option<String> {
        let x86 = matches!(
            self.processor_architecture,
            wire::PROCESSOR_ARCHITECTURE_INTEL | wire::PROCESSOR_ARCHITECTURE_AMD64
        );
        let vendor = &self.cpu[..12];
        (x86 && vendor.iter().all(u8::is_ascii_graphic))
            .then(|| String::from_utf8_lossy(vendor).into_owned())
    }
}

impl Minidump {
    /// The system, from the SystemInfo stream.
    pub fn system_info(&self) -> ReadResult<Option<SystemInfo>> {
        let Some(bytes) = self.load(StreamType::SYSTEM_INFO)? else { return Ok(None) };
        let info: wire::SystemInfo = bytes.get(0)?;
        let csd_version_rva = info.csd_version_rva.get();
        let csd_version = self
            .referred_string(csd_version_rva.into(), &mut self.allowance())
            .filter(|text| !text.is_empty());
        Ok(Some(SystemInfo {
            processor_architecture: info.processor_architecture.get(),
            processor_level: info.processor_level.get(),
            processor_revision: info.processor_revision.get(),
            number_of_processors: info.number_of_processors,
            product_type: info.product_type,
            major_version: info.major_version.get(),
            minor_version: info.minor_version.get(),
            build_number: info.build_number.get(),
            platform_id: info.platform_id.get(),
            csd_version_rva,
            csd_version,
            suite_mask: info.suite_mask.get(),
            cpu: info.cpu,
        }))
    }
}
