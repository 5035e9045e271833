//! The plain C interface: the four inputs of `WriteDumpFile2`, for a process, a
//! dump or memory image, or a live guest. `include/dumpwright.h` is generated of it by cbindgen.
//!
//! A function answers an `HRESULT` (0 is success, negative values are
//! failures; `docs/dbgeng-hresults.md` has the table), and
//! [`dumpwright_error_message`] the words for it. Functions can be called from
//! any thread, several at a time. A panic never crosses the boundary.

mod constants;

pub use constants::*;

use dumpwright::{
    DumpRequest, Error, HResult, Observer, OpenOptions, Phase, Summary as EngineSummary, WaitFor,
    dump_on_event, dump_process, dump_target, observe_here,
    target::machine::MachineOptions,
    target::{EventFilter, Pid},
};
use std::cell::RefCell;
use std::ffi::{CStr, CString, c_char, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Told how far a dump is: `done` of `total` bytes of a `DUMPWRIGHT_PHASE_*`.
/// Called on the thread that called the function. Any answer but 0 gives the
/// dump up.
pub type ProgressFn =
    Option<unsafe extern "C" fn(context: *mut c_void, phase: u32, done: u64, total: u64) -> i32>;

/// What can be asked for beyond the four inputs. All zero asks for nothing.
#[repr(C)]
pub struct Options {
    /// `sizeof(dumpwright_options)`: which members the caller knows.
    pub struct_size: u32,
    /// Not 0: the Token stream.
    pub token: u32,
    /// Not 0: the ProcessVmCounters stream.
    pub vm_counters: u32,
    /// Not 0: the SystemMemoryInfo stream.
    pub system_memory: u32,
    /// The most bytes that the file may have; 0 for no limit.
    pub max_size: u64,
    /// Called now and then, or null.
    pub progress: ProgressFn,
    /// Handed to `progress`.
    pub context: *mut c_void,
}

/// What was written.
#[repr(C)]
pub struct Summary {
    /// `sizeof(dumpwright_summary)`, set by the caller: how much to fill.
    pub struct_size: u32,
    /// Process id.
    pub pid: u32,
    /// Bytes of the file.
    pub size: u64,
    /// Bytes of the dump; in a CAB, before compression.
    pub dump_size: u64,
    /// Bytes of target memory.
    pub memory_bytes: u64,
    /// The header's `MINIDUMP_TYPE`.
    pub minidump_type: u64,
    /// Nanoseconds for which the target stood still.
    pub held_ns: u64,
    /// Nanoseconds for everything.
    pub total_ns: u64,
    /// Threads in the dump.
    pub threads: u32,
    /// Modules in the dump.
    pub modules: u32,
    /// Handles in the dump.
    pub handles: u32,
    /// Ranges of memory that belong in the dump and could not be read.
    pub holes: u32,
    /// Troubles that did not stop the dump; they are listed in it.
    pub soft_errors: u32,
    /// 0.
    pub reserved: u32,
}

thread_local! {
    static MESSAGE: RefCell<CString> = RefCell::default();
}

/// Why the last call of this thread failed, in UTF-8; an empty string if it did
/// not. Valid until the thread's next call.
#[unsafe(no_mangle)]
pub extern "C" fn dumpwright_error_message() -> *const c_char {
    MESSAGE.with_borrow(|message| message.as_ptr())
}

/// The version of the library, as `1.2.3`.
#[unsafe(no_mangle)]
pub extern "C" fn dumpwright_version() -> *const c_char {
    const VERSION: &CStr =
        match CStr::from_bytes_with_nul(concat!(env!("CARGO_PKG_VERSION"), "\0").as_bytes()) {
            Ok(version) => version,
            Err(_) => c"",
        };
    VERSION.as_ptr()
}

/// Writes a dump of a live process: `WriteDumpFile2` for a process id.
///
/// `file` is the name, in the file system's own bytes (UTF-8 on Windows).
/// `qualifier` and `format_flags` are those of dbgeng.h. `comment` (UTF-8),
/// `options` and `summary` can be null. Nothing is left under the name if it
/// fails, and a file that was there is as it was.
///
/// # Safety
/// Strings end with NUL; structures have the size that they state.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dumpwright_dump_process(
    pid: u32,
    file: *const c_char,
    qualifier: u32,
    format_flags: u32,
    comment: *const c_char,
    options: *const Options,
    summary: *mut Summary,
) -> i32 {
    // SAFETY: as the caller promises.
    unsafe {
        dump(file, qualifier, format_flags, comment, options, summary, |request, observer| {
            dump_process(Pid(pid), request, observer)
        })
    }
}

/// Waits in a live process, as its debugger, until one of `events`
/// (`DUMPWRIGHT_EVENT_*`, put together) happens, and writes a dump of it there, which
/// holds the exception that it stopped for. It goes on then as if it had not been
/// watched: a crash ends it.
///
/// `timeout_ms` limits the waiting; 0xFFFFFFFF does not. When it is over, the process
/// runs on and the answer is `HRESULT_FROM_WIN32(ERROR_TIMEOUT)`, 0x800705B4. `progress`
/// of the options is called meanwhile with `DUMPWRIGHT_PHASE_WAIT`, and can give it up.
/// The rest is as for `dumpwright_dump_process`.
///
/// # Safety
/// As `dumpwright_dump_process`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dumpwright_dump_on_event(
    pid: u32,
    events: u32,
    timeout_ms: u32,
    file: *const c_char,
    qualifier: u32,
    format_flags: u32,
    comment: *const c_char,
    options: *const Options,
    summary: *mut Summary,
) -> i32 {
    // SAFETY: as the caller promises.
    unsafe {
        dump(file, qualifier, format_flags, comment, options, summary, |request, observer| {
            let events = EventFilter::from_bits(events)
                .filter(|events| !events.is_empty() && EVENTS.contains(*events))
                .ok_or_else(|| invalid("the events are not DUMPWRIGHT_EVENT_* put together"))?;
            let limited = timeout_ms != u32::MAX;
            let timeout = limited.then(|| Duration::from_millis(timeout_ms.into()));
            let wait = WaitFor { events, timeout };
            dump_on_event(Pid(pid), wait, request, observer)
        })
    }
}

/// What can be waited for.
const EVENTS: EventFilter = EventFilter::EXCEPTION.union(EventFilter::EXIT);

/// Writes a dump of what a file holds: of the process in a minidump, an ELF core
/// or a full user dump, or of the machine in a kernel dump or a memory image,
/// packed or not. `source` is its name; the rest is as for
/// `dumpwright_dump_process`. `file` may name `source` itself.
///
/// A machine takes no `DUMPWRIGHT_FORMAT_USER_SMALL_*` flags, and no options but
/// `progress`.
///
/// # Safety
/// As `dumpwright_dump_process`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dumpwright_dump_file(
    source: *const c_char,
    file: *const c_char,
    qualifier: u32,
    format_flags: u32,
    comment: *const c_char,
    options: *const Options,
    summary: *mut Summary,
) -> i32 {
    // SAFETY: as the caller promises.
    unsafe {
        let source = path(source);
        dump(file, qualifier, format_flags, comment, options, summary, |request, observer| {
            let source = source.ok_or_else(|| invalid("the source has no name"))?;
            let (options, machine) = (OpenOptions::default(), MachineOptions::default());
            dump_target(&source, request, &options, &machine, observer)
        })
    }
}

/// Writes a kernel dump of a live QEMU or KVM guest; `socket` is the name of the
/// socket of its QMP monitor. The guest stands still meanwhile. Options are those
/// of a machine in a file; the rest is as for `dumpwright_dump_process`. On Linux
/// only; elsewhere it fails with `E_UNEXPECTED`.
///
/// # Safety
/// As `dumpwright_dump_process`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dumpwright_dump_guest(
    socket: *const c_char,
    file: *const c_char,
    qualifier: u32,
    format_flags: u32,
    comment: *const c_char,
    options: *const Options,
    summary: *mut Summary,
) -> i32 {
    // SAFETY: as the caller promises.
    unsafe {
        let socket = path(socket);
        dump(file, qualifier, format_flags, comment, options, summary, |request, observer| {
            let socket = socket.ok_or_else(|| invalid("the socket has no name"))?;
            guest(&socket, request, observer)
        })
    }
}

#[cfg(target_os = "linux")]
fn guest(
    socket: &Path,
    request: &DumpRequest,
    observer: &dyn Observer,
) -> dumpwright::Result<EngineSummary> {
    dumpwright::dump_guest(socket, request, &MachineOptions::default(), observer)
}

#[cfg(not(target_os = "linux"))]
fn guest(socket: &Path, _: &DumpRequest, _: &dyn Observer) -> dumpwright::Result<EngineSummary> {
    let reason = "live guests are dumped on Linux only; dump a memory image of it".to_owned();
    Err(Error::Guest { socket: socket.to_owned(), reason })
}

/// # Safety
/// As [`dumpwright_dump_process`].
unsafe fn dump(
    file: *const c_char,
    qualifier: u32,
    format_flags: u32,
    comment: *const c_char,
    options: *const Options,
    summary: *mut Summary,
    write: impl FnOnce(&DumpRequest, &dyn Observer) -> dumpwright::Result<EngineSummary> + Send,
) -> i32 {
    let result = catch_unwind(AssertUnwindSafe(|| {
        // SAFETY: as the caller promises.
        let (file, comment, options) =
            unsafe { (path(file), text(comment)?, options_of(options)?) };
        let file = file.ok_or(Error::EmptyFileName)?;
        let mut request = DumpRequest::from_raw(file, qualifier, format_flags, comment.as_deref())?;
        options.apply(&mut request);
        let done = watched(&options, |observer| write(&request, observer))?;
        // SAFETY: as the caller promises.
        unsafe { fill(summary, &done) }
    }));
    let (code, message) = match result {
        Ok(Ok(())) => (HResult::S_OK, String::new()),
        Ok(Err(error)) => (error.hresult(), error.to_string()),
        Err(_) => (HResult::E_FAIL, "dumpwright has a fault and could not go on".to_owned()),
    };
    let message = message.replace('\0', " ");
    MESSAGE.set(CString::new(message).unwrap_or_default());
    code.0
}

fn invalid(message: &str) -> Error {
    Error::InvalidRequest(message.to_owned())
}

/// # Safety
/// `string` is null or ends with NUL.
unsafe fn bytes(string: *const c_char) -> Option<Vec<u8>> {
    // SAFETY: not null, so it is a string.
    (!string.is_null()).then(|| unsafe { CStr::from_ptr(string) }.to_bytes().to_vec())
}

/// # Safety
/// `string` is null or ends with NUL.
unsafe fn text(string: *const c_char) -> dumpwright::Result<Option<String>> {
    // SAFETY: as the caller promises.
    let bytes = unsafe { bytes(string) };
    bytes.map(String::from_utf8).transpose().map_err(|_| invalid("the comment is no UTF-8"))
}

/// # Safety
/// `string` is null or ends with NUL.
unsafe fn path(string: *const c_char) -> Option<PathBuf> {
    // SAFETY: as the caller promises.
    let bytes = unsafe { bytes(string) }?;
    #[cfg(unix)]
    let name: std::ffi::OsString = std::os::unix::ffi::OsStringExt::from_vec(bytes);
    #[cfg(not(unix))]
    let name = std::ffi::OsString::from(String::from_utf8_lossy(&bytes).into_owned());
    Some(PathBuf::from(name))
}

/// # Safety
/// `options` is null or has the size that it states.
unsafe fn options_of(options: *const Options) -> dumpwright::Result<Options> {
    let none = Options {
        struct_size: size_of::<Options>() as u32,
        token: 0,
        vm_counters: 0,
        system_memory: 0,
        max_size: 0,
        progress: None,
        context: std::ptr::null_mut(),
    };
    if options.is_null() {
        return Ok(none);
    }
    // SAFETY: the size comes first in every version.
    let stated = unsafe { (&raw const (*options).struct_size).read_unaligned() };
    if (stated as usize) < size_of::<Options>() {
        return Err(invalid("options.struct_size is not sizeof(dumpwright_options)"));
    }
    // SAFETY: so large it is.
    Ok(unsafe { options.read_unaligned() })
}

/// # Safety
/// `summary` is null or has the size that it states.
unsafe fn fill(summary: *mut Summary, done: &EngineSummary) -> dumpwright::Result<()> {
    if summary.is_null() {
        return Ok(());
    }
    // SAFETY: the size comes first in every version.
    let stated = unsafe { (&raw const (*summary).struct_size).read_unaligned() };
    if (stated as usize) < size_of::<Summary>() {
        return Err(invalid(
            "the dump was written; summary.struct_size is not sizeof(dumpwright_summary)",
        ));
    }
    let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    let nanos = |d: Duration| u64::try_from(d.as_nanos()).unwrap_or(u64::MAX);
    let value = Summary {
        struct_size: stated,
        pid: done.pid.0,
        size: done.size,
        dump_size: done.dump_size,
        memory_bytes: done.memory_bytes,
        minidump_type: done.minidump_type,
        held_ns: nanos(done.held),
        total_ns: nanos(done.total),
        threads: count(done.threads),
        modules: count(done.modules),
        handles: count(done.handles),
        holes: count(done.holes.len()),
        soft_errors: count(done.soft_errors),
        reserved: 0,
    };
    // SAFETY: so large it is.
    unsafe { summary.write_unaligned(value) };
    Ok(())
}

impl Options {
    fn apply(&self, request: &mut DumpRequest) {
        let extensions = &mut request.extensions;
        extensions.token = self.token != 0;
        extensions.vm_counters = self.vm_counters != 0;
        extensions.system_memory = self.system_memory != 0;
        extensions.max_size = (self.max_size != 0).then_some(self.max_size);
    }
}

/// Carries out `work` on another thread, with the caller's function told here.
fn watched<T: Send>(options: &Options, work: impl FnOnce(&dyn Observer) -> T + Send) -> T {
    let Some(progress) = options.progress else { return work(&()) };
    let context = options.context;
    let listen = |phase, done, total| {
        let phase = match phase {
            Phase::Wait => DUMPWRIGHT_PHASE_WAIT,
            Phase::Unpack => DUMPWRIGHT_PHASE_UNPACK,
            Phase::Write => DUMPWRIGHT_PHASE_WRITE,
            Phase::Package => DUMPWRIGHT_PHASE_PACKAGE,
        };
        // SAFETY: the caller's own function with its own context.
        unsafe { progress(context, phase, done, total) == 0 }
    };
    observe_here(listen, || false, work)
}
