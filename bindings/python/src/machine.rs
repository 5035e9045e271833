//! Reading kernel dumps and memory images.

use crate::errors::{exception, faults};
use crate::reader::MAX_READ;
use dumpwright::read::kernel::KernelDump;
use dumpwright::target::machine::{
    Gpa, Gva, MachineOptions, MachineTarget, PAGE_SIZE, open_machine as open_target, read_physical,
    read_virtual,
};
use pyo3::exceptions::{PyLookupError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};
use std::path::PathBuf;
use std::sync::Mutex;

/// A machine in a file: a kernel dump or a memory image.
#[pyclass(frozen, module = "dumpwright")]
pub struct Machine {
    path: PathBuf,
    // Only its memory may be read by several threads at once.
    target: Mutex<Box<dyn MachineTarget>>,
}

/// Opens a kernel dump or a memory image to read it.
#[pyfunction]
#[pyo3(signature = (path, /))]
pub fn open_machine(py: Python<'_>, path: PathBuf) -> PyResult<Machine> {
    let opened = py.detach(|| open_target(&path, &MachineOptions::default()));
    let target = opened.map_err(|error| exception(py, error))?.ok_or_else(|| {
        let reason = "it holds no machine; dumpwright.open is for dumps of processes".to_owned();
        exception(py, dumpwright::Error::NotAMachine { file: path.clone(), reason })
    })?;
    Ok(Machine { path, target: Mutex::new(target) })
}

impl Machine {
    fn with<T>(&self, body: impl FnOnce(&dyn MachineTarget) -> T) -> T {
        let target = self.target.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        body(&**target)
    }

    /// Exactly `size` bytes by a way to read.
    fn read<'py>(
        &self,
        py: Python<'py>,
        address: u64,
        size: usize,
        read: impl FnOnce(&dyn MachineTarget, &mut [u8]) -> usize,
    ) -> PyResult<Bound<'py, PyBytes>> {
        if size > MAX_READ {
            return Err(PyValueError::new_err("more than a GiB at once; read it in pieces"));
        }
        PyBytes::new_with(py, size, |buf| {
            let done = self.with(|target| read(target, buf));
            if done == size {
                return Ok(());
            }
            let place = address.saturating_add(done as u64);
            Err(PyLookupError::new_err(format!(
                "memory at {place:#x} is not in '{}'",
                self.path.display()
            )))
        })
    }
}

#[pymethods]
impl Machine {
    /// The file.
    #[getter]
    fn path(&self) -> PathBuf {
        self.path.clone()
    }

    /// The type of a kernel dump by name; None for a memory image.
    #[getter]
    fn kind(&self) -> Option<&'static str> {
        self.with(|m| m.snapshot().source_type).map(|kind| kind.name().unwrap_or("unknown"))
    }

    /// Build of Windows; 0 for a guest that is not understood.
    #[getter]
    fn build(&self) -> u32 {
        self.with(|m| m.snapshot().build)
    }

    /// Processors.
    #[getter]
    fn processors(&self) -> usize {
        self.with(|m| m.snapshot().processors.len())
    }

    /// Code and parameters of the bug check.
    #[getter]
    fn bug_check(&self) -> Option<(u32, [u64; 4])> {
        self.with(|m| m.snapshot().bug_check).map(|check| (check.code, check.parameters))
    }

    /// The comment.
    #[getter]
    fn comment(&self) -> Option<String> {
        self.with(|m| m.snapshot().comment.clone())
    }

    /// When it was as the file shows it, in seconds since 1970; 0 if unknown.
    #[getter]
    fn time(&self) -> u64 {
        self.with(|m| m.snapshot().system_time.unix_seconds())
    }

    /// The kernel and its drivers.
    #[getter]
    fn modules<'py>(&self, py: Python<'py>) -> PyResult<Vec<Bound<'py, PyDict>>> {
        let modules: Vec<_> = self.with(|m| {
            let snapshot = m.snapshot();
            let small = snapshot.small_dump.as_deref();
            let drivers = small.into_iter().flat_map(|small| &small.drivers);
            let drivers = drivers.map(|d| (d.base.0, d.size, d.name.clone()));
            let loaded = snapshot.modules.iter().map(|m| (m.base.0, m.size, m.name.clone()));
            drivers.chain(loaded).collect()
        });
        modules
            .into_iter()
            .map(|(base, size, name)| {
                let entry = PyDict::new(py);
                entry.set_item("base", base)?;
                entry.set_item("size", size)?;
                entry.set_item("name", name)?;
                Ok(entry)
            })
            .collect()
    }

    /// Physical memory that it has: address and bytes, in order.
    #[getter]
    fn memory_ranges(&self) -> Vec<(u64, u64)> {
        self.with(|m| {
            let runs = m.memory().runs().iter();
            runs.map(|run| (run.base.gpa().0, run.count.saturating_mul(PAGE_SIZE))).collect()
        })
    }

    /// Exactly `size` bytes at a physical address.
    fn read_physical<'py>(
        &self,
        py: Python<'py>,
        address: u64,
        size: usize,
    ) -> PyResult<Bound<'py, PyBytes>> {
        self.read(py, address, size, |m, buf| read_physical(m.memory(), Gpa(address), buf))
    }

    /// Exactly `size` bytes at a virtual address of the kernel.
    fn read_memory<'py>(
        &self,
        py: Python<'py>,
        address: u64,
        size: usize,
    ) -> PyResult<Bound<'py, PyBytes>> {
        self.read(py, address, size, |m, buf| {
            read_virtual(m.snapshot(), m.memory(), Gva(address), buf)
        })
    }

    /// The faults of a kernel dump; none if it is sound.
    fn verify<'py>(&self, py: Python<'py>) -> PyResult<Vec<Bound<'py, PyDict>>> {
        if self.kind().is_none() {
            return Ok(Vec::new());
        }
        let dump = KernelDump::open(&self.path).map_err(|error| exception(py, error))?;
        faults(py, py.detach(|| dumpwright::verify::verify_kernel(&dump)))
    }

    fn __repr__(&self) -> String {
        format!("<dumpwright.Machine '{}'>", self.path.display())
    }
}
