//! Where debug files are on this machine.

use super::identity;
use super::links::{self, Links};
use std::fmt::Write as _;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

/// Folders to look in.
#[derive(Debug)]
pub(super) struct SearchPaths {
    /// As `/usr/lib/debug`: the images' own folders below it, and `.build-id`.
    pub(super) roots: Vec<PathBuf>,
    /// Of debuginfod's client: `<build id>/debuginfo`.
    pub(super) caches: Vec<PathBuf>,
}

/// A file that describes an image.
#[derive(Debug)]
pub(super) struct Found {
    /// What its name has after that of the image.
    pub(super) suffix: &'static str,
    /// The file.
    pub(super) file: File,
}

/// The files that describe an image, and what was found and does not fit it.
#[derive(Debug, Default)]
pub(super) struct DebugFiles {
    pub(super) files: Vec<Found>,
    pub(super) notes: Vec<String>,
}

impl SearchPaths {
    /// Where GDB and debuginfod's client look.
    pub(super) fn of_this_machine() -> Self {
        let variable = |name| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
        let home = variable("HOME");
        let cache = variable("DEBUGINFOD_CACHE_PATH").or_else(|| {
            let caches = variable("XDG_CACHE_HOME").or_else(|| Some(home.clone()?.join(".cache")));
            Some(caches?.join("debuginfod_client"))
        });
        let before_0_183 = home.map(|home| home.join(".debuginfod_client_cache"));
        SearchPaths {
            roots: vec!["/usr/lib/debug".into()],
            caches: cache.into_iter().chain(before_0_183).collect(),
        }
    }

    /// Finds what describes `image`, which the target knows as `path`.
    /// `known_id` is its build id where the file itself has none to read.
    pub(super) fn find(
        &self,
        image: &File,
        path: &str,
        links: &Links,
        known_id: Option<&[u8]>,
    ) -> DebugFiles {
        let mut found = DebugFiles::default();
        let path = Path::new(path);
        let id = links.build_id.as_deref().or(known_id);
        let debug = id
            .and_then(|id| self.by_build_id(id, &mut found.notes))
            .or_else(|| self.by_debug_link(image, path, links, &mut found.notes));
        let debug_links = debug.as_ref().and_then(|(_, file)| Links::read(file));
        let with_alternate = debug.as_ref().map_or(path, |(path, _)| path);
        let alternate = debug_links
            .as_ref()
            .map_or(links.alternate.as_ref(), |links| links.alternate.as_ref())
            .and_then(|(name, id)| self.alternate(with_alternate, name, id));
        let split = split_dwarf(image, path, debug.as_ref().map(|(path, _)| path.as_path()));

        let debug = debug.map(|(_, file)| file);
        let suffixes = [(".debug", debug), (".alt.debug", alternate), (".dwp", split)];
        found.files.extend(
            suffixes.into_iter().filter_map(|(suffix, file)| Some(Found { suffix, file: file? })),
        );
        found
    }

    /// The paths that a build id leads to.
    fn build_id_paths(&self, id: &[u8]) -> Vec<PathBuf> {
        let Some((first, rest)) = id.split_first().filter(|(_, rest)| !rest.is_empty()) else {
            return Vec::new();
        };
        let below = format!(".build-id/{}/{}.debug", hex(&[*first]), hex(rest));
        let roots = self.roots.iter().map(|root| root.join(&below));
        let caches = self.caches.iter().map(|cache| cache.join(hex(id)).join("debuginfo"));
        roots.chain(caches).collect()
    }

    fn by_build_id(&self, id: &[u8], notes: &mut Vec<String>) -> Option<(PathBuf, File)> {
        self.build_id_paths(id).into_iter().find_map(|path| {
            let file = open(&path, notes)?;
            let its_id = Links::read(&file).and_then(|links| links.build_id);
            if its_id.as_deref() == Some(id) {
                return Some((path, file));
            }
            notes.push(format!("{} has another build id and was left out", path.display()));
            None
        })
    }

    fn by_debug_link(
        &self,
        image: &File,
        path: &Path,
        links: &Links,
        notes: &mut Vec<String>,
    ) -> Option<(PathBuf, File)> {
        let (name, crc) = links.debug_link.as_ref()?;
        let name = os_path(name)?;
        // It names a file, and is not to lead anywhere.
        if name.components().count() != 1 || name.file_name().is_none() {
            return None;
        }
        let folder = path.parent().filter(|folder| folder.is_absolute())?;
        let below = folder.strip_prefix("/").unwrap_or(folder);
        let image = image.metadata().ok().map(|m| identity(&m));
        let beside = [folder.join(&name), folder.join(".debug").join(&name)];
        let candidates =
            beside.into_iter().chain(self.roots.iter().map(|root| root.join(below).join(&name)));
        candidates.into_iter().find_map(|path| {
            let mut file = open(&path, notes)?;
            if file.metadata().ok().map(|m| identity(&m)) == image {
                return None;
            }
            match crc32(&mut file) {
                Ok(found) if found == *crc => return Some((path, file)),
                Ok(_) => notes.push(format!(
                    "{} is not the file that .gnu_debuglink means (its CRC differs) and was left out",
                    path.display()
                )),
                Err(e) => notes.push(format!("{} cannot be read: {e}", path.display())),
            }
            None
        })
    }

    /// The common part that dwz has split off.
    fn alternate(&self, debug: &Path, name: &[u8], id: &[u8]) -> Option<File> {
        let beside = os_path(name).and_then(|name| Some(debug.parent()?.join(name)));
        beside.into_iter().chain(self.build_id_paths(id)).find_map(|path| {
            let file = open(&path, &mut Vec::new())?;
            let its_id = Links::read(&file)?.build_id?;
            (its_id == id).then_some(file)
        })
    }
}

/// The package of split DWARF beside an image or its debug file.
///
/// It carries nothing that ties it to an image. So the image found at the path
/// must be the one that is mapped, and the package must be an ELF file: it might
/// be a link that somebody has laid out to something private.
fn split_dwarf(image: &File, path: &Path, debug: Option<&Path>) -> Option<File> {
    let mapped = identity(&image.metadata().ok()?);
    let here = path.metadata().is_ok_and(|found| identity(&found) == mapped);
    let beside = here.then_some(path);
    beside.into_iter().chain(debug).find_map(|path| {
        let mut name = path.as_os_str().to_owned();
        name.push(".dwp");
        open(Path::new(&name), &mut Vec::new()).filter(links::is_elf)
    })
}

/// Opens a regular file with contents. That there is none is nothing to note.
fn open(path: &Path, notes: &mut Vec<String>) -> Option<File> {
    let mut options = OpenOptions::new();
    options.read(true);
    // A pipe that somebody has laid out there must not be waited for.
    #[cfg(target_os = "linux")]
    {
        use std::os::unix::fs::OpenOptionsExt;
        let flags = rustix::fs::OFlags::NONBLOCK | rustix::fs::OFlags::NOCTTY;
        options.custom_flags(flags.bits() as i32);
    }
    let opened = options.open(path).and_then(|file| Ok((file.metadata()?, file)));
    match opened {
        Ok((metadata, file)) => (metadata.is_file() && metadata.len() > 0).then_some(file),
        Err(e) => {
            let absent = matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
                // debuginfod's client remembers what no server had as an empty
                // file, which some versions let nobody read.
                || path.metadata().is_ok_and(|m| m.len() == 0);
            if !absent {
                notes.push(format!("{} cannot be opened: {e}", path.display()));
            }
            None
        }
    }
}

/// The checksum of `.gnu_debuglink`, over the whole file.
fn crc32(file: &mut File) -> io::Result<u32> {
    file.seek(SeekFrom::Start(0))?;
    let mut crc = flate2::Crc::new();
    let mut buf = vec![0; 1 << 16];
    loop {
        match file.read(&mut buf) {
            Ok(0) => return Ok(crc.sum()),
            Ok(read) => crc.update(&buf[..read]),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("writing to a string cannot fail");
        text
    })
}

/// A path from the bytes that an ELF file has of it.
#[cfg(unix)]
#[expect(clippy::unnecessary_wraps, reason = "not every platform takes all bytes")]
fn os_path(bytes: &[u8]) -> Option<PathBuf> {
    use std::os::unix::ffi::OsStrExt;
    Some(PathBuf::from(std::ffi::OsStr::from_bytes(bytes)))
}

/// A path from the bytes that an ELF file has of it.
#[cfg(not(unix))]
fn os_path(bytes: &[u8]) -> Option<PathBuf> {
    std::str::from_utf8(bytes).ok().map(PathBuf::from)
}
