//! The QEMU machine protocol: one command after another over a Unix socket,
//! each with a deadline.

use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{
    AddressFamily, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketAddrUnix,
    SocketType, connect, sendmsg, socket,
};
use serde_json::{Value, json};
use std::io::{self, IoSlice, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

/// How long QEMU may take to answer. It answers within milliseconds, unless its
/// main loop waits for a disk.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);
/// The longest line that is read: `info mtree` of a large machine has some
/// hundred kilobytes.
const MAX_LINE: usize = 16 << 20;

/// Why a command was not carried out.
#[derive(Debug, thiserror::Error)]
pub(super) enum QmpError {
    /// No answer in time.
    #[error(
        "QEMU did not answer '{0}' within {1} s; it may hang on a disk or be stopped itself, or another client holds its monitor"
    )]
    Timeout(String, u64),
    /// QEMU closed the connection.
    #[error("QEMU closed the monitor before it answered '{0}'; it may have ended")]
    Closed(String),
    /// QEMU says no.
    #[error("QEMU refused '{0}': {1}")]
    Refused(String, String),
    /// The socket failed.
    #[error("the monitor failed at '{0}': {1}")]
    Io(String, #[source] io::Error),
    /// What came is not QMP.
    #[error(
        "what answers is not a QMP monitor ({0}); give the socket of -qmp, not of -monitor or the guest agent"
    )]
    NotQmp(String),
}

/// A connection.
#[derive(Debug)]
pub(super) struct Qmp {
    stream: UnixStream,
    /// Bytes that came and are not a whole line yet.
    pending: Vec<u8>,
    next_id: u64,
    patience: Duration,
    /// Whether the guest was let go on since [`forget`](Self::forget).
    resumed: bool,
}

impl Qmp {
    /// Connects and negotiates.
    pub fn connect(path: &Path, patience: Duration) -> Result<Qmp, QmpError> {
        let greeting = "connect";
        let stream = connected(path, patience).map_err(|error| match error.kind() {
            io::ErrorKind::WouldBlock => timeout(greeting, patience),
            _ => QmpError::Io(greeting.into(), error),
        })?;
        let mut qmp = Qmp { stream, pending: Vec::new(), next_id: 0, patience, resumed: false };
        let hello = qmp.line(greeting, Instant::now() + patience)?;
        if hello.get("QMP").is_none() {
            return Err(QmpError::NotQmp(shortened(&hello)));
        }
        qmp.execute("qmp_capabilities", &json!({}))?;
        Ok(qmp)
    }

    /// A second handle on the connection, to say the last word with.
    pub fn last_word(&self) -> io::Result<UnixStream> {
        self.stream.try_clone()
    }

    /// Forgets whether the guest was let go on.
    pub fn forget(&mut self) {
        self.resumed = false;
    }

    /// Whether an event said since then that the guest was let go on.
    pub fn saw_resume(&self) -> bool {
        self.resumed
    }

    /// The process at the other end, as the kernel knows it.
    pub fn peer(&self) -> Option<u32> {
        let peer = rustix::net::sockopt::socket_peercred(&self.stream).ok()?;
        u32::try_from(peer.pid.as_raw_nonzero().get()).ok()
    }

    /// Carries a command out.
    pub fn execute(&mut self, command: &str, arguments: &Value) -> Result<Value, QmpError> {
        self.start(command, arguments)?;
        self.finish(command, self.patience)
    }

    /// A command of the human monitor; its text.
    pub fn human(&mut self, line: &str) -> Result<String, QmpError> {
        let arguments = json!({ "command-line": line });
        let answer = self.execute("human-monitor-command", &arguments)?;
        Ok(answer.as_str().unwrap_or_default().to_owned())
    }

    /// Sends a command.
    pub fn start(&mut self, command: &str, arguments: &Value) -> Result<(), QmpError> {
        let line = self.command_line(command, arguments);
        self.stream.write_all(&line).map_err(|error| self.failed(command, error))
    }

    /// Gives QEMU a file descriptor under a name.
    pub fn give_fd(&mut self, name: &str, fd: &OwnedFd) -> Result<(), QmpError> {
        let command = "getfd";
        let line = self.command_line(command, &json!({ "fdname": name }));
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        let fds = [fd.as_fd()];
        // There is room for exactly this.
        control.push(SendAncillaryMessage::ScmRights(&fds));
        let sent = sendmsg(&self.stream, &[IoSlice::new(&line)], &mut control, SendFlags::NOSIGNAL)
            .map_err(|error| self.failed(command, error.into()))?;
        let rest = line.get(sent..).unwrap_or_default();
        self.stream.write_all(rest).map_err(|error| self.failed(command, error))?;
        self.finish(command, self.patience).map(drop)
    }

    /// Waits for the answer to the command that was sent last.
    pub fn finish(&mut self, command: &str, patience: Duration) -> Result<Value, QmpError> {
        let deadline = Instant::now() + patience;
        loop {
            let mut answer = self.line(command, deadline)?;
            self.resumed |= answer["event"] == "RESUME";
            // Events, and answers that came too late for an earlier command.
            if answer.get("id").and_then(Value::as_u64) != Some(self.next_id) {
                continue;
            }
            if let Some(value) = answer.get_mut("return") {
                return Ok(value.take());
            }
            let reason = answer["error"]["desc"].as_str().unwrap_or("it does not say why");
            return Err(QmpError::Refused(command.into(), reason.into()));
        }
    }

    fn command_line(&mut self, command: &str, arguments: &Value) -> Vec<u8> {
        self.next_id += 1;
        let mut line = json!({ "execute": command, "arguments": arguments, "id": self.next_id })
            .to_string()
            .into_bytes();
        line.push(b'\n');
        line
    }

    fn line(&mut self, command: &str, deadline: Instant) -> Result<Value, QmpError> {
        loop {
            if let Some(end) = self.pending.iter().position(|b| *b == b'\n') {
                let line: Vec<u8> = self.pending.drain(..=end).collect();
                return serde_json::from_slice(&line).map_err(|_| {
                    QmpError::NotQmp(
                        String::from_utf8_lossy(&line).trim().chars().take(60).collect(),
                    )
                });
            }
            if self.pending.len() > MAX_LINE {
                return Err(QmpError::NotQmp("its line has no end".into()));
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(timeout(command, self.patience));
            }
            let mut chunk = [0; 16 * 1024];
            let read = self
                .stream
                .set_read_timeout(Some(left))
                .and_then(|()| self.stream.read(&mut chunk));
            match read {
                Ok(0) => return Err(QmpError::Closed(command.into())),
                Ok(len) => self.pending.extend_from_slice(&chunk[..len]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.failed(command, error)),
            }
        }
    }

    fn failed(&self, command: &str, error: io::Error) -> QmpError {
        match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => timeout(command, self.patience),
            io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset => {
                QmpError::Closed(command.into())
            }
            _ => QmpError::Io(command.into(), error),
        }
    }
}

/// The bytes of the command that lets a guest go on.
pub(super) const CONTINUE: &[u8] = b"{\"execute\":\"cont\",\"id\":\"the-last-word\"}\n";
/// What its answer has in it.
pub(super) const CONTINUE_ID: &[u8] = b"the-last-word";

fn timeout(command: &str, patience: Duration) -> QmpError {
    QmpError::Timeout(command.into(), patience.as_secs())
}

fn shortened(value: &Value) -> String {
    value.to_string().chars().take(60).collect()
}

/// Like `UnixStream::connect`, which waits without end where a server does not
/// accept.
fn connected(path: &Path, patience: Duration) -> io::Result<UnixStream> {
    let address = SocketAddrUnix::new(path)?;
    let socket = socket(AddressFamily::UNIX, SocketType::STREAM, None)?;
    rustix::io::fcntl_setfd(&socket, rustix::io::FdFlags::CLOEXEC)?;
    set_socket_timeout(&socket, Timeout::Send, Some(patience))?;
    connect(&socket, &address)?;
    Ok(UnixStream::from(socket))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io::{BufRead, BufReader};
    use std::os::unix::net::UnixListener;
    use std::path::PathBuf;
    use std::thread::{self, JoinHandle};

    /// A server that answers each command by `answers`, and is silent from where
    /// that says `None`.
    pub fn serve(
        folder: &Path,
        answers: impl Fn(&str) -> Option<String> + Send + 'static,
    ) -> (PathBuf, JoinHandle<Vec<String>>) {
        let path = folder.join("qmp");
        let listener = UnixListener::bind(&path).unwrap();
        let server = thread::spawn(move || {
            let (stream, _) = listener.accept().unwrap();
            let mut out = stream.try_clone().unwrap();
            let mut seen = Vec::new();
            out.write_all(b"{\"QMP\": {\"version\": {}, \"capabilities\": []}}\n").unwrap();
            for line in BufReader::new(stream).lines() {
                let Ok(command) = line
                    .map_err(|_| ())
                    .and_then(|l| serde_json::from_str::<Value>(&l).map_err(|_| ()))
                else {
                    break;
                };
                let name = command["execute"].as_str().unwrap_or_default().to_owned();
                seen.push(name.clone());
                let id = &command["id"];
                let answer =
                    if name == "qmp_capabilities" { Some("{}".into()) } else { answers(&name) };
                let Some(answer) = answer else { continue };
                let event = "{\"event\": \"NIC_RX_FILTER_CHANGED\"}\n";
                if out
                    .write_all(
                        format!("{event}{{\"return\": {answer}, \"id\": {id}}}\n").as_bytes(),
                    )
                    .is_err()
                {
                    break;
                }
            }
            seen
        });
        (path, server)
    }

    #[test]
    fn events_are_passed_over_and_answers_found() {
        let folder = tempfile::tempdir().unwrap();
        let (path, server) = serve(folder.path(), |_| Some("{\"status\": \"running\"}".into()));
        let mut qmp = Qmp::connect(&path, PATIENCE).unwrap();
        assert_eq!(qmp.execute("query-status", &json!({})).unwrap()["status"], "running");
        drop(qmp);
        assert_eq!(server.join().unwrap(), ["qmp_capabilities", "query-status"]);
    }

    #[test]
    fn a_server_that_stops_answering_is_an_error_in_time() {
        let folder = tempfile::tempdir().unwrap();
        let (path, _server) = serve(folder.path(), |_| None);
        let mut qmp = Qmp::connect(&path, Duration::from_millis(200)).unwrap();
        let start = Instant::now();
        let error = qmp.execute("stop", &json!({})).unwrap_err();
        assert!(matches!(error, QmpError::Timeout(..)), "{error}");
        assert!(start.elapsed() < Duration::from_secs(2));
    }

    #[test]
    fn what_is_no_monitor_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        let listener = UnixListener::bind(&path).unwrap();
        let server = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let _ = stream.write_all(b"QEMU 7.2.0 monitor - type 'help' for more information\n");
        });
        let error = Qmp::connect(&path, PATIENCE).unwrap_err();
        assert!(matches!(error, QmpError::NotQmp(_)), "{error}");
        server.join().unwrap();
        let missing = Qmp::connect(&folder.path().join("none"), PATIENCE).unwrap_err();
        assert!(matches!(missing, QmpError::Io(..)), "{missing}");
    }

    /// What a monitor might send: lines of QMP, nearly so, and not at all.
    fn line() -> impl Strategy<Value = Vec<u8>> {
        let text = prop_oneof![
            Just("{\"return\": {}, \"id\": 1}".to_owned()),
            Just("{\"return\": [1, {\"a\": null}], \"id\": 2}".to_owned()),
            Just("{\"error\": {\"desc\": 5}, \"id\": 1}".to_owned()),
            Just("{\"error\": [], \"id\": 2}".to_owned()),
            Just("{\"event\": \"STOP\"}".to_owned()),
            Just("[[[[[[[[".repeat(64)),
            "[\\[\\]{}\":,a-z0-9 ]{0,40}",
        ];
        let noise = prop::collection::vec(any::<u8>(), 0..40);
        prop_oneof![3 => text.prop_map(String::into_bytes), 1 => noise]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn whatever_a_monitor_sends_is_an_answer_or_an_error_in_time(
            lines in prop::collection::vec(line(), 0..8),
        ) {
            let (stream, mut peer) = UnixStream::pair().unwrap();
            peer.write_all(&lines.join(&b'\n')).unwrap();
            peer.shutdown(std::net::Shutdown::Write).unwrap();
            let patience = Duration::from_secs(2);
            let mut qmp = Qmp { stream, pending: Vec::new(), next_id: 0, patience, resumed: false };
            for _ in 0..2 {
                let _ = qmp.execute("query-status", &json!({}));
            }
            let error = qmp.execute("stop", &json!({})).unwrap_err();
            prop_assert!(!matches!(error, QmpError::Timeout(..)), "{error}");
        }
    }
}
