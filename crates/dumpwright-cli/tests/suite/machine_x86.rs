//! 32-bit Linux guests, with and without PAE: dumped while they run, and from what
//! QEMU writes of the same stop.

use super::machine_live::{Guest, elf_segments, linux_guest};
use super::support::cli::{assert_verifies, command, run};
use super::support::readers::script_on;
use dumpwright::target::machine::{MachineArchitecture, MachineOptions, open_machine};
use serde_json::{Value, json};
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// Kernels of Debian, and the `PaeEnabled` of a dump of them.
const KERNELS: [(&str, u8); 2] = [("vmlinuz-686-pae", 1), ("vmlinuz-686", 0)];

/// What `dump-guest-memory` writes; the guest stands still.
pub(super) fn take(guest: &mut Guest, name: &str, more: &Value) -> PathBuf {
    let file = guest.path(name);
    let mut arguments = json!({ "paging": false, "protocol": format!("file:{}", file.display()) });
    arguments.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    guest.monitor.say("dump-guest-memory", &arguments);
    file
}

/// A dump of a file of QEMU, and what was said.
#[track_caller]
pub(super) fn converted(guest: &Guest, from: &Path, options: &[&str], name: &str) -> Value {
    let file = guest.path(name);
    let summary = run(command().args(["dump", "--json", "-z"]).arg(from).args(options).arg(&file));
    assert_verifies(&file);
    summary.ok().json()
}

/// The memory of an ELF core of QEMU, each byte at its physical address.
pub(super) fn raw_image(elf: &Path, raw: &Path) {
    let (from, to) = (File::open(elf).unwrap(), File::create(raw).unwrap());
    for (start, len, offset) in elf_segments(elf) {
        let mut chunk = vec![0; 1 << 20];
        for at in (0..len).step_by(chunk.len()) {
            let part = &mut chunk[..(len - at).min(1 << 20) as usize];
            from.read_exact_at(part, offset + at).unwrap();
            // So that the image stays sparse.
            if part.iter().any(|byte| *byte != 0) {
                to.write_all_at(part, start + at).unwrap();
            }
        }
        to.set_len(to.metadata().unwrap().len().max(start + len)).unwrap();
    }
}

/// What volatility3 and LeechCore read of a full dump is the image, page by page.
#[track_caller]
pub(super) fn assert_read_by_others(dump: &Path, raw: &Path, layer: &str, pages: u64) {
    let sum = |seen: &Value| {
        let runs = seen["runs"].as_array().unwrap();
        runs.iter().map(|run| run[1].as_u64().unwrap()).sum::<u64>()
    };
    if let Some(seen) = script_on("volatility_crash.py", &[dump, raw], &[]) {
        assert_eq!(seen["layer"], layer);
        assert_eq!((seen["different"].clone(), sum(&seen)), (json!([]), pages));
    }
    if let Some(seen) = script_on("memprocfs_dump.py", &[dump, raw], &["-".to_owned()]) {
        assert_eq!((seen["different"].clone(), sum(&seen)), (json!([]), pages));
    }
}

/// A register of the first processor, as QEMU's monitor shows it.
fn register(monitor: &str, name: &str) -> u32 {
    let at = monitor.find(&format!("{name}=")).unwrap_or_else(|| panic!("no {name}: {monitor}"));
    let digits = &monitor[at + name.len() + 1..];
    let end = digits.find(|c: char| !c.is_ascii_hexdigit()).unwrap_or(digits.len());
    u32::from_str_radix(&digits[..end], 16).unwrap()
}

/// The header, by the offsets of the specification and not by our structures.
#[track_caller]
fn assert_header(dump: &Path, pae: u8, monitor: &str) {
    let mut header = vec![0; 0x1000];
    let file = File::open(dump).unwrap();
    file.read_exact_at(&mut header, 0).unwrap();
    let word = |at: usize| u32::from_le_bytes(header[at..at + 4].try_into().unwrap());
    assert_eq!(&header[..8], b"PAGEDUMP");
    assert_eq!(word(0x10), register(monitor, "CR3"), "DirectoryTableBase");
    assert_eq!((word(0x20), word(0x24)), (0x14c, 2), "machine and processors");
    assert_eq!(word(0x28), 0x161, "a guest that did not crash");
    assert_eq!(header[0x5c], pae, "PaeEnabled");
    assert_eq!(word(0xf88), 1, "DumpType");
    let size = u64::from_le_bytes(header[0xfa0..0xfa8].try_into().unwrap());
    assert_eq!(size, file.metadata().unwrap().len(), "RequiredDumpSpace");
    // The context at 0x320, as winnt.h has it.
    for (name, at) in
        [("EIP", 0xb8), ("ESP", 0xc4), ("EBP", 0xb4), ("EAX", 0xb0), ("EDI", 0x9c), ("EFL", 0xc0)]
    {
        assert_eq!(word(0x320 + at), register(monitor, name), "{name}");
    }
}

#[test]
fn a_32_bit_guest_is_dumped_while_it_runs_and_from_what_qemu_writes() {
    for (kernel, pae) in KERNELS {
        let Some(mut guest) = linux_guest(kernel, "128", false) else { continue };
        guest.dump("first.dmp");
        assert!(guest.monitor.is_running(), "it goes on");
        fs::remove_file(guest.path("first.dmp")).unwrap();

        guest.monitor.say("stop", &json!({}));
        let live = guest.path("live.dmp");
        let told = guest.dump("live.dmp")["soft_error_list"].to_string();
        assert!(!told.contains("paging"), "{told}");
        assert_verifies(&live);
        guest.compare("live.dmp");
        let asked = json!({ "command-line": "info registers" });
        let monitor = guest.monitor.say("human-monitor-command", &asked);
        assert_header(&live, pae, monitor.as_str().unwrap());

        let elf = take(&mut guest, "q.elf", &json!({}));
        let raw = guest.path("q.raw");
        raw_image(&elf, &raw);
        let pages = elf_segments(&elf).iter().map(|(_, len, _)| len / 4096).sum();
        assert_read_by_others(&live, &raw, "WindowsCrashDump32Layer", pages);
        let told = converted(&guest, &elf, &["-f"], "elf.dmp")["soft_error_list"].to_string();
        assert!(!told.contains("paging"), "{told}");
        assert_header(&guest.path("elf.dmp"), pae, monitor.as_str().unwrap());

        let kdump = take(&mut guest, "q.kdump", &json!({ "format": "kdump-zlib" }));
        converted(&guest, &kdump, &["-f"], "kdump.dmp");
        guest.compare("kdump.dmp");
        assert_header(&guest.path("kdump.dmp"), pae, monitor.as_str().unwrap());

        // With paging: what no page table maps is not in it, and that is said.
        let by_tables = take(&mut guest, "p.elf", &json!({ "paging": true }));
        let told = converted(&guest, &by_tables, &["-f"], "p.dmp")["soft_error_list"].to_string();
        assert!(told.contains("paging"), "{told}");
        let architecture = open_machine(&by_tables, &MachineOptions::default()).unwrap().unwrap();
        let expected = [MachineArchitecture::X86, MachineArchitecture::X86Pae][usize::from(pae)];
        assert_eq!(architecture.snapshot().architecture, expected);
        assert_header(&guest.path("p.dmp"), pae, monitor.as_str().unwrap());

        guest.monitor.say("cont", &json!({}));
        assert!(guest.monitor.is_running());
    }
}

/// A LiME image of runs (first page frame, pages), of which some pages of each
/// have contents and the others are holes of the file.
fn lime(path: &Path, runs: &[(u64, u64)]) -> io::Result<()> {
    let file = File::create(path)?;
    let mut at = 0;
    for (base, count) in runs {
        let (start, last) = (base << 12, ((base + count) << 12) - 1);
        let words = [0x4c69_4d45 | 1 << 32, start, last, 0];
        file.write_all_at(&words.map(u64::to_le_bytes).concat(), at)?;
        at += 32;
        for page in [0, 1, count / 2, count - 1] {
            let number = (base + page).to_le_bytes();
            file.write_all_at(&number.repeat(512), at + page * 4096)?;
        }
        at += count << 12;
        file.set_len(at)?;
    }
    Ok(())
}

#[test]
fn high_and_scattered_memory_of_32_bit_machines_is_read_back_by_others() {
    // RAM up to the hole of a PC, 3.5 GiB, and behind it, where an address has more
    // than 32 bits: frames have 32 bits, not addresses. With gaps, to be quick.
    let hole: &[_] = &[(0, 0x9f), (0x100, 0x700), (0xdf000, 0x1000), (0x10_0000, 0x1000)];
    // As many runs as the header holds, and one more. LeechCore opens no file of less
    // than 16 MiB.
    let scattered: Vec<_> = (0..87).map(|n| (0x10 + n * 0x80, 60 + n % 5)).collect();
    for (architecture, pae, runs, kind) in [
        ("x86", 0, &hole[..3], 1u32),
        ("pae", 1, hole, 1),
        ("x86", 0, &scattered[..86], 1),
        ("pae", 1, &scattered[..], 5),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let [image, raw, dump] = ["i.lime", "i.raw", "i.dmp"].map(|name| folder.path().join(name));
        lime(&image, runs).unwrap();
        let bytes = File::create(&raw).unwrap();
        for (base, count) in runs {
            for page in [0, 1, count / 2, count - 1].map(|page| base + page) {
                bytes.write_all_at(&page.to_le_bytes().repeat(512), page << 12).unwrap();
            }
            bytes.set_len((base + count) << 12).unwrap();
        }
        let header = format!("arch={architecture},dtb=0x185020");
        let mut dumping = command();
        dumping.args(["dump", "-f", "--json", "--raw-header", &header, "-z"]);
        let summary = run(dumping.arg(&image).arg(&dump)).ok().json();
        assert_verifies(&dump);
        let pages: u64 = runs.iter().map(|run| run.1).sum();
        let file = File::open(&dump).unwrap();
        let word = |at: u64| {
            let mut bytes = [0; 4];
            file.read_exact_at(&mut bytes, at).unwrap();
            u32::from_le_bytes(bytes)
        };
        assert_eq!((word(0xf88), word(0x5c) & 0xff, word(0x10)), (kind, pae, 0x18_5020));
        if kind == 1 {
            assert_eq!((word(0x64), word(0x68)), (runs.len() as u32, pages as u32));
            assert_read_by_others(&dump, &raw, "WindowsCrashDump32Layer", pages);
        } else {
            let told = summary["soft_error_list"].to_string();
            assert!(told.contains("runs"), "{told}");
            // LeechCore takes no bitmap of a 32-bit machine.
            let files: [&Path; 2] = [&dump, &raw];
            let Some(seen) = script_on("volatility_crash.py", &files, &[]) else { return };
            assert_eq!(seen["different"], json!([]));
            let read: Vec<_> = seen["runs"].as_array().unwrap().iter().map(numbers).collect();
            assert_eq!(read, runs);
        }
    }
}

fn numbers(run: &Value) -> (u64, u64) {
    (run[0].as_u64().unwrap(), run[1].as_u64().unwrap())
}
