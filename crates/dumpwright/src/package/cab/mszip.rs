//! MSZIP: DEFLATE in blocks of 32 KiB, each with its `CFDATA` before it.
//!
//! A block may refer to the one before it, so a stream can be taken up anywhere
//! at a block's start with no more than the 32 KiB before it: that is how
//! several threads work on one file.

use dumpwright_format::cab::{BLOCK_SIZE, DataBlock, MSZIP_SIGNATURE, checksum};
use flate2::{Compress, Compression, FlushCompress, Status};
use zerocopy::IntoBytes;

/// What a block that does not compress has more than its contents: `CK` and the
/// head of a stored DEFLATE block.
pub(super) const STORED_OVERHEAD: usize = 2 + 5;

/// On a memory dump of 120 MB: level 3 packs 250 MB/s to 12.8 %, level 1 560
/// MB/s to 19.9 %, level 6 84 MB/s to 11.9 %, level 9 18 MB/s to 11.8 %.
const LEVEL: Compression = Compression::new(3);

/// Bytes of a block.
pub(super) const BLOCK: usize = BLOCK_SIZE as usize;

/// An empty last DEFLATE block: it ends the stream, which a flush has brought to
/// a byte's boundary.
const END_OF_STREAM: [u8; 2] = [3, 0];

/// Room for what a block can grow to before it is stored instead.
const ROOM: usize = BLOCK + BLOCK / 8;

/// Packs runs of blocks.
pub(super) struct Compressor(Compress);

impl Compressor {
    pub(super) fn new() -> Self {
        Compressor(Compress::new(LEVEL, false))
    }

    /// Appends `data` to `out` as data blocks and returns their number.
    /// `history` is what comes before `data` in its folder, up to one block.
    pub(super) fn pack(&mut self, history: &[u8], data: &[u8], out: &mut Vec<u8>) -> u16 {
        let blocks = data.chunks(BLOCK);
        let count = blocks.len() as u16;
        let mut before = history;
        // Whether the stream has seen all that comes before the block.
        let mut in_step = false;
        for block in blocks {
            let start = out.len();
            let stored = start + size_of::<DataBlock>() + STORED_OVERHEAD + block.len();
            if is_noise(block) {
                in_step = false;
            } else {
                if !in_step {
                    self.start(before);
                }
                out.extend_from_slice(&[0; size_of::<DataBlock>()]);
                out.extend_from_slice(&MSZIP_SIGNATURE.to_le_bytes());
                in_step = self.deflate(block, out);
            }
            if out.len() == start || out.len() > stored || !in_step {
                store(block, out, start);
            }
            seal(&mut out[start..], block.len() as u16);
            before = block;
        }
        count
    }

    fn start(&mut self, history: &[u8]) {
        self.0.reset();
        // A raw DEFLATE stream takes any dictionary; without one it would only
        // compress less, so an error would be nothing to stop for.
        if !history.is_empty() {
            let _ = self.0.set_dictionary(history);
        }
    }

    /// Appends `block` to `out`, flushed and ended; `false` if it did not fit.
    fn deflate(&mut self, block: &[u8], out: &mut Vec<u8>) -> bool {
        out.reserve(ROOM);
        let before = self.0.total_in();
        let status = self.0.compress_vec(block, out, FlushCompress::Sync);
        // Room that is left over proves that all of the flush came out.
        let complete = matches!(status, Ok(Status::Ok))
            && self.0.total_in() - before == block.len() as u64
            && out.capacity() > out.len();
        out.extend_from_slice(&END_OF_STREAM);
        complete
    }
}

/// Whether a block looks like what is encrypted or compressed already, on which
/// DEFLATE takes five times as long as on other data and gains nothing.
///
/// Of random bytes the squares of how often each value occurs sum up to about
/// `n²/256 + n`, give or take `0.09 n`. Less even data has more, and data that is
/// even by design, such as counters, less.
fn is_noise(block: &[u8]) -> bool {
    if block.len() < BLOCK {
        return false;
    }
    let mut counts = [0_u64; 256];
    for byte in block {
        counts[usize::from(*byte)] += 1;
    }
    let squares: u64 = counts.iter().map(|count| count * count).sum();
    let n = BLOCK as u64;
    (n * n / 256 + n / 2..n * n / 256 + n * 3 / 2).contains(&squares)
}

/// Puts `block` in place of what was made of it: `out` from `start` on becomes a
/// data block whose contents are stored.
fn store(block: &[u8], out: &mut Vec<u8>, start: usize) {
    const LAST_AND_STORED: u8 = 1;
    let length = block.len() as u16;
    out.truncate(start);
    out.extend_from_slice(&[0; size_of::<DataBlock>()]);
    out.extend_from_slice(&MSZIP_SIGNATURE.to_le_bytes());
    out.push(LAST_AND_STORED);
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(&(!length).to_le_bytes());
    out.extend_from_slice(block);
}

/// Fills in the head of a data block.
fn seal(block: &mut [u8], uncompressed: u16) {
    let (head, data) = block.split_at_mut(size_of::<DataBlock>());
    let mut values = DataBlock {
        checksum: 0.into(),
        compressed: (data.len() as u16).into(),
        uncompressed: uncompressed.into(),
    };
    let sum = checksum(data) ^ checksum(&values.as_bytes()[4..]);
    values.checksum = sum.into();
    head.copy_from_slice(values.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_that_of_the_specification() {
        assert_eq!(checksum(b""), 0);
        assert_eq!(checksum(&[1, 0, 0, 0, 0x10, 0x20, 0x30]), 0x10_20_30 ^ 1);
        // Block head and contents of the `cab` crate's own test.
        assert_eq!(checksum(b"\x0e\0\x0e\0Hello, world!\n"), 0x7f2e_1a4c);
    }

    fn noise(seed: u32) -> Vec<u8> {
        let mut state = seed;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            state as u8
        };
        std::iter::repeat_with(&mut next).take(BLOCK).collect()
    }

    #[test]
    fn blocks_that_do_not_compress_are_stored_and_never_longer_than_that() {
        // Noise is seen as such; of noise of 250 values DEFLATE has to try.
        let other: Vec<u8> = noise(1).iter().map(|byte| byte % 250).collect();
        assert!(!is_noise(&other));
        for block in [noise(1), noise(7), noise(1)[..1000].to_vec()] {
            let mut out = Vec::new();
            assert_eq!(Compressor::new().pack(&[], &block, &mut out), 1);
            assert_eq!(out.len(), size_of::<DataBlock>() + STORED_OVERHEAD + block.len());
            assert_eq!(out[size_of::<DataBlock>() + STORED_OVERHEAD..], block);
        }
        let mut out = Vec::new();
        Compressor::new().pack(&[], &other, &mut out);
        assert!(out.len() <= size_of::<DataBlock>() + STORED_OVERHEAD + BLOCK);
    }

    #[test]
    fn only_noise_is_taken_for_noise() {
        assert!((1..100).all(|seed| is_noise(&noise(seed))));
        let counters: Vec<u8> = (0..BLOCK).map(|i| i as u8).collect();
        let page_twice = noise(3)[..BLOCK / 2].repeat(2);
        let one_text_page = [&noise(3)[4096..], &[b'a'; 4096]].concat();
        for other in [vec![0; BLOCK], counters, page_twice, one_text_page, noise(3)[1..].to_vec()] {
            assert!(!is_noise(&other));
        }
    }

    #[test]
    fn what_comes_after_noise_compresses_again() {
        let text = b"thread 17 waits for a lock\n".repeat(BLOCK / 27);
        let mut data = noise(5);
        data.extend_from_slice(&text[..BLOCK / 2]);
        let mut out = Vec::new();
        assert_eq!(Compressor::new().pack(&[], &data, &mut out), 2);
        assert!(out.len() < BLOCK + 1000, "{}", out.len());
    }

    #[test]
    fn history_is_used() {
        let text: Vec<u8> = (0..BLOCK as u32)
            .flat_map(|i| i.wrapping_mul(2_654_435_761).to_le_bytes())
            .take(BLOCK)
            .collect();
        let (mut without, mut with) = (Vec::new(), Vec::new());
        // DEFLATE refers back less than a whole block.
        let again = &text[BLOCK / 2..];
        Compressor::new().pack(&[], again, &mut without);
        Compressor::new().pack(&text, again, &mut with);
        assert!(with.len() * 10 < without.len(), "{} and {}", with.len(), without.len());
    }
}
