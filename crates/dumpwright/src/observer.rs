//! How a caller watches a dump being written and stops it.

/// What the engine is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// A dump is taken out of what it is packed in, to be read.
    Unpack,
    /// Memory is copied into the dump.
    Write,
    /// The dump is packed into a CAB.
    Package,
}

/// Watches a dump and can stop it. All methods have defaults that do nothing.
pub trait Observer: Sync {
    /// `done` of `total` bytes of a phase are done.
    fn progress(&self, _phase: Phase, _done: u64, _total: u64) {}

    /// Asked again and again; answering `true` ends the dump with
    /// [`Error::Cancelled`](crate::Error::Cancelled).
    fn is_cancelled(&self) -> bool {
        false
    }
}

/// Watches nothing.
impl Observer for () {}
