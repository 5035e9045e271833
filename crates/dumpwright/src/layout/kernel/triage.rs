//! The small dump. Its parts stand in the order in which the real one has them.

use super::{push, too_large};
use crate::error::Result;
use crate::kernel_type::KernelDumpType;
use crate::plan::kernel::TriagePlan;
use crate::target::machine::UnloadedKernelModule;
use core::mem::offset_of;
use dumpwright_format::kernel::{
    DriverEntry64, Header64, TRIAGE_MM_SIZE, TRIAGE_VALID, TriageDataBlock, TriageDump64,
    TriageMmInformation, UnicodeString64, UnloadedDriver64,
};
use zerocopy::{FromZeros, IntoBytes};

/// Bytes at whose multiples parts stand.
const ALIGNMENT: usize = 8;

/// The body's bytes, from `start` on.
pub fn encode(plan: &TriagePlan, start: usize) -> Result<Vec<u8>> {
    let mut out = Parts { start, bytes: vec![0; size_of::<TriageDump64>()] };
    let mut header = TriageDump64::new_zeroed();
    header.context_offset = (offset_of!(Header64, context_record) as u32).into();
    header.exception_offset = (offset_of!(Header64, exception) as u32).into();
    header.triage_options = u32::MAX.into();

    let mut mm = TriageMmInformation::new_zeroed();
    mm.version = 1.into();
    mm.size = TRIAGE_MM_SIZE.into();
    header.mm_offset = out.put(mm.as_bytes())?.into();
    header.unloaded_drivers_offset = out.put(&unloaded(&plan.unloaded))?.into();
    header.prcb_offset = out.put_if_any(&plan.prcb)?.into();
    header.process_offset = out.put_if_any(&plan.process)?.into();
    header.thread_offset = out.put_if_any(&plan.thread)?.into();
    header.call_stack_offset = out.put_if_any(&plan.stack)?.into();
    header.size_of_call_stack = length(plan.stack.len())?.into();
    header.top_of_stack = plan.stack_start.0.into();
    header.debugger_data_offset = out.put_if_any(&plan.debugger_data)?.into();
    header.debugger_data_size = length(plan.debugger_data.len())?.into();

    let drivers = out.here()?;
    let pool = drivers as usize + plan.drivers.len() * size_of::<DriverEntry64>();
    let (entries, strings) = drivers_and_names(plan, pool)?;
    header.driver_list_offset = out.put(&entries)?.into();
    header.driver_count = length(plan.drivers.len())?.into();
    header.string_pool_size = length(strings.len())?.into();
    header.string_pool_offset = out.put(&strings)?.into();

    header.data_blocks_offset = out.here()?.into();
    header.data_blocks_count = length(plan.blocks.len())?.into();
    let mut at = out.here()? as usize + plan.blocks.len() * size_of::<TriageDataBlock>();
    let mut described = Vec::new();
    for (address, bytes) in &plan.blocks {
        let block = TriageDataBlock {
            address: address.0.into(),
            offset: length(at)?.into(),
            size: length(bytes.len())?.into(),
        };
        push(&mut described, &block);
        at += bytes.len();
    }
    out.bytes.extend_from_slice(&described);
    for (_, bytes) in &plan.blocks {
        out.bytes.extend_from_slice(bytes);
    }
    header.valid_offset = out.put(&TRIAGE_VALID.to_le_bytes())?.into();
    header.size_of_dump = length(out.start + out.bytes.len())?.into();
    out.bytes[..size_of::<TriageDump64>()].copy_from_slice(header.as_bytes());
    Ok(out.bytes)
}

/// Bytes that are put one after the other.
struct Parts {
    /// File offset of the first.
    start: usize,
    bytes: Vec<u8>,
}

impl Parts {
    /// File offset of the next part.
    fn here(&mut self) -> Result<u32> {
        self.bytes.resize(self.bytes.len().next_multiple_of(ALIGNMENT), 0);
        length(self.start + self.bytes.len())
    }

    /// Puts a part, and answers where.
    fn put(&mut self, part: &[u8]) -> Result<u32> {
        let at = self.here()?;
        self.bytes.extend_from_slice(part);
        Ok(at)
    }

    /// The same; 0 for a part that there is nothing of.
    fn put_if_any(&mut self, part: &[u8]) -> Result<u32> {
        if part.is_empty() { Ok(0) } else { self.put(part) }
    }
}

fn length(bytes: usize) -> Result<u32> {
    u32::try_from(bytes)
        .map_err(|_| too_large(KernelDumpType::Triage, "more than 4 GiB of structures"))
}

/// The list of unloaded drivers: how many, and each.
fn unloaded(modules: &[UnloadedKernelModule]) -> Vec<u8> {
    let mut bytes = (modules.len() as u64).to_le_bytes().to_vec();
    for module in modules {
        let mut driver = UnloadedDriver64::new_zeroed();
        let mut units = 0_u16;
        for (place, unit) in driver.driver_name.iter_mut().zip(module.name.encode_utf16()) {
            *place = unit.into();
            units += 1;
        }
        driver.name = UnicodeString64::new_zeroed();
        driver.name.length = (2 * units).into();
        driver.name.maximum_length = (2 * units).into();
        driver.start_address = module.start.0.into();
        driver.end_address = module.end.0.into();
        push(&mut bytes, &driver);
    }
    bytes
}

/// The list of drivers and the names that it points to, which stand at `pool`.
fn drivers_and_names(plan: &TriagePlan, pool: usize) -> Result<(Vec<u8>, Vec<u8>)> {
    let (mut entries, mut strings) = (Vec::new(), Vec::new());
    for driver in &plan.drivers {
        let mut entry = DriverEntry64::new_zeroed();
        entry.name_offset = length(pool + strings.len())?.into();
        entry.entry.dll_base = driver.base.0.into();
        entry.entry.size_of_image = driver.size.into();
        entry.entry.check_sum = driver.check_sum.into();
        entry.entry.time_date_stamp = driver.time_date_stamp.into();
        push(&mut entries, &entry);
        let units: Vec<u16> = driver.name.encode_utf16().collect();
        strings.extend_from_slice(&length(units.len())?.to_le_bytes());
        strings.extend(units.iter().flat_map(|unit| unit.to_le_bytes()));
        strings.extend_from_slice(&[0, 0]);
        strings.resize(strings.len().next_multiple_of(ALIGNMENT), 0);
    }
    Ok((entries, strings))
}
