//! Live QEMU and KVM guests, through QMP.
//!
//! [`QemuMachine::attach`] stops the guest, has QEMU tell its registers and RAM
//! (`head`), and finds that memory where it lies (`memory`): in the shared file
//! of its memory backend, else in QEMU's own process, else by way of a dump that
//! QEMU writes. The guest goes on at [`release`](MachineTarget::release), on any
//! error, and when the target is dropped; one that was paused before stays so.

#[cfg(feature = "fuzzing")]
pub(super) mod fuzzing;
mod head;
mod hold;
mod layout;
mod memory;
mod qmp;

pub use hold::resume_all;

use super::image::ExtentMemory;
use super::open::MachineOptions;
use super::understand::{self, Effort};
use super::{MachineSnapshot, MachineTarget, PhysicalMemory};
use crate::error::{Error, Result};
use crate::soft_error::SoftError;
use hold::Hold;
use qmp::{PATIENCE, Qmp};
use serde_json::json;
use std::path::Path;
use std::time::Duration;

/// A live guest, held still.
#[derive(Debug)]
pub struct QemuMachine {
    hold: Hold,
    snapshot: MachineSnapshot,
    memory: ExtentMemory,
}

impl QemuMachine {
    /// Stops the guest whose QMP monitor is at `socket`, and finds out what it
    /// is.
    ///
    /// # Errors
    /// [`Error::Guest`], which says what QEMU would not do, and whether the guest
    /// may still be paused.
    pub fn attach(socket: &Path, options: &MachineOptions) -> Result<QemuMachine> {
        Self::attach_within(socket, options, PATIENCE)
    }

    fn attach_within(
        socket: &Path,
        options: &MachineOptions,
        patience: Duration,
    ) -> Result<QemuMachine> {
        let refused = |reason: String| Error::Guest { socket: socket.to_owned(), reason };
        let mut qmp = Qmp::connect(socket, patience).map_err(|e| refused(e.to_string()))?;
        // Memory that is still on its way looks untouched, and would be waited for.
        let migration = qmp.execute("query-migrate", &json!({})).unwrap_or_default();
        if migration["status"].as_str().is_some_and(|status| status.starts_with("postcopy")) {
            return Err(refused(
                "its memory is still being migrated (postcopy); dump it when that is over".into(),
            ));
        }
        let backends = memory::backends(&mut qmp);
        let mut hold = Hold::stop(qmp).map_err(|e| refused(e.to_string()))?;
        match Self::held(&mut hold, &backends, options) {
            Ok((snapshot, memory)) => Ok(QemuMachine { hold, snapshot, memory }),
            Err(reason) => {
                let resumed = hold.release();
                Err(refused(match resumed {
                    Ok(()) => reason,
                    Err(error) => format!(
                        "{reason}. It may still be paused, since it could not be told to go on ({error}); say 'cont' in its monitor"
                    ),
                }))
            }
        }
    }

    fn held(
        hold: &mut Hold,
        backends: &[memory::Backend],
        options: &MachineOptions,
    ) -> std::result::Result<(MachineSnapshot, ExtentMemory), String> {
        let qmp = hold.qmp();
        let mut image = head::read(qmp)?;
        let extents = std::mem::take(&mut image.extents);
        let (memory, soft_errors) = memory::open(qmp, &extents, backends, options)?;
        image.soft_errors.extend(soft_errors);
        let snapshot = understand::understand(&memory, image, options, Effort::Quick);
        Ok((snapshot, memory))
    }
}

impl MachineTarget for QemuMachine {
    fn snapshot(&self) -> &MachineSnapshot {
        &self.snapshot
    }

    fn memory(&self) -> &dyn PhysicalMemory {
        &self.memory
    }

    fn release(&mut self) {
        if let Err(error) = self.hold.release() {
            tracing::error!(%error, "the guest may still be paused; say 'cont' in its monitor");
        }
    }

    fn held(&self) -> Option<Duration> {
        self.hold.held()
    }

    fn disturbance(&self) -> Option<SoftError> {
        self.hold.was_disturbed().then(|| {
            SoftError::new(
                "pause",
                "something else let the guest go on while its memory was read, so pages are of different moments; dump it again, with one client at a time",
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::qmp::tests::serve;
    use super::*;
    use std::time::Instant;

    fn attach(answers: impl Fn(&str) -> Option<String> + Send + 'static) -> (String, Vec<String>) {
        let folder = tempfile::tempdir().unwrap();
        let (path, server) = serve(folder.path(), answers);
        let start = Instant::now();
        let patience = Duration::from_millis(300);
        let error = QemuMachine::attach_within(&path, &MachineOptions::default(), patience);
        assert!(start.elapsed() < Duration::from_secs(5), "it hung");
        (error.unwrap_err().to_string(), server.join().unwrap())
    }

    #[test]
    fn a_guest_is_told_to_go_on_whatever_fails() {
        let (error, seen) = attach(|command| match command {
            "query-status" => Some("{\"running\": true, \"status\": \"running\"}".into()),
            "getfd" => None,
            _ => Some("{}".into()),
        });
        assert!(error.contains("did not answer 'getfd'"), "{error}");
        assert_eq!(seen.last().unwrap(), "cont");
    }

    #[test]
    fn a_guest_whose_memory_is_on_its_way_is_refused() {
        let (error, seen) = attach(|command| match command {
            "query-migrate" => Some("{\"status\": \"postcopy-active\"}".into()),
            _ => Some("{}".into()),
        });
        assert!(error.contains("migrated"), "{error}");
        assert!(!seen.iter().any(|c| c == "stop"), "{seen:?}");
    }

    #[test]
    fn a_guest_that_was_paused_stays_paused() {
        let (_, seen) = attach(|command| match command {
            "query-status" => Some("{\"running\": false, \"status\": \"paused\"}".into()),
            "getfd" => None,
            _ => Some("{}".into()),
        });
        assert!(!seen.iter().any(|c| c == "cont" || c == "stop"), "{seen:?}");
    }

    #[test]
    fn a_monitor_that_falls_silent_is_said_to_leave_the_guest_paused() {
        let (error, seen) = attach(|command| match command {
            "query-status" => Some("{\"running\": true, \"status\": \"running\"}".into()),
            "stop" | "query-memdev" | "qom-list" => Some("{}".into()),
            _ => None,
        });
        assert!(error.contains("may still be paused"), "{error}");
        assert_eq!(seen.last().unwrap(), "cont");
    }
}
