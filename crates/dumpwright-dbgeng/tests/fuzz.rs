//! Any order of calls with any arguments that the contract allows (null, valid
//! pointers, any number) answers, and crashes nothing: not the caller, not the
//! process that is dumped.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]
#![cfg(target_os = "linux")]

mod support;

use dumpwright_dbgeng::HResult;
use dumpwright_dbgeng::abi::{Guid, Raw};
use dumpwright_dbgeng::exports::DebugCreate;
use dumpwright_dbgeng::interfaces::FAMILIES;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use std::cell::{Cell, RefCell};
use std::ffi::{CString, c_void};
use std::fs::File;
use std::os::fd::AsRawFd;
use std::path::Path;
use std::process::Command;
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

/// What arguments are made of.
struct Pool {
    strings: Vec<CString>,
    wides: Vec<Vec<u16>>,
    buffer: Vec<u8>,
    dummy: Dummy,
    pid: u32,
    file: File,
}

impl Pool {
    fn new(folder: &Path, pid: u32) -> Pool {
        let path = |name: &str| format!("{}/{name}", folder.display());
        let texts = [
            String::new(),
            path("a.dmp"),
            path("b.cab"),
            path("no/such/folder.dmp"),
            path("no extension"),
            format!(".dump /o /mhtu {}", path("a.dmp")),
            format!(".dump /ma /c \"not closed {}", path("c.dmp")),
            ".dump; ;x;\"".to_owned(),
            "sleep".to_owned(),
            "%s %n \u{1F600} ä".to_owned(),
            "x".repeat(5000),
        ];
        Pool {
            wides: texts.iter().map(|t| t.encode_utf16().chain([0, 0]).collect()).collect(),
            strings: texts.iter().map(|t| CString::new(t.as_str()).unwrap()).collect(),
            buffer: vec![0; BUFFER],
            dummy: Dummy { vtable: &raw const DUMMY_VTABLE },
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
            "Raw" => &raw mut self.dummy as u64,
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

#[test]
fn no_order_of_calls_crashes() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new("sh");
    let target = Child::start(command.args(["-c", "echo READY; read line"]));
    let mut pool = Pool::new(folder.path(), target.id());

    let mut client = Raw::NULL;
    let iid = Guid::from_u128(0xca83c3de_5089_4cf8_93c8_d892387f2a5e);
    // SAFETY: both pointers are to locals.
    assert_eq!(unsafe { DebugCreate(&raw const iid, &raw mut client) }, HResult::S_OK);
    let client = client.pointer();

    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[7; 32]);
    let config = Config { cases: 400, failure_persistence: None, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, rng);
    // Mostly methods that work, since the others have nothing to go wrong.
    let one = (0..FAMILIES.len(), any::<prop::sample::Index>(), 0..10_u8, any::<[u64; 14]>());
    let calls = (0..3_u8, prop::collection::vec(one, 1..20));
    let pool = RefCell::new(&mut pool);
    let (calls_made, worked) = (Cell::new(0_usize), Cell::new(0_usize));
    runner
        .run(&calls, |(start, calls)| {
            // Most runs have a target from the start: the process, or a dump.
            let pid = pool.borrow().pid.into();
            match start {
                0 => {}
                1 => call(client, "AttachProcess", &[0, pid, calls.len() as u64 & 1]),
                _ => {
                    let dump = pool.borrow().strings[1].clone();
                    call(client, "AttachProcess", &[0, pid, 1]);
                    call(client, "WriteDumpFile", &[dump.as_ptr() as u64, 1024]);
                    call(client, "DetachProcesses", &[]);
                    call(client, "OpenDumpFile", &[dump.as_ptr() as u64]);
                }
            }
            for (family, index, chance, seeds) in calls {
                let mut methods: Vec<_> =
                    FAMILIES[family].iter().flat_map(|i| i.methods).enumerate().collect();
                methods.retain(|(_, m)| (m.implemented || chance == 0) && !is_left_out(m.name));
                let (place, method) = methods[index.index(methods.len())];
                let mut values = [0; 14];
                for ((value, (name, ty)), seed) in
                    values.iter_mut().zip(method.arguments).zip(seeds)
                {
                    *value = pool.borrow_mut().argument(name, ty, seed, client);
                }
                calls_made.set(calls_made.get() + 1);
                worked.set(
                    worked.get()
                        + usize::from(!call_at(client, family, place, values).is_failure()),
                );
            }
            Ok(())
        })
        .unwrap();

    // Answers of methods that work, and of methods that have something to do.
    let (made, worked) = (calls_made.get(), worked.get());
    assert!(made > 3000 && worked > made / 5, "of {made} calls {worked} succeeded");

    // SAFETY: the last reference is given back: Release is the third method.
    let left = unsafe {
        let vtable = *client.cast::<*const unsafe extern "system" fn(*mut c_void) -> u32>();
        (*vtable.add(2))(client)
    };
    // Clients that CreateClient handed out have counts of their own.
    assert_eq!(left, 0);
}
