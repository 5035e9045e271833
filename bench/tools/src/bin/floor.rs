//! `floor PID RANGES FILE`: the least a writer of these ranges does: a loop of
//! `process_vm_readv` into a 1 MiB buffer and `write`.
//!
//! `RANGES` has one `START END` a line, hexadecimal. The target is not stopped,
//! nothing is described, nothing checked beyond the lengths: what a dump costs
//! above this is what dumpwright adds.

use std::error::Error;
use std::fs::File;
use std::io::{self, Write};

const BUFFER: usize = 1 << 20;
/// `UIO_MAXIOV` of the kernel.
const MAX_PIECES: usize = 1024;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [pid, ranges, file] = arguments.as_slice() else {
        return Err("usage: floor PID RANGES FILE".into());
    };
    let pid = pid.parse()?;
    let ranges = parse(&std::fs::read_to_string(ranges)?)?;
    let mut file = File::create(file)?;
    let mut buffer = vec![0; BUFFER];
    let mut pieces = Vec::with_capacity(MAX_PIECES);
    let mut filled = 0;
    for (mut start, end) in ranges {
        while start < end {
            let length = (end - start).min((BUFFER - filled) as u64);
            pieces.push(libc::iovec { iov_base: start as *mut _, iov_len: length as usize });
            filled += length as usize;
            start += length;
            if filled == BUFFER || pieces.len() == MAX_PIECES {
                copy(pid, &mut pieces, &mut buffer[..filled], &mut file)?;
                filled = 0;
            }
        }
    }
    copy(pid, &mut pieces, &mut buffer[..filled], &mut file)?;
    Ok(())
}

fn parse(text: &str) -> Result<Vec<(u64, u64)>, Box<dyn Error>> {
    text.lines()
        .map(|line| {
            let (start, end) = line.split_once(' ').ok_or("a line has no space")?;
            Ok((u64::from_str_radix(start, 16)?, u64::from_str_radix(end, 16)?))
        })
        .collect()
}

/// Reads `pieces`, which add up to `buffer`, and writes them.
fn copy(
    pid: i32,
    pieces: &mut Vec<libc::iovec>,
    buffer: &mut [u8],
    file: &mut File,
) -> Result<(), Box<dyn Error>> {
    if buffer.is_empty() {
        return Ok(());
    }
    let local = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
    // SAFETY: the local piece is exactly `buffer`; the remote ones are only
    // addresses to the kernel, which checks them.
    let read = unsafe {
        libc::process_vm_readv(pid, &local, 1, pieces.as_ptr(), pieces.len() as libc::c_ulong, 0)
    };
    pieces.clear();
    if read < 0 {
        return Err(io::Error::last_os_error().into());
    }
    if read as usize != buffer.len() {
        return Err(format!("read {read} of {} bytes: not the same ranges", buffer.len()).into());
    }
    file.write_all(buffer)?;
    Ok(())
}
