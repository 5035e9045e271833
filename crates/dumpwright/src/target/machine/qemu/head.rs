//! What QEMU says of the guest: the head of a dump that is never written.
//!
//! `dump-guest-memory` into a pipe begins with the registers of every processor,
//! the note that the guest prepared and the list of RAM. Once that has been
//! read the pipe is closed, and QEMU gives the rest up.

use super::qmp::{Qmp, QmpError};
use crate::target::machine::image::{HeadError, Image, parse_head};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde_json::json;
use std::io::{self, PipeReader, Read};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

const COMMAND: &str = "dump-guest-memory";
const FD_NAME: &str = "dumpwright";
/// Heads are some kilobytes, and for each processor one more.
const MAX_HEAD: u64 = 64 << 20;
/// How long the pipe is waited for before the monitor is looked at.
const SLICE: Duration = Duration::from_millis(50);
/// How long QEMU may take for the head.
const PATIENCE: Duration = Duration::from_secs(10);

/// Reads what QEMU says of the guest, which stands still. The image's extents
/// are its RAM; their offsets mean nothing.
pub(super) fn read(qmp: &mut Qmp) -> Result<Image, String> {
    let (reader, writer) = io::pipe().map_err(|error| format!("cannot make a pipe: {error}"))?;
    let writer = OwnedFd::from(writer);
    qmp.give_fd(FD_NAME, &writer).map_err(|error| error.to_string())?;
    drop(writer);
    let protocol = format!("fd:{FD_NAME}");
    qmp.start(COMMAND, &json!({ "paging": false, "protocol": protocol }))
        .map_err(|error| error.to_string())?;
    match head(qmp, reader) {
        Ok(image) => {
            // QEMU says that the pipe broke; that was the idea.
            match qmp.finish(COMMAND, PATIENCE) {
                Ok(_) | Err(QmpError::Refused(..)) => Ok(image),
                Err(error) => Err(error.to_string()),
            }
        }
        Err(reason) => {
            // Where QEMU did not come to use it, it still has the descriptor.
            let _ = qmp.execute("closefd", &json!({ "fdname": FD_NAME }));
            Err(reason)
        }
    }
}

fn head(qmp: &mut Qmp, mut pipe: PipeReader) -> Result<Image, String> {
    let deadline = Instant::now() + PATIENCE;
    let mut bytes = Vec::new();
    loop {
        let wanted = match parse_head(&bytes) {
            Ok(image) => return Ok(image),
            Err(HeadError::Wants(wanted)) if wanted <= MAX_HEAD => wanted,
            Err(HeadError::Wants(_)) => return Err("QEMU's dump has no end to its head".into()),
            Err(HeadError::Bad(reason)) => {
                return Err(format!("QEMU's dump of the guest cannot be used: {reason}"));
            }
        };
        while (bytes.len() as u64) < wanted {
            if !is_ready(&pipe, SLICE) {
                if Instant::now() >= deadline {
                    return Err(format!("QEMU did not begin its dump within {PATIENCE:?}"));
                }
                if let Some(reason) = refusal(qmp) {
                    return Err(reason);
                }
                continue;
            }
            let mut chunk = vec![0; (wanted as usize - bytes.len()).min(64 << 10)];
            match pipe.read(&mut chunk) {
                Ok(0) => {
                    let reason = refusal(qmp).unwrap_or_else(|| "it gives no reason".into());
                    return Err(format!("QEMU's dump ended early: {reason}"));
                }
                Ok(len) => bytes.extend_from_slice(&chunk[..len]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(format!("cannot read QEMU's dump: {error}")),
            }
        }
    }
}

/// What QEMU has to say already, if that is a refusal.
fn refusal(qmp: &mut Qmp) -> Option<String> {
    match qmp.finish(COMMAND, Duration::from_millis(1)) {
        Err(QmpError::Timeout(..)) => None,
        Err(error) => Some(error.to_string()),
        Ok(_) => Some("QEMU says that its dump is done, and nothing came".into()),
    }
}

fn is_ready(pipe: &PipeReader, patience: Duration) -> bool {
    let mut fds = [PollFd::new(pipe, PollFlags::IN)];
    let patience = Timespec { tv_sec: 0, tv_nsec: patience.subsec_nanos().into() };
    poll(&mut fds, Some(&patience)).is_ok_and(|ready| ready > 0)
}
