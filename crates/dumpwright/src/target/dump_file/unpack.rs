//! Taking a dump out of what it is packed in: into a temporary file without a
//! name, since a target is read at any offset.
//!
//! What is unpacked is foreign: its size is bounded by the disk, of which some
//! is kept free, and memory by the windows that the formats allow. Zeros take
//! no space, so that a core of mostly empty memory needs little of it.

use super::cabinet::Cabinet;
use super::{Content, PEEK, Packing};
use crate::error::{Error, Result};
use crate::observer::{Observer, Phase};
use lz4_flex::frame::FrameDecoder as Lz4Decoder;
use lzma_rust2::XzReader;
use ruzstd::decoding::StreamingDecoder;
use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::Path;

/// Bytes that are unpacked at a time; a chunk of zeros is skipped.
const CHUNK: usize = 64 << 10;
/// Bytes after which the disk is looked at again.
const CHECK_EVERY: u64 = 64 << 20;
/// What is left free of the disk.
const KEEP_FREE: u64 = 256 << 20;
/// KiB that an xz stream's dictionary may have; its highest level has 64 MiB.
const XZ_MEMORY: u32 = 1 << 20;

/// Unpacks the dump in `file`.
///
/// # Errors
/// [`Error::NotATarget`] for damaged files and archives that do not hold
/// exactly one dump, [`Error::DiskFull`], [`Error::Io`], [`Error::Cancelled`].
pub(super) fn unpack(
    path: &Path,
    mut file: File,
    packing: Packing,
    observer: &dyn Observer,
) -> Result<File> {
    let io_error = |action| move |source| Error::Io { action, file: path.to_owned(), source };
    let total = file.metadata().map_err(io_error("read the size of"))?.len();
    let out = tempfile::tempfile().map_err(io_error("make a temporary file to unpack"))?;
    let mut sink = Sink { path, out, len: 0, checked: 0, observer, total, stopped: None };
    let mut input = BufReader::with_capacity(1 << 20, file.try_clone().map_err(io_error("read"))?);
    let unpacked = match packing {
        Packing::Gzip => sink.copy(flate2::bufread::MultiGzDecoder::new(input)),
        Packing::Zstd => unpack_zstd(&mut input, &mut sink),
        Packing::Xz => sink.copy(XzReader::new_mem_limit(input, true, XZ_MEMORY)),
        Packing::Lz4 => sink.copy(Lz4Decoder::new(input)),
        Packing::Cab => unpack_cab(&mut file, &mut sink),
        Packing::Zip => unpack_zip(&mut file, &mut sink),
    };
    if let Some(error) = sink.stopped {
        return Err(error);
    }
    unpacked.map_err(|error| {
        let reason = format!("its {} data cannot be unpacked: {error}", packing.name());
        Error::NotATarget { file: path.to_owned(), reason }
    })?;
    sink.out.set_len(sink.len).map_err(io_error("unpack"))?;
    sink.out.rewind().map_err(io_error("unpack"))?;
    Ok(sink.out)
}

/// Where the unpacked bytes go.
struct Sink<'a> {
    path: &'a Path,
    out: File,
    len: u64,
    /// Up to which length the disk was found large enough.
    checked: u64,
    observer: &'a dyn Observer,
    /// Bytes of the packed file, for the progress.
    total: u64,
    /// Why unpacking was given up, if not for the data.
    stopped: Option<Error>,
}

impl Sink<'_> {
    fn copy(&mut self, mut from: impl Read) -> io::Result<()> {
        let mut chunk = vec![0; CHUNK];
        loop {
            let len = fill(&mut from, &mut chunk)?;
            if len == 0 {
                return Ok(());
            }
            self.put(&chunk[..len])?;
        }
    }

    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.go_on()?;
        if self.len >= self.checked {
            self.check_space()?;
            self.checked = self.len + CHECK_EVERY;
            // How far it will grow nobody knows; so that something moves.
            self.observer.progress(Phase::Unpack, self.len, self.total.max(self.len));
        }
        let written = if bytes.iter().all(|b| *b == 0) {
            self.out.seek(SeekFrom::Current(bytes.len() as i64)).map(|_| ())
        } else {
            self.out.write_all(bytes)
        };
        self.len += bytes.len() as u64;
        written.map_err(|source| {
            let action = "unpack into a temporary file";
            self.stop(Error::Io { action, file: self.path.to_owned(), source })
        })
    }

    fn go_on(&mut self) -> io::Result<()> {
        if self.observer.is_cancelled() { Err(self.stop(Error::Cancelled)) } else { Ok(()) }
    }

    fn check_space(&mut self) -> io::Result<()> {
        let needed = CHECK_EVERY + KEEP_FREE;
        match free_space(&self.out) {
            Some(available) if available < needed => {
                Err(self.stop(Error::DiskFull { file: std::env::temp_dir(), needed, available }))
            }
            _ => Ok(()),
        }
    }

    /// Ends the unpacking with an error that is not the data's.
    fn stop(&mut self, error: Error) -> io::Error {
        self.stopped = Some(error);
        io::Error::other("given up")
    }
}

#[cfg(target_os = "linux")]
fn free_space(file: &File) -> Option<u64> {
    let stat = rustix::fs::fstatvfs(file).ok()?;
    Some(stat.f_bavail.saturating_mul(stat.f_frsize))
}

#[cfg(not(target_os = "linux"))]
fn free_space(_: &File) -> Option<u64> {
    None
}

/// Reads until `buf` is full or the data ends.
fn fill(from: &mut impl Read, buf: &mut [u8]) -> io::Result<usize> {
    let mut len = 0;
    while len < buf.len() {
        match from.read(&mut buf[len..]) {
            Ok(0) => break,
            Ok(more) => len += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(len)
}

/// One frame after another, as `pzstd` writes them.
fn unpack_zstd(input: &mut impl BufRead, sink: &mut Sink) -> io::Result<()> {
    while !input.fill_buf()?.is_empty() {
        match StreamingDecoder::new(&mut *input) {
            Ok(frame) => sink.copy(frame)?,
            Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame {
                length,
                ..
            })) => {
                io::copy(&mut input.by_ref().take(length.into()), &mut io::sink())?;
            }
            Err(error) => return Err(io::Error::other(error)),
        }
    }
    Ok(())
}

/// Which of the files in an archive is the dump, told by their first bytes.
fn choose(found: &[(String, Content)]) -> io::Result<usize> {
    let is_dump = |(_, content): &&(String, Content)| !matches!(content, Content::Other(_));
    let dumps: Vec<_> = found.iter().filter(is_dump).map(|(name, _)| name.as_str()).collect();
    match dumps[..] {
        [] => Err(io::Error::other("it holds no dump")),
        [_] => Ok(found.iter().position(|f| is_dump(&f)).unwrap_or_default()),
        _ => Err(io::Error::other(format!(
            "it holds several dumps ({}); extract the one you want",
            dumps.join(", ")
        ))),
    }
}

fn unpack_cab(file: &mut File, sink: &mut Sink) -> io::Result<()> {
    let mut cabinet = Cabinet::open(file)?;
    let starts = cabinet.starts(|| sink.go_on())?;
    let found: Vec<_> =
        starts.into_iter().map(|(name, start)| (name, Content::of(&start))).collect();
    sink.copy(cabinet.file(choose(&found)?)?)
}

fn unpack_zip(file: &mut File, sink: &mut Sink) -> io::Result<()> {
    let mut archive = zip::ZipArchive::new(file)?;
    let mut found = Vec::new();
    for index in 0..archive.len() {
        sink.go_on()?;
        let mut entry = archive.by_index(index)?;
        let content = start_of(&mut entry)?;
        found.push((entry.name()?.into_owned(), content));
    }
    sink.copy(archive.by_index(choose(&found)?)?)
}

fn start_of(from: &mut impl Read) -> io::Result<Content> {
    let mut start = [0; PEEK];
    let len = fill(from, &mut start)?;
    Ok(Content::of(&start[..len]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const DUMP: &[u8] = b"MDMP is how it begins";

    /// A file with a dump of 200 KB, mostly zeros, after something packed it.
    fn packed(write: impl FnOnce(&mut Vec<u8>, &[u8])) -> File {
        let mut bytes = Vec::new();
        write(&mut bytes, &whole());
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&bytes).unwrap();
        file.rewind().unwrap();
        file
    }

    fn whole() -> Vec<u8> {
        let mut dump = DUMP.to_vec();
        dump.resize(200_000, 0);
        dump.extend_from_slice(DUMP);
        dump.resize(300_000, 0);
        dump
    }

    fn unpacked(file: File, packing: Packing) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        unpack(Path::new("x"), file, packing, &())?.read_to_end(&mut bytes).unwrap();
        Ok(bytes)
    }

    fn gzip(out: &mut Vec<u8>, dump: &[u8]) {
        let mut encoder = flate2::write::GzEncoder::new(out, flate2::Compression::fast());
        encoder.write_all(dump).unwrap();
        encoder.finish().unwrap();
    }

    fn zip_of(names: &[&str]) -> File {
        packed(|out, dump| {
            let mut archive = zip::ZipWriter::new(io::Cursor::new(out));
            for name in names {
                let options = zip::write::SimpleFileOptions::default();
                archive.start_file(*name, options).unwrap();
                archive.write_all(if name.ends_with("dmp") { dump } else { b"text" }).unwrap();
            }
            archive.finish().unwrap();
        })
    }

    #[test]
    fn what_was_packed_comes_out_as_it_was() {
        assert_eq!(unpacked(packed(gzip), Packing::Gzip).unwrap(), whole());
        let members = packed(|out, dump| {
            gzip(out, &dump[..100_000]);
            gzip(out, &dump[100_000..]);
        });
        assert_eq!(unpacked(members, Packing::Gzip).unwrap(), whole());
        assert_eq!(unpacked(zip_of(&["readme", "a.dmp"]), Packing::Zip).unwrap(), whole());
    }

    #[test]
    fn an_archive_with_no_dump_or_several_is_refused_by_name() {
        let message =
            |names: &[&str]| unpacked(zip_of(names), Packing::Zip).unwrap_err().to_string();
        assert!(message(&["readme"]).contains("no dump"));
        let several = message(&["a.dmp", "b.dmp"]);
        assert!(several.contains("a.dmp, b.dmp"), "{several}");
    }

    #[test]
    fn damaged_data_is_an_error_whatever_it_claims_to_be() {
        for packing in
            [Packing::Gzip, Packing::Zstd, Packing::Xz, Packing::Lz4, Packing::Cab, Packing::Zip]
        {
            let file = packed(|out, _| out.extend_from_slice(&[0x5a; 500]));
            let error = unpacked(file, packing).unwrap_err();
            assert!(matches!(error, Error::NotATarget { .. }), "{packing:?}: {error}");
        }
        let torn = packed(|out, dump| {
            gzip(out, dump);
            out.truncate(out.len() - 12);
        });
        assert!(matches!(unpacked(torn, Packing::Gzip), Err(Error::NotATarget { .. })));
    }

    fn bytes_of(mut file: File) -> Vec<u8> {
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).unwrap();
        bytes
    }

    fn cab() -> Vec<u8> {
        let mut builder = cab::CabinetBuilder::new();
        builder.add_folder(cab::CompressionType::MsZip).add_file("a.dmp");
        let mut writer = builder.build(io::Cursor::new(Vec::new())).unwrap();
        while let Some(mut file) = writer.next_file().unwrap() {
            file.write_all(&whole()).unwrap();
        }
        writer.finish().unwrap().into_inner()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(96))]
        #[test]
        fn damaged_archives_never_panic(
            which in 0usize..6,
            changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..12),
            noise in prop::collection::vec(any::<u8>(), 0..400),
        ) {
            let (mut bytes, packing) = match which {
                0 => (bytes_of(packed(gzip)), Packing::Gzip),
                1 => (bytes_of(zip_of(&["a.dmp"])), Packing::Zip),
                2 => (cab(), Packing::Cab),
                3 => ([&[0x28, 0xb5, 0x2f, 0xfd][..], &noise].concat(), Packing::Zstd),
                4 => ([&[0xfd, b'7', b'z', b'X', b'Z', 0][..], &noise].concat(), Packing::Xz),
                _ => ([&[0x04, 0x22, 0x4d, 0x18][..], &noise].concat(), Packing::Lz4),
            };
            for (at, value) in changes {
                let at = at.index(bytes.len());
                bytes[at] = value;
            }
            let _ = unpacked(packed(|out, _| out.extend_from_slice(&bytes)), packing);
        }
    }

    #[test]
    fn unpacking_can_be_given_up() {
        struct Cancelled;
        impl Observer for Cancelled {
            fn is_cancelled(&self) -> bool {
                true
            }
        }
        let result = unpack(Path::new("x"), packed(gzip), Packing::Gzip, &Cancelled);
        assert!(matches!(result, Err(Error::Cancelled)));
    }
}
