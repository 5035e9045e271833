//! FILTER_MEMORY in registers: vector and floating-point registers are zeroed.
//!
//! Copying and searching text goes through them, so that they hold the last
//! secret that the process touched long after its memory was overwritten, and no
//! stack trace needs them. What says how they are set up (control and status
//! words, `MXCSR`, protection keys) stays, and so do the general registers.

use super::Context;
use crate::target::{Architecture, Registers};
use dumpwright_format::FormatFlags;
use dumpwright_format::context::amd64::ContextAmd64;
use dumpwright_format::context::arm64::{CONTEXT_ARM64_OLD, ContextArm64, ContextArm64Old};
use dumpwright_format::context::x86::ContextX86;
use dumpwright_format::context::xstate::{
    ContextEx, XSAVE_ALIGN, XSAVE_LEGACY_SIZE, XSTATE_MASK_PKRU, XsaveAreaHeader,
};
use std::borrow::Cow;
use std::mem::{offset_of, size_of};
use std::ops::Range;

/// Control and status words at the start of an FXSAVE area.
const FXSAVE_CONTROL: usize = 32;
/// Control and status words at the start of an FNSAVE area, and its registers.
const FNSAVE_CONTROL: usize = 28;
const FNSAVE_REGISTERS: usize = 80;
/// Where the XSAVE area would start, its legacy part included, behind a `CONTEXT`.
const XSAVE_HEADER_AT: usize =
    (size_of::<ContextAmd64>() + size_of::<ContextEx>()).next_multiple_of(XSAVE_ALIGN);

impl Context<'_> {
    /// The wire `CONTEXT` of a thread, as far as the dump may show it.
    pub fn registers<'r>(&self, registers: &'r Registers) -> Cow<'r, [u8]> {
        if !self.has(FormatFlags::USER_SMALL_FILTER_MEMORY) {
            return Cow::Borrowed(&registers.context);
        }
        let mut bytes = registers.context.clone();
        for range in vectors(self.snapshot.system.architecture, &bytes) {
            let end = range.end.min(bytes.len());
            bytes.get_mut(range.start..end).unwrap_or_default().fill(0);
        }
        if let Some((at, pkru)) = self.protection_keys(&registers.context) {
            bytes[at..at + pkru.len()].copy_from_slice(pkru);
        }
        Cow::Owned(bytes)
    }

    /// Place and value of the protection keys in an extended context.
    fn protection_keys<'c>(&self, context: &'c [u8]) -> Option<(usize, &'c [u8])> {
        let layout = self.snapshot.system.xstate.as_ref()?;
        let is_keys = |number: &u32| 1u64.checked_shl(*number) == Some(XSTATE_MASK_PKRU);
        let (_, offset, size) = layout.components.iter().find(|(n, ..)| is_keys(n))?;
        let start =
            XSAVE_HEADER_AT.checked_add(*offset as usize)?.checked_sub(XSAVE_LEGACY_SIZE)?;
        if self.snapshot.system.architecture != Architecture::Amd64
            || start < XSAVE_HEADER_AT + size_of::<XsaveAreaHeader>()
        {
            return None;
        }
        Some((start, context.get(start..start.checked_add(*size as usize)?)?))
    }
}

/// Where a context has vector and floating-point registers.
fn vectors(architecture: Architecture, context: &[u8]) -> Vec<Range<usize>> {
    let at = |start: usize, len: usize| start..start + len;
    match architecture {
        Architecture::Amd64 => {
            let legacy = offset_of!(ContextAmd64, flt_save);
            vec![
                legacy + FXSAVE_CONTROL..legacy + XSAVE_LEGACY_SIZE,
                at(offset_of!(ContextAmd64, vector_register), 416),
                XSAVE_HEADER_AT + size_of::<XsaveAreaHeader>()..usize::MAX,
            ]
        }
        Architecture::X86 => {
            let legacy = offset_of!(ContextX86, extended_registers);
            vec![
                at(offset_of!(ContextX86, float_save) + FNSAVE_CONTROL, FNSAVE_REGISTERS),
                legacy + FXSAVE_CONTROL..usize::MAX,
            ]
        }
        Architecture::Arm64 => {
            let flags = context.first_chunk().map_or(0, |flags| u32::from_le_bytes(*flags));
            let old = flags & CONTEXT_ARM64_OLD != 0;
            let start =
                if old { offset_of!(ContextArm64Old, v) } else { offset_of!(ContextArm64, v) };
            vec![at(start, 32 * 16)]
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::plan;
    use crate::request::DumpRequest;
    use crate::synthetic::{SyntheticMemory, snapshot};
    use crate::target::{ProcessSnapshot, XstateLayout};
    use dumpwright_format::Qualifier;
    use zerocopy::{FromBytes, FromZeros, IntoBytes};

    /// Plans a dump of `snapshot`; the context of the first thread.
    fn planned(snapshot: &ProcessSnapshot, flags: FormatFlags) -> Vec<u8> {
        let request = DumpRequest::new("x.dmp", Qualifier::Small).flags(flags);
        let plan = plan(snapshot, &SyntheticMemory::default(), &request).unwrap();
        let len = snapshot.threads[0].registers.context.len();
        let contexts = plan.assembly.blobs().iter().filter(|blob| blob.bytes().len() == len);
        contexts.map(|blob| blob.bytes().to_vec()).next().unwrap()
    }

    #[test]
    fn filter_memory_zeroes_vector_registers_and_keeps_all_others() {
        let mut snapshot = snapshot();
        let keys = XSAVE_HEADER_AT - XSAVE_LEGACY_SIZE + 2688;
        snapshot.system.xstate = Some(XstateLayout {
            features: 0x207,
            context_size: 0,
            components: vec![(2, 576, 256), (9, 2688, 8)],
        });
        let context = &mut snapshot.threads[0].registers.context;
        context.resize(keys + 8, 0xEE);
        let area = XSAVE_HEADER_AT..keys + 8;
        let (head, _) = ContextAmd64::mut_from_prefix(context).unwrap();
        head.flt_save = [0xEE; 512];
        head.vector_register = [0xEE; 416];
        head.r12 = 0x5345_4352_4554.into();
        let before = context.clone();
        assert_eq!(planned(&snapshot, FormatFlags::empty()), before);

        let after = planned(&snapshot, FormatFlags::USER_SMALL_FILTER_MEMORY);
        let (head, _) = ContextAmd64::read_from_prefix(&after).unwrap();
        assert_eq!(head.flt_save[..32], [0xEE; 32]);
        assert_eq!(head.flt_save[32..], [0; 480]);
        assert_eq!(head.vector_register, [0; 416]);
        let (mut was, _) = ContextAmd64::read_from_prefix(&before).unwrap();
        (was.flt_save, was.vector_register) = (head.flt_save, head.vector_register);
        assert_eq!(head.as_bytes(), was.as_bytes());
        let header = area.start..area.start + size_of::<XsaveAreaHeader>();
        assert_eq!(after[header.clone()], before[header.clone()]);
        assert_eq!(after[header.end..keys], vec![0; keys - header.end]);
        assert_eq!(after[keys..], [0xEE; 8], "the protection keys are no secret");
    }

    #[test]
    fn every_architecture_loses_its_vectors_and_a_short_context_is_no_trouble() {
        let mut x86 = ContextX86::new_zeroed();
        x86.float_save = [0xEE; 112];
        x86.extended_registers = [0xEE; 512];
        x86.ebx = 7.into();
        let mut arm = ContextArm64::new_zeroed();
        arm.v = [[0xEE; 16]; 32];
        arm.pc = 7.into();
        let mut old = ContextArm64Old::new_zeroed();
        old.context_flags = u64::from(CONTEXT_ARM64_OLD).into();
        old.v = [[0xEE; 16]; 32];
        for (architecture, context, kept) in [
            (Architecture::X86, x86.as_bytes(), 112 - 80 + 32),
            (Architecture::Arm64, arm.as_bytes(), 0),
            (Architecture::Arm64, old.as_bytes(), 0),
            (Architecture::X86, &[0xEE; 40], 40),
            (Architecture::Amd64, &[], 0),
        ] {
            let mut snapshot = snapshot();
            snapshot.system.architecture = architecture;
            let context_of = Context {
                snapshot: &snapshot,
                memory: &SyntheticMemory::default(),
                flags: FormatFlags::USER_SMALL_FILTER_MEMORY,
                include_dontdump: false,
                hides_unix_memory: false,
                finds_modules_in_memory: false,
            };
            let registers = Registers { context: context.to_vec(), ..Registers::none() };
            let shown = context_of.registers(&registers);
            assert_eq!(shown.len(), context.len());
            assert_eq!(
                shown.iter().map(|b| usize::from(*b == 0xEE)).sum::<usize>(),
                kept,
                "{architecture:?}"
            );
        }
    }
}
