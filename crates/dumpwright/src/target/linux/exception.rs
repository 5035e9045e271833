//! The exception of a dump: found in a thread that a fatal signal is about to
//! end, or named by the request.

use super::arch;
use super::sys::SIGINFO_SIZE;
use super::task::TaskStatus;
use crate::error::{Error, Result};
use crate::packed::Packed;
use crate::target::{
    Access, Architecture, ExceptionSnapshot, ExceptionSource, MemorySource, Pid, Region, Registers,
    ThreadSnapshot, Tid, XstateLayout,
};
use dumpwright_format::minidump::LINUX_DUMP_REQUESTED;

/// What a `siginfo_t` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::target) struct SignalInfo {
    /// `si_signo`
    pub(in crate::target) signal: i32,
    /// `si_code`: positive if the kernel raised the signal for what the thread did.
    pub(in crate::target) code: i32,
    /// `si_addr`, where the signal has one.
    address: u64,
}

impl SignalInfo {
    /// Reads a `siginfo_t`: signal, errno and code as 32-bit numbers, and at 16 a
    /// union that begins with `si_addr` (or `si_call_addr`) for faults.
    pub(in crate::target) fn parse(raw: &[u8; SIGINFO_SIZE]) -> Self {
        let number =
            |at: usize| i32::from_ne_bytes([raw[at], raw[at + 1], raw[at + 2], raw[at + 3]]);
        let low = number(16) as u32;
        let high = number(20) as u32;
        SignalInfo {
            signal: number(0),
            code: number(8),
            address: u64::from(high) << 32 | u64::from(low),
        }
    }

    /// From its parts.
    #[cfg(feature = "crash-context")]
    pub(super) fn new(signal: i32, code: i32, address: u64) -> Self {
        SignalInfo { signal, code, address }
    }

    /// A signal of which only the number is known.
    pub(in crate::target) fn of_number(signal: i32) -> Self {
        SignalInfo { signal, code: 0, address: 0 }
    }

    /// Whether it by default ends a process with a core dump.
    pub(in crate::target) fn is_crash(self) -> bool {
        is_crash(self.signal)
    }

    /// Its bit in a mask of signals.
    fn bit(self) -> u64 {
        1u64.checked_shl(self.signal.wrapping_sub(1) as u32).unwrap_or(0)
    }

    /// Whether the kernel raised it for what the thread itself did.
    fn is_synchronous(self) -> bool {
        self.code > 0
            && matches!(
                self.signal,
                libc::SIGSEGV
                    | libc::SIGBUS
                    | libc::SIGFPE
                    | libc::SIGILL
                    | libc::SIGTRAP
                    | libc::SIGSYS
            )
    }

    /// Where it happened: `si_addr`, or `otherwise` for a signal without one.
    /// A fault has none if the processor does not tell it (`SI_KERNEL`: general
    /// protection).
    pub(in crate::target) fn place(self, otherwise: u64) -> u64 {
        if self.is_synchronous() && self.code != libc::SI_KERNEL { self.address } else { otherwise }
    }
}

/// Whether a signal by default ends a process with a core dump: what a crash is.
pub(super) fn is_crash(signal: i32) -> bool {
    matches!(
        signal,
        libc::SIGQUIT
            | libc::SIGILL
            | libc::SIGTRAP
            | libc::SIGABRT
            | libc::SIGBUS
            | libc::SIGFPE
            | libc::SIGSEGV
            | libc::SIGXCPU
            | libc::SIGXFSZ
            | libc::SIGSYS
    )
}

/// What a process does with signals, as masks: bit 0 is signal 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::target) struct Dispositions {
    caught: u64,
    ignored: u64,
    /// Whether it is the first of its namespace, which dies of nothing but what it
    /// did itself.
    pub(super) is_init: bool,
}

impl Dispositions {
    /// From a `status` file.
    pub(super) fn of(status: &TaskStatus) -> Self {
        Dispositions {
            caught: status.mask("SigCgt").unwrap_or_default(),
            ignored: status.mask("SigIgn").unwrap_or_default(),
            is_init: status
                .field("NStgid")
                .is_some_and(|ids| ids.split_ascii_whitespace().next_back() == Some("1")),
        }
    }

    /// Whether a signal will end the process as a crash. The kernel does not let
    /// a thread ignore what it did itself.
    pub(super) fn are_fatal_for(self, info: SignalInfo) -> bool {
        is_crash(info.signal)
            && !self.catch(info)
            && (self.ignored & info.bit() == 0 && !self.is_init || info.is_synchronous())
    }

    /// Whether the process has a handler for a signal.
    pub(super) fn catch(self, info: SignalInfo) -> bool {
        self.caught & info.bit() != 0
    }
}

/// The signals of a thread that stands still.
#[derive(Clone, Debug)]
pub(in crate::target) struct ThreadSignals {
    /// The thread.
    pub(in crate::target) tid: Tid,
    /// The signal that it is stopped for.
    pub(in crate::target) current: Option<SignalInfo>,
    /// Signals that wait for it alone.
    pub(in crate::target) pending: Vec<SignalInfo>,
}

/// The thread that a fatal signal is about to end, and the signal: one that is
/// being delivered before one that waits, and only a synchronous one of those,
/// since others may wait for good because they are blocked.
pub(in crate::target) fn find_crash(
    threads: &[ThreadSignals],
    dispositions: Dispositions,
) -> Option<(Tid, SignalInfo)> {
    let fatal = |info: &SignalInfo| dispositions.are_fatal_for(*info);
    let delivered = threads.iter().find_map(|t| Some((t.tid, t.current.filter(fatal)?)));
    delivered.or_else(|| {
        threads.iter().find_map(|t| {
            let waits = t.pending.iter().find(|info| info.is_synchronous() && fatal(info))?;
            Some((t.tid, *waits))
        })
    })
}

/// What a request for an exception is answered from.
pub(in crate::target) struct Evidence<'a> {
    /// The process.
    pub(in crate::target) pid: Pid,
    /// Its processor.
    pub(in crate::target) architecture: Architecture,
    /// Its threads.
    pub(in crate::target) threads: &'a [ThreadSnapshot],
    /// Its address space.
    pub(in crate::target) regions: &'a Packed<Region>,
    /// Its memory.
    pub(in crate::target) memory: &'a dyn MemorySource,
    /// Layout of extended state, where wanted.
    pub(in crate::target) layout: Option<&'a XstateLayout>,
    /// What [`find_crash`] found.
    pub(in crate::target) crash: Option<(Tid, SignalInfo)>,
}

impl Evidence<'_> {
    /// The exception of the dump: the one that `source` names, else the crash
    /// that the process is about to suffer, else none.
    ///
    /// # Errors
    /// [`Error::InvalidRequest`]: a thread that does not exist, an address that
    /// cannot be read.
    pub(in crate::target) fn exception(
        &self,
        source: &ExceptionSource,
    ) -> Result<Option<ExceptionSnapshot>> {
        if source.is_given() {
            return self.requested(source).map(Some);
        }
        Ok(self.crash.and_then(|(tid, signal)| {
            let thread = self.threads.iter().find(|t| t.tid == tid)?;
            Some(snapshot(tid, Some(signal), thread.registers.clone()))
        }))
    }

    fn requested(&self, source: &ExceptionSource) -> Result<ExceptionSnapshot> {
        if source.jit_debug_info.is_some() {
            return Err(Error::InvalidRequest(
                "-j names a JIT_DEBUG_INFO, which only Windows processes have; name thread, siginfo_t and ucontext_t with -xt, -xr and -xc"
                    .into(),
            ));
        }
        let (record_at, context_at) = match source.pointers {
            Some(address) => self.pointers(address)?,
            None => (source.record, source.context),
        };
        let record = record_at.map(|address| self.record(address)).transpose()?;
        let context = context_at.map(|address| self.context(address)).transpose()?;
        let thread = self.thread(source.thread, context_at.or(record_at))?;
        // A thread alone can still be in the middle of a crash of its own.
        let own = self.crash.filter(|(tid, _)| *tid == thread.tid && context.is_none());
        let signal = record.or(own.map(|(_, signal)| signal));
        Ok(snapshot(thread.tid, signal, context.unwrap_or_else(|| thread.registers.clone())))
    }

    /// `-xp`: pointers to a `siginfo_t` and a `ucontext_t`; either may be null.
    fn pointers(&self, address: u64) -> Result<(Option<u64>, Option<u64>)> {
        let mut raw = [0; 16];
        self.read(address, &mut raw, "the exception pointers (-xp)")?;
        let (record, context) = raw.split_at(8);
        let pointer = |bytes: &[u8]| {
            let address = bytes.iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte));
            (address != 0).then_some(address)
        };
        match (pointer(record), pointer(context)) {
            (None, None) => Err(Error::InvalidRequest(format!(
                "the exception pointers (-xp) at {address:#x} are both null; the program has not filled them in"
            ))),
            both => Ok(both),
        }
    }

    /// `-xr`: a `siginfo_t`.
    fn record(&self, address: u64) -> Result<SignalInfo> {
        let mut raw = [0; SIGINFO_SIZE];
        self.read(address, &mut raw, "the exception record (-xr), a siginfo_t,")?;
        Ok(SignalInfo::parse(&raw))
    }

    /// `-xc`: a `ucontext_t`.
    fn context(&self, address: u64) -> Result<Registers> {
        let unreadable = || self.unreadable(address, "the context (-xc), a ucontext_t,");
        if self.is_forbidden(address) {
            return Err(unreadable());
        }
        arch::context_registers(self.architecture, self.memory, address, self.layout)
            .ok_or_else(unreadable)
    }

    fn read(&self, address: u64, out: &mut [u8], what: &str) -> Result<()> {
        if !self.is_forbidden(address) && self.memory.read_exact(address, out) {
            return Ok(());
        }
        Err(self.unreadable(address, what))
    }

    /// Devices are not read, not even on request.
    fn is_forbidden(&self, address: u64) -> bool {
        self.region(address).is_some_and(|region| region.access == Access::Forbidden)
    }

    fn unreadable(&self, address: u64, what: &str) -> Error {
        Error::InvalidRequest(format!(
            "{what} at {address:#x} cannot be read in process {}; give an address in its memory",
            self.pid
        ))
    }

    fn region(&self, address: u64) -> Option<Region> {
        self.regions.at(address)
    }

    /// The thread that the exception belongs to: the one that was named; else
    /// the one on whose stack the frame at `address` lies; else the main thread.
    fn thread(&self, named: Option<Tid>, address: Option<u64>) -> Result<&ThreadSnapshot> {
        if let Some(tid) = named {
            return self.threads.iter().find(|t| t.tid == tid).ok_or_else(|| {
                Error::InvalidRequest(format!(
                    "process {} has no thread {tid} (-xt) that could be stopped; see `ls /proc/{}/task`",
                    self.pid, self.pid
                ))
            });
        }
        let on_stack = address.and_then(|address| self.thread_below(address));
        on_stack.or_else(|| self.threads.first()).ok_or(Error::ProcessEnded(self.pid))
    }

    /// The thread whose stack pointer is in the mapping of `address`. Stacks
    /// that lie side by side are one mapping to the kernel, so of several the
    /// one closest below is it: a handler runs below the frame it was given.
    fn thread_below(&self, address: u64) -> Option<&ThreadSnapshot> {
        let region = self.region(address)?;
        let pointer = |t: &&ThreadSnapshot| t.registers.stack_pointer;
        let inside = || self.threads.iter().filter(|t| region.range.contains(pointer(t)));
        inside().filter(|t| pointer(t) <= address).max_by_key(pointer).or_else(|| inside().next())
    }
}

/// The exception that a signal is, or a mere mark on a thread.
pub(super) fn snapshot(
    tid: Tid,
    signal: Option<SignalInfo>,
    registers: Registers,
) -> ExceptionSnapshot {
    let ip = registers.instruction_pointer;
    ExceptionSnapshot {
        tid,
        code: signal.map_or(LINUX_DUMP_REQUESTED, |s| s.signal as u32),
        flags: signal.map_or(0, |s| s.code as u32),
        address: signal.map_or(ip, |s| s.place(ip)),
        parameters: Vec::new(),
        registers,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEGV_MAPERR: i32 = 1;

    fn info(signal: i32, code: i32, address: u64) -> SignalInfo {
        SignalInfo { signal, code, address }
    }

    fn mask(signal: i32) -> u64 {
        1 << (signal - 1)
    }

    fn thread(tid: u32, current: Option<SignalInfo>, pending: &[SignalInfo]) -> ThreadSignals {
        ThreadSignals { tid: Tid(tid), current, pending: pending.to_vec() }
    }

    #[test]
    fn a_fault_without_handler_is_a_crash_at_its_address() {
        let fault = info(libc::SIGSEGV, SEGV_MAPERR, 0x10);
        let threads = [thread(1, None, &[]), thread(2, Some(fault), &[])];
        assert_eq!(find_crash(&threads, Dispositions::default()), Some((Tid(2), fault)));
        assert_eq!(fault.place(0x99), 0x10);
        // The processor tells no address for a general protection fault.
        assert_eq!(info(libc::SIGSEGV, libc::SI_KERNEL, 0).place(0x99), 0x99);
        assert_eq!(info(libc::SIGABRT, libc::SI_TKILL, 7).place(0x99), 0x99);
    }

    #[test]
    fn a_handled_signal_is_no_crash() {
        let caught = Dispositions { caught: mask(libc::SIGSEGV), ..Dispositions::default() };
        let fault = info(libc::SIGSEGV, SEGV_MAPERR, 0x10);
        assert_eq!(find_crash(&[thread(1, Some(fault), &[fault])], caught), None);
    }

    #[test]
    fn an_ignored_signal_is_a_crash_only_if_the_thread_caused_it() {
        let ignored = Dispositions { ignored: mask(libc::SIGSEGV), ..Dispositions::default() };
        let sent = info(libc::SIGSEGV, libc::SI_USER, 0);
        let fault = info(libc::SIGSEGV, SEGV_MAPERR, 0x10);
        assert_eq!(find_crash(&[thread(1, Some(sent), &[])], ignored), None);
        assert_eq!(find_crash(&[thread(1, Some(fault), &[])], ignored), Some((Tid(1), fault)));
    }

    #[test]
    fn a_signal_that_only_waits_counts_if_it_is_synchronous() {
        let sent = info(libc::SIGABRT, libc::SI_TKILL, 0);
        let fault = info(libc::SIGBUS, 2, 0x20);
        let threads = [thread(1, None, &[sent]), thread(2, None, &[sent, fault])];
        assert_eq!(find_crash(&threads, Dispositions::default()), Some((Tid(2), fault)));
        let stopped = [thread(1, Some(sent), &[]), thread(2, None, &[fault])];
        assert_eq!(find_crash(&stopped, Dispositions::default()), Some((Tid(1), sent)));
    }

    #[test]
    fn stopping_and_ending_signals_are_no_crash() {
        for signal in [libc::SIGTERM, libc::SIGKILL, libc::SIGSTOP, libc::SIGUSR1, 40, 0, 65] {
            let threads = [thread(1, Some(info(signal, libc::SI_USER, 0)), &[])];
            assert_eq!(find_crash(&threads, Dispositions::default()), None, "signal {signal}");
        }
    }

    #[test]
    fn a_siginfo_is_read_by_its_offsets() {
        let mut raw = [0; SIGINFO_SIZE];
        raw[0] = 11;
        raw[8] = 2;
        raw[16..24].copy_from_slice(&0x1234_5678_9ABC_u64.to_ne_bytes());
        assert_eq!(SignalInfo::parse(&raw), info(11, 2, 0x1234_5678_9ABC));
    }
}
