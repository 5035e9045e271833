//! Registers out of a `CONTEXT` of any architecture that is known here.

use super::error::ReadResult;
use super::minidump::{Location, Minidump};
use dumpwright_format::context::amd64::{CONTEXT_AMD64, CONTEXT_XSTATE, ContextAmd64};
use dumpwright_format::context::arm64::{
    CONTEXT_ARM64, CONTEXT_ARM64_OLD, ContextArm64, ContextArm64Old,
};
use dumpwright_format::context::x86::{CONTEXT_X86, ContextX86};
use dumpwright_format::context::xstate::{ContextEx, XsaveAreaHeader};
use dumpwright_format::minidump::{
    PROCESSOR_ARCHITECTURE_AMD64, PROCESSOR_ARCHITECTURE_ARM64, PROCESSOR_ARCHITECTURE_ARM64_OLD,
    PROCESSOR_ARCHITECTURE_INTEL,
};
use zerocopy::FromBytes;
use zerocopy::little_endian::U64;

/// More than any extended context has: AMX makes one of about 12 KiB.
pub(crate) const MAX_CONTEXT: u64 = 0x1_0000;

/// The registers of a context, by the names that debuggers use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registers {
    /// `CONTEXT_*`: which parts count.
    pub context_flags: u32,
    /// Instruction pointer.
    pub instruction_pointer: u64,
    /// Stack pointer.
    pub stack_pointer: u64,
    /// Every general register, flags and segments, as name and value.
    pub general: Vec<(&'static str, u64)>,
    /// Extended state behind the context.
    pub extended: Option<ExtendedState>,
}

impl Registers {
    /// The value of a register.
    pub fn get(&self, name: &str) -> Option<u64> {
        self.general.iter().find(|(n, _)| *n == name).map(|(_, value)| *value)
    }
}

/// The XSAVE area behind a context.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExtendedState {
    /// `XSTATE_BV`: features that are not in their initial state.
    pub mask: u64,
    /// `XCOMP_BV`: 0, or the layout of the compacted form.
    pub compaction_mask: u64,
    /// Bytes from the XSAVE header on.
    pub size: u32,
}

const ARM64_NAMES: [&str; 31] = [
    "x0", "x1", "x2", "x3", "x4", "x5", "x6", "x7", "x8", "x9", "x10", "x11", "x12", "x13", "x14",
    "x15", "x16", "x17", "x18", "x19", "x20", "x21", "x22", "x23", "x24", "x25", "x26", "x27",
    "x28", "fp", "lr",
];

/// What a context of an architecture must be like.
pub(crate) struct ContextShape {
    /// Bytes without extended state.
    pub(crate) size: usize,
    /// The flag that marks it as one of the architecture.
    pub(crate) flag: u32,
}

/// The shape of an architecture's contexts, for those that are decoded here.
pub(crate) fn context_shape(architecture: u16) -> Option<ContextShape> {
    Some(match architecture {
        PROCESSOR_ARCHITECTURE_AMD64 => {
            ContextShape { size: size_of::<ContextAmd64>(), flag: CONTEXT_AMD64 }
        }
        PROCESSOR_ARCHITECTURE_INTEL => {
            ContextShape { size: size_of::<ContextX86>(), flag: CONTEXT_X86 }
        }
        PROCESSOR_ARCHITECTURE_ARM64 => {
            ContextShape { size: size_of::<ContextArm64>(), flag: CONTEXT_ARM64 }
        }
        PROCESSOR_ARCHITECTURE_ARM64_OLD => {
            ContextShape { size: size_of::<ContextArm64Old>(), flag: CONTEXT_ARM64_OLD }
        }
        _ => return None,
    })
}

/// The registers in a context's bytes; `None` for an architecture that is not
/// decoded here and for too few bytes.
pub(crate) fn decode(architecture: u16, bytes: &[u8]) -> Option<Registers> {
    match architecture {
        PROCESSOR_ARCHITECTURE_AMD64 => amd64(bytes),
        PROCESSOR_ARCHITECTURE_INTEL => x86(bytes),
        PROCESSOR_ARCHITECTURE_ARM64 => arm64(bytes),
        PROCESSOR_ARCHITECTURE_ARM64_OLD => arm64_old(bytes),
        _ => None,
    }
}

impl Minidump {
    /// The bytes of a context, extended state included; 64 KiB at most.
    pub fn context_bytes(&self, context: Location) -> ReadResult<Vec<u8>> {
        let size = context.size.min(MAX_CONTEXT);
        if !self.holds(context.rva, size) {
            // The read fails with the reason, before anything is allocated.
            self.read_file(context.end(), &mut [0])?;
        }
        let mut bytes = vec![0; size as usize];
        self.read_file(context.rva, &mut bytes)?;
        Ok(bytes)
    }

    /// The registers of a context; `Ok(None)` where there is no context, or one
    /// of an architecture that is not decoded here.
    pub fn registers(&self, architecture: u16, context: Location) -> ReadResult<Option<Registers>> {
        if context.size == 0 {
            return Ok(None);
        }
        Ok(decode(architecture, &self.context_bytes(context)?))
    }
}

fn amd64(bytes: &[u8]) -> Option<Registers> {
    let (c, rest) = ContextAmd64::read_from_prefix(bytes).ok()?;
    let wide = [
        ("rax", c.rax),
        ("rbx", c.rbx),
        ("rcx", c.rcx),
        ("rdx", c.rdx),
        ("rsi", c.rsi),
        ("rdi", c.rdi),
        ("rbp", c.rbp),
        ("rsp", c.rsp),
        ("r8", c.r8),
        ("r9", c.r9),
        ("r10", c.r10),
        ("r11", c.r11),
        ("r12", c.r12),
        ("r13", c.r13),
        ("r14", c.r14),
        ("r15", c.r15),
        ("rip", c.rip),
    ];
    let segments = [
        ("cs", c.seg_cs),
        ("ds", c.seg_ds),
        ("es", c.seg_es),
        ("fs", c.seg_fs),
        ("gs", c.seg_gs),
        ("ss", c.seg_ss),
    ];
    let mut general: Vec<_> = wide.map(|(name, value)| (name, value.get())).to_vec();
    general.push(("eflags", c.e_flags.get().into()));
    general.extend(segments.map(|(name, value)| (name, u64::from(value.get()))));
    let has_extended = c.context_flags.get() & CONTEXT_XSTATE == CONTEXT_XSTATE;
    Some(Registers {
        context_flags: c.context_flags.get(),
        instruction_pointer: c.rip.get(),
        stack_pointer: c.rsp.get(),
        general,
        extended: if has_extended { extended(rest) } else { None },
    })
}

/// The extended state, from the `CONTEXT_EX` on.
fn extended(bytes: &[u8]) -> Option<ExtendedState> {
    let (ex, _) = ContextEx::read_from_prefix(bytes).ok()?;
    let offset = usize::try_from(ex.xstate.offset.get()).ok()?;
    let size = ex.xstate.length.get();
    let area = bytes.get(offset..offset.checked_add(size as usize)?)?;
    let (header, _) = XsaveAreaHeader::read_from_prefix(area).ok()?;
    Some(ExtendedState {
        mask: header.mask.get(),
        compaction_mask: header.compaction_mask.get(),
        size,
    })
}

fn x86(bytes: &[u8]) -> Option<Registers> {
    let (c, _) = ContextX86::read_from_prefix(bytes).ok()?;
    let general = [
        ("eax", c.eax),
        ("ebx", c.ebx),
        ("ecx", c.ecx),
        ("edx", c.edx),
        ("esi", c.esi),
        ("edi", c.edi),
        ("ebp", c.ebp),
        ("esp", c.esp),
        ("eip", c.eip),
        ("eflags", c.e_flags),
        ("cs", c.seg_cs),
        ("ds", c.seg_ds),
        ("es", c.seg_es),
        ("fs", c.seg_fs),
        ("gs", c.seg_gs),
        ("ss", c.seg_ss),
    ];
    Some(Registers {
        context_flags: c.context_flags.get(),
        instruction_pointer: c.eip.get().into(),
        stack_pointer: c.esp.get().into(),
        general: general.map(|(name, value)| (name, u64::from(value.get()))).to_vec(),
        extended: None,
    })
}

fn arm64(bytes: &[u8]) -> Option<Registers> {
    let (c, _) = ContextArm64::read_from_prefix(bytes).ok()?;
    Some(arm64_registers(c.context_flags.get(), &c.x, c.sp.get(), c.pc.get(), c.cpsr.get()))
}

fn arm64_old(bytes: &[u8]) -> Option<Registers> {
    let (c, _) = ContextArm64Old::read_from_prefix(bytes).ok()?;
    let flags = c.context_flags.get() as u32;
    Some(arm64_registers(flags, &c.x[..31], c.x[31].get(), c.pc.get(), c.cpsr.get()))
}

fn arm64_registers(context_flags: u32, x: &[U64], sp: u64, pc: u64, cpsr: u32) -> Registers {
    let mut general: Vec<_> =
        ARM64_NAMES.into_iter().zip(x.iter().map(|value| value.get())).collect();
    general.extend([("sp", sp), ("pc", pc), ("cpsr", cpsr.into())]);
    Registers { context_flags, instruction_pointer: pc, stack_pointer: sp, general, extended: None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dumpwright_format::context::xstate::XSTATE_MASK_AVX;
    use zerocopy::{FromZeros, IntoBytes};

    fn avx_context() -> Vec<u8> {
        let mut context = ContextAmd64::new_zeroed();
        context.context_flags = CONTEXT_XSTATE.into();
        context.rip = 0x1234.into();
        context.rsp = 0x7000.into();
        context.r15 = 15.into();
        let mut ex = ContextEx::new_zeroed();
        ex.xstate.offset = 48.into();
        ex.xstate.length = 64.into();
        let mut xsave = XsaveAreaHeader::new_zeroed();
        xsave.mask = XSTATE_MASK_AVX.into();
        let mut bytes = [context.as_bytes(), ex.as_bytes()].concat();
        bytes.resize(1232 + 48, 0);
        bytes.extend_from_slice(xsave.as_bytes());
        bytes
    }

    #[test]
    fn amd64_registers_have_their_names_and_extended_state_is_found() {
        let registers = decode(PROCESSOR_ARCHITECTURE_AMD64, &avx_context()).unwrap();
        assert_eq!(registers.instruction_pointer, 0x1234);
        assert_eq!(registers.get("r15"), Some(15));
        assert_eq!(registers.get("rsp"), Some(0x7000));
        assert_eq!(registers.extended.unwrap().mask, XSTATE_MASK_AVX);
    }

    #[test]
    fn extended_state_that_leads_out_of_the_context_is_none() {
        for offset in [-8, 49, i32::MAX] {
            let mut bytes = avx_context();
            bytes[1232 + 16..1232 + 20].copy_from_slice(&i32::to_le_bytes(offset));
            let registers = decode(PROCESSOR_ARCHITECTURE_AMD64, &bytes).unwrap();
            assert_eq!(registers.extended, None, "{offset}");
        }
    }

    #[test]
    fn each_shape_decodes_exactly_from_its_size_on() {
        for architecture in [
            PROCESSOR_ARCHITECTURE_AMD64,
            PROCESSOR_ARCHITECTURE_INTEL,
            PROCESSOR_ARCHITECTURE_ARM64,
            PROCESSOR_ARCHITECTURE_ARM64_OLD,
        ] {
            let size = context_shape(architecture).unwrap().size;
            assert!(decode(architecture, &vec![0; size]).is_some());
            assert!(decode(architecture, &vec![0; size - 1]).is_none());
        }
        assert!(decode(1, &[0; 2000]).is_none());
    }
}
