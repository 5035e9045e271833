//! The dynamic linker's own list of libraries, as Breakpad stores it.

use super::error::ReadResult;
use super::minidump::Minidump;
use super::wire::StreamBytes;
use dumpwright_format::minidump::StreamType;
use dumpwright_format::minidump::linux::{
    DsoDebug32, DsoDebug64, DsoDebug64Packed, LinkMap32, LinkMap64, LinkMap64Packed,
};
use zerocopy::FromBytes;
use zerocopy::little_endian::{U32, U64};

/// The LinuxDsoDebug stream: the target's `r_debug`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DsoDebug {
    /// `r_version`.
    pub version: u32,
    /// File offset of the list of libraries.
    pub map_rva: u32,
    /// `r_brk`.
    pub brk: u64,
    /// `r_ldbase`.
    pub ldbase: u64,
    /// Address of the executable's dynamic section.
    pub dynamic: u64,
    /// Bytes of the dynamic section.
    pub dynamic_bytes: Vec<u8>,
    /// Libraries that the stream says there are.
    pub dso_count: u32,
    /// The libraries that are there.
    pub entries: Vec<LinkMap>,
}

/// A library in the linker's list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkMap {
    /// `l_addr`: load bias.
    pub addr: u64,
    /// `l_ld`: address of its dynamic section.
    pub ld: u64,
    /// `l_name`.
    pub name: Option<String>,
}

/// The layouts of the stream that writers use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Layout {
    /// 32-bit addresses.
    Narrow,
    /// 64-bit addresses, aligned: Breakpad.
    Aligned,
    /// 64-bit addresses without padding: the structures of other writers.
    Packed,
}

impl Layout {
    /// Behind the head come the 16-byte entries of a 64-bit dynamic section, so
    /// the size of the stream tells a head of 40 bytes from one of 36.
    fn of(narrow: bool, stream_size: usize) -> Layout {
        const HEAD: usize = size_of::<DsoDebug64>();
        match stream_size.checked_sub(HEAD) {
            _ if narrow => Layout::Narrow,
            Some(dynamic) if dynamic % 16 == 0 => Layout::Aligned,
            _ => Layout::Packed,
        }
    }

    fn entry_size(self) -> usize {
        match self {
            Layout::Narrow => size_of::<LinkMap32>(),
            Layout::Aligned => size_of::<LinkMap64>(),
            Layout::Packed => size_of::<LinkMap64Packed>(),
        }
    }

    /// The head, and how many bytes it has.
    fn head(self, bytes: &StreamBytes) -> ReadResult<(DsoDebug, usize)> {
        Ok(match self {
            Layout::Narrow => {
                let d: DsoDebug32 = bytes.get(0)?;
                let words = [d.version, d.map, d.dso_count].map(U32::get);
                let addresses = [d.brk, d.ldbase, d.dynamic].map(|a| a.get().into());
                (head(words, addresses), size_of_val(&d))
            }
            Layout::Aligned => {
                let d: DsoDebug64 = bytes.get(0)?;
                let words = [d.version, d.map, d.dso_count].map(U32::get);
                (head(words, [d.brk, d.ldbase, d.dynamic].map(U64::get)), size_of_val(&d))
            }
            Layout::Packed => {
                let d: DsoDebug64Packed = bytes.get(0)?;
                let words = [d.version, d.map, d.dso_count].map(U32::get);
                (head(words, [d.brk, d.ldbase, d.dynamic].map(U64::get)), size_of_val(&d))
            }
        })
    }

    /// Address, offset of the name and dynamic section of a library.
    fn entry(self, entry: &[u8]) -> Option<(u64, u32, u64)> {
        Some(match self {
            Layout::Narrow => {
                let entry = LinkMap32::read_from_bytes(entry).ok()?;
                (entry.addr.get().into(), entry.name.get(), entry.ld.get().into())
            }
            Layout::Aligned => {
                let entry = LinkMap64::read_from_bytes(entry).ok()?;
                (entry.addr.get(), entry.name.get(), entry.ld.get())
            }
            Layout::Packed => {
                let entry = LinkMap64Packed::read_from_bytes(entry).ok()?;
                (entry.addr.get(), entry.name.get(), entry.ld.get())
            }
        })
    }
}

impl Minidump {
    /// The dynamic linker's list, from the LinuxDsoDebug stream. Whether its
    /// addresses have 32 bits, the SystemInfo stream says.
    pub fn dso_debug(&self) -> ReadResult<Option<DsoDebug>> {
        let Some(bytes) = self.load(StreamType::LINUX_DSO_DEBUG)? else { return Ok(None) };
        let narrow = self.system_info()?.is_some_and(|system| system.is_32_bit());
        let layout = Layout::of(narrow, bytes.data.len());
        let (mut debug, head_size) = layout.head(&bytes)?;
        debug.dynamic_bytes = bytes.data.get(head_size..).unwrap_or_default().to_vec();
        debug.entries = self.link_map(&debug, layout)?;
        Ok(Some(debug))
    }

    fn link_map(&self, debug: &DsoDebug, layout: Layout) -> ReadResult<Vec<LinkMap>> {
        let size = u64::from(debug.dso_count) * layout.entry_size() as u64;
        let rva = u64::from(debug.map_rva);
        if !self.holds(rva, size) {
            let count = debug.dso_count;
            let reason = format!("its list of {count} libraries reaches past the end of the file");
            return Err(Self::malformed(StreamType::LINUX_DSO_DEBUG, rva, reason));
        }
        let mut bytes = vec![0; size as usize];
        self.read_file(rva, &mut bytes)?;
        let mut allowance = self.allowance();
        let entries = bytes.chunks_exact(layout.entry_size()).filter_map(|entry| {
            let (addr, name, ld) = layout.entry(entry)?;
            Some(LinkMap { addr, ld, name: self.referred_string(name.into(), &mut allowance) })
        });
        Ok(entries.collect())
    }
}

fn head([version, map_rva, dso_count]: [u32; 3], [brk, ldbase, dynamic]: [u64; 3]) -> DsoDebug {
    let (dynamic_bytes, entries) = (Vec::new(), Vec::new());
    DsoDebug { version, map_rva, brk, ldbase, dynamic, dynamic_bytes, dso_count, entries }
}

#[cfg(test)]
mod tests {
    use super::super::synth::Synth;
    use super::*;
    use zerocopy::{FromZeros, IntoBytes};

    #[test]
    fn the_list_is_read_and_one_past_the_end_is_malformed() {
        let mut synth = Synth::new();
        let name = synth.string("libc.so.6");
        let entry =
            LinkMap64 { addr: 1.into(), name: name.into(), padding: 0.into(), ld: 2.into() };
        let mut debug = DsoDebug64::new_zeroed();
        debug.map = synth.put(entry.as_bytes()).into();
        debug.dso_count = 1.into();
        synth.stream(StreamType::LINUX_DSO_DEBUG, &[debug.as_bytes(), &[7; 16]].concat());
        let read = synth.open().dso_debug().unwrap().unwrap();
        assert_eq!(read.entries[0].name.as_deref(), Some("libc.so.6"));
        assert_eq!(read.dynamic_bytes, [7; 16]);

        debug.dso_count = u32::MAX.into();
        let mut synth = Synth::new();
        synth.stream(StreamType::LINUX_DSO_DEBUG, debug.as_bytes());
        assert!(synth.open().dso_debug().is_err());
    }
}
