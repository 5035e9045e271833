//! What is done about the crash of a program: the meaning of a section of the
//! configuration.

use dumpwright::redact::RedactPattern;
use dumpwright::{DumpRequest, Extensions, FormatFlags, Qualifier};
use serde::Serialize;
use std::path::{Path, PathBuf};

/// What the LocalDumps keys of Windows Error Reporting say, and some more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    /// `DumpFolder`
    pub folder: PathBuf,
    /// `DumpCount`
    pub count: usize,
    /// What `count` counts.
    pub counted: Counted,
    /// `DumpType`
    pub kind: DumpType,
    /// `CustomDumpFlags`
    pub flags: FormatFlags,
    /// Comment to store.
    pub comment: Option<String>,
    /// The most bytes of one dump.
    pub max_size: Option<u64>,
    /// How it is packed.
    pub compress: Compress,
    /// The filters, as flags.
    pub sanitize: FormatFlags,
    /// What is overwritten wherever it stands.
    pub redact: Vec<RedactPattern>,
    /// The most bytes of dumps in the folder.
    pub budget: u64,
    /// Bytes to leave free on the folder's disk.
    pub min_free: u64,
    /// Whether no dump is made.
    pub ignore: bool,
}

/// `DumpType`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum DumpType {
    /// 1: threads, stacks, modules.
    Mini,
    /// 2: all memory.
    Full,
    /// 0: what the flags say.
    Custom,
}

/// How a dump is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Compress {
    /// Not at all.
    None,
    /// Into a CAB.
    Cab,
}

/// Which dumps a limit on their number counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counted {
    /// All of the folder, but those of programs with a number of their own.
    Folder,
    /// Those of the program.
    Program,
}

impl Default for Rules {
    fn default() -> Self {
        Rules {
            folder: "/var/lib/dumpwright/dumps".into(),
            count: 10,
            counted: Counted::Folder,
            kind: DumpType::Mini,
            flags: FormatFlags::empty(),
            comment: None,
            max_size: None,
            compress: Compress::None,
            sanitize: FormatFlags::empty(),
            redact: Vec::new(),
            budget: 2 << 30,
            min_free: 512 << 20,
            ignore: false,
        }
    }
}

impl Rules {
    /// The request for a dump in `file` of at most `room` bytes.
    pub fn request(&self, file: &Path, room: u64) -> DumpRequest {
        let (qualifier, mut flags) = match self.kind {
            DumpType::Mini => (Qualifier::Small, FormatFlags::empty()),
            DumpType::Full => (Qualifier::Default, FormatFlags::empty()),
            DumpType::Custom => (Qualifier::Small, self.flags),
        };
        flags |= self.sanitize | FormatFlags::NO_OVERWRITE;
        if !flags.contains(FormatFlags::USER_SMALL_NO_IGNORE_INACCESSIBLE_MEM) {
            // A dump with a hole is better than none: nobody can try again.
            flags |= FormatFlags::USER_SMALL_IGNORE_INACCESSIBLE_MEM;
        }
        flags.set(FormatFlags::WRITE_CAB, self.packs());
        let redact = self.redact.clone();
        let extensions = Extensions { max_size: Some(room), redact, ..Extensions::default() };
        let mut request = DumpRequest::new(file, qualifier).flags(flags).extensions(extensions);
        request.comment.clone_from(&self.comment);
        request
    }

    /// Whether dumps become CABs.
    pub fn packs(&self) -> bool {
        let custom = self.kind == DumpType::Custom && self.flags.contains(FormatFlags::WRITE_CAB);
        custom || self.compress == Compress::Cab
    }

    /// The extension of the dumps.
    pub fn extension(&self) -> &'static str {
        if self.packs() { "cab" } else { "dmp" }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::privacy::SANITIZE;

    #[test]
    fn each_type_makes_a_request_that_can_be_carried_out() {
        for kind in [DumpType::Mini, DumpType::Full, DumpType::Custom] {
            for (compress, extension) in [(Compress::None, "dmp"), (Compress::Cab, "cab")] {
                let flags = FormatFlags::USER_SMALL_HANDLE_DATA;
                let rules = Rules { kind, compress, flags, sanitize: SANITIZE, ..Rules::default() };
                let request = rules.request(Path::new("/x/y.dmp"), 1000);
                request.validate().unwrap();
                assert_eq!(rules.extension(), extension);
                assert_eq!(request.format_flags.contains(flags), kind == DumpType::Custom);
                assert!(request.format_flags.contains(SANITIZE));
                assert_eq!(request.extensions.max_size, Some(1000));
            }
        }
    }
}
