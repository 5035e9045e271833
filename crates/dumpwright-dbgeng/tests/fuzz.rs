//! Any order of calls with any arguments that the contract allows (null, valid
//! pointers, any number) answers, and crashes nothing: not the caller, not the
//! process that is dumped. `DUMPWRIGHT_FUZZ_SECONDS=600` goes on with further
//! seeds for so long.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]
#![cfg(target_os = "linux")]

mod support;

use dumpwright::target::machine::MachineOptions;
use dumpwright::{DumpRequest, OpenOptions, Qualifier, dump_target};
use dumpwright_dbgeng::HResult;
use dumpwright_dbgeng::abi::{Guid, Raw};
use dumpwright_dbgeng::exports::DebugCreate;
use dumpwright_dbgeng::interfaces::FAMILIES;
use dumpwright_testkit::output::{self, ElfNotes};
use dumpwright_testkit::{Nt, NtOptions};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use std::cell::RefCell;
use std::ffi::{CString, c_void};
use std::fs::File;
use std::os::fd::AsRawFd;
use std::path::Path;
use std::process::Command;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use support::Child;

/// Numbers that say how much of something there is stay below this.
const MOST: u64 = 4096;
/// Bytes of each buffer: as many of the largest structure.
const BUFFER: usize = MOST as usize * 96;

/// A method, called with more arguments than any has: in both calling
/// conventions of x86-64, and that of arm64, the rest is not looked at.
#[rustfmt::skip]
type Method = unsafe extern "system" fn(
    *mut c_void,
    u64, u64, u64, u64, u64, u64, u64, u64, u64, u64, u64, u64, u64, u64,
) -> HResult;

/// A callback object whose every method answers 0.
#[repr(C)]
struct Dummy {
    vtable: *const [unsafe extern "system" fn() -> u32; 24],
}

unsafe extern "system" fn nothing() -> u32 {
    0
}

static DUMMY_VTABLE: [unsafe extern "system" fn() -> u32; 24] = [nothing; 24];

// SAFETY: its methods touch nothing.
unsafe impl Sync for Dummy {}

/// Outlives every client that may hold it.
static DUMMY: Dummy = Dummy { vtable: &raw const DUMMY_VTABLE };

/// What arguments are made of.
struct Pool {
    strings: Vec<CString>,
    wides: Vec<Vec<u16>>,
    buffer: Vec<u8>,
    pid: u32,
    file: File,
}

impl Pool {
    fn new(folder: &Path, pid: u32) -> Pool {
        let path = |name: &str| format!("{}/{name}", folder.display());
        let texts = [
            String::new(),
            path("a.dmp"),
            path("kernel.dmp"),
            path("b.cab"),
            path("no/such/folder.dmp"),
            path("no extension"),
            format!(".dump /o /mhtu {}", path("a.dmp")),
            format!(".dump /ma /c \"not closed {}", path("c.dmp")),
            ".dump; ;x;\"".to_owned(),
            format!(".dump /o /k {}", path("k.dmp")),
            format!(".dump /o /xt 1 {}", path("x.dmp")),
            "qemu:socket=/no/such/socket".to_owned(),
            "sleep".to_owned(),
            "%s %n \u{1F600} ä".to_owned(),
            "x".repeat(5000),
        ];
        Pool {
            wides: texts.iter().map(|t| t.encode_utf16().chain([0, 0]).collect()).collect(),
            strings: texts.iter().map(|t| CString::new(t.as_str()).unwrap()).collect(),
            buffer: vec![0; BUFFER],
            pid,
            file: File::create(folder.join("handle.bin")).unwrap(),
        }
    }

    /// An argument of a type and name; `seed` chooses.
    fn argument(&mut self, name: &str, ty: &str, seed: u64, client: *mut c_void) -> u64 {
        let null = seed.is_multiple_of(5);
        let pick = (seed >> 8) as usize;
        match ty.replace(' ', "").as_str() {
            _ if name.contains("handle") && ty == "u64" => {
                [0, 0, u64::MAX, 99_999, self.file.as_raw_fd() as u64][pick % 5]
            }
            // No process but our own child is ever attached to or ended.
            "u32" if name.contains("process_id") || name.contains("system_id") => {
                [0, self.pid, 0x7FFF_FFF0, std::process::id()][pick % 4].into()
            }
            // Nothing waits for long.
            "u32" if name.contains("timeout") => (pick % 3) as u64,
            "u16" | "i32" | "u32" | "u8" => {
                [0, 1, 2, 4, 1024, 1025, 0x8000_0000, MOST, seed >> 9 & 0xFFF][pick % 9].min(
                    if name.contains("size") || name.contains("count") || name.contains("max") {
                        MOST
                    } else {
                        u64::MAX
                    },
                )
            }
            "u64" => [0, 0, 4096, self.buffer.as_ptr() as u64, seed, u64::MAX][pick % 6],
            _ if null => 0,
            "Str" => self.strings[pick % self.strings.len()].as_ptr() as u64,
            "Wide" => self.wides[pick % self.wides.len()].as_ptr() as u64,
            "Raw" if name == "client" => client as u64,
            "Raw" => &raw const DUMMY as u64,
            _ => self.buffer.as_mut_ptr() as u64,
        }
    }
}

/// Whether a method must not be called with what the pool has: an environment
/// block ends with two NULs, and narrow strings here with one.
fn is_left_out(name: &str) -> bool {
    name.starts_with("CreateProcess") && name.contains('2')
}

/// Calls a method by its place in the vtable of a face.
#[expect(clippy::many_single_char_names, reason = "fourteen arguments")]
fn call_at(client: *mut c_void, family: usize, place: usize, values: [u64; 14]) -> HResult {
    // SAFETY: the face is the family's, its vtable has the method after the
    // three of IUnknown, and the arguments are null or point to what the method
    // may expect.
    unsafe {
        let face = client.cast::<*const Method>().add(family);
        let function = *(*face).add(3 + place);
        let [a, b, c, d, e, f, g, h, i, j, k, l, m, n] = values;
        function(face.cast(), a, b, c, d, e, f, g, h, i, j, k, l, m, n)
    }
}

/// Calls a method of the client by its name.
fn call(client: *mut c_void, name: &str, arguments: &[u64]) {
    let mut methods = FAMILIES[0].iter().flat_map(|i| i.methods);
    let place = methods.position(|m| m.name == name).unwrap();
    let mut values = [0; 14];
    values[..arguments.len()].copy_from_slice(arguments);
    call_at(client, 0, place, values);
}

/// A target's small kernel dump.
fn kernel_dump(folder: &Path) {
    let nt = Nt::build(&NtOptions::default());
    let image = folder.join("guest.elf");
    let notes = ElfNotes { processors: &nt.registers(), vmcoreinfo: None };
    output::elf(&nt.image, &notes, &image).unwrap();
    let request = DumpRequest::new(folder.join("kernel.dmp"), Qualifier::Small);
    let (options, machine) = (OpenOptions::default(), MachineOptions::default());
    dump_target(&image, &request, &options, &machine, &()).unwrap();
    std::fs::remove_file(image).unwrap();
}

/// What came of calls.
#[derive(Default)]
struct Tally {
    made: usize,
    worked: usize,
}

/// A call: family, which method, whether one that does nothing will do, seeds.
type Call = (usize, prop::sample::Index, u8, [u64; 14]);

/// Calls methods of a client, most of the time with a target from the start:
/// the process, a dump of it, or a kernel dump.
fn run_calls(pool: &mut Pool, client: *mut c_void, start: u8, calls: &[Call], tally: &mut Tally) {
    let pid = pool.pid.into();
    match start {
        0 => {}
        1 => call(client, "AttachProcess", &[0, pid, calls.len() as u64 & 1]),
        2 => call(client, "OpenDumpFile", &[pool.strings[2].as_ptr() as u64]),
        _ => {
            let dump = pool.strings[1].clone();
            call(client, "AttachProcess", &[0, pid, 1]);
            call(client, "WriteDumpFile", &[dump.as_ptr() as u64, 1024]);
            call(client, "DetachProcesses", &[]);
            call(client, "OpenDumpFile", &[dump.as_ptr() as u64]);
        }
    }
    for (family, index, chance, seeds) in calls {
        let mut methods: Vec<_> =
            FAMILIES[*family].iter().flat_map(|i| i.methods).enumerate().collect();
        // Mostly methods that work, since the others have nothing to go wrong.
        methods.retain(|(_, m)| (m.implemented || *chance == 0) && !is_left_out(m.name));
        let (place, method) = methods[index.index(methods.len())];
        let mut values = [0; 14];
        for ((value, (name, ty)), seed) in values.iter_mut().zip(method.arguments).zip(seeds) {
            *value = pool.argument(name, ty, *seed, client);
        }
        tally.made += 1;
        tally.worked += usize::from(!call_at(client, *family, place, values).is_failure());
    }
}

fn calls() -> impl Strategy<Value = (u8, Vec<Call>)> {
    let one = (0..FAMILIES.len(), any::<prop::sample::Index>(), 0..10_u8, any::<[u64; 14]>());
    (0..4_u8, prop::collection::vec(one, 1..20))
}

fn runner(seed: u8, cases: u32) -> TestRunner {
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[seed; 32]);
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    TestRunner::new_with_rng(config, rng)
}

fn create_client() -> *mut c_void {
    let mut client = Raw::NULL;
    let iid = Guid::from_u128(0xca83c3de_5089_4cf8_93c8_d892387f2a5e);
    // SAFETY: both pointers are to locals.
    assert_eq!(unsafe { DebugCreate(&raw const iid, &raw mut client) }, HResult::S_OK);
    client.pointer()
}

fn release(client: *mut c_void) -> u32 {
    // SAFETY: a reference is given back: Release is the third method.
    unsafe {
        let vtable = *client.cast::<*const unsafe extern "system" fn(*mut c_void) -> u32>();
        (*vtable.add(2))(client)
    }
}

fn target() -> Child {
    let mut command = Command::new("sh");
    Child::start(command.args(["-c", "echo READY; read line"]))
}

/// The session and its targets are the process's: one test at a time.
static SESSION: Mutex<()> = Mutex::new(());

#[test]
fn no_order_of_calls_crashes() {
    let _session = SESSION.lock().unwrap_or_else(PoisonError::into_inner);
    let seconds = std::env::var("DUMPWRIGHT_FUZZ_SECONDS").ok().and_then(|s| s.parse().ok());
    let until = Instant::now() + Duration::from_secs(seconds.unwrap_or(0));
    let folder = tempfile::tempdir().unwrap();
    kernel_dump(folder.path());
    let mut seed = 7;
    loop {
        let target = target();
        let mut pool = Pool::new(folder.path(), target.id());
        let client = create_client();
        let state = RefCell::new((&mut pool, Tally::default()));
        runner(seed, 400)
            .run(&calls(), |(start, calls)| {
                let (pool, tally) = &mut *state.borrow_mut();
                run_calls(pool, client, start, &calls, tally);
                Ok(())
            })
            .unwrap();
        // Answers of methods that work, and of methods that have something to do.
        let Tally { made, worked } = state.into_inner().1;
        assert!(made > 3000 && worked > made / 5, "of {made} calls {worked} succeeded");
        // Clients that CreateClient handed out have counts of their own.
        assert_eq!(release(client), 0);
        seed = seed.wrapping_add(1);
        if Instant::now() >= until {
            return;
        }
    }
}

/// A client's address, for a thread that calls it too.
#[derive(Clone, Copy)]
struct Shared(*mut c_void);

// SAFETY: the library promises that methods can be called from any thread.
unsafe impl Send for Shared {}

impl Shared {
    fn client(self) -> *mut c_void {
        self.0
    }
}

#[test]
fn threads_on_one_client_and_on_two_crash_nothing() {
    let _session = SESSION.lock().unwrap_or_else(PoisonError::into_inner);
    let folder = tempfile::tempdir().unwrap();
    kernel_dump(folder.path());
    let target = target();
    let (first, second) = (Shared(create_client()), Shared(create_client()));
    std::thread::scope(|scope| {
        for (seed, client) in [(1, first), (2, first), (3, second), (4, second)] {
            let (folder, pid) = (folder.path(), target.id());
            scope.spawn(move || {
                let state = RefCell::new((Pool::new(folder, pid), Tally::default()));
                runner(seed, 60)
                    .run(&calls(), |(start, calls)| {
                        let (pool, tally) = &mut *state.borrow_mut();
                        run_calls(pool, client.client(), start, &calls, tally);
                        Ok(())
                    })
                    .unwrap();
                let Tally { made, worked } = state.into_inner().1;
                assert!(made > 300 && worked > made / 10, "of {made} calls {worked} succeeded");
            });
        }
    });
    assert_eq!((release(first.client()), release(second.client())), (0, 0));
}
