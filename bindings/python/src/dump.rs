//! Writing dumps.

use crate::errors::exception;
use dumpwright::target::machine::MachineOptions;
use dumpwright::target::{EventFilter, Pid};
use dumpwright::{
    DumpRequest, FormatFlags, Observer, OpenOptions, Phase, Qualifier, WaitFor, observe_here,
};
use pyo3::prelude::*;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// How often Python is asked whether a signal came.
const SIGNAL_INTERVAL: Duration = Duration::from_millis(50);

/// What was written.
#[pyclass(frozen, get_all, module = "dumpwright")]
pub struct Summary {
    /// The file.
    file: Option<PathBuf>,
    /// Process id.
    pid: u32,
    /// Short name of the process.
    process: String,
    /// Bytes of the file.
    size: u64,
    /// Bytes of the dump before it was packed.
    dump_size: u64,
    /// Bytes of target memory.
    memory_bytes: u64,
    /// The header's MINIDUMP_TYPE.
    minidump_type: u64,
    /// Of a kernel dump, its type by name.
    kernel_type: Option<&'static str>,
    /// Threads in the dump.
    threads: usize,
    /// Modules in the dump.
    modules: usize,
    /// Handles in the dump.
    handles: usize,
    /// Memory that could not be read: start, end (hexadecimal), reason.
    holes: Vec<(String, String, String)>,
    /// Troubles that did not stop the dump: subject, message.
    soft_errors: Vec<(String, String)>,
    /// Seconds for which the target stood still.
    held: f64,
    /// Seconds for everything.
    total: f64,
}

#[pymethods]
impl Summary {
    fn __repr__(&self) -> String {
        let file = self.file.clone().unwrap_or_default();
        if let Some(kind) = self.kernel_type {
            return format!(
                "<dumpwright.Summary of a machine: {kind}, {} bytes in {}>",
                self.size,
                file.display()
            );
        }
        format!(
            "<dumpwright.Summary of process {}: {} threads, {} bytes in {}>",
            self.pid,
            self.threads,
            self.size,
            file.display()
        )
    }
}

impl From<dumpwright::Summary> for Summary {
    fn from(summary: dumpwright::Summary) -> Self {
        Summary {
            file: summary.file,
            pid: summary.pid.0,
            process: summary.process,
            size: summary.size,
            dump_size: summary.dump_size,
            memory_bytes: summary.memory_bytes,
            minidump_type: summary.minidump_type,
            kernel_type: summary.kernel.map(|kernel| kernel.kind.name()),
            threads: summary.threads,
            modules: summary.modules,
            handles: summary.handles,
            holes: summary.holes.into_iter().map(|h| (h.start, h.end, h.reason)).collect(),
            soft_errors: summary
                .soft_error_list
                .into_iter()
                .map(|e| (e.subject, e.message))
                .collect(),
            held: summary.held.as_secs_f64(),
            total: summary.total.as_secs_f64(),
        }
    }
}

/// A number of dbgeng.h, or its name, or several names.
#[derive(FromPyObject)]
pub enum Value {
    Number(u32),
    Name(String),
    Names(Vec<String>),
}

impl Value {
    /// The number; names are looked up and put together.
    fn number(&self, py: Python<'_>, find: impl Fn(&str) -> Option<u32>) -> PyResult<u32> {
        let names: Vec<&str> = match self {
            Value::Number(number) => return Ok(*number),
            Value::Name(name) => name.split(['|', ',']).collect(),
            Value::Names(names) => names.iter().map(String::as_str).collect(),
        };
        names.into_iter().try_fold(0, |number, name| {
            let plain = name.trim().to_ascii_uppercase();
            find(&plain).map(|bits| number | bits).ok_or_else(|| {
                let message = format!("'{name}' is no name that dumpwright has a constant for");
                exception(py, dumpwright::Error::InvalidRequest(message))
            })
        })
    }
}

fn flag(name: &str) -> Option<u32> {
    if name == "MA" {
        return Some(FormatFlags::DUMP_MA.bits());
    }
    FormatFlags::from_name(name.trim_start_matches("DEBUG_FORMAT_")).map(|flags| flags.bits())
}

fn qualifier_of(name: &str) -> Option<u32> {
    let qualifier = match name.trim_start_matches("DEBUG_DUMP_") {
        "SMALL" => Qualifier::Small,
        "DEFAULT" => Qualifier::Default,
        "FULL" => Qualifier::Full,
        "ACTIVE" => Qualifier::Active,
        _ => return None,
    };
    Some(qualifier as u32)
}

/// Writes a dump of a live process.
#[pyfunction]
#[pyo3(signature = (pid, file, *, qualifier=Value::Number(1024), flags=Value::Number(0), comment=None, overwrite=false, progress=None))]
#[expect(clippy::too_many_arguments, reason = "Python names them")]
pub fn dump(
    py: Python<'_>,
    pid: u32,
    file: PathBuf,
    qualifier: Value,
    flags: Value,
    comment: Option<&str>,
    overwrite: bool,
    progress: Option<Py<PyAny>>,
) -> PyResult<Summary> {
    let request = request(py, file, &qualifier, &flags, comment, overwrite)?;
    write(py, progress, |observer| dumpwright::dump_process(Pid(pid), &request, observer))
}

/// What can be waited for.
fn event(py: Python<'_>, name: &str) -> PyResult<EventFilter> {
    match name {
        "crash" => Ok(EventFilter::CRASH),
        "exception" => Ok(EventFilter::EXCEPTION),
        "exit" => Ok(EventFilter::END),
        _ => {
            let message = format!("'{name}' is no event; 'crash', 'exception' and 'exit' are");
            Err(exception(py, dumpwright::Error::InvalidRequest(message)))
        }
    }
}

/// Waits in a live process until something happens, and writes a dump of it there.
#[pyfunction]
#[pyo3(signature = (pid, on, file, *, wait_seconds=None, qualifier=Value::Number(1024), flags=Value::Number(0), comment=None, overwrite=false, progress=None))]
#[expect(clippy::too_many_arguments, reason = "Python names them")]
pub fn dump_on(
    py: Python<'_>,
    pid: u32,
    on: &str,
    file: PathBuf,
    wait_seconds: Option<f64>,
    qualifier: Value,
    flags: Value,
    comment: Option<&str>,
    overwrite: bool,
    progress: Option<Py<PyAny>>,
) -> PyResult<Summary> {
    let request = request(py, file, &qualifier, &flags, comment, overwrite)?;
    let timeout = wait_seconds.map(Duration::try_from_secs_f64).transpose().map_err(|error| {
        let message = format!("wait_seconds: {error}");
        exception(py, dumpwright::Error::InvalidRequest(message))
    })?;
    let wait = WaitFor { events: event(py, on)?, timeout };
    write(py, progress, |observer| dumpwright::dump_on_event(Pid(pid), wait, &request, observer))
}

/// Writes a dump of what a file holds: a process or a machine.
#[pyfunction]
#[pyo3(signature = (source, file, *, qualifier=Value::Number(1024), flags=Value::Number(0), comment=None, overwrite=false, sysroot=None, progress=None))]
#[expect(clippy::too_many_arguments, reason = "Python names them")]
pub fn dump_file(
    py: Python<'_>,
    source: PathBuf,
    file: PathBuf,
    qualifier: Value,
    flags: Value,
    comment: Option<&str>,
    overwrite: bool,
    sysroot: Option<PathBuf>,
    progress: Option<Py<PyAny>>,
) -> PyResult<Summary> {
    let request = request(py, file, &qualifier, &flags, comment, overwrite)?;
    let (options, machine) = (OpenOptions { sysroot }, MachineOptions::default());
    write(py, progress, |observer| {
        dumpwright::dump_target(&source, &request, &options, &machine, observer)
    })
}

/// Writes a kernel dump of a live guest.
#[cfg(target_os = "linux")]
#[pyfunction]
#[pyo3(signature = (socket, file, *, qualifier=Value::Number(1024), flags=Value::Number(0), comment=None, overwrite=false, progress=None))]
#[expect(clippy::too_many_arguments, reason = "Python names them")]
pub fn dump_guest(
    py: Python<'_>,
    socket: PathBuf,
    file: PathBuf,
    qualifier: Value,
    flags: Value,
    comment: Option<&str>,
    overwrite: bool,
    progress: Option<Py<PyAny>>,
) -> PyResult<Summary> {
    let request = request(py, file, &qualifier, &flags, comment, overwrite)?;
    write(py, progress, |observer| {
        dumpwright::dump_guest(&socket, &request, &MachineOptions::default(), observer)
    })
}

fn request(
    py: Python<'_>,
    file: PathBuf,
    qualifier: &Value,
    flags: &Value,
    comment: Option<&str>,
    overwrite: bool,
) -> PyResult<DumpRequest> {
    let qualifier = qualifier.number(py, qualifier_of)?;
    let flags = flags.number(py, flag)?;
    let mut request =
        DumpRequest::from_raw(file, qualifier, flags, comment).map_err(|e| exception(py, e))?;
    if !overwrite {
        request.format_flags |= FormatFlags::NO_OVERWRITE;
    }
    Ok(request)
}

/// Writes without the GIL. What Python code raised meanwhile counts before what
/// the engine says of it.
fn write(
    py: Python<'_>,
    progress: Option<Py<PyAny>>,
    job: impl FnOnce(&dyn Observer) -> dumpwright::Result<dumpwright::Summary> + Send,
) -> PyResult<Summary> {
    let mut watcher = Watcher { progress, raised: None, asked: Instant::now() };
    let listen = |phase, done, total| watcher.goes_on(phase, done, total);
    let result = py.detach(|| observe_here(listen, || false, job));
    match watcher.raised {
        Some(raised) if result.is_err() => Err(raised),
        _ => result.map(Summary::from).map_err(|error| exception(py, error)),
    }
}

/// Calls the progress function, and lets Ctrl-C through, which Python tells to its
/// main thread alone.
struct Watcher {
    progress: Option<Py<PyAny>>,
    raised: Option<PyErr>,
    asked: Instant,
}

impl Watcher {
    /// Tells of progress; whether to go on.
    fn goes_on(&mut self, phase: Phase, done: u64, total: u64) -> bool {
        let due = self.asked.elapsed() >= SIGNAL_INTERVAL;
        if due {
            self.asked = Instant::now();
        }
        if !due && self.progress.is_none() {
            return true;
        }
        let answer = Python::attach(|py| {
            if due {
                py.check_signals()?;
            }
            self.call(py, phase, done, total)
        });
        answer.unwrap_or_else(|raised| {
            self.raised.get_or_insert(raised);
            false
        })
    }

    fn call(&self, py: Python<'_>, phase: Phase, done: u64, total: u64) -> PyResult<bool> {
        let Some(progress) = &self.progress else { return Ok(true) };
        let phase = match phase {
            Phase::Wait => "wait",
            Phase::Unpack => "unpack",
            Phase::Write => "write",
            Phase::Package => "package",
        };
        let answer = progress.call1(py, (phase, done, total))?;
        Ok(!answer.is(pyo3::types::PyBool::new(py, false)))
    }
}
