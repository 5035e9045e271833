//! The streams that only Linux dumps have: the bytes of `/proc` files.

use super::proc_dir::ProcDir;
use crate::soft_error::SoftError;
use crate::target::{PlatformStream, StreamBytes};
use dumpwright_format::minidump::StreamType;
use std::io;
use std::path::Path;

/// Bytes of a release file; real ones have some hundred.
const MAX_RELEASE: u64 = 64 * 1024;
/// Where distributions say what they are, in the order of preference.
const RELEASE_FILES: [&str; 3] = ["/etc/lsb-release", "/etc/os-release", "/usr/lib/os-release"];

/// Reads the streams. `maps` is the text of the mappings, already read. An
/// empty file, such as the environment of a process without one, gives no
/// stream; one that cannot be read gives a note.
pub(super) fn read(
    proc: &ProcDir,
    maps: StreamBytes,
    auxv: Vec<u8>,
    notes: &mut Vec<SoftError>,
) -> Vec<PlatformStream> {
    let mut streams = Vec::new();
    let mut add = |stream_type: StreamType, bytes: io::Result<StreamBytes>| match bytes {
        Ok(bytes) if bytes.is_empty() => {}
        Ok(bytes) => streams.push(PlatformStream { stream_type, bytes }),
        Err(error) => {
            let name = stream_type.name().unwrap_or("stream");
            notes.push(SoftError::new(name, format!("cannot be read: {error}")));
        }
    };
    add(StreamType::LINUX_CPU_INFO, std::fs::read("/proc/cpuinfo").map(StreamBytes::from));
    add(StreamType::LINUX_PROC_STATUS, proc.read("status").map(StreamBytes::from));
    add(StreamType::LINUX_LSB_RELEASE, release(proc).map(StreamBytes::from));
    add(StreamType::LINUX_CMD_LINE, proc.read("cmdline").map(StreamBytes::from));
    add(StreamType::LINUX_ENVIRON, proc.read("environ").map(StreamBytes::from));
    add(StreamType::LINUX_AUXV, Ok(auxv.into()));
    add(StreamType::LINUX_MAPS, Ok(maps));
    add(StreamType::MOZ_LINUX_LIMITS, proc.read("limits").map(StreamBytes::from));
    streams
}

/// The first release file that the target's root has.
fn release(proc: &ProcDir) -> io::Result<Vec<u8>> {
    let mut last = io::Error::from(io::ErrorKind::NotFound);
    for file in RELEASE_FILES {
        match proc.read_in_root(Path::new(file), MAX_RELEASE) {
            Ok(bytes) => return Ok(bytes),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// The name that the target's distribution gives itself, such as
/// `Debian GNU/Linux 12 (bookworm)`.
pub(super) fn distribution(proc: &ProcDir) -> Option<String> {
    let keys = ["PRETTY_NAME", "DISTRIB_DESCRIPTION"];
    let files = ["/etc/os-release", "/usr/lib/os-release", "/etc/lsb-release"];
    files.iter().find_map(|file| {
        let bytes = proc.read_in_root(Path::new(file), MAX_RELEASE).ok()?;
        let text = String::from_utf8_lossy(&bytes);
        keys.iter().find_map(|key| shell_value(&text, key))
    })
}

/// The value of `KEY="value"`, without its quotes.
fn shell_value(text: &str, key: &str) -> Option<String> {
    let value = text
        .lines()
        .find_map(|line| line.trim_start().strip_prefix(key)?.strip_prefix('='))?
        .trim()
        .trim_matches(['"', '\'']);
    (!value.is_empty()).then(|| value.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_value_loses_its_quotes_and_a_longer_key_is_another() {
        let text = "XPRETTY_NAME=no\nPRETTY_NAME_OLD=no\nPRETTY_NAME=\"Some Linux 1\"\n";
        assert_eq!(shell_value(text, "PRETTY_NAME").as_deref(), Some("Some Linux 1"));
        assert_eq!(shell_value("PRETTY_NAME=\n", "PRETTY_NAME"), None);
    }
}
