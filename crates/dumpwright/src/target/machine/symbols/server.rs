//! Symbol servers: one file over plain HTTP.

use crate::target::machine::windows::PdbIdentity;
use std::fs::File;
use std::io::{self, Read, Write};
use std::time::{Duration, Instant};

/// How long a server may take in all.
const PATIENCE: Duration = Duration::from_secs(60);
/// The largest file that is fetched.
const MAX_SIZE: u64 = 512 << 20;

/// Fetches a PDB into a temporary file.
pub(super) fn fetch(url: &str, identity: &PdbIdentity) -> Result<File, String> {
    if identity.name.contains(|c: char| !c.is_ascii_alphanumeric() && !"._-".contains(c)) {
        return Err(format!("the kernel names its PDB '{}', which no server has", identity.name));
    }
    let file = format!(
        "{}/{}/{}/{}",
        url.trim_end_matches('/'),
        identity.name,
        identity.key(),
        identity.name
    );
    if !file.starts_with("http://") {
        return Err(format!(
            "only http:// is spoken here; fetch {file} with another program and give the file (--pdb)"
        ));
    }
    let deadline = Instant::now() + PATIENCE;
    let response = minreq::get(&file)
        .with_timeout(PATIENCE.as_secs())
        .send_lazy()
        .map_err(|error| format!("{file}: {error}"))?;
    if response.status_code != 200 {
        return Err(format!("{file}: {} {}", response.status_code, response.reason_phrase));
    }
    copy(response, deadline).map_err(|error| format!("{file}: {error}"))
}

fn copy(response: impl Read, deadline: Instant) -> io::Result<File> {
    let mut out = tempfile::tempfile()?;
    let mut response = io::BufReader::with_capacity(64 << 10, response.take(MAX_SIZE + 1));
    let mut total = 0;
    let mut chunk = vec![0; 64 << 10];
    loop {
        let len = response.read(&mut chunk)?;
        total += len as u64;
        if len == 0 {
            io::Seek::rewind(&mut out)?;
            return Ok(out);
        }
        if total > MAX_SIZE {
            return Err(io::Error::other("it is larger than any kernel's PDB"));
        }
        if Instant::now() > deadline {
            return Err(io::ErrorKind::TimedOut.into());
        }
        out.write_all(&chunk[..len])?;
    }
}
