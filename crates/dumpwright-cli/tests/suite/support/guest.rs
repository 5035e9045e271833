//! Guests: memory images by the test kit, and kernel dumps of them.

use super::cli::{Run, command, run};
use super::machine::Known;
use super::tools::root;
use dumpwright::{DumpRequest, KernelDumpType, Output, Qualifier, write_machine_dump};
use dumpwright_testkit::output::{self, ElfNotes};
use dumpwright_testkit::{DumpFile, Nt, NtOptions, Rebuilt, TriageDump};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Types whose dumps hold page frames, by the name that `--type` takes and the
/// value in the header.
pub const PAGE_TYPES: [(&str, u32); 8] = [
    ("full", 1),
    ("kernel-summary", 2),
    ("bitmap-full", 5),
    ("bitmap-kernel", 6),
    ("automatic", 7),
    ("kernel-memory", 8),
    ("kernel-and-user-memory", 9),
    ("complete-memory", 10),
];

/// Those that hold all memory.
pub const WHOLE: [&str; 3] = ["full", "bitmap-full", "complete-memory"];

/// Those that hold the kernel's memory only.
pub const KERNEL_ONLY: [&str; 4] =
    ["kernel-summary", "bitmap-kernel", "automatic", "kernel-memory"];

/// A guest with its images on disk.
pub struct Guest {
    folder: TempDir,
    /// What is in the images.
    pub nt: Nt,
    /// A raw image; what is not RAM is a hole.
    pub raw: PathBuf,
    /// An ELF core as QEMU writes it.
    pub elf: PathBuf,
}

impl Guest {
    /// The guest of the default options.
    pub fn new() -> Guest {
        Guest::of(Nt::build(&NtOptions::default()))
    }

    /// Writes the images of a guest.
    pub fn of(nt: Nt) -> Guest {
        let folder = tempfile::tempdir().unwrap();
        let (raw, elf) = (folder.path().join("guest.raw"), folder.path().join("guest.elf"));
        output::raw(&nt.image, &raw).unwrap();
        let registers = nt.registers();
        // A guest driver prepared a header only where KDBG has a decoded copy.
        let header = nt.header().bytes(&nt.image);
        let vmcoreinfo = nt.debugger_data_copy.is_some().then_some(header.as_slice());
        let notes = ElfNotes { processors: &registers, vmcoreinfo };
        output::elf(&nt.image, &notes, &elf).unwrap();
        Guest { folder, nt, raw, elf }
    }

    /// A path beside the images.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Dumps the ELF core.
    #[track_caller]
    pub fn dump(&self, options: &[&str]) -> KernelDump {
        dump_image(&self.elf, options)
    }

    /// Dumps the guest by the engine alone, which is told all about it.
    #[track_caller]
    pub fn dump_known(&self, kind: KernelDumpType) -> KernelDump {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("kernel.dmp");
        let mut request = DumpRequest::new(&file, Qualifier::Default);
        request.extensions.kernel_type = Some(kind);
        let output = Output::open_for_machine(&request).unwrap();
        let target = Box::new(Known::new(&self.nt));
        let summary = write_machine_dump(target, &request, output, &()).unwrap();
        let length = fs::metadata(&file).unwrap().len();
        assert_eq!(summary.size, length, "the summary's size");
        let summary = serde_json::to_value(&summary).unwrap();
        KernelDump { _folder: folder, file, summary, stderr: String::new() }
    }

    /// Dumps the ELF core into a type.
    #[track_caller]
    pub fn dump_type(&self, name: &str) -> KernelDump {
        self.dump(&["--type", name])
    }
}

/// The image of the guest of the real small dump.
pub struct RebuiltGuest {
    _folder: TempDir,
    /// What is in it.
    pub rebuilt: Rebuilt,
    /// An ELF core.
    pub elf: PathBuf,
}

impl RebuiltGuest {
    /// `None`, after a note, without the samples.
    pub fn new() -> Option<RebuiltGuest> {
        let sample = real_small_dump()?;
        let rebuilt = Rebuilt::new(TriageDump::read(&sample).unwrap());
        let folder = tempfile::tempdir().unwrap();
        let elf = folder.path().join("rebuilt.elf");
        let notes = ElfNotes { processors: &rebuilt.registers, vmcoreinfo: None };
        output::elf(&rebuilt.image, &notes, &elf).unwrap();
        Some(RebuiltGuest { _folder: folder, rebuilt, elf })
    }
}

/// The real small dump, or `None` after a note that it is missing.
pub fn real_small_dump() -> Option<PathBuf> {
    let file = root().join("../shared/samples/kernel/triage_x64.dmp");
    if !file.is_file() {
        super::tools::skip("the real small dump", "no shared samples beside the repository");
        return None;
    }
    Some(file)
}

/// A kernel dump in a folder that goes with it.
pub struct KernelDump {
    _folder: TempDir,
    /// The file.
    pub file: PathBuf,
    /// The summary that `--json` gave.
    pub summary: Value,
    /// What the command wrote to standard error.
    pub stderr: String,
}

impl KernelDump {
    /// Reads it by the test kit's reading of the layouts.
    #[track_caller]
    pub fn open(&self) -> DumpFile {
        DumpFile::open(&self.file).unwrap()
    }

    /// Reads a small dump by the test kit's reading.
    #[track_caller]
    pub fn small(&self) -> TriageDump {
        TriageDump::read(&self.file).unwrap()
    }

    /// Whether a soft error or message speaks of `text`.
    pub fn mentions(&self, text: &str) -> bool {
        let all = format!("{}{}", self.summary, self.stderr).to_lowercase();
        all.contains(&text.to_lowercase())
    }
}

/// Runs `dumpwright dump -z IMAGE OPTIONS FILE`; it must end by itself.
#[track_caller]
pub fn try_dump(image: &Path, options: &[&str], file: &Path) -> Run {
    let start = Instant::now();
    let run = run(command().args(["dump", "-z"]).arg(image).arg("--json").args(options).arg(file));
    let took = start.elapsed();
    assert!(took < Duration::from_secs(60), "{options:?} took {took:?}");
    run
}

/// Dumps an image; the dump must succeed, leave nothing else behind, agree with
/// its summary, and `verify` must find no fault.
#[track_caller]
pub fn dump_image(image: &Path, options: &[&str]) -> KernelDump {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("kernel.dmp");
    let run = try_dump(image, options, &file).ok();
    let summary = run.json();
    let length = fs::metadata(&file).unwrap().len();
    assert_eq!(summary["size"].as_u64(), Some(length), "the summary's size");
    let left: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().path()).collect();
    assert_eq!(left, std::slice::from_ref(&file), "nothing but the dump is left behind");
    super::cli::assert_verifies(&file);
    KernelDump { _folder: folder, file, summary, stderr: run.stderr }
}
