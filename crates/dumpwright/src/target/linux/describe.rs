//! STUB of the colleague's module, for tests of this branch alone.

use super::maps::Maps;
use super::proc_dir::ProcDir;
use crate::error::Result;
use crate::soft_error::SoftError;
use crate::target::{
    Absent, Access, Architecture, Backing, FileTime, MemorySource, ProcessInfo, ProcessSnapshot,
    Region, SystemSnapshot, ThreadSnapshot, Wants, XstateLayout,
};

pub(super) fn describe(
    proc: &ProcDir,
    threads: Vec<ThreadSnapshot>,
    _memory: &dyn MemorySource,
    _wants: &Wants,
    xstate: Option<XstateLayout>,
    mut notes: Vec<SoftError>,
) -> Result<ProcessSnapshot> {
    let maps = Maps::read(proc, &mut notes)?;
    let regions = maps
        .mappings
        .iter()
        .map(|m| Region {
            range: m.range,
            protection: m.protection,
            shared: m.shared,
            backing: Backing::Anonymous,
            name: String::from_utf8_lossy(&m.name).into_owned(),
            allocation_base: m.range.start,
            access: Access::Normal,
            absent: Absent::Zero,
            backed_end: m.range.end,
        })
        .collect();
    Ok(ProcessSnapshot {
        system: SystemSnapshot {
            architecture: Architecture::Amd64,
            platform_id: 0,
            processor_level: 0,
            processor_revision: 0,
            cpu: [0; 24],
            number_of_processors: 1,
            version: [0; 3],
            description: String::new(),
            build: String::new(),
            processor_mhz: None,
            time_zone: None,
            xstate,
        },
        process: ProcessInfo {
            pid: proc.pid,
            namespace_pids: Vec::new(),
            name: String::new(),
            create_time: FileTime::default(),
            user_time: 0,
            kernel_time: 0,
        },
        threads,
        modules: Vec::new(),
        unloaded_modules: Vec::new(),
        regions,
        address_space_end: 0,
        page_size: 4096,
        handles: Vec::new(),
        exception: None,
        platform_streams: Vec::new(),
        dso_debug: None,
        initial_stack: None,
        process_data: Vec::new(),
        token: None,
        vm_counters: None,
        system_memory: None,
        soft_errors: notes,
    })
}
