//! dumpwright for Python: `dump`, `dump_file`, `open`, `verify`. The package's
//! documentation for users is in `python/dumpwright/__init__.pyi`.

mod dump;
mod errors;
mod machine;
mod reader;

use pyo3::prelude::*;

#[pymodule]
mod _dumpwright {
    use super::PyModuleExtra as _;
    use pyo3::prelude::*;

    #[cfg(target_os = "linux")]
    #[pymodule_export]
    use super::dump::dump_guest;
    #[pymodule_export]
    use super::dump::{Summary, dump, dump_file, dump_on};
    #[pymodule_export]
    use super::errors::{
        AccessDenied, Cancelled, DumpExists, DumpwrightError, InvalidRequest, NoSuchProcess,
        NotADump,
    };
    #[pymodule_export]
    use super::machine::{Machine, open_machine};
    #[pymodule_export]
    use super::reader::{Dump, open, verify};

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        module.add_constants()
    }
}

/// The constants of dbgeng.h.
trait PyModuleExtra {
    fn add_constants(&self) -> PyResult<()>;
}

impl PyModuleExtra for Bound<'_, PyModule> {
    fn add_constants(&self) -> PyResult<()> {
        self.add("__version__", env!("CARGO_PKG_VERSION"))?;
        self.add("SMALL", dumpwright::Qualifier::Small as u32)?;
        self.add("DEFAULT", dumpwright::Qualifier::Default as u32)?;
        self.add("FULL", dumpwright::Qualifier::Full as u32)?;
        self.add("ACTIVE", dumpwright::Qualifier::Active as u32)?;
        for (name, flag) in dumpwright::FormatFlags::all().iter_names() {
            self.add(name, flag.bits())?;
        }
        // It shares its bit with USER_SMALL_SCAN_PARTIAL_PAGES, which is named above.
        let all_images = dumpwright::FormatFlags::CAB_SECONDARY_ALL_IMAGES;
        self.add("CAB_SECONDARY_ALL_IMAGES", all_images.bits())?;
        self.add("MA", dumpwright::FormatFlags::DUMP_MA.bits())
    }
}
