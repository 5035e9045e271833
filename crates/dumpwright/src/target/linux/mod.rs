//! Live Linux processes.

#![allow(dead_code, reason = "the lead joins this to the capture, which calls it")]

mod auxv;
mod clock;
mod counters;
mod cpu;
mod debug_id;
mod describe;
mod elf;
mod elf_file;
mod file_text;
mod handles;
mod images;
mod initial_stack;
mod link_map;
mod mapped_file;
mod maps;
mod modules;
mod proc_dir;
mod regions;
mod root;
mod sockets;
mod stat;
mod streams;
mod system;
mod threads;
mod time_zone;
mod token;
mod unwind;
mod version;

#[cfg(test)]
mod testkit;
