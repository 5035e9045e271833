//! `measure COMMAND ARGUMENT...`: runs a command and prints wall time and peak
//! resident memory (its own and its waited-for children's) as one line of JSON.
//!
//! A program of its own because a process starts with the peak memory of the
//! one that spawned it: this one is small enough not to show.

use std::io;
use std::mem::MaybeUninit;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode, Stdio};
use std::time::Instant;

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    let Some(program) = arguments.next() else {
        eprintln!("usage: measure COMMAND [ARGUMENT...]");
        return ExitCode::from(2);
    };
    let start = Instant::now();
    let child = Command::new(&program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .process_group(0)
        .spawn();
    let child = match child {
        Ok(child) => child,
        Err(error) => {
            eprintln!("measure: cannot start '{}': {error}", program.display());
            return ExitCode::from(2);
        }
    };
    match wait(child.id()) {
        Ok((status, rss_kib)) => {
            let seconds = start.elapsed().as_secs_f64();
            println!("{{\"seconds\":{seconds:.6},\"rss_kib\":{rss_kib},\"status\":{status}}}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("measure: cannot wait for '{}': {error}", program.display());
            ExitCode::from(2)
        }
    }
}

/// Waits for our child; its status (exit code, or 128 + signal) and peak KiB.
fn wait(pid: u32) -> io::Result<(i32, i64)> {
    let mut status = 0;
    let mut usage = MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: both pointers are to live locals of the types wait4 fills in.
    let waited = unsafe { libc::wait4(pid as libc::pid_t, &mut status, 0, usage.as_mut_ptr()) };
    if waited < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: zeroed is a valid rusage, and wait4 has filled it in.
    let usage = unsafe { usage.assume_init() };
    let code = if libc::WIFEXITED(status) {
        libc::WEXITSTATUS(status)
    } else {
        128 + libc::WTERMSIG(status)
    };
    Ok((code, usage.ru_maxrss))
}
