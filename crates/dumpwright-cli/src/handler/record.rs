//! What became of each crash: a line of JSON in the state folder, and what went
//! wrong also in the system's log.

use super::crash::Crash;
use super::slots;
use serde::{Deserialize, Serialize};
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

const FILE: &str = "handler.log";
const OLD_FILE: &str = "handler.log.1";
/// The size from which a new file is begun. The one before is kept.
const ROTATE_AT: u64 = 1 << 20;

/// What became of a crash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// There is a dump.
    Dumped,
    /// The configuration wants none.
    Ignored,
    /// Too many crashed at a time.
    Skipped,
    /// Something went wrong; the message says what.
    Failed,
}

/// One crash.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Entry {
    /// Milliseconds since 1970.
    pub time: u64,
    /// What became of it.
    pub outcome: Outcome,
    /// Process id.
    pub pid: u32,
    /// Thread that crashed.
    pub tid: u32,
    /// Program.
    pub program: String,
    /// Signal.
    pub signal: u32,
    /// User.
    pub uid: u32,
    /// The dump.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<PathBuf>,
    /// Its bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// `live`, or `core` for the fallback.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// How long the process was held for its dump, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held_ms: Option<u64>,
    /// Old dumps that went for it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub removed: Vec<PathBuf>,
    /// What else is to be said.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub messages: Vec<String>,
}

impl Entry {
    /// Of a crash of which nothing is known yet.
    pub fn new(crash: &Crash) -> Entry {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Entry {
            time: now.as_millis() as u64,
            outcome: Outcome::Failed,
            pid: crash.pid,
            tid: crash.tid,
            program: crash.program().to_string_lossy().into_owned(),
            signal: crash.signal,
            uid: crash.uid,
            file: None,
            size: None,
            source: None,
            held_ms: None,
            removed: Vec::new(),
            messages: Vec::new(),
        }
    }
}

/// Appends an entry to the record in `state`.
///
/// # Errors
/// It cannot be written.
pub fn append(state: &Path, entry: &Entry) -> io::Result<()> {
    let _lock = slots::lock(state, "record.lock")?;
    let file = state.join(FILE);
    if fs::metadata(&file).is_ok_and(|metadata| metadata.len() >= ROTATE_AT) {
        fs::rename(&file, state.join(OLD_FILE))?;
    }
    let mut line = serde_json::to_vec(entry)?;
    line.push(b'\n');
    OpenOptions::new().create(true).append(true).mode(0o600).open(file)?.write_all(&line)
}

/// The last `count` entries, the newest first.
pub fn last(state: &Path, count: usize) -> Vec<Entry> {
    let mut entries = Vec::new();
    for file in [FILE, OLD_FILE] {
        let text = fs::read_to_string(state.join(file)).unwrap_or_default();
        // A line that a full disk cut off is passed over.
        entries.extend(text.lines().rev().filter_map(|line| serde_json::from_str(line).ok()));
        if entries.len() >= count {
            break;
        }
    }
    entries.truncate(count);
    entries
}

/// A text without what terminals and logs take for more than text: names of
/// programs and files can hold line ends, escape sequences, and signs that turn
/// the direction of writing.
pub fn plain(text: &str) -> String {
    let is_plain = |c: &char| {
        !c.is_control() && !matches!(c, '\u{2028}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
    };
    text.chars().map(|c| if is_plain(&c) { c } else { '?' }).collect()
}

/// Says `message` in the system's log: by `/dev/log`, where syslog or the
/// journal listens, else in the kernel's. Nothing more can be done if that
/// fails too.
pub fn syslog(message: &str) {
    /// `LOG_DAEMON | LOG_ERR`
    const PRIORITY: u32 = 3 << 3 | 3;
    let pid = std::process::id();
    let line = format!("<{PRIORITY}>dumpwright[{pid}]: {}", plain(message));
    let sent = UnixDatagram::unbound().and_then(|socket| {
        socket.set_nonblocking(true)?;
        socket.send_to(line.as_bytes(), "/dev/log")
    });
    if sent.is_err() {
        let kernel = OpenOptions::new().write(true).open("/dev/kmsg");
        let _ = kernel.and_then(|mut log| log.write_all(line.as_bytes()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_entries_come_first_and_a_torn_line_is_passed_over() {
        let state = tempfile::tempdir().unwrap();
        let entry = |pid| Entry::new(&Crash { pid, name: "x".into(), ..Crash::default() });
        for pid in 1..=3 {
            append(state.path(), &entry(pid)).unwrap();
        }
        fs::rename(state.path().join(FILE), state.path().join(OLD_FILE)).unwrap();
        append(state.path(), &entry(4)).unwrap();
        let file = OpenOptions::new().append(true).open(state.path().join(FILE));
        file.unwrap().write_all(b"{\"time\":").unwrap();
        let pids = |count| last(state.path(), count).iter().map(|e| e.pid).collect::<Vec<_>>();
        assert_eq!(pids(10), [4, 3, 2, 1]);
        assert_eq!(pids(2), [4, 3]);
    }

    #[test]
    fn names_do_not_talk_to_terminals_and_logs() {
        let name = "a\n<0>kernel: \u{1b}[2Jä\r\u{202e}x\u{7f}\u{9b}1m";
        assert_eq!(plain(name), "a?<0>kernel: ?[2Jä??x??1m");
    }

    #[test]
    fn the_record_does_not_grow_for_ever() {
        let state = tempfile::tempdir().unwrap();
        fs::write(state.path().join(FILE), vec![b'\n'; ROTATE_AT as usize]).unwrap();
        append(state.path(), &Entry::new(&Crash::default())).unwrap();
        assert!(fs::metadata(state.path().join(FILE)).unwrap().len() < 1000);
        assert!(state.path().join(OLD_FILE).exists());
    }
}
