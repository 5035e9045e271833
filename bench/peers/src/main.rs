//! `peer-minidump-writer PID FILE`: a minidump of a process by the
//! minidump-writer crate, used as its README shows it.

use minidump_writer::minidump_writer::MinidumpWriterConfig;
use std::fs::File;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(pid), Some(file)) = (arguments.next(), arguments.next()) else {
        return Err("usage: peer-minidump-writer PID FILE".into());
    };
    let pid = pid.parse()?;
    let mut file = File::create(file)?;
    MinidumpWriterConfig::new(pid, pid).write(&mut file)?;
    Ok(())
}
