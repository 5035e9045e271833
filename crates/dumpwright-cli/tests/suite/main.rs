//! The proof that dumps are right: real processes are dumped by the built
//! command, and each dump is held against the process itself and against
//! readers that know nothing of dumpwright.
//!
//! One test program with a file for each theme, so that the readers are linked
//! once. `support` starts targets, runs the command and asks the readers.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod command_line;
mod cores;
mod cores_beyond_4_gib;
mod cores_by_others;
mod cores_round_trip;
mod cores_sanitized;
mod crash_forward;
mod crash_handler;
mod crash_languages;
mod crash_storm;
mod dot_dump_letters;
mod dump_of_dump;
mod dump_of_dump_exceptions;
mod dump_of_dump_files;
mod events;
mod every_flag;
mod exceptions;
mod extended_state;
mod files_and_cab;
mod handles;
mod kernel_bad_input;
mod kernel_debugger_data;
mod kernel_engine;
mod kernel_files;
mod kernel_header;
mod kernel_memory;
mod kernel_processors;
mod kernel_readers;
mod kernel_small;
mod machine_arm64;
mod machine_live;
mod machine_sources;
mod machine_x86;
mod many_mappings;
mod memory_truth;
mod module_headers;
mod privacy;
mod python_bindings;
mod readers;
mod real_programs;
mod samples;
mod sanitize;
mod size_budget;
mod target_goes_on;
mod thousand_threads;
mod userdump;
mod windows;
mod windows_crashes;
mod windows_dbgeng;
mod windows_events;
mod windows_odd;
mod windows_wow64;
mod wine_outside;

mod support;
