//! The Unix side of a process under Wine: what Windows readers do not see, and
//! what the Windows streams of its dump have no place for.

use super::{Pid, Tid};
use crate::address::AddressRange;
use serde::{Serialize, Serializer};
use std::collections::BTreeMap;

/// What of a process under Wine is not of Windows. Its JSON form, with these
/// names and hexadecimal addresses, is the UnixSide stream.
#[derive(Clone, Debug, Serialize)]
pub struct UnixSide {
    /// Process id that Linux knows it by.
    pub pid: Pid,
    /// Its threads, those that Windows does not know among them.
    pub threads: Vec<UnixThread>,
    /// Its ELF images, the loader first.
    pub modules: Vec<UnixModule>,
    /// Where the stacks of system calls and signal handlers are, in use or not.
    #[serde(skip)]
    pub stacks: Vec<AddressRange>,
}

/// A thread as Linux knows it.
#[derive(Clone, Debug, Serialize)]
pub struct UnixThread {
    /// Thread id that Linux knows it by.
    pub tid: Tid,
    /// Its Windows thread id; `None` for a thread that is not one of Windows.
    pub windows_tid: Option<Tid>,
    /// Where it is, and so where its Windows registers come from.
    pub state: UnixState,
    /// Its registers on the Unix side, by name.
    #[serde(serialize_with = "hexadecimal_values")]
    pub registers: BTreeMap<&'static str, u64>,
    /// The part of a Unix stack that it uses, and all of that stack.
    #[serde(skip)]
    pub stack: Option<(AddressRange, AddressRange)>,
}

/// Where a thread is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum UnixState {
    /// In Windows code: both sides have the same registers.
    WindowsCode,
    /// In a system call: the Windows registers are those that it made the call
    /// with.
    SystemCall,
    /// In a signal handler that interrupted Windows code, whose registers the
    /// signal frame has.
    Signal,
    /// In Unix code of which it is not known where it returns to Windows code:
    /// the Windows streams show its Unix registers.
    UnixCode,
    /// A thread that Windows does not know.
    UnixThread,
}

/// An ELF image.
#[derive(Clone, Debug, Serialize)]
pub struct UnixModule {
    /// Its path.
    pub path: String,
    /// Load address.
    #[serde(serialize_with = "hexadecimal")]
    pub base: u64,
    /// Bytes from the load address to the end of the last segment.
    #[serde(serialize_with = "hexadecimal")]
    pub size: u64,
    /// Its build id, in hexadecimal; empty if it has none.
    pub build_id: String,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
fn hexadecimal<S: Serializer>(value: &u64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("{value:#x}"))
}

fn hexadecimal_values<S: Serializer>(
    values: &BTreeMap<&'static str, u64>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_map(values.iter().map(|(name, value)| (name, format!("{value:#x}"))))
}
