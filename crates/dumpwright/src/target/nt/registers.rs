//! Registers from a Windows `CONTEXT`.

use crate::target::{Architecture, Registers};
use dumpwright_format::context::amd64::ContextAmd64;
use dumpwright_format::context::arm64::ContextArm64;
use dumpwright_format::context::x86::ContextX86;
use zerocopy::FromBytes;

/// The registers of a `CONTEXT`, which may have extended state behind it.
/// `None` if `context` is too short for one of the architecture, or if there is
/// none.
pub(crate) fn registers(architecture: Architecture, context: Vec<u8>) -> Option<Registers> {
    match architecture {
        Architecture::Amd64 => {
            let c = ContextAmd64::read_from_prefix(&context).ok()?.0;
            let general = [
                c.rax, c.rcx, c.rdx, c.rbx, c.rsp, c.rbp, c.rsi, c.rdi, c.r8, c.r9, c.r10, c.r11,
                c.r12, c.r13, c.r14, c.r15,
            ];
            Some(Registers {
                context,
                instruction_pointer: c.rip.get(),
                stack_pointer: c.rsp.get(),
                general: general.iter().map(|r| r.get()).collect(),
            })
        }
        Architecture::X86 => {
            let c = ContextX86::read_from_prefix(&context).ok()?.0;
            let general = [c.eax, c.ecx, c.edx, c.ebx, c.esp, c.ebp, c.esi, c.edi];
            Some(Registers {
                context,
                instruction_pointer: c.eip.get().into(),
                stack_pointer: c.esp.get().into(),
                general: general.iter().map(|r| r.get().into()).collect(),
            })
        }
        Architecture::Arm64 => {
            let c = ContextArm64::read_from_prefix(&context).ok()?.0;
            Some(Registers {
                context,
                instruction_pointer: c.pc.get(),
                stack_pointer: c.sp.get(),
                general: c.x.iter().map(|r| r.get()).collect(),
            })
        }
    }
}
