//! A process that asked to be dumped from its own signal handler, by the
//! context that the crates of crash-handler hand over.

use super::LinuxProcess;
use super::arch;
use super::exception::{self, SignalInfo};
use super::namespace_ids::NamespaceIds;
use crate::error::{Error, Result};
use ::crash_context::CrashContext;

impl LinuxProcess {
    /// Says that the process crashed as `context` tells: that is its exception.
    /// Thread ids in it are those that the process counts itself.
    ///
    /// # Errors
    /// The process has no such thread that could be stopped.
    pub fn crashed_with(mut self, context: &CrashContext) -> Result<Self> {
        let pid = self.process.snapshot.process.pid;
        let tid = NamespaceIds::of(pid).outer(context.tid as u32);
        let tid = tid.filter(|tid| self.process.snapshot.threads.iter().any(|t| t.tid == *tid));
        let tid = tid.ok_or_else(|| {
            Error::InvalidRequest(format!(
                "the crash context names thread {}, which process {pid} does not have; pass the process that made it",
                context.tid
            ))
        })?;
        let registers = arch::crash_registers(context);
        let exception = exception::snapshot(tid, Some(signal(context)), registers);
        self.process.snapshot.exception = Some(exception);
        Ok(self)
    }
}

/// What happened. The field is declared a `signalfd_siginfo`, and crash-handler
/// copies the kernel's `siginfo_t` into it: the two agree up to `si_code`, and
/// for a fault each is zero where the other has the address.
fn signal(context: &CrashContext) -> SignalInfo {
    let info = &context.siginfo;
    let as_siginfo = u64::from(info.ssi_fd as u32) << 32 | u64::from(info.ssi_uid);
    let address = if as_siginfo == 0 { info.ssi_addr } else { as_siginfo };
    SignalInfo::new(info.ssi_signo as i32, info.ssi_code, address)
}
