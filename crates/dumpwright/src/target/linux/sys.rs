//! The system calls that neither std nor rustix offers safely: `ptrace`,
//! `waitid` without taking the event, `process_vm_readv`, the pagemap scan.
//! Every other module of this target is safe code over these few functions.
//!
//! `ptrace` goes through `syscall(2)` and not through the C library's wrapper,
//! whose variadic form hands `PTRACE_PEEK*` results back mixed with -1.

use crate::address::AddressRange;
use crate::target::Tid;
#[cfg(target_arch = "x86_64")]
use dumpwright_format::elf_core::UserRegsAmd64;
use std::ffi::{c_int, c_long};
use std::io;
use std::mem::size_of;
use std::os::fd::{AsRawFd, BorrowedFd};
#[cfg(target_arch = "x86_64")]
use zerocopy::FromZeros;

/// `linux/ptrace.h`: the event number of a stop that `PTRACE_INTERRUPT` or a
/// group-stop caused, in bits 16 and up of a wait status.
pub(super) const PTRACE_EVENT_STOP: i32 = 128;

/// `linux/ptrace.h`: a thread has made another one, whose id the message is.
pub(super) const PTRACE_EVENT_CLONE: i32 = 3;
/// `linux/ptrace.h`: the process has another program.
pub(super) const PTRACE_EVENT_EXEC: i32 = 4;
/// `linux/ptrace.h`: a thread is about to end, with the message as wait status.
pub(super) const PTRACE_EVENT_EXIT: i32 = 6;

/// `linux/elf.h`: `NT_PRSTATUS`.
#[cfg(target_arch = "aarch64")]
pub(super) const NT_PRSTATUS: u32 = 1;
/// `linux/elf.h`: `NT_PRFPREG`.
#[cfg(target_arch = "aarch64")]
pub(super) const NT_PRFPREG: u32 = 2;
/// `linux/elf.h`: `NT_X86_XSTATE`.
#[cfg(target_arch = "x86_64")]
pub(super) const NT_X86_XSTATE: u32 = 0x202;
/// `linux/elf.h`: `NT_ARM_TLS`.
#[cfg(target_arch = "aarch64")]
pub(super) const NT_ARM_TLS: u32 = 0x401;

/// Bytes of a `siginfo_t`.
pub(super) const SIGINFO_SIZE: usize = 128;

/// The request numbers, which the C libraries type differently.
#[derive(Clone, Copy)]
struct Request(c_long);

impl Request {
    #[cfg(target_arch = "x86_64")]
    const PEEKUSER: Request = Request(3);
    #[cfg(target_arch = "x86_64")]
    const GETREGS: Request = Request(12);
    #[cfg(target_arch = "x86_64")]
    const GETFPREGS: Request = Request(14);
    const CONT: Request = Request(7);
    const DETACH: Request = Request(17);
    const SETOPTIONS: Request = Request(0x4200);
    const GETEVENTMSG: Request = Request(0x4201);
    const GETSIGINFO: Request = Request(0x4202);
    const GETREGSET: Request = Request(0x4204);
    const SEIZE: Request = Request(0x4206);
    const INTERRUPT: Request = Request(0x4207);
    const LISTEN: Request = Request(0x4208);
    const PEEKSIGINFO: Request = Request(0x4209);
}

/// # Safety
/// `data` and `addr` must be what `request` says they are; where they are
/// pointers, the kernel's accesses through them must be valid.
unsafe fn ptrace(request: Request, tid: Tid, addr: usize, data: usize) -> io::Result<usize> {
    // SAFETY: the caller vouches for the pointers; the call has no other effect
    // on this process's memory.
    let result = unsafe { libc::syscall(libc::SYS_ptrace, request.0, tid.0 as c_long, addr, data) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result as usize) }
}

/// Attaches to a thread without stopping it.
pub(super) fn seize(tid: Tid) -> io::Result<()> {
    // SAFETY: no pointers: `addr` is 0 and `data` holds option bits, none.
    unsafe { ptrace(Request::SEIZE, tid, 0, 0) }.map(drop)
}

/// Asks a seized thread to stop.
pub(super) fn interrupt(tid: Tid) -> io::Result<()> {
    // SAFETY: no pointers.
    unsafe { ptrace(Request::INTERRUPT, tid, 0, 0) }.map(drop)
}

/// Lets a stopped thread go on, with `signal` delivered to it unless 0.
pub(super) fn detach(tid: Tid, signal: i32) -> io::Result<()> {
    // SAFETY: no pointers: `data` is a signal number.
    unsafe { ptrace(Request::DETACH, tid, 0, signal as usize) }.map(drop)
}

/// Has a stopped thread stop for new threads, which are attached to when they
/// begin, for an exec and at its end. Nothing is ended with this process.
pub(super) fn follow_thread(tid: Tid) -> io::Result<()> {
    const EVENTS: usize = 1 << PTRACE_EVENT_CLONE | 1 << PTRACE_EVENT_EXEC | 1 << PTRACE_EVENT_EXIT;
    // SAFETY: no pointers: `data` holds option bits.
    unsafe { ptrace(Request::SETOPTIONS, tid, 0, EVENTS) }.map(drop)
}

/// Lets a stopped thread go on under trace, with `signal` delivered to it unless 0.
pub(super) fn go_on(tid: Tid, signal: i32) -> io::Result<()> {
    // SAFETY: no pointers: `data` is a signal number.
    unsafe { ptrace(Request::CONT, tid, 0, signal as usize) }.map(drop)
}

/// Leaves a thread in its group-stop, until SIGCONT or an interrupt.
pub(super) fn listen(tid: Tid) -> io::Result<()> {
    // SAFETY: no pointers.
    unsafe { ptrace(Request::LISTEN, tid, 0, 0) }.map(drop)
}

/// The message of the event that a thread stopped for.
pub(super) fn event_message(tid: Tid) -> io::Result<u64> {
    let mut message: libc::c_ulong = 0;
    let at = &raw mut message;
    // SAFETY: the kernel writes one `unsigned long`, which this is.
    unsafe { ptrace(Request::GETEVENTMSG, tid, 0, at as usize) }?;
    Ok(message)
}

/// The signal that a stopped thread stopped for.
pub(super) fn signal_info(tid: Tid) -> io::Result<[u8; SIGINFO_SIZE]> {
    let mut info = [0; SIGINFO_SIZE];
    // SAFETY: the kernel writes one `siginfo_t`, which `info` has room for.
    unsafe { ptrace(Request::GETSIGINFO, tid, 0, info.as_mut_ptr() as usize) }?;
    Ok(info)
}

/// The first signals (at most `out.len()`) that wait for a stopped thread
/// alone, not for its process; answers how many.
pub(super) fn pending_signals(tid: Tid, out: &mut [[u8; SIGINFO_SIZE]]) -> io::Result<usize> {
    // `struct ptrace_peeksiginfo_args`, linux/ptrace.h.
    #[repr(C)]
    struct Args {
        off: u64,
        flags: u32,
        nr: i32,
    }
    let args = Args { off: 0, flags: 0, nr: i32::try_from(out.len()).unwrap_or(i32::MAX) };
    let args = &raw const args;
    // SAFETY: `args` lives until the call returns, and the kernel writes at most
    // `nr` entries of `SIGINFO_SIZE` bytes to `out`.
    unsafe { ptrace(Request::PEEKSIGINFO, tid, args as usize, out.as_mut_ptr() as usize) }
}

/// Reads a register set of a stopped thread; answers how many bytes it has.
pub(super) fn register_set(tid: Tid, kind: u32, out: &mut [u8]) -> io::Result<usize> {
    let mut iov = libc::iovec { iov_base: out.as_mut_ptr().cast(), iov_len: out.len() };
    let at = &raw mut iov;
    // SAFETY: the kernel writes at most `iov_len` bytes to `out`, and updates
    // `iov`, which lives until the call returns.
    unsafe { ptrace(Request::GETREGSET, tid, kind as usize, at as usize) }?;
    Ok(iov.iov_len)
}

/// The general registers, always in their 64-bit form. `PTRACE_GETREGSET`
/// would answer the 32-bit form for a thread that runs 32-bit code.
#[cfg(target_arch = "x86_64")]
pub(super) fn general_registers(tid: Tid) -> io::Result<UserRegsAmd64> {
    let mut registers = UserRegsAmd64::new_zeroed();
    let at = &raw mut registers;
    // SAFETY: the kernel writes one `user_regs_struct`, which this is.
    unsafe { ptrace(Request::GETREGS, tid, 0, at as usize) }?;
    Ok(registers)
}

/// The FXSAVE area, always in its 64-bit form.
#[cfg(target_arch = "x86_64")]
pub(super) fn fxsave_area(tid: Tid) -> io::Result<[u8; 512]> {
    let mut area = [0; 512];
    // SAFETY: the kernel writes one `user_fpregs_struct`, of 512 bytes.
    unsafe { ptrace(Request::GETFPREGS, tid, 0, area.as_mut_ptr() as usize) }?;
    Ok(area)
}

/// Debug register `index`.
#[cfg(target_arch = "x86_64")]
pub(super) fn debug_register(tid: Tid, index: usize) -> io::Result<u64> {
    let offset = std::mem::offset_of!(libc::user, u_debugreg) + index * size_of::<u64>();
    let mut value = 0u64;
    let at = &raw mut value;
    // SAFETY: the system call (unlike the C wrapper) writes the word to `data`.
    unsafe { ptrace(Request::PEEKUSER, tid, offset, at as usize) }?;
    Ok(value)
}

/// What `waitid` says of a traced thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Observed {
    /// It runs, or its stop was waited for by somebody else.
    Nothing,
    /// It stopped, with this status: a signal in the low byte, an event above.
    Stopped(i32),
    /// It has ended, or is not traced by this thread any more.
    Gone,
}

/// Looks at a thread that the calling OS thread traces, without waiting.
///
/// The event stays in place (`WNOWAIT`). So if this process is killed, a signal
/// that the thread stopped for is still delivered to it by the kernel; and the
/// exit status of a target that is our own child stays for who started it.
pub(super) fn observe(tid: Tid) -> Observed {
    match look(libc::P_PID, tid) {
        Err(_) => Observed::Gone,
        Ok(None) => Observed::Nothing,
        Ok(Some(info)) => match info.si_code {
            libc::CLD_TRAPPED | libc::CLD_STOPPED => {
                // SAFETY: for these codes the kernel fills the SIGCHLD fields.
                Observed::Stopped(unsafe { info.si_status() })
            }
            libc::CLD_EXITED | libc::CLD_KILLED | libc::CLD_DUMPED => Observed::Gone,
            _ => Observed::Nothing,
        },
    }
}

/// What `waitid` says of all threads that the calling OS thread traces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// They all run.
    Nothing,
    /// There is none.
    NoThread,
    /// This one stopped, with this status.
    Stopped(Tid, i32),
    /// This one has ended.
    Ended(Tid),
    /// Something happened to a child of the calling thread that nobody traces.
    Foreign,
}

/// Looks for a thread, among those that the calling OS thread traces, that stopped
/// or ended, without waiting. The event stays in place, as for [`observe`], so the
/// same one is found again until the thread goes on or is [reaped](reap).
pub(super) fn observe_any() -> Change {
    match look(libc::P_ALL, Tid(0)) {
        Err(_) => Change::NoThread,
        Ok(None) => Change::Nothing,
        Ok(Some(info)) => {
            // SAFETY: what `waitid` reports has the SIGCHLD fields.
            let (pid, status) = unsafe { (info.si_pid(), info.si_status()) };
            let tid = Tid(pid as u32);
            match info.si_code {
                libc::CLD_TRAPPED => Change::Stopped(tid, status),
                libc::CLD_EXITED | libc::CLD_KILLED | libc::CLD_DUMPED => Change::Ended(tid),
                _ => Change::Foreign,
            }
        }
    }
}

/// `waitid` without waiting and without taking the event; `None` if there is none.
fn look(kind: libc::idtype_t, tid: Tid) -> io::Result<Option<libc::siginfo_t>> {
    let options = libc::WEXITED
        | libc::WSTOPPED
        | libc::WNOHANG
        | libc::WNOWAIT
        | libc::__WALL
        | libc::__WNOTHREAD;
    // SAFETY: `siginfo_t` is plain data, for which zeroes are a value.
    let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
    // SAFETY: the kernel writes one `siginfo_t`.
    if unsafe { libc::waitid(kind, tid.0, &raw mut info, options) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // The kernel refuses requests for a thread that has got the main thread's id by
    // an exec until this event is taken; no signal is lost by that.
    // SAFETY: what `waitid` reports has the SIGCHLD fields.
    let (pid, status) = unsafe { (info.si_pid(), info.si_status()) };
    if info.si_code == libc::CLD_TRAPPED && status >> 8 == PTRACE_EVENT_EXEC {
        let taken = options & !libc::WNOWAIT;
        // SAFETY: nothing is asked for, so no memory is written.
        unsafe { libc::waitid(libc::P_PID, pid as u32, std::ptr::null_mut(), taken) };
    }
    Ok((info.si_signo != 0).then_some(info))
}

/// Takes the end of a thread that any thread of this process traces, if it has
/// ended.
pub(super) fn reap(tid: Tid) {
    let options = libc::WEXITED | libc::WNOHANG | libc::__WALL;
    // SAFETY: nothing is asked for, so no memory is written. It fails where there
    // is nothing to take.
    unsafe { libc::waitid(libc::P_PID, tid.0, std::ptr::null_mut(), options) };
}

/// Whether the process that a pidfd stands for has ended.
pub(super) fn has_ended(pidfd: BorrowedFd<'_>) -> bool {
    let mut poll = libc::pollfd { fd: pidfd.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    // SAFETY: one `pollfd`, which lives until the call returns.
    let ready = unsafe { libc::poll(&raw mut poll, 1, 0) };
    ready > 0 && poll.revents != 0
}

/// The most pieces that one [`read_memory`] takes (`UIO_MAXIOV`).
pub(super) const MAX_PIECES: usize = 1024;

/// A piece of the target's memory, as `process_vm_readv` wants it.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub(super) struct RemotePiece(libc::iovec);

impl RemotePiece {
    /// No memory.
    pub(super) const EMPTY: RemotePiece =
        RemotePiece(libc::iovec { iov_base: std::ptr::null_mut(), iov_len: 0 });

    /// `len` bytes at `address`.
    pub(super) fn new(address: u64, len: usize) -> Self {
        let iov_base = std::ptr::without_provenance_mut(address as usize);
        RemotePiece(libc::iovec { iov_base, iov_len: len })
    }
}

/// Copies pieces of the memory of `tid`'s process, back to back, to `out`;
/// answers how many bytes were copied before the first that could not be.
pub(super) fn read_memory(tid: Tid, pieces: &[RemotePiece], out: &mut [u8]) -> io::Result<usize> {
    let local = libc::iovec { iov_base: out.as_mut_ptr().cast(), iov_len: out.len() };
    // SAFETY: the kernel writes to `out` only, at most its length; addresses in
    // `pieces` (a transparent wrapper of `iovec`) are the target's and are
    // checked by the kernel.
    let copied = unsafe {
        libc::process_vm_readv(
            tid.0 as libc::pid_t,
            &raw const local,
            1,
            pieces.as_ptr().cast(),
            pieces.len() as libc::c_ulong,
            0,
        )
    };
    if copied < 0 { Err(io::Error::last_os_error()) } else { Ok(copied as usize) }
}

/// `struct page_region`, linux/fs.h.
#[derive(Clone, Copy, Default)]
#[repr(C)]
pub(super) struct PageRegion {
    /// First address.
    pub(super) start: u64,
    /// First address past the end.
    pub(super) end: u64,
    categories: u64,
}

/// `struct pm_scan_arg`, linux/fs.h.
#[derive(Default)]
#[repr(C)]
struct ScanArgs {
    size: u64,
    flags: u64,
    start: u64,
    end: u64,
    walk_end: u64,
    vec: u64,
    vec_len: u64,
    max_pages: u64,
    category_inverted: u64,
    category_mask: u64,
    category_anyof_mask: u64,
    return_mask: u64,
}

/// `PAGEMAP_SCAN`: `_IOWR('f', 16, struct pm_scan_arg)`.
const PAGEMAP_SCAN: libc::c_ulong =
    (3 << 30) | ((size_of::<ScanArgs>() as libc::c_ulong) << 16) | (0x66 << 8) | 16;

/// Scans page tables through a `/proc/<tid>/pagemap` for pages of any category
/// in `any_of` and none in `none_of` (`PAGE_IS_*` bits). Answers how many
/// regions were found, and up to where `pages` was looked at.
pub(super) fn pagemap_scan(
    pagemap: BorrowedFd<'_>,
    pages: AddressRange,
    any_of: u64,
    none_of: u64,
    regions: &mut [PageRegion],
) -> io::Result<(usize, u64)> {
    let mut args = ScanArgs {
        size: size_of::<ScanArgs>() as u64,
        start: pages.start,
        end: pages.end,
        vec: regions.as_mut_ptr() as u64,
        vec_len: regions.len() as u64,
        category_inverted: none_of,
        category_mask: none_of,
        category_anyof_mask: any_of,
        ..ScanArgs::default()
    };
    let at = &raw mut args;
    // SAFETY: the kernel reads and writes `args`, and writes at most `vec_len`
    // regions to `regions`. The request number's type differs between C
    // libraries, hence the cast.
    let found: c_int = unsafe { libc::ioctl(pagemap.as_raw_fd(), PAGEMAP_SCAN as _, at) };
    if found < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(((found as usize).min(regions.len()), args.walk_end))
}
