//! The truth: a stopped target's own memory and maps, read here by other means
//! than the engine's (`/proc/pid/mem` alone, one page table lookup a page).

use super::target::Target;
use std::fs::{self, File};
use std::ops::Range;
use std::os::unix::fs::FileExt;

/// The page size of the machines that the tests run on.
pub const PAGE: u64 = 4096;

/// A target that stands still for as long as this lives.
pub struct Frozen<'a> {
    target: &'a Target,
    memory: File,
    pages: File,
}

/// A line of `/proc/pid/smaps` with what matters of its details.
#[derive(Clone, Debug)]
pub struct Mapping {
    /// Its addresses.
    pub range: Range<u64>,
    /// `rwxp` letters.
    pub permissions: String,
    /// Path or label.
    pub name: String,
    /// Resident and swapped KiB.
    pub populated_kib: u64,
    /// The two-letter flags.
    pub flags: String,
}

impl Mapping {
    /// Whether a dump may hold it without being asked to insist.
    pub fn is_dumpable(&self) -> bool {
        let flag = |f: &str| self.flags.split(' ').any(|g| g == f);
        let kernel = self.name.starts_with("[vvar") || self.name == "[vsyscall]";
        let dontdump = flag("dd") && self.name != "[vdso]";
        self.permissions.starts_with('r') && !flag("io") && !flag("pf") && !kernel && !dontdump
    }

    /// Whether it is private and writable.
    pub fn is_private_writable(&self) -> bool {
        self.permissions[1..].starts_with('w') && self.permissions.ends_with('p')
    }
}

impl<'a> Frozen<'a> {
    /// Stops a target.
    pub fn new(target: &'a Target) -> Frozen<'a> {
        target.stop();
        let open = |name: &str| File::open(format!("/proc/{}/{name}", target.pid())).unwrap();
        Frozen { target, memory: open("mem"), pages: open("pagemap") }
    }

    /// Reads memory; `None` if any of it cannot be read.
    pub fn read(&self, range: Range<u64>) -> Option<Vec<u8>> {
        let mut bytes = vec![0; (range.end - range.start) as usize];
        self.memory.read_exact_at(&mut bytes, range.start).ok()?;
        Some(bytes)
    }

    /// The mappings.
    pub fn mappings(&self) -> Vec<Mapping> {
        let path = format!("/proc/{}/smaps", self.target.pid());
        let text = String::from_utf8_lossy(&fs::read(path).unwrap()).into_owned();
        let mut mappings: Vec<Mapping> = Vec::new();
        for line in text.lines() {
            let mut words = line.split_ascii_whitespace();
            let first = words.next().unwrap_or_default();
            if let Some(key) = first.strip_suffix(':') {
                let mapping = mappings.last_mut().expect("details follow a mapping");
                match key {
                    "Rss" | "Swap" => {
                        mapping.populated_kib += words.next().unwrap().parse::<u64>().unwrap();
                    }
                    "VmFlags" => mapping.flags = words.collect::<Vec<_>>().join(" "),
                    _ => {}
                }
                continue;
            }
            let (start, end) = first.split_once('-').unwrap();
            let address = |t| u64::from_str_radix(t, 16).unwrap();
            mappings.push(Mapping {
                range: address(start)..address(end),
                permissions: words.next().unwrap().to_owned(),
                name: words.skip(3).collect::<Vec<_>>().join(" "),
                populated_kib: 0,
                flags: String::new(),
            });
        }
        mappings
    }

    /// The pages of a mapping that are in memory or in swap.
    pub fn populated(&self, mapping: &Mapping) -> Vec<u64> {
        if mapping.populated_kib == 0 {
            return Vec::new();
        }
        let pages = (mapping.range.end - mapping.range.start) / PAGE;
        let mut entries = vec![0; pages as usize * 8];
        self.pages.read_exact_at(&mut entries, mapping.range.start / PAGE * 8).unwrap();
        entries
            .chunks_exact(8)
            .enumerate()
            .filter(|(_, e)| u64::from_le_bytes((*e).try_into().unwrap()) >> 62 != 0)
            .map(|(i, _)| mapping.range.start + i as u64 * PAGE)
            .collect()
    }
}

impl Drop for Frozen<'_> {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.target.go_on();
        }
    }
}
