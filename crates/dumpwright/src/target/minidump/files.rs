//! The files that the modules of a dump were mapped from, on this machine.
//!
//! A file counts as the one only if what identifies it is what the dump says:
//! the build id of an ELF file; GUID and age of the PDB of a PE file, or its
//! time stamp and size. A dump is foreign: a file that it merely names is never
//! taken, and a name that leads to another machine is not followed.

use crate::target::{DebugId, ModuleSnapshot, Platform};
use object::read::pe::ImageOptionalHeader;
use object::{LittleEndian as LE, Object, ReadCache, pe};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

/// What Linux appends to the path of a file without a name.
const DELETED: &str = " (deleted)";

/// Looks for files.
#[derive(Clone, Debug)]
pub(in crate::target) struct ModuleFiles {
    /// The system that the process ran on.
    pub platform: Platform,
    /// Where its files are, if not where they were.
    pub sysroot: Option<PathBuf>,
}

impl ModuleFiles {
    /// Opens the file of a module.
    ///
    /// # Errors
    /// It is not there, or is another.
    pub(in crate::target) fn open(&self, module: &ModuleSnapshot) -> io::Result<File> {
        match self.platform {
            Platform::Linux => self.open_elf(module),
            Platform::Windows => self.open_pe(module),
            Platform::Other => {
                Err(not_found("files are looked for of Windows and Linux modules only".into()))
            }
        }
    }

    fn open_elf(&self, module: &ModuleSnapshot) -> io::Result<File> {
        if module.debug_id == DebugId::None {
            return Err(not_found(
                "the dump holds no build id of it, so that no file can be told to be it".into(),
            ));
        }
        let path = module.path.strip_suffix(DELETED).unwrap_or(&module.path);
        if !path.starts_with('/') {
            return Err(not_found("it has no path".into()));
        }
        let file = self.find_elf(path)?;
        if is_elf_of(&file, &module.debug_id) {
            return Ok(file);
        }
        Err(not_found(format!("'{path}' is another build; {}", self.advice())))
    }

    #[cfg(target_os = "linux")]
    fn find_elf(&self, path: &str) -> io::Result<File> {
        use crate::target::linux::root;
        let root = self.sysroot.as_deref().unwrap_or(Path::new("/"));
        let found = root::find(root, Path::new(path));
        found.and_then(|found| root::open_regular(&found)).map_err(|error| self.add_advice(error))
    }

    #[cfg(not(target_os = "linux"))]
    fn find_elf(&self, path: &str) -> io::Result<File> {
        let Some(sysroot) = &self.sysroot else {
            return Err(not_found(format!("it is a file of another system; {}", self.advice())));
        };
        let names = path.split('/').filter(|name| !name.is_empty());
        below(sysroot, names).ok_or_else(|| not_found(format!("'{path}' is not there")))
    }

    /// Opens a PE file: by its path, or where a symbol store has it.
    fn open_pe(&self, module: &ModuleSnapshot) -> io::Result<File> {
        let identity = PeIdentity::of(module).ok_or_else(|| {
            not_found(
                "the dump holds neither time stamp nor debug record of it, so that no file can be told to be it".into(),
            )
        })?;
        let names =
            dos_names(&module.path).ok_or_else(|| not_found("it has no path on a drive".into()))?;
        let Some(sysroot) = &self.sysroot else {
            return self.open_local_pe(module, &identity);
        };
        let (drive, folders) = names.split_at(1);
        let letter = drive[0].trim_end_matches(':');
        let name = folders.last().copied().unwrap_or_default();
        let store = format!("{:08X}{:x}", module.time_date_stamp, module.size);
        let places: [Vec<&str>; 4] = [
            folders.to_vec(),
            [&[letter], folders].concat(),
            [drive, folders].concat(),
            vec![name, &store, name],
        ];
        let mut found = places.iter().filter_map(|names| below(sysroot, names.iter().copied()));
        match found.find(|file| identity.is_of(file)) {
            Some(file) => Ok(file),
            None => Err(not_found(format!(
                "'{}' holds no such file, or another build of it",
                sysroot.display()
            ))),
        }
    }

    #[cfg(windows)]
    fn open_local_pe(&self, module: &ModuleSnapshot, identity: &PeIdentity) -> io::Result<File> {
        let path = Path::new(&module.path);
        if !path.metadata()?.is_file() {
            return Err(not_found("it is no file".into()));
        }
        let file = File::open(path).map_err(|error| self.add_advice(error))?;
        if identity.is_of(&file) {
            return Ok(file);
        }
        Err(not_found(format!("'{}' is another build; {}", module.path, self.advice())))
    }

    #[cfg(not(windows))]
    fn open_local_pe(&self, _: &ModuleSnapshot, _: &PeIdentity) -> io::Result<File> {
        Err(not_found(format!("it is a file of a Windows system; {}", self.advice())))
    }

    #[cfg(any(target_os = "linux", windows))]
    fn add_advice(&self, error: io::Error) -> io::Error {
        io::Error::new(error.kind(), format!("{error}; {}", self.advice()))
    }

    fn advice(&self) -> &'static str {
        if self.sysroot.is_some() {
            "look for it in another --sysroot"
        } else {
            "give the folder with that system's files as --sysroot"
        }
    }
}

fn not_found(message: String) -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, message)
}

/// Whether an ELF file has the build id of a module. Breakpad and Crashpad write
/// the first 16 bytes of it as a GUID, in either order of its bytes.
fn is_elf_of(file: &File, wanted: &DebugId) -> bool {
    let cache = ReadCache::new(file);
    let elf = object::File::parse(&cache).ok();
    let Some(own) = elf.as_ref().and_then(|elf| elf.build_id().ok().flatten()) else {
        return false;
    };
    match wanted {
        DebugId::ElfBuildId(id) => own == id.as_slice(),
        DebugId::Pdb70 { guid, .. } => {
            let swapped = swapped_guid(guid);
            own.first_chunk::<16>().is_some_and(|own| own == guid || *own == swapped)
        }
        DebugId::None => false,
    }
}

/// The bytes of a GUID in the order in which people write it.
fn swapped_guid(guid: &[u8; 16]) -> [u8; 16] {
    const ORDER: [usize; 16] = [3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15];
    ORDER.map(|index| guid[index])
}

/// What tells a build of a PE file from others.
struct PeIdentity {
    time_date_stamp: u32,
    size: u64,
    check_sum: u32,
    /// GUID and age of its PDB.
    pdb: Option<([u8; 16], u32)>,
}

impl PeIdentity {
    /// What the dump says of a module; `None` if that tells nothing: some
    /// linkers leave the time out.
    fn of(module: &ModuleSnapshot) -> Option<PeIdentity> {
        let pdb = match &module.debug_id {
            DebugId::Pdb70 { guid, age, .. } => Some((*guid, *age)),
            DebugId::ElfBuildId(_) | DebugId::None => None,
        };
        let identity = PeIdentity {
            time_date_stamp: module.time_date_stamp,
            size: module.size,
            check_sum: module.check_sum,
            pdb,
        };
        (identity.pdb.is_some() || identity.time_date_stamp != 0).then_some(identity)
    }

    /// Whether a file is this build.
    fn is_of(&self, file: &File) -> bool {
        let cache = ReadCache::new(file);
        match object::FileKind::parse(&cache) {
            Ok(object::FileKind::Pe32) => self.is::<pe::ImageNtHeaders32>(&cache),
            Ok(object::FileKind::Pe64) => self.is::<pe::ImageNtHeaders64>(&cache),
            _ => false,
        }
    }

    fn is<H: object::read::pe::ImageNtHeaders>(&self, cache: &ReadCache<&File>) -> bool {
        let Ok(image) = object::read::pe::PeFile::<H, _>::parse(cache) else { return false };
        let (header, optional) =
            (image.nt_headers().file_header(), image.nt_headers().optional_header());
        // Dumps leave the checksum out, files too; where both have it, it counts.
        let check_sum = optional.check_sum();
        let same_sum = [self.check_sum, check_sum].contains(&0) || self.check_sum == check_sum;
        let same_pdb = self.pdb.is_none_or(|(guid, age)| {
            let pdb = image.pdb_info().ok().flatten();
            pdb.is_some_and(|pdb| pdb.guid() == guid && pdb.age() == age)
        });
        same_pdb
            && same_sum
            && header.time_date_stamp.get(LE) == self.time_date_stamp
            && u64::from(optional.size_of_image()) == self.size
    }
}

/// The names of a path on a drive, the drive first; `None` for any other, such
/// as one of another machine.
fn dos_names(path: &str) -> Option<Vec<&str>> {
    let path = path.strip_prefix(r"\\?\").or_else(|| path.strip_prefix(r"\??\")).unwrap_or(path);
    let names: Vec<&str> = path.split(['\\', '/']).filter(|name| !name.is_empty()).collect();
    let drive = names.first()?.as_bytes();
    let has_drive = drive.len() == 2 && drive[0].is_ascii_alphabetic() && drive[1] == b':';
    let is_plain = names.len() > 1 && names.iter().all(|name| !matches!(*name, "." | ".."));
    (has_drive && is_plain && path.starts_with(names[0])).then_some(names)
}

/// Opens a regular file by the names that lead to it, in whatever case they are
/// there.
fn below<'a>(folder: &Path, names: impl Iterator<Item = &'a str>) -> Option<File> {
    let mut path = folder.to_owned();
    for name in names {
        path = entry(&path, name)?;
    }
    path.metadata().ok().filter(std::fs::Metadata::is_file)?;
    File::open(path).ok()
}

fn entry(folder: &Path, name: &str) -> Option<PathBuf> {
    let exact = folder.join(name);
    if exact.parent() == Some(folder) && exact.exists() {
        return Some(exact);
    }
    let entries = std::fs::read_dir(folder).ok()?;
    let mut paths = entries.filter_map(|entry| entry.ok().map(|entry| entry.path()));
    paths.find(|path| {
        let own = path.file_name().map(|own| own.to_string_lossy());
        own.is_some_and(|own| own.to_lowercase() == name.to_lowercase())
    })
}

#[cfg(test)]
mod tests;
