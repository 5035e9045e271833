//! The machine and its operating system.

use super::auxv::Auxv;
use super::cpu::Cpu;
use super::proc_dir::ProcDir;
use super::{arch, file_text, streams, time_zone};
use crate::target::{SystemSnapshot, XstateLayout};
use dumpwright_format::minidump::{PLATFORM_ANDROID, PLATFORM_LINUX};
use std::fs;

/// Describes the machine, and the distribution that the target sees in its
/// root. The host's name is left out: it identifies a machine.
pub(super) fn describe(
    proc: &ProcDir,
    auxv: &Auxv,
    environ: &[u8],
    xstate: Option<XstateLayout>,
) -> SystemSnapshot {
    let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let cpu = Cpu::native(auxv, &cpuinfo);
    let uname = rustix::system::uname();
    let text = |c: &std::ffi::CStr| c.to_string_lossy().into_owned();
    let (name, release) = (text(uname.sysname()), text(uname.release()));
    let build = format!("{name} {release} {}", text(uname.version()));
    let kernel = format!("{build} {}", text(uname.machine()));
    let description = match streams::distribution(proc) {
        Some(distribution) => format!("{kernel}; {distribution}"),
        None => kernel,
    };
    SystemSnapshot {
        architecture: arch::NATIVE,
        product_type: 0,
        suite_mask: 0,
        platform_id: if cfg!(target_os = "android") { PLATFORM_ANDROID } else { PLATFORM_LINUX },
        processor_level: cpu.level,
        processor_revision: cpu.revision,
        cpu: cpu.information,
        number_of_processors: processors_on_line(&cpuinfo),
        version: version(&release),
        description,
        build,
        processor_mhz: clock(&cpuinfo),
        time_zone: time_zone::of_process(proc, environ),
        xstate,
    }
}

/// The first three numbers of a release such as `6.1.0-18-amd64`.
fn version(release: &str) -> [u32; 3] {
    let mut version = [0; 3];
    for (slot, part) in version.iter_mut().zip(release.split('.')) {
        let end = part.find(|c: char| !c.is_ascii_digit()).unwrap_or(part.len());
        *slot = part[..end].parse().unwrap_or_default();
        if end < part.len() {
            break;
        }
    }
    version
}

/// Processors that are on line; at least one.
fn processors_on_line(cpuinfo: &str) -> u32 {
    let list = fs::read_to_string("/sys/devices/system/cpu/online").unwrap_or_default();
    let listed = count_list(list.trim());
    let counted = cpuinfo.lines().filter(|line| line.starts_with("processor")).count() as u32;
    listed.unwrap_or(counted).max(1)
}

/// The members of a list such as `0-3,8`.
fn count_list(list: &str) -> Option<u32> {
    list.split(',').try_fold(0u32, |count, part| {
        let (low, high) = part.split_once('-').unwrap_or((part, part));
        let [low, high] = [low.parse::<u32>().ok()?, high.parse().ok()?];
        count.checked_add(high.checked_sub(low)?.checked_add(1)?)
    })
}

/// Maximum and current clock in MHz.
fn clock(cpuinfo: &str) -> Option<[u32; 2]> {
    let sysfs = |name| {
        let path = format!("/sys/devices/system/cpu/cpu0/cpufreq/{name}");
        let khz: u32 = fs::read_to_string(path).ok()?.trim().parse().ok()?;
        Some(khz / 1000)
    };
    let listed = || {
        let mhz: f64 = file_text::value(cpuinfo, "cpu MHz")?.parse().ok()?;
        Some(mhz.round() as u32)
    };
    let current = sysfs("scaling_cur_freq").or_else(listed)?;
    let maximum = sysfs("cpuinfo_max_freq").unwrap_or(current).max(current);
    Some([maximum, current])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_of_all_kinds_give_three_numbers() {
        assert_eq!(version("6.1.0-18-amd64"), [6, 1, 0]);
        assert_eq!(version("6.18.44"), [6, 18, 44]);
        assert_eq!(version("5.4-rc1.9"), [5, 4, 0]);
        assert_eq!(version("odd"), [0, 0, 0]);
    }

    #[test]
    fn a_list_of_processors_is_counted() {
        assert_eq!(count_list("0-3,8,10-11"), Some(7));
        assert_eq!(count_list("0"), Some(1));
        assert_eq!(count_list("3-1"), None);
        assert_eq!(count_list(""), None);
    }
}
