//! A program that is dumped when it crashes, with `crash-handler` to notice it
//! and dumpwright to write the dump.
//!
//! ```text
//! cargo run -p dumpwright --features crash-context --example crash_handler -- app.dmp
//! ```
//!
//! A process cannot stop itself and go on writing, so it starts a helper: here
//! this same program again, connected by pipes. How an application of
//! `minidumper`, which does that by a socket, has its dumps from dumpwright shows
//! the example `minidumper`.

use crash_handler::{CrashContext, CrashEventResult, CrashHandler, make_crash_event};
use dumpwright::target::Pid;
use dumpwright::{DumpRequest, FormatFlags, Qualifier, dump_crash};
use std::error::Error;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::process::parent_id;
use std::path::Path;
use std::process::{Command, Stdio};

/// Tells the program that it is the helper.
const HELPER: &str = "--write-dump-to";

/// Public for the test that runs it.
pub fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [HELPER, file] => serve_one(Path::new(file)),
        [file] => application(file),
        _ => Err("give the name of the dump to write".into()),
    }
}

/// The helper: waits for a crash of the program that started it.
fn serve_one(file: &Path) -> Result<(), Box<dyn Error>> {
    let mut bytes = Vec::new();
    io::stdin().take(size_of::<CrashContext>() as u64).read_to_end(&mut bytes)?;
    let Some(context) = CrashContext::from_bytes(&bytes) else {
        // The program ended without a crash.
        return Ok(());
    };
    let request = DumpRequest::new(file, Qualifier::Small)
        .flags(FormatFlags::USER_SMALL_INDIRECT_MEMORY)
        .comment("crashed");
    // The pid in the context is what the program calls itself; we know better.
    let summary = dump_crash(Pid(parent_id()), &context, &request, &())?;
    println!("{} threads in {} bytes", summary.threads, summary.size);
    Ok(())
}

/// The application: sets itself up to be dumped, and does its work.
fn application(file: &str) -> Result<(), Box<dyn Error>> {
    let mut helper = Command::new(std::env::current_exe()?)
        .args([HELPER, file])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let to_helper = helper.stdin.take().ok_or("the helper has no standard input")?;
    let from_helper = helper.stdout.take().ok_or("the helper has no standard output")?;
    let to_helper = File::from(OwnedFd::from(to_helper));
    let from_helper = File::from(OwnedFd::from(from_helper));

    // SAFETY: the closure runs in a signal handler; it makes system calls only,
    // and neither allocates nor takes locks.
    let event = unsafe {
        make_crash_event(move |context: &CrashContext| {
            let asked = (&to_helper).write_all(context.as_bytes());
            // The helper has written the dump when it says so, or has ended.
            let answered = asked.and_then(|()| (&from_helper).read_exact(&mut [0]));
            CrashEventResult::Handled(answered.is_ok())
        })
    };
    let handler = CrashHandler::attach(event)?;
    // Where Yama restricts ptrace to descendants.
    handler.set_ptracer(Some(helper.id()));

    work();
    Ok(())
}

/// What the application is for.
#[inline(never)]
fn work() {
    let nowhere = std::hint::black_box(0x1bad_d000_usize as *mut u32);
    // SAFETY: none; this is the crash.
    unsafe { nowhere.write_volatile(1) };
}
