//! Reading dumps.

use crate::errors::{exception, faults, read_exception};
use dumpwright::format::minidump::StreamType;
use dumpwright::read::Minidump;
use dumpwright::read::kernel::KernelDump;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// The most bytes that one read may ask for.
pub const MAX_READ: usize = 1 << 30;

/// An open minidump.
#[pyclass(frozen, module = "dumpwright")]
pub struct Dump {
    dump: Minidump,
}

/// Opens a minidump to read it.
#[pyfunction]
#[pyo3(signature = (path, /))]
pub fn open(py: Python<'_>, path: PathBuf) -> PyResult<Dump> {
    let dump = Minidump::open(path).map_err(|e| exception(py, e))?;
    Ok(Dump { dump })
}

/// The faults of a minidump or kernel dump; none if it is sound.
#[pyfunction]
#[pyo3(signature = (path, /))]
pub fn verify<'py>(py: Python<'py>, path: PathBuf) -> PyResult<Vec<Bound<'py, PyDict>>> {
    if let Ok(dump) = KernelDump::open(&path) {
        return faults(py, py.detach(|| dumpwright::verify::verify_kernel(&dump)));
    }
    let dump = Minidump::open(path).map_err(|e| exception(py, e))?;
    faults(py, py.detach(|| dumpwright::verify::verify(&dump)))
}

#[pymethods]
impl Dump {
    /// The file.
    #[getter]
    fn path(&self) -> &Path {
        self.dump.file()
    }

    /// The header's MINIDUMP_TYPE.
    #[getter]
    fn minidump_type(&self) -> u64 {
        self.dump.minidump_type().bits()
    }

    /// When it was written, in seconds since 1970.
    #[getter]
    fn time(&self) -> u32 {
        self.dump.header().time_date_stamp.get()
    }

    /// The comment.
    #[getter]
    fn comment(&self) -> PyResult<Option<String>> {
        self.dump.comment().map_err(read_exception)
    }

    /// The soft errors that its writer left, as JSON text.
    #[getter]
    fn soft_errors(&self) -> PyResult<Option<String>> {
        self.dump.soft_errors().map_err(read_exception)
    }

    /// Process id.
    #[getter]
    fn pid(&self) -> PyResult<Option<u32>> {
        Ok(self.dump.misc_info().map_err(read_exception)?.and_then(|m| m.process_id))
    }

    /// The streams: type, file offset, bytes.
    #[getter]
    fn streams(&self) -> Vec<(u32, u64, u64)> {
        let entries = self.dump.directory().iter();
        entries.map(|e| (e.stream_type.0, e.location.rva, e.location.size)).collect()
    }

    /// The bytes of a stream, or None.
    fn stream<'py>(&self, py: Python<'py>, kind: u32) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let bytes = self.dump.stream_bytes(StreamType(kind)).map_err(read_exception)?;
        Ok(bytes.map(|b| PyBytes::new(py, &b)))
    }

    /// The exception that the dump was written for.
    #[getter]
    fn exception<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyDict>>> {
        let Some(found) = self.dump.exception().map_err(read_exception)? else { return Ok(None) };
        let entry = PyDict::new(py);
        entry.set_item("thread", found.thread_id)?;
        entry.set_item("code", found.code)?;
        entry.set_item("flags", found.flags)?;
        entry.set_item("address", found.address)?;
        entry.set_item("parameters", found.parameters)?;
        Ok(Some(entry))
    }

    /// The threads.
    #[getter]
    fn threads<'py>(&self, py: Python<'py>) -> PyResult<Vec<Bound<'py, PyDict>>> {
        let threads = self.dump.threads().map_err(read_exception)?.unwrap_or_default();
        let names = self.dump.thread_names().map_err(read_exception)?.unwrap_or_default();
        let names: HashMap<_, _> = names.into_iter().map(|n| (n.thread_id, n.name)).collect();
        let system = self.dump.system_info().map_err(read_exception)?;
        threads
            .into_iter()
            .map(|thread| {
                let entry = PyDict::new(py);
                entry.set_item("id", thread.thread_id)?;
                entry.set_item("name", names.get(&thread.thread_id))?;
                entry.set_item("teb", thread.teb)?;
                entry.set_item("stack_start", thread.stack_start)?;
                entry.set_item("stack_size", thread.stack.size)?;
                let registers = PyDict::new(py);
                if let Some(system) = &system {
                    let read = self.dump.registers(system.processor_architecture, thread.context);
                    for (name, value) in read.ok().flatten().iter().flat_map(|r| &r.general) {
                        registers.set_item(name, value)?;
                    }
                }
                entry.set_item("registers", registers)?;
                Ok(entry)
            })
            .collect()
    }

    /// The loaded modules.
    #[getter]
    fn modules<'py>(&self, py: Python<'py>) -> PyResult<Vec<Bound<'py, PyDict>>> {
        let modules = self.dump.modules().map_err(read_exception)?.unwrap_or_default();
        modules
            .into_iter()
            .map(|module| {
                let entry = PyDict::new(py);
                entry.set_item("base", module.base)?;
                entry.set_item("size", module.size)?;
                entry.set_item("name", &module.name)?;
                entry.set_item("debug_id", module.debug_id())?;
                entry.set_item("version", module.file_version)?;
                Ok(entry)
            })
            .collect()
    }

    /// The memory that it holds: address and bytes, in order.
    #[getter]
    fn memory_ranges(&self) -> PyResult<Vec<(u64, u64)>> {
        let map = self.dump.memory_map().map_err(read_exception)?;
        Ok(map.ranges().iter().map(|r| (r.start, r.size)).collect())
    }

    /// Exactly `size` bytes at an address.
    fn read_memory<'py>(
        &self,
        py: Python<'py>,
        address: u64,
        size: usize,
    ) -> PyResult<Bound<'py, PyBytes>> {
        if size > MAX_READ {
            return Err(pyo3::exceptions::PyValueError::new_err(
                "more than a GiB at once; read it in pieces",
            ));
        }
        PyBytes::new_with(py, size, |buf| {
            self.dump.read_memory(address, buf).map_err(|error| match error {
                dumpwright::read::ReadError::NotInDump { .. } => {
                    pyo3::exceptions::PyLookupError::new_err(error.to_string())
                }
                other => read_exception(other),
            })
        })
    }

    /// The faults of the dump; none if it is sound.
    fn verify<'py>(&self, py: Python<'py>) -> PyResult<Vec<Bound<'py, PyDict>>> {
        faults(py, py.detach(|| dumpwright::verify::verify(&self.dump)))
    }

    fn __repr__(&self) -> String {
        format!("<dumpwright.Dump '{}'>", self.dump.file().display())
    }
}
