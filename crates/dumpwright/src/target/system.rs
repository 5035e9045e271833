//! The machine and the operating system that a process ran on.

use dumpwright_format::minidump::{
    PLATFORM_ANDROID, PLATFORM_LINUX, PLATFORM_WIN32_NT, PLATFORM_WIN32_WINDOWS,
};
use serde::Serialize;

/// Processor architectures that a target can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Architecture {
    /// x86-64.
    Amd64,
    /// 32-bit x86. Linux processes of this kind are not dumped live; Windows
    /// processes and dumps of both systems can be.
    X86,
    /// 64-bit ARM.
    Arm64,
}

impl Architecture {
    /// Bytes below the stack pointer that belong to the running function.
    pub fn red_zone(self) -> u64 {
        match self {
            Architecture::Amd64 => 128,
            Architecture::X86 | Architecture::Arm64 => 0,
        }
    }

    /// Bytes of a pointer.
    pub fn pointer_size(self) -> u64 {
        match self {
            Architecture::X86 => 4,
            Architecture::Amd64 | Architecture::Arm64 => 8,
        }
    }
}

/// Operating systems that differ in what a dump of them holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Platform {
    /// Windows, or Wine's.
    Windows,
    /// Linux and Android.
    Linux,
    /// Any other: macOS, iOS, Solaris, …
    Other,
}

/// The machine and its operating system.
#[derive(Clone, Debug)]
pub struct SystemSnapshot {
    /// Processor architecture of the process.
    pub architecture: Architecture,
    /// `SystemInfo::platform_id`.
    pub platform_id: u32,
    /// `SystemInfo::product_type`: `VER_NT_*`; 0 outside Windows.
    pub product_type: u8,
    /// `SystemInfo::suite_mask`: `VER_SUITE_*`; 0 outside Windows.
    pub suite_mask: u16,
    /// `SystemInfo::processor_level`.
    pub processor_level: u16,
    /// `SystemInfo::processor_revision`.
    pub processor_revision: u16,
    /// `SystemInfo::cpu`.
    pub cpu: [u8; 24],
    /// Processors that are on line.
    pub number_of_processors: u32,
    /// Operating system version: major, minor, build.
    pub version: [u32; 3],
    /// Kernel and distribution (`CSDVersion`).
    pub description: String,
    /// Build of the kernel (`MiscInfo::build_string`).
    pub build: String,
    /// Maximum and current clock in MHz, where known.
    pub processor_mhz: Option<[u32; 2]>,
    /// Minutes to add to local time for UTC, and the zone's name.
    pub time_zone: Option<(i32, String)>,
    /// How extended contexts are laid out, when the request wants them and the
    /// processor has them.
    pub xstate: Option<XstateLayout>,
}

impl SystemSnapshot {
    /// The operating system that [`platform_id`](Self::platform_id) names.
    pub fn platform(&self) -> Platform {
        match self.platform_id {
            PLATFORM_WIN32_WINDOWS | PLATFORM_WIN32_NT => Platform::Windows,
            PLATFORM_LINUX | PLATFORM_ANDROID => Platform::Linux,
            _ => Platform::Other,
        }
    }
}

/// Layout of the XSAVE area behind an extended context.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct XstateLayout {
    /// Mask of features (`XCR0`).
    pub features: u64,
    /// Bytes of a whole extended context: `CONTEXT`, `CONTEXT_EX`, XSAVE area.
    pub context_size: u32,
    /// Feature number, offset in the XSAVE area, size.
    pub components: Vec<(u32, u32, u32)>,
}
