//! The parts of a small dump.

use super::header::{KernelHeader, Width};
use super::{Bytes, malformed};
use crate::read::error::{ReadError, ReadResult};
use crate::target::machine::Gva;
use dumpwright_format::kernel::{
    DriverEntry64, TRIAGE_VALID, TriageDataBlock, TriageDump64, UnloadedDriver64,
};
use zerocopy::little_endian::U64;

/// Entries of a list that are read; real dumps have some thousands.
const MAX_ENTRIES: u64 = 0x4_0000;
/// UTF-16 units of a name that are read.
const MAX_NAME: u32 = 0x8000;

/// A small dump.
#[derive(Clone, Debug)]
pub struct Triage {
    /// The structure behind the header, as it stands there.
    pub wire: TriageDump64,
    /// Bytes of the dump without secondary data.
    pub size: u32,
    /// Whether `TRGD` stands where it must.
    pub is_valid: bool,
    /// Its structures: name, place and size; sizes are known up to the next
    /// part only.
    pub parts: Vec<TriagePart>,
    /// Address of the stack's first byte.
    pub stack_start: Gva,
    /// Where the stack stands.
    pub stack: TriageBlock,
    /// Drivers.
    pub drivers: Vec<TriageDriver>,
    /// Drivers that were unloaded.
    pub unloaded: Vec<TriageUnloaded>,
    /// Pieces of virtual memory.
    pub blocks: Vec<TriageBlock>,
}

/// A structure in a small dump.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TriagePart {
    /// What it is.
    pub name: &'static str,
    /// File offset; 0 if it is not there.
    pub offset: u32,
}

/// A piece of virtual memory in a small dump.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TriageBlock {
    /// Its address.
    pub address: Gva,
    /// File offset.
    pub offset: u32,
    /// Bytes.
    pub size: u32,
}

/// A driver in a small dump.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TriageDriver {
    /// Load address.
    pub base: Gva,
    /// Bytes of the image.
    pub size: u32,
    /// Checksum of the image.
    pub check_sum: u32,
    /// Time stamp of the image.
    pub time_date_stamp: u32,
    /// Its name; `None` if that cannot be read.
    pub name: Option<String>,
}

/// An unloaded driver in a small dump.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TriageUnloaded {
    /// First address.
    pub start: Gva,
    /// Address past the end.
    pub end: Gva,
    /// Its name, of at most 12 characters.
    pub name: String,
}

impl Triage {
    pub(super) fn read(
        bytes: &Bytes<'_>,
        header: &KernelHeader,
        note: &mut dyn FnMut(ReadError),
    ) -> ReadResult<Triage> {
        if header.width == Width::Bits32 {
            return Err(malformed(
                header.size(),
                "small dumps of 32-bit kernels can be recognised and not read",
            )
            .into());
        }
        let wire: TriageDump64 = bytes.get(header.size())?;
        let valid = bytes.get::<zerocopy::little_endian::U32>(wire.valid_offset.get().into());
        let mut list = |what: &str, offset: u32, count: u64, size: usize| -> u64 {
            let room = bytes.len.saturating_sub(offset.into()) / size as u64;
            if count > room.min(MAX_ENTRIES) {
                note(
                    malformed(offset.into(), format!("{count} {what} do not fit into the file"))
                        .into(),
                );
            }
            count.min(room).min(MAX_ENTRIES)
        };
        let driver_count = list(
            "drivers",
            wire.driver_list_offset.get(),
            wire.driver_count.get().into(),
            size_of::<DriverEntry64>(),
        );
        let block_count = list(
            "data blocks",
            wire.data_blocks_offset.get(),
            wire.data_blocks_count.get().into(),
            size_of::<TriageDataBlock>(),
        );
        let unloaded_at = u64::from(wire.unloaded_drivers_offset.get());
        let unloaded_stated =
            if unloaded_at == 0 { 0 } else { bytes.get::<U64>(unloaded_at).map_or(0, U64::get) };
        let unloaded_count = list(
            "unloaded drivers",
            wire.unloaded_drivers_offset.get(),
            unloaded_stated,
            size_of::<UnloadedDriver64>(),
        );

        // Drivers that name the same text again and again must not add up.
        let mut room = bytes.len;
        let drivers =
            entries::<DriverEntry64>(bytes, wire.driver_list_offset.get().into(), driver_count)
                .map(|driver| TriageDriver {
                    base: Gva(driver.entry.dll_base.get()),
                    size: driver.entry.size_of_image.get(),
                    check_sum: driver.entry.check_sum.get(),
                    time_date_stamp: driver.entry.time_date_stamp.get(),
                    name: name(bytes, driver.name_offset.get().into(), &mut room),
                })
                .collect();
        let unloaded = entries::<UnloadedDriver64>(bytes, unloaded_at + 8, unloaded_count)
            .map(|driver| {
                let units = usize::from(driver.name.length.get() / 2).min(driver.driver_name.len());
                let text: Vec<u16> = driver.driver_name[..units].iter().map(|u| u.get()).collect();
                TriageUnloaded {
                    start: Gva(driver.start_address.get()),
                    end: Gva(driver.end_address.get()),
                    name: String::from_utf16_lossy(&text),
                }
            })
            .collect();
        let blocks =
            entries::<TriageDataBlock>(bytes, wire.data_blocks_offset.get().into(), block_count)
                .map(|block| TriageBlock {
                    address: Gva(block.address.get()),
                    offset: block.offset.get(),
                    size: block.size.get(),
                })
                .collect();
        let stack_start = Gva(wire.top_of_stack.get());
        let parts = [
            ("MmInformation", wire.mm_offset),
            ("unloaded drivers", wire.unloaded_drivers_offset),
            ("KPRCB", wire.prcb_offset),
            ("EPROCESS", wire.process_offset),
            ("ETHREAD", wire.thread_offset),
            ("stack", wire.call_stack_offset),
            ("KDDEBUGGER_DATA64", wire.debugger_data_offset),
            ("drivers", wire.driver_list_offset),
            ("string pool", wire.string_pool_offset),
            ("data blocks", wire.data_blocks_offset),
        ]
        .map(|(name, offset)| TriagePart { name, offset: offset.get() });
        Ok(Triage {
            size: wire.size_of_dump.get(),
            is_valid: valid.is_ok_and(|v| v.get() == TRIAGE_VALID),
            parts: parts.to_vec(),
            stack_start,
            stack: TriageBlock {
                address: stack_start,
                offset: wire.call_stack_offset.get(),
                size: wire.size_of_call_stack.get(),
            },
            drivers,
            unloaded,
            blocks,
            wire,
        })
    }
}

/// Structures one after the other, as far as the file has them.
fn entries<'a, T: zerocopy::FromBytes + zerocopy::IntoBytes + 'a>(
    bytes: &'a Bytes<'_>,
    at: u64,
    count: u64,
) -> impl Iterator<Item = T> + 'a {
    (0..count).map_while(move |index| bytes.get(at + index * size_of::<T>() as u64).ok())
}

/// A name of the string pool, of which there may be `room` bytes in all.
fn name(bytes: &Bytes<'_>, at: u64, room: &mut u64) -> Option<String> {
    let units = bytes.get::<zerocopy::little_endian::U32>(at).ok()?.get().min(MAX_NAME);
    *room = room.checked_sub(2 * u64::from(units))?;
    let mut text = vec![0; 2 * units as usize];
    bytes.read(at.checked_add(4)?, &mut text).ok()?;
    let units: Vec<u16> = text.chunks_exact(2).map(|u| u16::from_le_bytes([u[0], u[1]])).collect();
    Some(String::from_utf16_lossy(&units))
}
