//! 32-bit processes on 64-bit Windows. Each has two sides: its own, with 32-bit
//! TEBs and a 32-bit PEB, and a 64-bit one that makes its system calls.

use super::exports;
use super::pe::PeImage;
use super::unloaded::TraceVariables;
use super::{read, read_pointer};
use crate::address::AddressRange;
use crate::target::MemorySource;
use dumpwright_format::context::x86::ContextX86;
use dumpwright_format::nt::{
    NtOffsets, TEB_TLS_SLOTS, WOW64_CPU_AREA_HEAD, WOW64_TEB_OFFSET, WOW64_TLS_CPU_RESERVED,
};

/// The 32-bit TEB of the thread whose TEB the system says is at `teb`. That is
/// the 64-bit one, which the other follows; older versions of Wine name the
/// 32-bit one itself.
pub(crate) fn narrow_teb(memory: &dyn MemorySource, teb: u64) -> Option<u64> {
    let is_narrow = |at: u64| {
        let own = at.checked_add(NtOffsets::NARROW.teb_self)?;
        Some(read_pointer(memory, &NtOffsets::NARROW, own)? == at)
    };
    [teb.checked_add(WOW64_TEB_OFFSET)?, teb].into_iter().find(|at| is_narrow(*at) == Some(true))
}

/// The 64-bit TEB of the thread whose 32-bit one is at `teb`.
pub(crate) fn wide_teb(memory: &dyn MemorySource, teb: u64) -> Option<u64> {
    let wide = teb.checked_sub(WOW64_TEB_OFFSET)?;
    let own = read_pointer(memory, &NtOffsets::WIDE, wide + NtOffsets::WIDE.teb_self)?;
    (own == wide).then_some(wide)
}

/// The 32-bit PEB, as a 32-bit TEB names it.
pub(crate) fn narrow_peb(memory: &dyn MemorySource, teb: u64) -> Option<u64> {
    let field = teb.checked_add(NtOffsets::NARROW.teb_peb)?;
    read_pointer(memory, &NtOffsets::NARROW, field).filter(|peb| *peb != 0)
}

/// Where the 64-bit side keeps the 32-bit registers of a thread while it is in
/// a system call (`WOW64_CPURESERVED`): debuggers of the 64-bit side look there.
pub(crate) fn cpu_area(memory: &dyn MemorySource, teb: u64) -> Option<AddressRange> {
    let slot = wide_teb(memory, teb)? + TEB_TLS_SLOTS + 8 * WOW64_TLS_CPU_RESERVED;
    let at = read_pointer(memory, &NtOffsets::WIDE, slot).filter(|at| *at != 0)?;
    Some(AddressRange::with_len(at, WOW64_CPU_AREA_HEAD + size_of::<ContextX86>() as u64))
}

/// Where the 32-bit ntdll keeps its trace of unloaded modules. Nothing exports
/// the variables; `RtlGetUnloadEventTraceEx` does no more than store their three
/// addresses, which stand in its instructions.
pub(crate) fn unload_trace(memory: &dyn MemorySource, ntdll: &PeImage) -> Option<TraceVariables> {
    /// Longer than the function.
    const CODE: usize = 64;
    let start = exports::address_of(memory, ntdll, "RtlGetUnloadEventTraceEx")?;
    let code: [u8; CODE] = read(memory, start)?;
    let image = AddressRange::with_len(ntdll.base, ntdll.size);
    // `mov dword ptr [register], imm32`
    let stored = code.windows(6).filter(|bytes| bytes[0] == 0xC7 && bytes[1] < 4);
    let mut addresses = stored
        .map(|bytes| u64::from(u32::from_le_bytes([bytes[2], bytes[3], bytes[4], bytes[5]])))
        .filter(|address| image.contains(*address));
    let (element_size, element_count, trace) =
        (addresses.next()?, addresses.next()?, addresses.next()?);
    Some(TraceVariables { element_size, element_count, trace })
}

#[cfg(test)]
mod tests {
    use super::super::fake::FakeMemory;
    use super::*;

    /// A thread's TEBs as Windows lays them out.
    fn thread() -> FakeMemory {
        let mut memory = FakeMemory::default();
        memory.put_u64(0x7000_0030, 0x7000_0000);
        memory.put_u32(0x7000_2018, 0x7000_2000);
        memory.put_u32(0x7000_2030, 0x6000_1000);
        memory.put_u64(0x7000_0000 + 0x1488, 0x50_0000);
        memory
    }

    #[test]
    fn both_tebs_of_a_32_bit_thread_are_found_from_either() {
        let memory = thread();
        assert_eq!(narrow_teb(&memory, 0x7000_0000), Some(0x7000_2000));
        assert_eq!(narrow_teb(&memory, 0x7000_2000), Some(0x7000_2000));
        assert_eq!(narrow_teb(&memory, 0x1000), None);
        assert_eq!(wide_teb(&memory, 0x7000_2000), Some(0x7000_0000));
        assert_eq!(wide_teb(&memory, 0x7000_4000), None);
        assert_eq!(narrow_peb(&memory, 0x7000_2000), Some(0x6000_1000));
    }

    #[test]
    fn the_64_bit_side_s_copy_of_a_context_is_found_by_its_slot() {
        let area = cpu_area(&thread(), 0x7000_2000).unwrap();
        assert_eq!((area.start, area.len()), (0x50_0000, 4 + 716));
    }

    #[test]
    fn the_trace_of_a_32_bit_ntdll_is_found_by_the_code_that_tells_of_it() {
        const BASE: u64 = 0x7bc0_0000;
        let mut memory = FakeMemory::default();
        // DOS header; PE header; optional header of a 32-bit image of 64 KiB.
        memory.put(BASE, [0; 0x400]);
        memory.put(BASE, *b"MZ");
        memory.put_u32(BASE + 0x3C, 0x80);
        memory.put(BASE + 0x80, *b"PE\0\0");
        let optional = BASE + 0x98;
        memory.put(optional, 0x10b_u16.to_le_bytes());
        memory.put_u32(optional + 56, 0x1_0000);
        memory.put_u32(optional + 60, 0x400);
        memory.put_u32(optional + 92, 1);
        memory.put_u32(optional + 96, 0x1000);
        memory.put_u32(optional + 100, 0x100);
        // Exports: names, functions, ordinals.
        memory.put_u32(BASE + 0x1000 + 24, 2);
        memory.put_u32(BASE + 0x1000 + 28, 0x1100);
        memory.put_u32(BASE + 0x1000 + 32, 0x1200);
        memory.put_u32(BASE + 0x1000 + 36, 0x1300);
        memory.put_u32(BASE + 0x1100, 0x9999);
        memory.put_u32(BASE + 0x1104, 0x2000);
        memory.put_u32(BASE + 0x1200, 0x1400);
        memory.put_u32(BASE + 0x1204, 0x1500);
        memory.put(BASE + 0x1300, [0, 0, 1, 0]);
        memory.put(BASE + 0x1400, [b"NtClose\0".as_slice(), &[0; 256]].concat());
        memory.put(BASE + 0x1500, [b"RtlGetUnloadEventTraceEx\0".as_slice(), &[0; 256]].concat());
        // mov eax, [ebp+8]; mov dword ptr [eax], address: three times.
        let mut code = vec![0x55, 0x89, 0xe5];
        for (argument, address) in [(8, 0x7bc0_a344_u32), (12, 0x7bc0_a340), (16, 0x7bc0_e048)] {
            code.extend([0x8b, 0x45, argument, 0xc7, 0x00]);
            code.extend(address.to_le_bytes());
        }
        code.resize(64, 0x90);
        memory.put(BASE + 0x2000, code);
        let ntdll = PeImage::read(&memory, BASE).unwrap();
        let found = unload_trace(&memory, &ntdll).unwrap();
        assert_eq!(
            (found.element_size, found.element_count, found.trace),
            (0x7bc0_a344, 0x7bc0_a340, 0x7bc0_e048)
        );
    }
}
