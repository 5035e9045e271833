//! Memory counters of the process and of the system.

use super::error::ReadResult;
use super::minidump::Minidump;
use dumpwright_format::minidump::{
    ProcessVmCounters2, SYSMEMINFO1_BASICPERF, StreamType, SystemMemoryInfo1, VM_COUNTERS_EX,
    VM_COUNTERS_EX2, VM_COUNTERS_VIRTUALSIZE,
};
use serde::Serialize;

/// The first form of the ProcessVmCounters stream, in bytes.
const VM_COUNTERS_1: usize = 80;

/// The ProcessVmCounters stream. Sizes in bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct VmCounters {
    /// Form of the structure: 1 or 2.
    pub revision: u16,
    /// Page faults.
    pub page_fault_count: u32,
    /// Resident memory at its highest.
    pub peak_working_set_size: u64,
    /// Resident memory.
    pub working_set_size: u64,
    /// Swapped memory, or commit charge.
    pub pagefile_usage: u64,
    /// The same at its highest.
    pub peak_pagefile_usage: u64,
    /// Address space in use at its highest.
    pub peak_virtual_size: Option<u64>,
    /// Address space in use.
    pub virtual_size: Option<u64>,
    /// Private memory.
    pub private_usage: Option<u64>,
    /// Resident private memory.
    pub private_working_set_size: Option<u64>,
    /// Shared commit charge.
    pub shared_commit_usage: Option<u64>,
}

/// What the SystemMemoryInfo stream says of any system.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct SystemMemory {
    /// Bytes of a page.
    pub page_size: u32,
    /// Pages of physical memory.
    pub number_of_physical_pages: u32,
    /// Bytes to which addresses of allocations are aligned.
    pub allocation_granularity: u32,
    /// Processors.
    pub number_of_processors: u32,
    /// Pages that are free.
    pub available_pages: u64,
    /// Pages that are committed.
    pub committed_pages: u64,
    /// Pages that can be committed.
    pub commit_limit: u64,
    /// Pages that were committed at most.
    pub peak_commitment: u64,
}

impl Minidump {
    /// Memory counters of the process, from the ProcessVmCounters stream.
    pub fn vm_counters(&self) -> ReadResult<Option<VmCounters>> {
        let Some(bytes) = self.load(StreamType::PROCESS_VM_COUNTERS)? else { return Ok(None) };
        let c: ProcessVmCounters2 = bytes.get_padded(VM_COUNTERS_1)?;
        let second = c.revision.get() >= 2 && bytes.data.len() >= size_of::<ProcessVmCounters2>();
        let has = |flag: u16| second && c.flags.get() & flag != 0;
        // In the first form the private usage stands where the second has the
        // peak of the virtual size.
        let private = if second { c.private_usage } else { c.peak_virtual_size };
        Ok(Some(VmCounters {
            revision: c.revision.get(),
            page_fault_count: c.page_fault_count.get(),
            peak_working_set_size: c.peak_working_set_size.get(),
            working_set_size: c.working_set_size.get(),
            pagefile_usage: c.pagefile_usage.get(),
            peak_pagefile_usage: c.peak_pagefile_usage.get(),
            peak_virtual_size: has(VM_COUNTERS_VIRTUALSIZE).then(|| c.peak_virtual_size.get()),
            virtual_size: has(VM_COUNTERS_VIRTUALSIZE).then(|| c.virtual_size.get()),
            private_usage: (!second || has(VM_COUNTERS_EX)).then(|| private.get()),
            private_working_set_size: has(VM_COUNTERS_EX2)
                .then(|| c.private_working_set_size.get()),
            shared_commit_usage: has(VM_COUNTERS_EX2).then(|| c.shared_commit_usage.get()),
        }))
    }

    /// Memory counters of the system, from the SystemMemoryInfo stream.
    pub fn system_memory(&self) -> ReadResult<Option<SystemMemory>> {
        let Some(bytes) = self.load(StreamType::SYSTEM_MEMORY_INFO)? else { return Ok(None) };
        let info: SystemMemoryInfo1 = bytes.get(0)?;
        let mut memory = SystemMemory {
            page_size: info.basic.page_size.get(),
            number_of_physical_pages: info.basic.number_of_physical_pages.get(),
            allocation_granularity: info.basic.allocation_granularity.get(),
            number_of_processors: info.basic.number_of_processors.get(),
            available_pages: info.performance.available_pages.get().into(),
            committed_pages: info.performance.committed_pages.get().into(),
            commit_limit: info.performance.commit_limit.get().into(),
            peak_commitment: info.performance.peak_commitment.get().into(),
        };
        // Where there are wide counters they count.
        if info.flags.get() & SYSMEMINFO1_BASICPERF != 0 {
            memory.available_pages = info.basic_performance.available_pages.get();
            memory.committed_pages = info.basic_performance.committed_pages.get();
            memory.commit_limit = info.basic_performance.commit_limit.get();
            memory.peak_commitment = info.basic_performance.peak_commitment.get();
        }
        Ok(Some(memory))
    }
}

#[cfg(test)]
mod tests {
    use super::super::synth::Synth;
    use super::*;
    use zerocopy::{FromZeros, IntoBytes};

    fn read(c: &ProcessVmCounters2, size: usize) -> VmCounters {
        let mut synth = Synth::new();
        synth.stream(StreamType::PROCESS_VM_COUNTERS, &c.as_bytes()[..size]);
        synth.open().vm_counters().unwrap().unwrap()
    }

    #[test]
    fn both_forms_are_told_apart() {
        let mut c = ProcessVmCounters2::new_zeroed();
        c.revision = 1.into();
        c.peak_virtual_size = 11.into();
        c.private_usage = 22.into();
        let first = read(&c, VM_COUNTERS_1);
        assert_eq!((first.private_usage, first.virtual_size), (Some(11), None));
        c.revision = 2.into();
        c.flags = (VM_COUNTERS_EX | VM_COUNTERS_VIRTUALSIZE).into();
        let second = read(&c, 152);
        assert_eq!((second.private_usage, second.peak_virtual_size), (Some(22), Some(11)));
        assert_eq!(second.shared_commit_usage, None);
    }
}
