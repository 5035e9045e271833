//! The registers that a `crash_context::CrashContext` holds.

use super::ucontext::general_registers_context;
use super::{add_flags, registers, set_float_save};
use crate::target::Registers;
use crash_context::CrashContext;
use dumpwright_format::context::amd64::CONTEXT_FLOATING_POINT;

/// The registers at the crash.
pub(in crate::target::linux) fn crash_registers(crash: &CrashContext) -> Registers {
    let general = crash.context.uc_mcontext.gregs.map(|register| register as u64);
    let mut context = general_registers_context(&general);
    set_float_save(&mut context, &fxsave(crash));
    add_flags(&mut context, CONTEXT_FLOATING_POINT);
    registers(&context, None)
}

/// The FXSAVE area (Intel SDM volume 1, table 10-2) of which the crate has the
/// fields.
fn fxsave(crash: &CrashContext) -> [u8; 512] {
    let state = &crash.float_state;
    let mut area = Vec::with_capacity(512);
    for word in [state.cwd, state.swd, state.ftw, state.fop] {
        area.extend(word.to_le_bytes());
    }
    area.extend(state.rip.to_le_bytes());
    area.extend(state.rdp.to_le_bytes());
    let words = [state.mxcsr, state.mxcr_mask];
    for word in words.iter().chain(&state.st_space).chain(&state.xmm_space) {
        area.extend(word.to_le_bytes());
    }
    let mut fxsave = [0; 512];
    fxsave[..area.len()].copy_from_slice(&area);
    fxsave
}
