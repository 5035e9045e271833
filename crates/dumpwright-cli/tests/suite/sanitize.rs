//! Privacy: after sanitising and redacting nothing of what was planted is left,
//! and the stack traces are what they were.

use crate::samples::samples;
use crate::support::cli::{assert_verifies, command, dump, run};
use crate::support::compile::{Kind, fixture};
use crate::support::dump::{Loaded, Memory, stream};
use crate::support::frozen::Frozen;
use crate::support::processor::{file_name, traces};
use crate::support::redump::{Redump, redump};
use crate::support::target::Target;
use crate::support::{find, unhex, utf16};
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::Command;

const ARGUMENT: &str = "ArgumentCanary-6620413957";
const VALUE: &str = "EnvironmentCanary-8273640915";

/// A target with secrets in all places.
pub fn secretive() -> Target {
    let mut command = Command::new(fixture("canary", Kind::Program));
    command.arg(ARGUMENT).env("DW_SANITIZE", VALUE);
    Target::command(command)
}

#[track_caller]
fn assert_no_text(bytes: &[u8], text: &str) {
    for (encoding, needle) in [("ASCII", text.as_bytes().to_vec()), ("UTF-16", utf16(text))] {
        let at = find(bytes, &needle);
        assert_eq!(at, None, "'{text}' is there in {encoding}");
    }
}

#[track_caller]
fn assert_nothing_planted(target: &Target, loaded: &Loaded) {
    assert_nothing_planted_in(target, &loaded.bytes);
}

/// Nothing that `secretive` has planted is in a file with these bytes.
#[track_caller]
pub fn assert_nothing_planted_in(target: &Target, bytes: &[u8]) {
    for secret in target.ready["secrets"].as_array().unwrap() {
        let value = unhex(secret["value"].as_str().unwrap());
        for window in value.windows(8) {
            assert_eq!(find(bytes, window), None, "{secret}");
        }
    }
    assert_no_text(bytes, ARGUMENT);
    assert_no_text(bytes, VALUE);
    let program = fixture("canary", Kind::Program);
    assert_no_text(bytes, program.parent().unwrap().to_str().unwrap());
}

fn audit(file: &Path) -> Value {
    serde_json::from_slice(&fs::read(file).unwrap()).unwrap()
}

fn entries(audit: &Value) -> &Vec<Value> {
    audit["removed"].as_array().unwrap()
}

fn by_name(loaded: &Loaded) -> impl PartialEq + std::fmt::Debug + use<> {
    let short = |name: &String| file_name(name.rsplit('\\').next().unwrap_or(name)).to_owned();
    let frames = traces(loaded).into_iter();
    frames
        .map(|(tid, frames)| {
            let frame = |f: &crate::support::processor::Frame| {
                (f.instruction, f.trust.clone(), f.module.as_ref().map(short))
            };
            (tid, frames.iter().map(frame).collect::<Vec<_>>())
        })
        .collect::<Vec<_>>()
}

#[test]
fn a_sanitised_dump_of_a_process_has_no_canary_and_the_same_traces() {
    let target = secretive();
    let frozen = Frozen::new(&target);
    let plain = dump(&target, &["-ma"]);
    assert!(find(&plain.load().bytes, VALUE.as_bytes()).is_some());
    let list = target.folder.path().join("live.json");
    let live = dump(&target, &["-ma", "--sanitize", "--audit", list.to_str().unwrap()]).load();
    drop(frozen);
    assert_nothing_planted(&target, &live);
    assert_eq!(by_name(&plain.load()), by_name(&live));
    let kinds: Vec<_> =
        entries(&audit(&list)).iter().map(|e| e["kind"].as_str().unwrap().to_owned()).collect();
    for kind in ["stack", "stream", "stream-text"] {
        assert!(kinds.iter().any(|k| k == kind), "{kind} in {kinds:?}");
    }
    let names = audit(&list);
    let modules = entries(&names).iter().find(|e| e["stream"] == "ModuleList");
    assert!(modules.is_some_and(|e| e["length"].as_u64() > Some(0)), "{names}");
    // The same of the full dump, after the process is gone.
    let again = redump(&plain.file, &["--sanitize"]).load();
    assert_nothing_planted(&target, &again);
    assert_eq!(by_name(&plain.load()), by_name(&again));
    let again = redump(&plain.file, &["-ma", "--sanitize"]).load();
    assert_nothing_planted(&target, &again);
}

#[test]
fn what_matches_is_overwritten_everywhere_and_nothing_else_is() {
    let target = secretive();
    let _frozen = Frozen::new(&target);
    let plain = dump(&target, &["-ma"]);
    let list = target.folder.path().join("redact.json");
    let patterns = target.folder.path().join("patterns");
    fs::write(&patterns, "# keys\n\nEnvironmentCanary-[0-9]+\n").unwrap();
    let options = [
        "-ma",
        "--redact",
        "ArgumentCanary-[0-9]{4,}",
        "--redact-file",
        patterns.to_str().unwrap(),
        "--audit",
        list.to_str().unwrap(),
    ];
    for loaded in [dump(&target, &options).load(), {
        fs::remove_file(&list).unwrap();
        redump(&plain.file, &options).load()
    }] {
        assert_no_text(&loaded.bytes, ARGUMENT);
        assert_no_text(&loaded.bytes, VALUE);
        let before = plain.load();
        let audit = audit(&list);
        let removed: Vec<_> = entries(&audit)
            .iter()
            .filter_map(|e| {
                let address = e["address"].as_str()?.trim_start_matches("0x");
                let start = u64::from_str_radix(address, 16).unwrap();
                Some(start..start + e["length"].as_u64().unwrap())
            })
            .collect();
        assert!(removed.len() >= 2, "{audit}");
        assert!(!audit.to_string().contains("Canary"), "the list holds a secret: {audit}");
        let (was, is) = (before.memory(), loaded.memory());
        assert_eq!(
            was.iter().map(Memory::range).collect::<Vec<_>>(),
            is.iter().map(Memory::range).collect::<Vec<_>>()
        );
        for (was, is) in was.iter().zip(&is) {
            for (offset, (a, b)) in was.bytes.iter().zip(is.bytes).enumerate() {
                let address = was.start + offset as u64;
                let listed = removed.iter().any(|r| r.contains(&address));
                assert!(a == b || (*b == b'*' && listed), "{address:#x}: {a:#x} became {b:#x}");
            }
        }
        let environment = loaded.raw(stream::ENVIRON).unwrap();
        assert!(find(environment, b"DW_SANITIZE=***").is_some());
        assert_eq!(traces(&before), traces(&loaded));
    }
}

#[test]
fn patterns_that_cannot_be_used_are_wrong_usage_and_nothing_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("x.dmp");
    for pattern in ["(", "a*", "^a"] {
        let pid = std::process::id().to_string();
        let run = run(command().args(["dump", "-p", &pid, "--redact", pattern]).arg(&file));
        assert_eq!(run.status.code(), Some(2), "{pattern}");
        assert!(run.refused().contains("--redact 1"));
        assert!(!file.exists());
    }
}

/// PEB, parameters and environment of a 64-bit process, as the loader lays them
/// out, with a canary in each string.
struct WindowsData {
    base: u64,
    bytes: Vec<u8>,
    strings: usize,
}

impl WindowsData {
    const PEB: usize = 0x1000;
    const PARAMETERS: usize = 0x2000;
    const LDR: usize = 0x3000;
    const ENVIRONMENT: usize = 0x6000;

    fn new(base: u64) -> WindowsData {
        let mut data = WindowsData { base, bytes: vec![0; 0x8000], strings: 0x4000 };
        let at = |offset: usize| base + offset as u64;
        data.pointer(Self::PEB + 0x18, at(Self::LDR));
        data.pointer(Self::PEB + 0x20, at(Self::PARAMETERS));
        data.pointer(Self::LDR + 0x10, at(Self::LDR + 0x100));
        data.pointer(Self::LDR + 0x100, at(Self::LDR + 0x10));
        data.string(Self::LDR + 0x100 + 0x48, r"C:\Users\PathCanary1\app.exe");
        for (index, field) in [0x38, 0x50, 0x60, 0x70, 0xB0, 0xC0, 0xD0].into_iter().enumerate() {
            // The name of the image stays, and is no secret.
            let argument = if field == 0x60 { "" } else { " --key=CommandCanary" };
            let text = format!(r"C:\Users\PathCanary2\x{index}{argument}");
            data.string(Self::PARAMETERS + field, &text);
        }
        data.pointer(Self::PARAMETERS + 0x80, at(Self::ENVIRONMENT));
        let environment = utf16("KEY=EnvironmentCanary\0HOME=C:\\Users\\PathCanary3\0\0");
        data.put(Self::ENVIRONMENT, &environment);
        data
    }

    fn put(&mut self, at: usize, bytes: &[u8]) {
        self.bytes[at..at + bytes.len()].copy_from_slice(bytes);
    }

    fn pointer(&mut self, at: usize, value: u64) {
        self.put(at, &value.to_le_bytes());
    }

    fn string(&mut self, at: usize, text: &str) {
        let text = utf16(text);
        self.put(at, &(text.len() as u16).to_le_bytes());
        self.put(at + 2, &(text.len() as u16 + 2).to_le_bytes());
        self.pointer(at + 8, self.base + self.strings as u64);
        let place = self.strings;
        self.put(place, &text);
        self.strings += text.len() + 2;
    }
}

/// The Windows sample with process data and with text on its stacks, as a file.
fn windows_dump(folder: &Path) -> Option<(std::path::PathBuf, u64)> {
    let sample = samples().into_iter().find(|f| f.ends_with("windows-calc.dmp"))?;
    let mut bytes = fs::read(sample).unwrap();
    let u32_at = |b: &[u8], at: usize| u32::from_le_bytes(b[at..at + 4].try_into().unwrap());
    let u64_at = |b: &[u8], at: usize| u64::from_le_bytes(b[at..at + 8].try_into().unwrap());
    let directory = u32_at(&bytes, 12) as usize;
    let entry = |b: &[u8], kind: u32| {
        let count = u32_at(b, 8) as usize;
        (0..count).map(|i| directory + 12 * i).find(|at| u32_at(b, *at) == kind).unwrap()
    };
    // The first thread's TEB leads to everything.
    let threads = u32_at(&bytes, entry(&bytes, 3) + 8) as usize;
    let teb = u64_at(&bytes, threads + 4 + 16);
    let data = WindowsData::new(0x7654_0000);
    let mut teb_page = vec![0; 0x2000];
    teb_page[0x60..0x68].copy_from_slice(&(data.base + 0x1000).to_le_bytes());
    let scratch = utf16(r"C:\Users\ScratchCanary\y");
    teb_page[0x1268..0x1268 + scratch.len()].copy_from_slice(&scratch);

    let list = entry(&bytes, 5);
    let (size, rva) = (u32_at(&bytes, list + 4) as usize, u32_at(&bytes, list + 8) as usize);
    let mut entries = bytes[rva..rva + size].to_vec();
    let mut planted = 0;
    for descriptor in entries[4..].chunks_exact(16) {
        let (size, rva) = (u32_at(descriptor, 8) as usize, u32_at(descriptor, 12) as usize);
        let canary = utf16("StackCanary!");
        let memory = &mut bytes[rva..rva + size];
        let free = memory.windows(32).position(|w| w.iter().all(|b| *b == 0));
        if let Some(at) = free.filter(|_| size > 0x200) {
            memory[at + 4..at + 4 + canary.len()].copy_from_slice(&canary);
            planted += 1;
        }
    }
    assert!(planted > 0, "no stack has room for a canary");
    for (address, contents) in [(teb, &teb_page), (data.base, &data.bytes)] {
        let at = bytes.len() as u32;
        bytes.extend_from_slice(contents);
        entries.extend(address.to_le_bytes());
        entries.extend((contents.len() as u32).to_le_bytes());
        entries.extend(at.to_le_bytes());
    }
    let count = u32_at(&entries, 0) + 2;
    entries[..4].copy_from_slice(&count.to_le_bytes());
    let at = bytes.len() as u32;
    bytes.extend_from_slice(&entries);
    bytes[list + 4..list + 8].copy_from_slice(&(entries.len() as u32).to_le_bytes());
    bytes[list + 8..list + 12].copy_from_slice(&at.to_le_bytes());
    let file = folder.join("windows.dmp");
    fs::write(&file, bytes).unwrap();
    Some((file, data.base))
}

const WINDOWS_CANARIES: [&str; 6] =
    ["PathCanary", "CommandCanary", "EnvironmentCanary", "ScratchCanary", "StackCanary", "--key"];

#[test]
fn a_sanitised_windows_dump_has_no_canary_and_the_same_traces() {
    let folder = tempfile::tempdir().unwrap();
    let Some((file, base)) = windows_dump(folder.path()) else { return };
    let before = Loaded::read(&file);
    for canary in WINDOWS_CANARIES {
        assert!(find(&before.bytes, &utf16(canary)).is_some(), "{canary} was not planted");
    }
    let whole = redump(&file, &["-mA"]).load();
    assert!(find(&whole.bytes, &utf16("EnvironmentCanary")).is_some());
    // With the memory in which they are asked for by its address, too.
    let range = format!("{base:#x}+0x8000");
    for options in [&["--sanitize"][..], &["-mA", "--sanitize", "--memory", &range]] {
        let Redump { file: again, .. } = &redump(&file, options);
        let after = Loaded::read(again);
        for canary in WINDOWS_CANARIES {
            assert_no_text(&after.bytes, canary);
        }
        for (name, _) in after.modules() {
            assert!(!name.contains('\\'), "{name}");
        }
        assert_eq!(by_name(&before), by_name(&after), "{options:?}");
    }
}

#[test]
fn filter_paths_alone_leaves_a_windows_process_readable() {
    let folder = tempfile::tempdir().unwrap();
    let Some((file, base)) = windows_dump(folder.path()) else { return };
    let again = redump(&file, &["-mAR"]);
    assert_verifies(&again.file);
    let after = again.load();
    for canary in ["PathCanary1", "PathCanary2", "ScratchCanary"] {
        assert_no_text(&after.bytes, canary);
    }
    let environment = after.bytes_at(base + 0x6000, 64).unwrap();
    assert!(environment.starts_with(&utf16("KEY=EnvironmentCanary\0HOME=C:PathCanary3\0")[..64]));
}
