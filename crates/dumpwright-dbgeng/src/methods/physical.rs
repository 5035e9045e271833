//! `IDebugDataSpaces`: what only a machine has.

use super::OK;
use super::memory::UNREADABLE;
use crate::abi::{Answer, Buffer, Out};
use crate::object::Client;
use crate::target::Held;
use dumpwright::HResult;
use dumpwright::target::machine::{
    Gpa, Gva, MachineSnapshot, PhysicalMemory, ProcessorSnapshot, read_physical,
};

/// `DEBUG_PHYSICAL_WRITE_COMBINED`, the last of the ways to read.
const WRITE_COMBINED: u32 = 3;

/// `DEBUG_DATA_*` of `ReadProcessorSystemData`.
mod processor_data {
    /// `DEBUG_DATA_KPCR_OFFSET`.
    pub const KPCR: u32 = 0;
    /// `DEBUG_DATA_KPRCB_OFFSET`.
    pub const KPRCB: u32 = 1;
    /// `DEBUG_DATA_KTHREAD_OFFSET`.
    pub const KTHREAD: u32 = 2;
    /// `DEBUG_DATA_BASE_TRANSLATION_VIRTUAL_OFFSET`.
    pub const BASE_TRANSLATION: u32 = 3;
}

/// Indexes of `ReadDebuggerData` below this are offsets in `KDDEBUGGER_DATA64`
/// of values of eight bytes: its list of addresses.
const END_OF_ADDRESSES: u32 = 0x298;
/// `DEBUG_DATA_KernBase`, the first of them.
const KERNEL_BASE: u32 = 0x18;
/// `DEBUG_DATA_SavedContextAddr`; between it and the next address are numbers of
/// two bytes.
const SAVED_CONTEXT: u32 = 0x28;
/// `DEBUG_DATA_KiCallUserModeAddr`.
const CALL_USER_MODE: u32 = 0x38;

/// Runs `body` with the current machine.
fn with_machine<T>(
    client: &Client,
    body: impl FnOnce(&MachineSnapshot, &dyn PhysicalMemory) -> Answer<T>,
) -> Answer<T> {
    client.state.session.with_held(|_, held| match held {
        Held::Machine(snapshot, memory) => body(snapshot, memory),
        Held::Process(..) => Err(HResult::E_UNEXPECTED),
    })
}

/// `ReadPhysical`: as many bytes as can be read from `offset` without a gap.
pub fn read(client: &Client, offset: u64, buffer: Buffer, size: u32, count: Out<u32>) -> Answer {
    count.put_if_wanted(0);
    let done = with_machine(client, |_, memory| {
        buffer.with(size, |bytes| {
            let done = read_physical(memory, Gpa(offset), bytes);
            bytes[done..].fill(0);
            done
        })
    })?;
    count.put_if_wanted(done as u32);
    if done == 0 && size > 0 { Err(UNREADABLE) } else { OK }
}

/// `ReadPhysical2`. A dump has one way to be read; how memory is cached means
/// nothing to it.
pub fn read2(
    client: &Client,
    offset: u64,
    flags: u32,
    buffer: Buffer,
    size: u32,
    count: Out<u32>,
) -> Answer {
    if flags > WRITE_COMBINED {
        return Err(HResult::E_INVALIDARG);
    }
    read(client, offset, buffer, size, count)
}

/// `VirtualToPhysical`.
pub fn translate(client: &Client, offset: u64, physical: Out<u64>) -> Answer {
    let found = with_machine(client, |snapshot, memory| {
        snapshot.address_space(memory).translate(Gva(offset)).ok_or(UNREADABLE)
    })?;
    physical.put(found.gpa.0)?;
    OK
}

/// Stores a value of eight bytes: all of it or none.
fn put_value(value: u64, buffer: Buffer, size: u32, needed: Out<u32>) -> Answer {
    needed.put_if_wanted(8);
    if size < 8 {
        return Err(HResult::E_INVALIDARG);
    }
    buffer.with(8, |bytes| bytes.copy_from_slice(&value.to_le_bytes()))?;
    OK
}

/// `ReadDebuggerData`: addresses that `KDDEBUGGER_DATA64` has.
pub fn debugger_data(
    client: &Client,
    index: u32,
    buffer: Buffer,
    size: u32,
    needed: Out<u32>,
) -> Answer {
    let state = client.state.session.state();
    let machine = state.current()?.machine()?;
    let is_address = (KERNEL_BASE..END_OF_ADDRESSES).contains(&index)
        && index.is_multiple_of(8)
        && !(SAVED_CONTEXT + 8..CALL_USER_MODE).contains(&index);
    if !is_address {
        return Err(HResult::E_INVALIDARG);
    }
    let small = machine.small_dump.as_deref().map(|small| &small.debugger_data);
    let block = machine.debugger_data_block.as_ref().or(small).ok_or(HResult::E_UNEXPECTED)?;
    let bytes = block.get(index as usize..).and_then(|rest| rest.first_chunk());
    let value = u64::from_le_bytes(*bytes.ok_or(HResult::E_UNEXPECTED)?);
    drop(state);
    put_value(value, buffer, size, needed)
}

/// `ReadProcessorSystemData`: where a processor's structures are.
pub fn processor_data(
    client: &Client,
    processor: u32,
    index: u32,
    buffer: Buffer,
    size: u32,
    needed: Out<u32>,
) -> Answer {
    let state = client.state.session.state();
    let machine = state.current()?.machine()?;
    let found = machine.processors.get(processor as usize).ok_or(HResult::E_INVALIDARG)?;
    let value = value_of(found, index, machine)?;
    drop(state);
    put_value(value, buffer, size, needed)
}

fn value_of(processor: &ProcessorSnapshot, index: u32, machine: &MachineSnapshot) -> Answer<u64> {
    let value = match index {
        processor_data::KPCR => processor.pcr.0,
        processor_data::KPRCB => processor.prcb.0,
        processor_data::KTHREAD => processor.current_thread.0,
        processor_data::BASE_TRANSLATION => {
            processor.control.map_or(machine.directory_table_base, |control| control.cr3)
        }
        _ => return Err(HResult::E_NOTIMPL),
    };
    if value == 0 { Err(HResult::E_UNEXPECTED) } else { Ok(value) }
}
