//! Readers that know nothing of dumpwright agree with the process and with each
//! other: the `minidump` crate, minidump-processor, PyPI `minidump`, both
//! `udmp-parser`s and LLDB; GDB on the process says what is true.

use crate::support::cli::{Written, dump};
use crate::support::dump::Memory;
use crate::support::frozen::{Frozen, PAGE};
use crate::support::processor::{process, traces};
use crate::support::readers::{
    assert_same_frames, gdb_traces, lldb_traces, pypi_minidump, pypi_udmp,
};
use crate::support::target::Target;
use crate::support::{find, unhex};
use serde_json::{Value, json};
use std::ops::Range;
use udmp_parser::{ThreadContext, UserDumpParser};

/// Addresses whose bytes every reader is asked for: starts, middles and ends of
/// some of the dump's ranges.
fn samples(written: &Written) -> Vec<(u64, u64)> {
    let loaded = written.load();
    let memory = loaded.memory();
    let step = (memory.len() / 12).max(1);
    memory
        .iter()
        .step_by(step)
        .flat_map(|m| {
            let length = m.bytes.len() as u64;
            [0, length / 2, length.saturating_sub(16)].map(|at| (m.start + at, 16.min(length - at)))
        })
        .collect()
}

#[track_caller]
fn assert_samples(frozen: &Frozen<'_>, samples: &[(u64, u64)], seen: &Value) {
    let seen = seen["samples"].as_array().unwrap();
    assert_eq!(seen.len(), samples.len());
    for ((at, length), bytes) in samples.iter().zip(seen) {
        let truth = frozen.read(*at..at + length).unwrap();
        assert_eq!(unhex(bytes.as_str().unwrap()), truth, "{length} bytes at {at:#x}");
    }
}

fn memory_ranges(written: &Written) -> Vec<Range<u64>> {
    written.load().memory().iter().map(Memory::range).collect()
}

#[test]
fn pypi_minidump_sees_what_the_dump_holds() {
    let target = Target::fixture("memory", &["{}"]);
    let frozen = Frozen::new(&target);
    let tids: Vec<u32> = target.tids().into_iter().collect();
    for option in ["-m", "-ma", "-mwdcpi", "-mfFhutiwdcp"] {
        let written = dump(&target, &[option, "-c", "read by others"]);
        let samples = samples(&written);
        let Some(seen) = pypi_minidump(&written.file, &samples) else { return };
        let loaded = written.load();
        assert_eq!(seen["complaints"], json!([]), "{option}");
        assert_eq!(seen["threads"], json!(tids), "{option}");
        assert_eq!(seen["comment"], "read by others", "{option}");
        assert_eq!(seen["pid"], target.pid(), "{option}");
        let modules: Vec<Value> = loaded
            .modules()
            .into_iter()
            .map(|(name, range)| json!([range.start, range.end - range.start, name]))
            .collect();
        assert_eq!(seen["modules"], json!(modules), "{option}");
        let memory: Vec<_> =
            memory_ranges(&written).iter().map(|r| json!([r.start, r.end - r.start])).collect();
        assert_eq!(seen["memory"], json!(memory), "{option}");
        for context in seen["contexts"].as_array().unwrap() {
            let (sp, pc) = loaded.registers(context[0].as_u64().unwrap() as u32);
            assert_eq!((context[1].as_u64(), context[2].as_u64()), (Some(pc), Some(sp)));
        }
        assert_eq!(seen["contexts"].as_array().unwrap().len(), tids.len(), "{option}");
        assert_samples(&frozen, &samples, &seen);
    }
}

#[test]
fn pypi_udmp_parser_sees_a_full_dump() {
    let target = Target::fixture("memory", &["{}"]);
    let frozen = Frozen::new(&target);
    let tids: Vec<u32> = target.tids().into_iter().collect();
    for options in [&["-ma"][..], &["-mA"], &["--qualifier", "default"]] {
        let written = dump(&target, options);
        let samples = samples(&written);
        let Some(seen) = pypi_udmp(&written.file, &samples) else { return };
        assert_eq!(seen["threads"], json!(tids), "{options:?}");
        let bases: Vec<u64> = written.load().modules().iter().map(|(_, r)| r.start).collect();
        assert_eq!(seen["modules"], json!(bases), "{options:?}");
        let memory: Vec<_> =
            memory_ranges(&written).iter().map(|r| json!([r.start, r.end - r.start])).collect();
        assert_eq!(seen["memory"], json!(memory), "{options:?}");
        assert_samples(&frozen, &samples, &seen);
    }
}

#[test]
fn the_udmp_parser_crate_sees_a_full_dump() {
    let target = Target::fixture("memory", &["{}"]);
    let frozen = Frozen::new(&target);
    let written = dump(&target, &["-ma"]);
    let loaded = written.load();
    let seen = UserDumpParser::new(&written.file).expect("udmp-parser reads the dump");
    assert!(seen.is_arch_x64());
    assert_eq!(seen.threads().keys().copied().collect::<Vec<_>>(), Vec::from_iter(target.tids()));
    for (tid, thread) in seen.threads() {
        let ThreadContext::X64(context) = thread.context() else { panic!("not an x64 context") };
        assert_eq!((context.rsp, context.rip), loaded.registers(*tid), "thread {tid}");
    }
    let modules = loaded.modules();
    let names: Vec<_> = seen.modules().values().map(|m| m.path.display().to_string()).collect();
    assert_eq!(names, modules.iter().map(|(n, _)| n.clone()).collect::<Vec<_>>());
    for memory in loaded.memory() {
        // Each range is a block of its own, or this reader could not read it.
        let block = seen.get_mem_block(memory.start).expect("a block for the range");
        assert_eq!(block.start_addr(), memory.start);
        assert_eq!(block.data.len(), memory.bytes.len(), "at {:#x}", memory.start);
        assert!(block.is_readable(), "at {:#x}", memory.start);
        let last = memory.range().end - PAGE.min(memory.bytes.len() as u64);
        assert_eq!(
            block.data_from(last).map(<[u8]>::to_vec),
            frozen.read(last..memory.range().end)
        );
    }
}

#[test]
fn lldb_sees_gdbs_frames_in_every_type_of_dump() {
    for arguments in [&["16"][..], &["6", "small"]] {
        let target = Target::fixture("threads", arguments);
        let Some(truth) = gdb_traces(target.pid()) else { return };
        for option in ["-m", "-ma", "-mA", "-mfFhutiwdcp", "-mr", "-mwd", "-mhut"] {
            let written = dump(&target, &[option]);
            let Some(seen) = lldb_traces(&written.file) else { return };
            assert_same_frames(&seen, &truth);
        }
    }
}

#[test]
fn lldb_finds_each_level_of_every_thread() {
    let target = Target::fixture("threads", &["16"]);
    let written = dump(&target, &["-m"]);
    let Some(seen) = lldb_traces(&written.file) else { return };
    for thread in target.ready["threads"].as_array().unwrap() {
        let tid = thread["tid"].as_u64().unwrap() as u32;
        let names: Vec<&str> =
            seen[&tid].iter().map(|(_, n)| n.split('(').next().unwrap()).collect();
        let from = names.iter().position(|n| *n == "wait_for_ever").expect("the fixture's frames");
        let depth = thread["depth"].as_u64().unwrap() as usize;
        let mut expected = vec!["wait_for_ever", "level_c"];
        expected.extend(std::iter::repeat_n("level_b", depth + 1));
        expected.extend(["level_a", "worker"]);
        assert_eq!(names[from..from + expected.len()], expected, "thread {tid}");
    }
}

#[test]
fn the_processor_walks_every_thread_to_where_it_began() {
    let target = Target::fixture("threads", &["16"]);
    let maps = std::fs::read_to_string(format!("/proc/{}/maps", target.pid())).unwrap();
    assert!(maps.contains("libc.so.6"));
    for option in ["-m", "-ma", "-mr", "-mfFhutiwdcp"] {
        let loaded = dump(&target, &[option]).load();
        let state = process(&loaded);
        assert_eq!(state.threads.len(), target.tids().len(), "{option}");
        assert_eq!(state.process_id, Some(target.pid()), "{option}");
        assert_eq!(state.system_info.os.to_string(), "linux", "{option}");
        let traces = traces(&loaded);
        for thread in target.ready["threads"].as_array().unwrap() {
            let tid = thread["tid"].as_u64().unwrap() as u32;
            let own = traces[&tid]
                .iter()
                .filter(|f| f.module.as_ref().is_some_and(|m| m.starts_with("threads-")))
                .count() as u64;
            let depth = thread["depth"].as_u64().unwrap();
            // level_c, level_b…, level_a, worker; the function that called the C
            // library is no frame to a walker by frame pointers.
            assert!(own >= depth + 4, "{option}: thread {tid} has {own} frames: {traces:x?}");
        }
    }
}

#[test]
fn every_stream_that_the_minidump_crate_knows_parses() {
    use minidump::{
        MinidumpHandleDataStream, MinidumpLinuxCpuInfo, MinidumpLinuxEnviron,
        MinidumpLinuxLsbRelease, MinidumpLinuxProcLimits, MinidumpLinuxProcStatus,
        MinidumpMemoryInfoList, MinidumpMiscInfo, MinidumpSoftErrors, MinidumpSystemInfo,
        MinidumpThreadInfoList, MinidumpThreadNames, MinidumpUnloadedModuleList,
    };
    let target = Target::fixture("threads", &["4"]);
    let loaded = dump(&target, &["-ma"]).load();
    let system: MinidumpSystemInfo = loaded.get();
    assert_eq!(system.os, minidump::system_info::Os::Linux);
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    let version = system.csd_version().unwrap();
    assert!(version.contains(release.trim()), "{version}");
    loaded.get::<MinidumpMiscInfo>();
    loaded.get::<MinidumpThreadNames>();
    loaded.get::<MinidumpThreadInfoList>();
    loaded.get::<MinidumpUnloadedModuleList>();
    loaded.get::<MinidumpHandleDataStream>();
    loaded.get::<MinidumpMemoryInfoList<'_>>();
    assert!(loaded.get::<MinidumpLinuxCpuInfo<'_>>().iter().count() > 10);
    assert!(loaded.get::<MinidumpLinuxProcStatus<'_>>().iter().count() > 10);
    assert!(loaded.get::<MinidumpLinuxProcLimits<'_>>().iter().count() > 10);
    assert!(loaded.get::<MinidumpLinuxLsbRelease<'_>>().iter().count() > 1);
    let environment = loaded.get::<MinidumpLinuxEnviron<'_>>().raw_bytes().into_owned();
    assert!(find(&environment, b"PATH=").is_some());
    assert!(loaded.maps().iter().count() > 10);
    let soft: Value = serde_json::from_str(loaded.get::<MinidumpSoftErrors<'_>>().as_ref())
        .expect("soft errors are JSON");
    assert!(soft.is_array() || soft.is_object(), "{soft}");
    let raw = loaded.raw(crate::support::dump::stream::MAPS).unwrap();
    let maps = std::fs::read(format!("/proc/{}/maps", target.pid())).unwrap();
    assert_eq!(String::from_utf8_lossy(raw), String::from_utf8_lossy(&maps), "maps as they are");
}
