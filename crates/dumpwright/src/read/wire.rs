//! The bytes of one stream, and wire structures taken out of them with every
//! bound checked first.

use super::error::{Malformed, ReadError, ReadResult};
use dumpwright_format::minidump::StreamType;
use zerocopy::little_endian::U32;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// The bytes of a stream and where they were.
pub(crate) struct StreamBytes {
    pub(crate) stream: StreamType,
    /// File offset of the first byte.
    pub(crate) rva: u64,
    pub(crate) data: Vec<u8>,
}

impl StreamBytes {
    /// The structure at `offset` bytes into the stream.
    pub(crate) fn get<T>(&self, offset: usize) -> ReadResult<T>
    where
        T: FromBytes + KnownLayout + Immutable,
    {
        self.data
            .get(offset..)
            .and_then(|rest| T::read_from_prefix(rest).ok())
            .map(|(value, _)| value)
            .ok_or_else(|| {
                let reason = format!(
                    "{} bytes are needed at byte {offset} of the stream and it has {}",
                    size_of::<T>(),
                    self.data.len()
                );
                self.malformed(offset, reason)
            })
    }

    /// The structure at the start, its end filled with zeros where a shorter
    /// form of at least `least` bytes is stored.
    pub(crate) fn get_padded<T>(&self, least: usize) -> ReadResult<T>
    where
        T: FromBytes + IntoBytes + KnownLayout + Immutable,
    {
        if self.data.len() < least {
            let reason = format!("the stream has {} bytes and needs {least}", self.data.len());
            return Err(self.malformed(0, reason));
        }
        let mut value = T::new_zeroed();
        let length = self.data.len().min(size_of::<T>());
        value.as_mut_bytes()[..length].copy_from_slice(&self.data[..length]);
        Ok(value)
    }

    /// `count` structures from byte `start` on, one every `stride` bytes.
    pub(crate) fn list<T>(
        &self,
        start: usize,
        count: u64,
        stride: usize,
    ) -> ReadResult<impl Iterator<Item = T> + '_>
    where
        T: FromBytes + KnownLayout + Immutable,
    {
        let room = self.data.len().saturating_sub(start);
        let fits = stride >= size_of::<T>()
            && count.checked_mul(stride as u64).is_some_and(|need| need <= room as u64);
        if !fits {
            let reason = format!(
                "{count} entries of {stride} bytes do not fit into the {room} bytes behind the list's head"
            );
            return Err(self.malformed(0, reason));
        }
        let bytes = self.data.get(start..).unwrap_or_default();
        Ok(bytes
            .chunks_exact(stride)
            .take(count as usize)
            .filter_map(|entry| T::read_from_prefix(entry).ok().map(|(value, _)| value)))
    }

    /// The entries of a list whose head is nothing but a `u32` count. Some
    /// writers align the entries to 8 bytes; the size of the stream tells.
    pub(crate) fn counted_list<T>(&self) -> ReadResult<impl Iterator<Item = T> + '_>
    where
        T: FromBytes + KnownLayout + Immutable,
    {
        let count = u64::from(self.get::<U32>(0)?.get());
        self.list(counted_list_start(self.data.len(), count, size_of::<T>()), count, size_of::<T>())
    }

    pub(crate) fn malformed(&self, offset: usize, reason: impl Into<String>) -> ReadError {
        let offset = self.rva.saturating_add(offset as u64);
        Malformed { stream: Some(self.stream), offset, reason: reason.into() }.into()
    }
}

/// Where the entries of a list with a plain count start in its stream: at byte
/// 4, or at 8 if the stream is exactly 4 bytes longer than it would have to be.
pub(crate) fn counted_list_start(stream_size: usize, count: u64, entry_size: usize) -> usize {
    let padded = count.checked_mul(entry_size as u64).and_then(|bytes| bytes.checked_add(8));
    if padded == Some(stream_size as u64) { 8 } else { 4 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(data: &[u8]) -> StreamBytes {
        StreamBytes { stream: StreamType::THREAD_LIST, rva: 0x40, data: data.to_vec() }
    }

    #[test]
    fn a_count_is_held_against_the_bytes_that_are_there() {
        let bytes = stream(&[2, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0]);
        let values: Vec<u32> = bytes.counted_list::<U32>().unwrap().map(U32::get).collect();
        assert_eq!(values, [1, 2]);
        let bytes = stream(&[0xff, 0xff, 0xff, 0xff, 1, 0, 0, 0]);
        assert!(bytes.counted_list::<U32>().is_err());
        assert!(bytes.list::<U32>(4, u64::MAX, 8).is_err());
        assert!(bytes.list::<U32>(100, 1, 4).is_err());
        assert!(bytes.list::<U32>(4, 1, 0).is_err(), "entries without a size");
    }

    #[test]
    fn a_list_that_is_aligned_to_8_bytes_is_recognised() {
        let bytes = stream(&[1, 0, 0, 0, 9, 9, 9, 9, 7, 0, 0, 0]);
        let values: Vec<u32> = bytes.counted_list::<U32>().unwrap().map(U32::get).collect();
        assert_eq!(values, [7]);
    }

    #[test]
    fn a_fault_says_where_it_is() {
        let error = stream(&[0; 3]).get::<U32>(0).unwrap_err();
        assert!(error.to_string().starts_with("ThreadList, file offset 0x40: "), "{error}");
    }
}
