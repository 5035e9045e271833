//! The dynamic linker's own list of libraries, as Breakpad stores it.

use super::error::ReadResult;
use super::minidump::Minidump;
use dumpwright_format::minidump::StreamType;
use dumpwright_format::minidump::linux::{DsoDebug64, LinkMap64};
use zerocopy::FromBytes;
use zerocopy::little_endian::U32;

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

/// `MDRawDebug32`, Breakpad's minidump_format.h, as words: `r_version`, map,
/// count, `r_brk`, `r_ldbase`, dynamic.
type DsoDebug32 = [U32; 6];
/// `MDRawLinkMap32`, Breakpad's minidump_format.h: address, name, dynamic section.
type LinkMap32 = [U32; 3];

impl Minidump {
    /// The dynamic linker's list, from the LinuxDsoDebug stream. Whether its
    /// addresses have 32 bits, the SystemInfo stream says.
    pub fn dso_debug(&self) -> ReadResult<Option<DsoDebug>> {
        let Some(bytes) = self.load(StreamType::LINUX_DSO_DEBUG)? else { return Ok(None) };
        let narrow = self.system_info()?.is_some_and(|system| system.is_32_bit());
        let (mut debug, head_size) = if narrow {
            let [version, map, count, brk, ldbase, dynamic] =
                bytes.get::<DsoDebug32>(0)?.map(U32::get);
            let [brk, ldbase, dynamic] = [brk, ldbase, dynamic].map(u64::from);
            (head(version, map, count, [brk, ldbase, dynamic]), size_of::<DsoDebug32>())
        } else {
            let d: DsoDebug64 = bytes.get(0)?;
            let addresses = [d.brk.get(), d.ldbase.get(), d.dynamic.get()];
            let (version, map, count) = (d.version.get(), d.map.get(), d.dso_count.get());
            (head(version, map, count, addresses), size_of::<DsoDebug64>())
        };
        debug.dynamic_bytes = bytes.data.get(head_size..).unwrap_or_default().to_vec();
        debug.entries = self.link_map(&debug, narrow)?;
        Ok(Some(debug))
    }

    fn link_map(&self, debug: &DsoDebug, narrow: bool) -> ReadResult<Vec<LinkMap>> {
        let entry_size = if narrow { size_of::<LinkMap32>() } else { size_of::<LinkMap64>() };
        let size = u64::from(debug.dso_count) * entry_size as u64;
        let rva = u64::from(debug.map_rva);
        if !self.holds(rva, size) {
            let reason = format!(
                "its list of {} libraries reaches past the end of the file",
                debug.dso_count
            );
            return Err(Self::malformed(StreamType::LINUX_DSO_DEBUG, rva, reason));
        }
        let mut bytes = vec![0; size as usize];
        self.read_file(rva, &mut bytes)?;
        let mut allowance = self.allowance();
        let entries = bytes.chunks_exact(entry_size).filter_map(|entry| {
            let (addr, name, ld) = if narrow {
                let [addr, name, ld] = LinkMap32::read_from_bytes(entry).ok()?.map(U32::get);
                (addr.into(), name, ld.into())
            } else {
                let entry = LinkMap64::read_from_bytes(entry).ok()?;
                (entry.addr.get(), entry.name.get(), entry.ld.get())
            };
            Some(LinkMap { addr, ld, name: self.referred_string(name.into(), &mut allowance) })
        });
        Ok(entries.collect())
    }
}

fn head(version: u32, map_rva: u32, dso_count: u32, [brk, ldbase, dynamic]: [u64; 3]) -> DsoDebug {
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
        let entry = LinkMap64 { addr: 1.into(), name: name.into(), ld: 2.into() };
        let mut debug = DsoDebug64::new_zeroed();
        debug.map = synth.put(entry.as_bytes()).into();
        debug.dso_count = 1.into();
        synth.stream(StreamType::LINUX_DSO_DEBUG, &[debug.as_bytes(), b"DYN"].concat());
        let read = synth.open().dso_debug().unwrap().unwrap();
        assert_eq!(read.entries[0].name.as_deref(), Some("libc.so.6"));
        assert_eq!(read.dynamic_bytes, b"DYN");

        debug.dso_count = u32::MAX.into();
        let mut synth = Synth::new();
        synth.stream(StreamType::LINUX_DSO_DEBUG, debug.as_bytes());
        assert!(synth.open().dso_debug().is_err());
    }
}
