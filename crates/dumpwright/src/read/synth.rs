//! Builds minidumps, sound and unsound, for the tests of this crate's readers.

use super::minidump::Minidump;
use dumpwright_format::minidump::{
    Directory, Header, LocationDescriptor, SIGNATURE, StreamType, VERSION,
};
use zerocopy::{FromZeros, IntoBytes};

/// A dump that is being put together. The directory goes to the end.
pub(crate) struct Synth {
    header: Header,
    body: Vec<u8>,
    directory: Vec<(StreamType, u32, u32)>,
}

impl Synth {
    pub(crate) fn new() -> Self {
        let mut header = Header::new_zeroed();
        header.signature = SIGNATURE.into();
        header.version = u32::from(VERSION).into();
        Synth { header, body: Vec::new(), directory: Vec::new() }
    }

    /// Puts bytes down, 4-aligned, and says at which file offset.
    pub(crate) fn put(&mut self, bytes: &[u8]) -> u32 {
        self.body.resize(self.body.len().next_multiple_of(4), 0);
        let rva = (size_of::<Header>() + self.body.len()) as u32;
        self.body.extend_from_slice(bytes);
        rva
    }

    pub(crate) fn string(&mut self, text: &str) -> u32 {
        let units: Vec<u16> = text.encode_utf16().collect();
        let mut bytes = (units.len() as u32 * 2).to_le_bytes().to_vec();
        bytes.extend(units.iter().chain(&[0]).flat_map(|unit| unit.to_le_bytes()));
        self.put(&bytes)
    }

    pub(crate) fn stream(&mut self, ty: StreamType, bytes: &[u8]) -> &mut Self {
        let rva = self.put(bytes);
        self.directory_entry(ty, bytes.len() as u32, rva)
    }

    /// A list with a plain count.
    pub(crate) fn list<T: IntoBytes + zerocopy::Immutable>(
        &mut self,
        ty: StreamType,
        entries: &[T],
    ) -> &mut Self {
        let mut bytes = (entries.len() as u32).to_le_bytes().to_vec();
        bytes.extend_from_slice(entries.as_bytes());
        self.stream(ty, &bytes)
    }

    pub(crate) fn directory_entry(&mut self, ty: StreamType, size: u32, rva: u32) -> &mut Self {
        self.directory.push((ty, size, rva));
        self
    }

    pub(crate) fn flags(&mut self, flags: u64) -> &mut Self {
        self.header.flags = flags.into();
        self
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut header = self.header;
        header.number_of_streams = (self.directory.len() as u32).into();
        header.stream_directory_rva = ((size_of::<Header>() + self.body.len()) as u32).into();
        let mut bytes = header.as_bytes().to_vec();
        bytes.extend_from_slice(&self.body);
        for (ty, size, rva) in &self.directory {
            let location = LocationDescriptor { data_size: (*size).into(), rva: (*rva).into() };
            bytes.extend_from_slice(Directory { stream_type: ty.0.into(), location }.as_bytes());
        }
        bytes
    }

    pub(crate) fn open(&self) -> Minidump {
        Minidump::from_source(self.bytes()).expect("a synthetic dump has header and directory")
    }
}
