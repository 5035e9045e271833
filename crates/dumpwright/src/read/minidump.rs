//! An open minidump: header, directory, and raw access to streams.

use super::error::{Malformed, ReadError, ReadResult};
use super::memory::MemoryMap;
use super::recognise::{PEEK, not_a_minidump};
use super::source::Source;
use super::wire::StreamBytes;
use crate::error::{Error, Result};
use dumpwright_format::MinidumpType;
use dumpwright_format::minidump::{
    Directory, Header, LocationDescriptor, SIGNATURE, StreamType, VERSION,
};
use std::fmt;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use zerocopy::{FromBytes, FromZeros, IntoBytes};

/// Streams that a directory may have; writers make some dozens.
const MAX_STREAMS: u64 = 0x1_0000;
/// Bytes of a stream that is decoded: lists of more than a million entries. A
/// file's length is no limit, since most of a file can be a hole, and most of a
/// dump memory.
const MAX_STREAM: u64 = 64 << 20;

/// Where something is in the file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Location {
    /// File offset of its first byte.
    pub rva: u64,
    /// Bytes.
    pub size: u64,
}

impl Location {
    /// Offset past its last byte; at most `u64::MAX`.
    pub fn end(self) -> u64 {
        self.rva.saturating_add(self.size)
    }
}

impl From<LocationDescriptor> for Location {
    fn from(wire: LocationDescriptor) -> Self {
        Location { rva: wire.rva.get().into(), size: wire.data_size.get().into() }
    }
}

/// An entry of the directory, as it stands there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DirectoryEntry {
    /// What the stream holds; unknown values are kept.
    pub stream_type: StreamType,
    /// Where it is; not checked.
    pub location: Location,
}

/// An open minidump. See the [module](super) for what it promises.
pub struct Minidump {
    source: Box<dyn Source>,
    file: PathBuf,
    len: u64,
    header: Header,
    directory: Vec<DirectoryEntry>,
    pub(crate) memory_map: OnceLock<MemoryMap>,
}

impl fmt::Debug for Minidump {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Minidump")
            .field("file", &self.file)
            .field("len", &self.len)
            .field("streams", &self.directory.len())
            .finish_non_exhaustive()
    }
}

impl Minidump {
    /// Opens a file.
    ///
    /// Fails with [`Error::NotADump`], and what the file is instead, if it is
    /// not a little-endian minidump whose directory is in the file; with
    /// [`Error::Io`] if it cannot be read.
    pub fn open(path: impl AsRef<Path>) -> Result<Minidump> {
        let path = path.as_ref();
        let io = |source| Error::Io { action: "open", file: path.to_owned(), source };
        // Asked by name first, because opening a pipe would wait for a writer.
        let kind = fs::metadata(path).map_err(io)?.file_type();
        if !kind.is_file() {
            let what = if kind.is_dir() { "a directory" } else { "not a regular file" };
            let reason =
                format!("it is {what}; a dump must be a file that can be read at any place");
            return Err(Error::NotADump { file: path.to_owned(), reason });
        }
        Self::from_named_source(File::open(path).map_err(io)?, path)
    }

    /// Reads a dump from anything with bytes at offsets.
    pub fn from_source(source: impl Source + 'static) -> Result<Minidump> {
        Self::from_named_source(source, Path::new("memory"))
    }

    /// Reads a dump from anything with bytes at offsets; `file` is its name in
    /// messages.
    pub fn from_named_source(source: impl Source + 'static, file: &Path) -> Result<Minidump> {
        let len = source.len();
        let io = |source| Error::Io { action: "read", file: file.to_owned(), source };
        let refuse = |reason| Error::NotADump { file: file.to_owned(), reason };

        let mut header = Header::new_zeroed();
        let present = len.min(size_of::<Header>() as u64) as usize;
        source.read_at(0, &mut header.as_mut_bytes()[..present]).map_err(io)?;
        if present < 4 || header.signature.get() != SIGNATURE {
            return Err(refuse(not_a_minidump(&header.as_bytes()[..present.min(PEEK)])));
        }
        if present < size_of::<Header>() {
            return Err(refuse(format!("it ends in its header, after {len} bytes")));
        }
        let version = header.version.get() as u16;
        if version != VERSION {
            return Err(refuse(format!("its version is {version:#x} and not {VERSION:#x}")));
        }

        let at = u64::from(header.stream_directory_rva.get());
        let count = u64::from(header.number_of_streams.get());
        let size = count * size_of::<Directory>() as u64;
        if count > MAX_STREAMS {
            return Err(refuse(format!(
                "its header states {count} streams; no more than {MAX_STREAMS} are read"
            )));
        }
        if at.checked_add(size).is_none_or(|end| end > len) {
            return Err(refuse(format!(
                "its directory of {count} streams at file offset {at:#x} reaches past the end of the file ({len} bytes); the file may be cut off"
            )));
        }
        let mut bytes = vec![0; size as usize];
        source.read_at(at, &mut bytes).map_err(io)?;
        let directory = bytes
            .chunks_exact(size_of::<Directory>())
            .filter_map(|entry| Directory::read_from_bytes(entry).ok())
            .map(|entry| DirectoryEntry {
                stream_type: StreamType(entry.stream_type.get()),
                location: entry.location.into(),
            })
            .collect();
        let memory_map = OnceLock::new();
        Ok(Minidump {
            source: Box::new(source),
            file: file.to_owned(),
            len,
            header,
            directory,
            memory_map,
        })
    }

    /// The file's name, or `memory` for another source.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// Length of the file in bytes.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Never: a minidump has a header.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The header as it stands in the file.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The `MINIDUMP_TYPE` that the header states; unknown bits are kept.
    pub fn minidump_type(&self) -> MinidumpType {
        MinidumpType::from_bits_retain(self.header.flags.get())
    }

    /// The directory in its order, with entries that readers skip and types
    /// that nobody knows.
    pub fn directory(&self) -> &[DirectoryEntry] {
        &self.directory
    }

    /// The first entry of a type, which is the one that counts where a type
    /// occurs twice.
    pub fn stream(&self, stream_type: StreamType) -> Option<DirectoryEntry> {
        self.directory.iter().copied().find(|entry| entry.stream_type == stream_type)
    }

    /// The bytes of a stream; `Ok(None)` if the dump has none of this type.
    ///
    /// A stream that reaches past the end of the file, or is longer than 64 MiB,
    /// is [`ReadError::Malformed`].
    pub fn stream_bytes(&self, stream_type: StreamType) -> ReadResult<Option<Vec<u8>>> {
        Ok(self.load(stream_type)?.map(|bytes| bytes.data))
    }

    pub(crate) fn load(&self, stream: StreamType) -> ReadResult<Option<StreamBytes>> {
        let Some(entry) = self.stream(stream) else { return Ok(None) };
        let Location { rva, size } = entry.location;
        if !self.holds(rva, size) {
            let reason =
                format!("its {size} bytes reach past the end of the file ({} bytes)", self.len);
            return Err(Self::malformed(stream, rva, reason));
        }
        if size > MAX_STREAM {
            let reason = format!("its {size} bytes are more than the {MAX_STREAM} that are read");
            return Err(Self::malformed(stream, rva, reason));
        }
        let mut data = vec![0; size as usize];
        self.read_file(rva, &mut data)?;
        Ok(Some(StreamBytes { stream, rva, data }))
    }

    /// Whether the file has `size` bytes at `offset`.
    pub fn holds(&self, offset: u64, size: u64) -> bool {
        offset.checked_add(size).is_some_and(|end| end <= self.len)
    }

    /// Fills `buf` from a file offset.
    pub fn read_file(&self, offset: u64, buf: &mut [u8]) -> ReadResult<()> {
        let length = buf.len() as u64;
        if !self.holds(offset, length) {
            let reason =
                format!("{length} bytes here reach past the end of the file ({} bytes)", self.len);
            return Err(Malformed { stream: None, offset, reason }.into());
        }
        self.source.read_at(offset, buf).map_err(|source| ReadError::Io { offset, length, source })
    }
}

#[cfg(test)]
mod tests {
    use super::super::synth::Synth;
    use super::*;

    fn reason(bytes: &[u8]) -> String {
        Minidump::from_source(bytes.to_vec()).unwrap_err().to_string()
    }

    #[test]
    fn what_is_not_a_minidump_is_refused_with_its_reason() {
        let whole = Synth::new().bytes();
        assert!(reason(b"").contains("empty"));
        assert!(reason(b"MSCF").contains("CAB"));
        assert!(reason(&whole[..20]).contains("ends in its header"));
        let mut wrong = whole.clone();
        wrong[4] = 0;
        assert!(reason(&wrong).contains("version is 0xa700"), "{}", reason(&wrong));
        let mut many = whole;
        many[8..12].copy_from_slice(&u32::MAX.to_le_bytes());
        assert!(reason(&many).contains("states 4294967295 streams"));
        many[8..12].copy_from_slice(&0xffff_u32.to_le_bytes());
        assert!(reason(&many).contains("directory of 65535 streams"));
        assert!(Minidump::open("/").unwrap_err().to_string().contains("directory"));
    }

    #[test]
    fn a_stream_past_the_end_of_the_file_is_never_allocated() {
        let mut synth = Synth::new();
        synth.directory_entry(StreamType::LINUX_MAPS, u32::MAX, 32);
        let dump = synth.open();
        assert!(matches!(dump.stream_bytes(StreamType::LINUX_MAPS), Err(ReadError::Malformed(_))));
        assert!(dump.stream_bytes(StreamType::LINUX_AUXV).unwrap().is_none());
    }

    #[test]
    fn what_a_sparse_file_seems_to_hold_is_not_allocated() {
        let mut synth = Synth::new();
        synth.directory_entry(StreamType::LINUX_MAPS, u32::MAX - 4096, 32);
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), synth.bytes()).unwrap();
        file.as_file().set_len(1 << 40).unwrap();
        let dump = Minidump::open(file.path()).unwrap();
        let error = dump.stream_bytes(StreamType::LINUX_MAPS).unwrap_err();
        assert!(error.to_string().contains("more than"), "{error}");

        let mut many = synth.bytes();
        many[8..12].copy_from_slice(&u32::MAX.to_le_bytes());
        fs::write(file.path(), many).unwrap();
        file.as_file().set_len(1 << 40).unwrap();
        assert!(Minidump::open(file.path()).unwrap_err().to_string().contains("streams"));
    }

    #[test]
    fn the_first_stream_of_a_type_counts() {
        let mut synth = Synth::new();
        synth.stream(StreamType(77), b"first").stream(StreamType(77), b"second");
        assert_eq!(synth.open().stream_bytes(StreamType(77)).unwrap().unwrap(), b"first");
    }
}
