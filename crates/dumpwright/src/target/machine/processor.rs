//! Registers of processors as dumps hold them, from what other tools noted.

use super::snapshot::{ControlRegisters, MachineArchitecture, ProcessorSnapshot};
use dumpwright_format::context::amd64::{self, ContextAmd64};
use dumpwright_format::context::arm64::{CONTEXT_ARM64, CONTEXT_FULL, ContextArm64};
use dumpwright_format::context::x86::{CONTEXT_X86, ContextX86};
use dumpwright_format::elf_core::FpsimdState;
use dumpwright_format::machine::qemu::{
    LinuxUserRegsAmd64, LinuxUserRegsArm64, PRSTATUS_REGS_OFFSET, QEMU_CPU_STATE_OLD_SIZE,
    QEMU_CPU_STATE_VERSION, QemuCpuState,
};
use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, FromZeros, IntoBytes};

const CR0_PAGING: u64 = 1 << 31;
const CR4_PAE: u64 = 1 << 5;
const CR4_LA57: u64 = 1 << 12;
/// `CONTEXT_CONTROL`, `CONTEXT_INTEGER` and `CONTEXT_SEGMENTS` of x86.
const PARTS: u32 = 0x7;
/// `CONTEXT_CONTROL` and `CONTEXT_INTEGER` of ARM64.
const ARM64_GENERAL: u32 = 0x3;

/// The state in a note of QEMU; older ones lack the last field.
pub(super) fn qemu_state(note: &[u8]) -> Option<QemuCpuState> {
    let mut state = QemuCpuState::new_zeroed();
    let bytes = state.as_mut_bytes();
    let len = note.len().min(bytes.len());
    if len < QEMU_CPU_STATE_OLD_SIZE {
        return None;
    }
    bytes[..len].copy_from_slice(&note[..len]);
    (state.version.get() == QEMU_CPU_STATE_VERSION).then_some(state)
}

/// The architecture that a processor runs in; `long` says that its machine's
/// core is one of 64 bits. A processor without paging has not decided yet (a
/// firmware, a boot loader) and is taken for a 64-bit one: what it has fits.
pub(super) fn architecture(state: &QemuCpuState, long: bool) -> MachineArchitecture {
    let [cr0, .., cr4] = state.cr.map(U64::get);
    match (long || cr0 & CR0_PAGING == 0, cr4) {
        (true, cr4) if cr4 & CR4_LA57 != 0 && cr0 & CR0_PAGING != 0 => {
            MachineArchitecture::Amd64La57
        }
        (true, _) => MachineArchitecture::Amd64,
        (false, cr4) if cr4 & CR4_PAE != 0 => MachineArchitecture::X86Pae,
        (false, _) => MachineArchitecture::X86,
    }
}

/// A processor from a note of QEMU.
pub(super) fn from_qemu(
    state: &QemuCpuState,
    architecture: MachineArchitecture,
) -> ProcessorSnapshot {
    let [cr0, _, cr2, cr3, cr4] = state.cr.map(U64::get);
    let control = ControlRegisters {
        cr0,
        cr2,
        cr3,
        cr4,
        gs_base: state.gs.base.get(),
        kernel_gs_base: state.kernel_gs_base.get(),
        idt: (state.idt.base.get(), state.idt.limit.get() as u16),
        gdt: (state.gdt.base.get(), state.gdt.limit.get() as u16),
        efer: 0,
    };
    let context = if architecture.is_64_bit() {
        qemu_context_amd64(state).as_bytes().to_vec()
    } else {
        qemu_context_x86(state).as_bytes().to_vec()
    };
    ProcessorSnapshot {
        context,
        instruction_pointer: state.rip.get(),
        stack_pointer: state.rsp.get(),
        control: Some(control),
        ..ProcessorSnapshot::default()
    }
}

fn qemu_context_amd64(state: &QemuCpuState) -> ContextAmd64 {
    let [r8, r9, r10, r11, r12, r13, r14, r15] = state.r8_to_r15;
    ContextAmd64 {
        context_flags: U32::new(amd64::CONTEXT_AMD64 | PARTS),
        seg_cs: selector(state.cs.selector),
        seg_ds: selector(state.ds.selector),
        seg_es: selector(state.es.selector),
        seg_fs: selector(state.fs.selector),
        seg_gs: selector(state.gs.selector),
        seg_ss: selector(state.ss.selector),
        e_flags: low(state.rflags),
        rax: state.rax,
        rcx: state.rcx,
        rdx: state.rdx,
        rbx: state.rbx,
        rsp: state.rsp,
        rbp: state.rbp,
        rsi: state.rsi,
        rdi: state.rdi,
        r8,
        r9,
        r10,
        r11,
        r12,
        r13,
        r14,
        r15,
        rip: state.rip,
        ..ContextAmd64::new_zeroed()
    }
}

fn qemu_context_x86(state: &QemuCpuState) -> ContextX86 {
    ContextX86 {
        context_flags: U32::new(CONTEXT_X86 | PARTS),
        seg_gs: state.gs.selector,
        seg_fs: state.fs.selector,
        seg_es: state.es.selector,
        seg_ds: state.ds.selector,
        edi: low(state.rdi),
        esi: low(state.rsi),
        ebx: low(state.rbx),
        edx: low(state.rdx),
        ecx: low(state.rcx),
        eax: low(state.rax),
        ebp: low(state.rbp),
        eip: low(state.rip),
        seg_cs: state.cs.selector,
        e_flags: low(state.rflags),
        esp: low(state.rsp),
        seg_ss: state.ss.selector,
        ..ContextX86::new_zeroed()
    }
}

/// A processor from an `NT_PRSTATUS` note of an x86-64 machine.
pub(super) fn from_amd64_status(note: &[u8]) -> Option<ProcessorSnapshot> {
    let registers = note.get(PRSTATUS_REGS_OFFSET..)?;
    let (r, _) = LinuxUserRegsAmd64::read_from_prefix(registers).ok()?;
    let [r15, r14, r13, r12] = r.r15_to_r12;
    let [r11, r10, r9, r8] = r.r11_to_r8;
    let segment = |register: U64| U16::new(register.get() as u16);
    let context = ContextAmd64 {
        context_flags: U32::new(amd64::CONTEXT_AMD64 | PARTS),
        seg_cs: segment(r.cs),
        seg_ds: segment(r.ds),
        seg_es: segment(r.es),
        seg_fs: segment(r.fs),
        seg_gs: segment(r.gs),
        seg_ss: segment(r.ss),
        e_flags: low(r.rflags),
        rax: r.rax,
        rcx: r.rcx,
        rdx: r.rdx,
        rbx: r.rbx,
        rsp: r.rsp,
        rbp: r.rbp,
        rsi: r.rsi,
        rdi: r.rdi,
        r8,
        r9,
        r10,
        r11,
        r12,
        r13,
        r14,
        r15,
        rip: r.rip,
        ..ContextAmd64::new_zeroed()
    };
    Some(ProcessorSnapshot {
        context: context.as_bytes().to_vec(),
        instruction_pointer: r.rip.get(),
        stack_pointer: r.rsp.get(),
        ..ProcessorSnapshot::default()
    })
}

/// A processor from an `NT_PRSTATUS` note of a 64-bit ARM machine, and the
/// `NT_FPREGSET` note that goes with it.
pub(super) fn from_arm64_status(note: &[u8], float: Option<&[u8]>) -> Option<ProcessorSnapshot> {
    let registers = note.get(PRSTATUS_REGS_OFFSET..)?;
    let (r, _) = LinuxUserRegsArm64::read_from_prefix(registers).ok()?;
    let mut context = ContextArm64 {
        context_flags: U32::new(CONTEXT_ARM64 | ARM64_GENERAL),
        cpsr: low(r.pstate),
        x: r.x,
        sp: r.sp,
        pc: r.pc,
        ..ContextArm64::new_zeroed()
    };
    if let Some((float, _)) = float.and_then(|f| FpsimdState::ref_from_prefix(f).ok()) {
        context.context_flags = U32::new(CONTEXT_FULL);
        (context.v, context.fpcr, context.fpsr) = (float.v, float.fpcr, float.fpsr);
    }
    Some(ProcessorSnapshot {
        context: context.as_bytes().to_vec(),
        instruction_pointer: r.pc.get(),
        stack_pointer: r.sp.get(),
        ..ProcessorSnapshot::default()
    })
}

fn low(register: U64) -> U32 {
    U32::new(register.get() as u32)
}

fn selector(register: U32) -> U16 {
    U16::new(register.get() as u16)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::target::machine::testkit::cpu_state;
    use MachineArchitecture as A;

    #[test]
    fn registers_stand_where_windows_has_them() {
        let state = qemu_state(&cpu_state(0xfff8, 1 << 31, 0x001a_d000)).unwrap();
        let processor = from_qemu(&state, MachineArchitecture::Amd64);
        let context = ContextAmd64::read_from_bytes(&processor.context).unwrap();
        assert_eq!(context.rip.get(), 0xfff8);
        assert_eq!(context.r15.get(), 0x15);
        assert_eq!(context.rbx.get(), 0xb);
        let processor = from_qemu(&state, MachineArchitecture::X86);
        assert_eq!(ContextX86::read_from_bytes(&processor.context).unwrap().ebx.get(), 0xb);
    }

    #[test]
    fn paging_tells_the_architecture() {
        let state = |cr0: u64, cr4: u64| {
            let mut state = qemu_state(&cpu_state(0, cr0, 0)).unwrap();
            state.cr[4] = cr4.into();
            state
        };
        assert_eq!(architecture(&state(0, 0), false), A::Amd64, "real mode");
        assert_eq!(architecture(&state(CR0_PAGING, CR4_PAE), true), A::Amd64);
        assert_eq!(architecture(&state(CR0_PAGING, CR4_PAE | CR4_LA57), true), A::Amd64La57);
        assert_eq!(architecture(&state(CR0_PAGING, CR4_PAE), false), A::X86Pae);
        assert_eq!(architecture(&state(CR0_PAGING, 0), false), A::X86);
    }

    #[test]
    fn a_short_or_foreign_note_is_no_state() {
        let note = cpu_state(0, 0, 0);
        assert!(qemu_state(&note[..100]).is_none());
        assert!(qemu_state(&note[..432]).is_some(), "QEMU before 2.12");
        let mut other = note;
        other[0] = 9;
        assert!(qemu_state(&other).is_none());
    }
}
