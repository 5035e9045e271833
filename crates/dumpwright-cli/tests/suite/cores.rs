//! ELF cores as targets, and cores that are written: the same process by way of
//! a core is the same dump, and debuggers see in a core of ours what they see
//! in the process.

use crate::samples::{is_malformed, samples};
use crate::support::cli::{Written, assert_verifies, command, dump, dump_file, dump_pid, run};
use crate::support::compile::{Kind, fixture};
use crate::support::cores::{Core, gcore, kernel_core, may_dump_core};
use crate::support::crashes::core_pattern_stays;
use crate::support::dump::{Loaded, stream};
use crate::support::find;
use crate::support::frozen::{Frozen, PAGE};
use crate::support::processor::process;
use crate::support::readers::{
    assert_same_frames, gdb_traces, gdb_traces_of_core, lldb_traces, lldb_traces_of_process,
};
use crate::support::same_process::{
    assert_same_contexts, assert_same_memory, assert_same_process, pages,
};
use crate::support::target::Target;
use crate::support::tools;
use minidump::{MinidumpException, MinidumpSystemInfo};
use std::borrow::Cow;
use std::fs;
use std::path::Path;
use std::process::Command;

/// A full dump of what a core holds.
#[track_caller]
fn full_dump(core: &Core, options: &[&str]) -> Written {
    let written = dump_file(&core.file, &[&["-ma"], options].concat());
    assert_verifies(&written.file);
    written
}

#[test]
fn a_core_by_gcore_is_the_process() {
    for target in [Target::fixture("threads", &["8"]), Target::fixture("canary", &[])] {
        let _frozen = Frozen::new(&target);
        let live = dump(&target, &["-ma"]).load();
        let Some(core) = gcore(&target) else { return };
        assert_same_process(&live, &full_dump(&core, &[]).load());
    }
}

#[test]
fn a_core_by_the_kernel_is_the_process() {
    let _turn = core_pattern_stays();
    for (name, arguments) in [("threads", &["8"][..]), ("canary", &[])] {
        let program = fixture(name, Kind::Program);
        let Some(mut target) = may_dump_core(program, arguments) else { return };
        target.stop();
        let live = dump(&target, &["-ma"]).load();
        let end = |target: &mut Target| {
            target.signal("QUIT");
            target.signal("CONT");
        };
        let Some(core) = kernel_core(&mut target, end) else { return };
        assert_same_process(&live, &full_dump(&core, &[]).load());
    }
}

/// gdb before 14 takes every processor for one of Intel's, so its cores of others
/// have the wrong vectors; the kernel's are right.
#[test]
fn extended_registers_come_from_a_core_as_from_the_process() {
    if cfg!(not(target_arch = "x86_64")) {
        return;
    }
    let _turn = core_pattern_stays();
    let Some(mut target) = may_dump_core(fixture("vectors", Kind::Program), &[]) else { return };
    target.stop();
    let live = dump(&target, &["-my"]).load();
    // Through a core of ours, and of the kernel.
    let ours = dump_pid(target.pid(), &["-my", "--as", "core"]);
    assert_same_contexts(&dump_file(&ours.file, &["-my"]).load(), &live);
    let end = |target: &mut Target| {
        target.signal("QUIT");
        target.signal("CONT");
    };
    let Some(core) = kernel_core(&mut target, end) else { return };
    let written = dump_file(&core.file, &["-my"]);
    assert_verifies(&written.file);
    assert_same_contexts(&written.load(), &live);
}

#[test]
fn the_kernels_core_of_a_crash_names_the_crash() {
    let _turn = core_pattern_stays();
    let Some(mut target) = may_dump_core(fixture("dies", Kind::Program), &[]) else { return };
    let Some(core) = kernel_core(&mut target, Target::send) else { return };
    for options in [&["-m"][..], &["-ma"]] {
        let written = dump_file(&core.file, options);
        assert_verifies(&written.file);
        let loaded = written.load();
        let exception: MinidumpException<'_> = loaded.get();
        let system: MinidumpSystemInfo = loaded.get();
        assert_eq!(u64::from(exception.get_crashing_thread_id()), target.number("tid"));
        let address = exception.get_crash_address(system.os, system.cpu);
        assert_eq!(address, target.number("fault"));
        let reason = exception.get_crash_reason(system.os, system.cpu).to_string();
        assert!(reason.contains("SIGSEGV") && reason.contains("MAPERR"), "{reason}");
        let state = process(&loaded);
        let thread = &state.threads[state.requesting_thread.expect("a crashing thread")];
        let own = thread
            .frames
            .iter()
            .filter(|f| f.module.as_ref().is_some_and(|m| m.name.contains("dies-")));
        assert!(own.count() >= 3, "dies, is_about_to_die, main: {:?}", thread.frames);
    }
    // As a core again, with the signal that gdb shows.
    let again = dump_file(&core.file, &["-ma", "--as", "core"]);
    let Some(gdb) = tools::command("gdb") else { return };
    let output = tools::run(
        Command::new(gdb)
            .args(["-nx", "-batch", "-ex", "p $_siginfo.si_signo"])
            .args(["-ex", "p $_siginfo._sifields._sigfault.si_addr", "-ex", "bt"])
            .arg(fixture("dies", Kind::Program))
            .arg(&again.file),
    );
    let text = String::from_utf8_lossy(&output.stdout);
    for word in ["SIGSEGV", "= 11", "0x1230", "is_about_to_die"] {
        assert!(text.contains(word), "{word} in:\n{text}");
    }
}

#[test]
fn files_fill_in_only_what_has_the_build_id_of_the_core() {
    let target = Target::fixture("threads", &["2"]);
    let _frozen = Frozen::new(&target);
    let Some(core) = gcore_without_files(&target) else { return };
    let program = fs::read_link(format!("/proc/{}/exe", target.pid())).unwrap();
    let name = program.file_name().unwrap().to_str().unwrap().to_owned();

    let filled = full_dump(&core, &[]);
    assert_eq!(filled.summary["holes"], serde_json::json!([]), "{}", filled.summary);
    let live = dump(&target, &["-ma"]).load();
    assert_same_memory(&live, &filled.load());

    // A root with another build under the same name, and without libraries.
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join(program.parent().unwrap().strip_prefix("/").unwrap());
    fs::create_dir_all(&folder).unwrap();
    fs::copy(fixture("canary", Kind::Program), folder.join(&name)).unwrap();
    let sysroot = root.path().to_str().unwrap();
    let bare = full_dump(&core, &["--sysroot", sysroot]);
    let program_range = bare.load().module(&name);
    assert!(bare.mentions("another build"), "{}", bare.summary);
    let lacks = |hole: &serde_json::Value| {
        let start = hole["start"].as_str().unwrap().trim_start_matches("0x").to_owned();
        program_range.contains(&u64::from_str_radix(&start, 16).unwrap())
            && hole["reason"].as_str().unwrap().contains("does not hold")
    };
    let holes = bare.summary["holes"].as_array().unwrap();
    assert!(holes.iter().any(lacks), "the code is a hole: {holes:?}");
    for (address, page) in pages(&bare.load()) {
        let live = pages(&live).get(&address).map(|p| p.to_vec());
        assert!(live.is_none_or(|live| live == page), "{address:#x} is not the process's");
    }
}

/// A core without the pages that files are behind, headers excepted, as the
/// kernel writes them unless told otherwise.
fn gcore_without_files(target: &Target) -> Option<Core> {
    let filter = format!("/proc/{}/coredump_filter", target.pid());
    fs::write(filter, "0x33").unwrap();
    gcore(target)
}

#[test]
fn debuggers_see_in_a_core_of_ours_what_they_see_in_the_process() {
    let target = Target::fixture("threads", &["9"]);
    let program = fixture("threads", Kind::Program);
    let by_gdb = gdb_traces(target.pid());
    let by_lldb = lldb_traces_of_process(target.pid());
    for options in [&["-ma"][..], &["-m"], &["-mr"]] {
        let written = dump_pid(target.pid(), &[options, &["--as", "core"]].concat());
        assert_eq!(written.summary["type"], "ELF core");
        if let Some(truth) = &by_gdb {
            let seen = gdb_traces_of_core(&program, &written.file).unwrap();
            assert_same_frames(&seen, truth);
        }
        if let Some(truth) = &by_lldb {
            assert_same_frames(&lldb_traces(&written.file).unwrap(), truth);
        }
    }
}

#[test]
fn a_core_of_ours_becomes_the_same_dump_again() {
    let target = Target::fixture("threads", &["4"]);
    let _frozen = Frozen::new(&target);
    let live = dump(&target, &["-ma", "-c", "kept"]).load();
    let core = dump_pid(target.pid(), &["-ma", "--as", "core"]);
    let written = dump_file(&core.file, &["-ma"]);
    assert_verifies(&written.file);
    let again = written.load();
    assert_same_process(&live, &again);
    assert_eq!(written.summary["holes"], serde_json::json!([]));
    assert_eq!(again.memory_size(), live.memory_size());
    for stream in live.stream_types() {
        // Live ones change: how often it was switched, clocks.
        if [stream::CMD_LINE, stream::ENVIRON, stream::MAPS, 0x4767_0008, 0x4767_0005]
            .contains(&stream)
        {
            assert_eq!(again.raw(stream), live.raw(stream), "stream {stream:#x}");
        }
    }
    let names = |l: &Loaded| {
        let names: minidump::MinidumpThreadNames = l.get();
        l.tids().iter().map(|tid| names.get_name(*tid).map(Cow::into_owned)).collect::<Vec<_>>()
    };
    assert_eq!(names(&again), names(&live));
    // A third generation is the second, byte for byte of memory.
    let third = dump_file(&dump_file(&core.file, &["-ma", "--as", "core"]).file, &["-ma"]).load();
    assert_same_memory(&again, &third);
}

#[test]
fn samples_of_linux_become_cores_and_others_do_not() {
    for sample in samples().iter().filter(|f| !is_malformed(f)) {
        let name = sample.file_name().unwrap().to_string_lossy().into_owned();
        let first = Loaded::read(sample);
        let system: MinidumpSystemInfo = first.get();
        let is_64_bit =
            matches!(system.cpu.pointer_width(), minidump::system_info::PointerWidth::Bits64);
        if !(matches!(system.os, minidump::system_info::Os::Linux) && is_64_bit) {
            let folder = tempfile::tempdir().unwrap();
            let file = folder.path().join("x.core");
            let arguments = ["dump", "-m", "--as", "core", "-z"];
            let text = run(command().args(arguments).args([sample, &file])).refused();
            assert!(text.contains("core"), "{name}: {text}");
            continue;
        }
        let core = dump_file(sample, &["-mA", "--as", "core"]);
        let written = dump_file(&core.file, &["-mA"]);
        assert_verifies(&written.file);
        let again = written.load();
        assert_eq!(again.tids(), first.tids(), "{name}");
        for tid in first.tids() {
            assert_eq!(again.registers(tid), first.registers(tid), "{name}: thread {tid}");
        }
        for memory in first.memory() {
            let bytes = again.bytes_at(memory.start, memory.bytes.len() as u64);
            assert!(bytes.is_some_and(|b| b == memory.bytes), "{name} {:#x}", memory.start);
        }
    }
}

#[test]
fn what_is_redacted_stands_nowhere_in_a_core() {
    let target = Target::fixture("threads", &["2"]);
    let name = fixture("threads", Kind::Program);
    let name = name.file_name().unwrap().to_str().unwrap().to_owned();
    let plain = dump_pid(target.pid(), &["-ma", "--as", "core"]);
    assert!(find(&fs::read(&plain.file).unwrap(), name.as_bytes()).is_some());
    let written = dump_pid(target.pid(), &["-ma", "--as", "core", "--redact", &name]);
    assert!(find(&fs::read(&written.file).unwrap(), name.as_bytes()).is_none());
}

#[test]
fn filters_work_on_cores_too() {
    let target = Target::fixture("canary", &[]);
    let _frozen = Frozen::new(&target);
    let Some(core) = gcore(&target) else { return };
    let environment = fs::read(format!("/proc/{}/environ", target.pid())).unwrap();
    let path = environment.split(|b| *b == 0).find(|v| v.starts_with(b"PATH=")).unwrap();
    let plain = fs::read(&dump_file(&core.file, &["-ma"]).file).unwrap();
    assert!(find(&plain, path).is_some(), "the environment is there to be filtered");
    for options in [&["-ma", "--filter-triage"][..], &["-ma", "--filter-triage", "--as", "core"]] {
        let bytes = fs::read(&dump_file(&core.file, options).file).unwrap();
        assert!(find(&bytes, path).is_none(), "{options:?}");
    }
}

#[test]
fn the_file_that_is_read_can_be_written_over() {
    let target = Target::fixture("threads", &["2"]);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("one.core");
    let pid = target.pid().to_string();
    run(command().args(["dump", "-p", &pid, "-ma", "--as", "core"]).arg(&file)).ok();
    let same = dump_file(&file, &["-ma"]).load();
    let refused = run(command().args(["dump", "-ma", "-z"]).args([&file, &file])).refused();
    assert!(refused.contains("exists"), "{refused}");
    run(command().args(["dump", "-ma", "-o", "-z"]).args([&file, &file])).ok();
    assert_same_memory(&same, &Loaded::read(&file));
    let left = fs::read_dir(folder.path()).unwrap().count();
    assert_eq!(left, 1, "nothing else is left behind");
}

#[test]
fn packed_cores_open_in_place() {
    let target = Target::fixture("threads", &["2"]);
    let _frozen = Frozen::new(&target);
    let folder = tempfile::tempdir().unwrap();
    let core = folder.path().join("a.core");
    let pid = target.pid().to_string();
    run(command().args(["dump", "-p", &pid, "-ma", "--as", "core"]).arg(&core)).ok();
    let cab = folder.path().join("a.cab");
    run(command().args(["dump", "-p", &pid, "-ma", "-ba", "--as", "core"]).arg(&cab)).ok();
    let truth = dump_file(&core, &["-ma"]).load();
    assert_same_memory(&truth, &dump_file(&cab, &["-ma"]).load());
    for (tool, options) in [
        ("gzip", &["-1c"][..]),
        ("zstd", &["-1qc"]),
        ("xz", &["-0c"]),
        ("lz4", &["-1qc"]),
        // The form of before there were frames.
        ("lz4", &["-1qcl"]),
    ] {
        let Some(tool) = tools::command(tool) else { continue };
        let packed = folder.path().join("a.packed");
        let output = tools::run(Command::new(tool).args(options).arg(&core));
        fs::write(&packed, output.stdout).unwrap();
        let unpacked = dump_file(&packed, &["-ma"]).load();
        assert_same_memory(&truth, &unpacked);
        // A part of it is an error and no dump.
        let torn = fs::read(&packed).unwrap();
        fs::write(&packed, &torn[..torn.len() / 2]).unwrap();
        refuses(&packed, "cannot be unpacked");
    }
}

#[track_caller]
fn refuses(source: &Path, word: &str) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("x.dmp");
    let text = run(command().args(["dump", "-ma", "-z"]).arg(source).arg(&file)).refused();
    assert!(text.contains(word), "{text}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "something was left behind");
}

#[test]
fn what_is_no_core_is_refused_by_name() {
    refuses(Path::new("/proc/self/exe"), "no core");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("text");
    fs::write(&file, "hello").unwrap();
    refuses(&file, "starts with");
    refuses(folder.path(), "no regular file");
    refuses(&folder.path().join("missing"), "open");
}

#[test]
fn a_truncated_core_gives_what_it_still_has_and_says_so() {
    let target = Target::fixture("threads", &["2"]);
    let frozen = Frozen::new(&target);
    let core = dump_pid(target.pid(), &["-ma", "--as", "core"]);
    let whole = fs::read(&core.file).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("cut.core");
    fs::write(&file, &whole[..whole.len() / 2]).unwrap();
    let written = dump_file(&file, &["-ma"]);
    assert_verifies(&written.file);
    for said in ["truncated", "FULL_MEMORY", "are not in the source"] {
        assert!(written.mentions(said), "{said}: {}", written.summary);
    }
    let loaded = written.load();
    assert_eq!(loaded.tids(), target.tids());
    for (address, page) in pages(&loaded) {
        assert!(frozen.read(address..address + PAGE).unwrap() == page, "{address:#x}");
    }
}
