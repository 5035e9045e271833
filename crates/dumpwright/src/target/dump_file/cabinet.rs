//! Reading cabinets: ours, and what `makecab` and WinDbg make.
//!
//! All of it is a stranger's. A folder is one stream, which is unpacked from its
//! front for whatever file is wanted of it: so how all its files begin is looked
//! at in one pass, however many there are. Sound folders do not overlap, so that
//! such a pass never takes more bytes than the cabinet has.

use super::PEEK;
use dumpwright_format::cab::{
    BLOCK_SIZE, COMPRESSION_LZX, COMPRESSION_MASK, COMPRESSION_MSZIP, COMPRESSION_NONE, DataBlock,
    FLAG_NEXT_CABINET, FLAG_PREVIOUS_CABINET, FLAG_RESERVE_PRESENT, FileEntry, Folder, Header,
    MAX_NAME, MSZIP_SIGNATURE, ReserveSizes, SIGNATURE, VERSION, checksum,
};
use flate2::{Decompress, FlushDecompress};
use lzxd::{Lzxd, WindowSize};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::panic::{AssertUnwindSafe, catch_unwind};
use zerocopy::{FromBytes, IntoBytes};

/// Bytes of a whole block.
const BLOCK: usize = BLOCK_SIZE as usize;

/// A cabinet that is open.
pub(super) struct Cabinet<R> {
    reader: BufReader<R>,
    /// Bytes of the file.
    len: u64,
    /// Bytes behind the head of each data block.
    reserve: u8,
    folders: Vec<Folder>,
    files: Vec<CabinetFile>,
}

/// A file in a cabinet.
struct CabinetFile {
    name: String,
    folder: u16,
    start: u64,
    size: u64,
}

impl<R: Read + Seek> Cabinet<R> {
    /// Reads the tables.
    pub(super) fn open(mut file: R) -> io::Result<Cabinet<R>> {
        let len = file.seek(SeekFrom::End(0))?;
        let mut reader = BufReader::new(file);
        reader.rewind()?;
        let header: Header = read(&mut reader)?;
        if header.signature.get() != SIGNATURE {
            return Err(damaged("it does not begin as a cabinet"));
        }
        if (header.version_major, header.version_minor) > VERSION {
            return Err(damaged("it is of a later version of the format"));
        }
        let flags = header.flags.get();
        let mut reserve = 0;
        let mut folder_reserve = 0;
        if flags & FLAG_RESERVE_PRESENT != 0 {
            let sizes: ReserveSizes = read(&mut reader)?;
            (folder_reserve, reserve) = (sizes.folder, sizes.data);
            skip(&mut reader, sizes.header.get().into())?;
        }
        // Name of the cabinet, name of its disk.
        for flag in [FLAG_PREVIOUS_CABINET, FLAG_NEXT_CABINET] {
            if flags & flag != 0 {
                name(&mut reader)?;
                name(&mut reader)?;
            }
        }
        let mut folders = Vec::new();
        for _ in 0..header.folders.get() {
            folders.push(read(&mut reader)?);
            skip(&mut reader, folder_reserve.into())?;
        }
        reader.seek(SeekFrom::Start(header.files_offset.get().into()))?;
        let mut files = Vec::new();
        for _ in 0..header.files.get() {
            let entry: FileEntry = read(&mut reader)?;
            let name = String::from_utf8_lossy(&name(&mut reader)?).into_owned();
            files.push(CabinetFile {
                name,
                folder: entry.folder.get(),
                start: entry.folder_offset.get().into(),
                size: entry.size.get().into(),
            });
        }
        Ok(Cabinet { reader, len, reserve, folders, files })
    }

    /// Name and first bytes (up to [`PEEK`]) of each file. `go_on` is asked
    /// between blocks.
    pub(super) fn starts(
        &mut self,
        mut go_on: impl FnMut() -> io::Result<()>,
    ) -> io::Result<Vec<(String, Vec<u8>)>> {
        let mut starts: Vec<_> =
            self.files.iter().map(|file| (file.name.clone(), Vec::new())).collect();
        let mut by_folder: Vec<usize> = (0..self.files.len()).collect();
        by_folder.sort_by_key(|at| (self.files[*at].folder, self.files[*at].start));
        let mut taken = 0;
        let mut rest = by_folder.as_slice();
        while let Some(first) = rest.first() {
            let folder = self.files[*first].folder;
            let here = rest.iter().take_while(|at| self.files[**at].folder == folder).count();
            let (wanted, others) = rest.split_at(here);
            rest = others;
            let wanted: Vec<_> = wanted.iter().map(|at| (*at, self.files[*at].peek())).collect();
            let len = self.len;
            self.folder(folder)?.peek_at(&wanted, &mut starts, |block| {
                taken += block;
                if taken > len {
                    return Err(damaged("its folders overlap"));
                }
                go_on()
            })?;
        }
        Ok(starts)
    }

    /// The contents of a file, by its place in the list.
    pub(super) fn file(&mut self, index: usize) -> io::Result<impl Read> {
        let (folder, start, size) = match self.files.get(index) {
            Some(file) => (file.folder, file.start, file.size),
            None => return Err(damaged("it has no such file")),
        };
        let mut data = self.folder(folder)?;
        skip(&mut data, start)?;
        Ok(Exactly { data, left: size })
    }

    fn folder(&mut self, index: u16) -> io::Result<FolderData<'_, R>> {
        let folder = self.folders.get(usize::from(index)).ok_or_else(|| {
            damaged("a file goes over several cabinets, or is in none of its folders")
        })?;
        let decoder = Decoder::new(folder.compression.get())?;
        let (next, left) = (folder.data_offset.get().into(), folder.blocks.get());
        let (reader, reserve) = (&mut self.reader, self.reserve);
        Ok(FolderData { reader, reserve, next, left, decoder, packed: Vec::new(), used: 0 })
    }
}

impl CabinetFile {
    /// Where its first bytes are in its folder.
    fn peek(&self) -> (u64, u64) {
        (self.start, self.start + self.size.min(PEEK as u64))
    }
}

/// The data of a folder, from front to back.
struct FolderData<'c, R> {
    reader: &'c mut BufReader<R>,
    reserve: u8,
    /// Where the next block is.
    next: u64,
    /// Blocks from there on.
    left: u16,
    decoder: Decoder,
    packed: Vec<u8>,
    /// Bytes of the decoder's block that were read.
    used: usize,
}

impl<R: Read + Seek> FolderData<'_, R> {
    /// Unpacks the next block; how many bytes of the cabinet it took, `None` at
    /// the end.
    fn advance(&mut self) -> io::Result<Option<u64>> {
        let Some(left) = self.left.checked_sub(1) else { return Ok(None) };
        let here = self.reader.stream_position()?;
        // Within the buffer where that is possible.
        self.reader.seek_relative(self.next as i64 - here as i64)?;
        let head: DataBlock = read(self.reader)?;
        let mut reserved = vec![0; self.reserve.into()];
        self.reader.read_exact(&mut reserved)?;
        self.packed.resize(head.compressed.get().into(), 0);
        self.reader.read_exact(&mut self.packed)?;
        let sum = checksum(&reserved) ^ checksum(&self.packed) ^ checksum(&head.as_bytes()[4..]);
        if head.checksum.get() != 0 && head.checksum.get() != sum {
            return Err(damaged("a block does not have its checksum"));
        }
        self.decoder.unpack(&self.packed, head.uncompressed.get().into())?;
        let taken = (size_of::<DataBlock>() + reserved.len() + self.packed.len()) as u64;
        (self.next, self.left, self.used) = (self.next + taken, left, 0);
        Ok(Some(taken))
    }

    /// Fills in the starts of files, whose places are in order.
    fn peek_at(
        &mut self,
        wanted: &[(usize, (u64, u64))],
        starts: &mut [(String, Vec<u8>)],
        mut advanced: impl FnMut(u64) -> io::Result<()>,
    ) -> io::Result<()> {
        let mut rest = wanted;
        let mut at = 0;
        while !rest.is_empty() {
            let Some(taken) = self.advance()? else { break };
            advanced(taken)?;
            let block = self.decoder.block();
            let end = at + block.len() as u64;
            for (file, (from, to)) in rest.iter().take_while(|(_, (from, _))| *from < end) {
                let from = from.saturating_sub(at).min(block.len() as u64) as usize;
                let to = to.saturating_sub(at).min(block.len() as u64) as usize;
                starts[*file].1.extend_from_slice(block.get(from..to).unwrap_or_default());
            }
            at = end;
            let done = rest.iter().take_while(|(_, (_, to))| *to <= at).count();
            rest = &rest[done..];
        }
        Ok(())
    }
}

impl<R: Read + Seek> BufRead for FolderData<'_, R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.used == self.decoder.block().len() && self.advance()?.is_some() {}
        Ok(&self.decoder.block()[self.used..])
    }

    fn consume(&mut self, amount: usize) {
        self.used += amount;
    }
}

impl<R: Read + Seek> Read for FolderData<'_, R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let len = self.fill_buf()?.read(buf)?;
        self.consume(len);
        Ok(len)
    }
}

/// So many bytes; that there are fewer is an error.
struct Exactly<R> {
    data: R,
    left: u64,
}

impl<R: Read> Read for Exactly<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let len = self.left.min(buf.len() as u64) as usize;
        let read = self.data.read(&mut buf[..len])?;
        if read == 0 && len > 0 {
            return Err(damaged("its data ends before the file does"));
        }
        self.left -= read as u64;
        Ok(read)
    }
}

/// What a folder is packed with, and the block that was unpacked last.
enum Decoder {
    Stored(Vec<u8>),
    MsZip { inflate: Box<Decompress>, history: Vec<u8>, block: Vec<u8> },
    Lzx { decoder: Box<Lzxd>, block: Vec<u8> },
}

impl Decoder {
    fn new(compression: u16) -> io::Result<Decoder> {
        match compression & COMPRESSION_MASK {
            COMPRESSION_NONE => Ok(Decoder::Stored(Vec::new())),
            COMPRESSION_MSZIP => Ok(Decoder::MsZip {
                inflate: Box::new(Decompress::new(false)),
                history: Vec::new(),
                block: Vec::new(),
            }),
            COMPRESSION_LZX => {
                let window = window(compression >> 8 & 0x1f)?;
                let decoder = Box::new(Lzxd::new(window));
                Ok(Decoder::Lzx { decoder, block: Vec::new() })
            }
            _ => Err(damaged("it is packed with Quantum, or with nothing known; extract it first")),
        }
    }

    fn block(&self) -> &[u8] {
        match self {
            Decoder::Stored(block) | Decoder::MsZip { block, .. } | Decoder::Lzx { block, .. } => {
                block
            }
        }
    }

    fn unpack(&mut self, packed: &[u8], size: usize) -> io::Result<()> {
        if size > BLOCK {
            return Err(damaged("a block is larger than any"));
        }
        match self {
            Decoder::Stored(block) => {
                if packed.len() != size {
                    return Err(damaged("a block has not the size that it states"));
                }
                block.clear();
                block.extend_from_slice(packed);
            }
            Decoder::MsZip { inflate, history, block } => {
                let stream = packed.strip_prefix(&MSZIP_SIGNATURE.to_le_bytes());
                let stream = stream.ok_or_else(|| damaged("a block does not begin as MSZIP"))?;
                inflate.reset(false);
                if !history.is_empty() {
                    inflate.set_dictionary(history)?;
                }
                block.clear();
                // One more shows that there are more than stated.
                block.reserve_exact(BLOCK + 1);
                inflate.decompress_vec(stream, block, FlushDecompress::Finish)?;
                if block.len() != size {
                    return Err(damaged("a block has not the size that it states"));
                }
                history.extend_from_slice(block);
                history.drain(..history.len().saturating_sub(BLOCK));
            }
            Decoder::Lzx { decoder, block } => {
                // The crate takes some damage for impossible.
                let unpacked = catch_unwind(AssertUnwindSafe(|| {
                    decoder.decompress_next(packed, size).map(<[u8]>::to_vec)
                }));
                *block = match unpacked {
                    Ok(Ok(unpacked)) if unpacked.len() == size => unpacked,
                    Ok(Err(error)) => return Err(io::Error::other(error)),
                    Ok(_) | Err(_) => return Err(damaged("a block is no LZX")),
                };
            }
        }
        Ok(())
    }
}

/// The window of an LZX folder, of 2 to this power bytes.
fn window(power: u16) -> io::Result<WindowSize> {
    Ok(match power {
        15 => WindowSize::KB32,
        16 => WindowSize::KB64,
        17 => WindowSize::KB128,
        18 => WindowSize::KB256,
        19 => WindowSize::KB512,
        20 => WindowSize::MB1,
        21 => WindowSize::MB2,
        _ => return Err(damaged("its LZX window is of no size that cabinets have")),
    })
}

fn read<T: FromBytes + IntoBytes>(from: &mut impl Read) -> io::Result<T> {
    let mut value = T::new_zeroed();
    from.read_exact(value.as_mut_bytes())?;
    Ok(value)
}

/// A name without its NUL.
fn name(from: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let mut name = Vec::new();
    from.take(MAX_NAME as u64 + 1).read_until(0, &mut name)?;
    match name.pop() {
        Some(0) => Ok(name),
        _ => Err(damaged("a name has no end")),
    }
}

fn skip(from: &mut impl Read, len: u64) -> io::Result<()> {
    if io::copy(&mut from.take(len), &mut io::sink())? == len {
        return Ok(());
    }
    Err(damaged("it ends too early"))
}

fn damaged(reason: &str) -> io::Error {
    io::Error::other(reason.to_owned())
}

#[cfg(test)]
mod tests;
