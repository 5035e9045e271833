//! An application of `minidumper` whose dumps are written by dumpwright.
//!
//! ```text
//! cargo run -p dumpwright --features crash-context --example minidumper -- app.dmp
//! ```
//!
//! `minidumper` brings the crash to a monitor process over a socket. Its own
//! writer is asked by `Client::request_dump` and told where to write by
//! `ServerHandler::create_minidump_file`; the two places that say `SWITCH` are all
//! that changes. How the application crashes can be said behind the file:
//! `segv` (which it is by default), `abort` or `overflow`.

use crash_handler::{CrashContext, CrashEventResult, CrashHandler, make_crash_event};
use dumpwright::target::Pid;
use dumpwright::{DumpRequest, FormatFlags, Qualifier, dump_crash};
use minidumper::{Client, LoopAction, MinidumpBinary, Server, ServerHandler, SocketName};
use std::error::Error;
use std::fs::File;
use std::io;
use std::os::unix::process::parent_id;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

/// Tells the program that it is the monitor.
const MONITOR: &str = "--monitor";
/// The message that a crash is.
const CRASHED: u32 = 1;

/// Public for the test that runs it.
pub fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [MONITOR, socket, file] => monitor(socket, Path::new(file)),
        [file] => application(file, "segv"),
        [file, how] => application(file, how),
        _ => Err("give the name of the dump to write".into()),
    }
}

/// The monitor: waits for the crash of the application.
fn monitor(socket: &str, file: &Path) -> Result<(), Box<dyn Error>> {
    static DONE: AtomicBool = AtomicBool::new(false);

    struct Monitor {
        application: u32,
        file: PathBuf,
    }

    impl ServerHandler for Monitor {
        // SWITCH: this had a file for `request_dump`.
        fn create_minidump_file(&self) -> io::Result<(File, PathBuf)> {
            Err(io::Error::from(io::ErrorKind::Unsupported))
        }

        fn on_minidump_created(&self, _: Result<MinidumpBinary, minidumper::Error>) -> LoopAction {
            LoopAction::Exit
        }

        // SWITCH: this did nothing.
        fn on_message(&self, kind: u32, buffer: Vec<u8>) {
            if kind != CRASHED {
                return;
            }
            let Some(context) = CrashContext::from_bytes(&buffer) else { return };
            let request = DumpRequest::new(&self.file, Qualifier::Small)
                .flags(FormatFlags::USER_SMALL_INDIRECT_MEMORY);
            match dump_crash(Pid(self.application), &context, &request, &()) {
                Ok(summary) => println!("{} threads, {} bytes", summary.threads, summary.size),
                Err(error) => eprintln!("no dump: {error}"),
            }
        }

        fn on_client_disconnected(&self, _clients: usize) -> LoopAction {
            DONE.store(true, Ordering::Relaxed);
            LoopAction::Exit
        }
    }

    let monitor = Monitor { application: parent_id(), file: file.to_owned() };
    Server::with_name(SocketName::Abstract(socket))?.run(Box::new(monitor), &DONE, None)?;
    Ok(())
}

/// The application: sets itself up to be dumped, and does its work.
fn application(file: &str, how: &str) -> Result<(), Box<dyn Error>> {
    let socket = format!("dumpwright-example-{}", std::process::id());
    let monitor = Command::new(std::env::current_exe()?).args([MONITOR, &socket, file]).spawn()?;
    let client = connect(&socket)?;

    // SAFETY: the closure runs in a signal handler; it makes system calls only,
    // and neither allocates nor takes locks.
    let event = unsafe {
        make_crash_event(move |context: &CrashContext| {
            // SWITCH: this was `client.request_dump(context)`. The monitor answers
            // the ping once it is done with the message before.
            let asked = client.send_message(CRASHED, context.as_bytes());
            CrashEventResult::Handled(asked.and_then(|()| client.ping()).is_ok())
        })
    };
    let handler = CrashHandler::attach(event)?;
    // Where Yama restricts ptrace to descendants.
    handler.set_ptracer(Some(monitor.id()));

    let _monitor = Reaped(monitor);
    work(how);
    Ok(())
}

/// The monitor needs a moment to listen.
fn connect(socket: &str) -> Result<Client, minidumper::Error> {
    let mut left = 200;
    loop {
        match Client::with_name(SocketName::Abstract(socket)) {
            Err(_) if left > 0 => {
                left -= 1;
                thread::sleep(Duration::from_millis(20));
            }
            connected => return connected,
        }
    }
}

/// A process that is waited for, where the application ends without a crash.
struct Reaped(Child);

impl Drop for Reaped {
    fn drop(&mut self) {
        // Nothing more can be done about a monitor that cannot be waited for.
        let _ = self.0.wait();
    }
}

/// What the application is for.
#[inline(never)]
fn work(how: &str) {
    match how {
        "abort" => std::process::abort(),
        "overflow" => drop(overflow(&[0; 64])),
        _ => {
            let nowhere = std::hint::black_box(0x1bad_d000_usize as *mut u32);
            // SAFETY: none; this is the crash.
            unsafe { nowhere.write_volatile(1) };
        }
    }
}

/// Recursion without an end.
#[allow(unconditional_recursion, reason = "this is the crash")]
fn overflow(before: &[u8; 64]) -> u8 {
    let here = std::hint::black_box([before[0]; 64]);
    overflow(&here).wrapping_add(here[1])
}
