//! The file system that a Linux guest starts with: a cpio archive ("newc").

use std::fs;
use std::path::{Path, PathBuf};

const FOLDER: u32 = 0o040_755;
const PROGRAM: u32 = 0o100_755;
const CHARACTER_DEVICE: u32 = 0o020_600;
/// The device that the kernel gives to the first program as its console.
const CONSOLE: (u32, u32) = (5, 1);

/// An archive of files by their path in the guest, with `/lib`, `/proc` and `/dev`.
pub fn initramfs(files: &[(&str, PathBuf)]) -> Vec<u8> {
    let mut archive = Vec::new();
    for folder in ["lib", "proc", "dev"] {
        entry(&mut archive, folder, FOLDER, (0, 0), &[]);
    }
    entry(&mut archive, "dev/console", CHARACTER_DEVICE, CONSOLE, &[]);
    for (name, file) in files {
        entry(&mut archive, name, PROGRAM, (0, 0), &read(file));
    }
    entry(&mut archive, "TRAILER!!!", 0, (0, 0), &[]);
    archive
}

fn read(file: &Path) -> Vec<u8> {
    fs::read(file).unwrap_or_else(|e| panic!("{}: {e}", file.display()))
}

/// Magic, then as eight hexadecimal digits each: inode, mode, user, group, links,
/// time, size, device, device of a special file, length of the name, checksum.
fn entry(archive: &mut Vec<u8>, name: &str, mode: u32, device: (u32, u32), contents: &[u8]) {
    let inode = archive.len() as u32 + 1;
    let (size, name_size) = (contents.len() as u32, name.len() as u32 + 1);
    let fields = [inode, mode, 0, 0, 1, 0, size, 0, 0, device.0, device.1, name_size, 0];
    archive.extend_from_slice(b"070701");
    for field in fields {
        archive.extend_from_slice(format!("{field:08x}").as_bytes());
    }
    archive.extend_from_slice(name.as_bytes());
    archive.push(0);
    archive.resize(archive.len().next_multiple_of(4), 0);
    archive.extend_from_slice(contents);
    archive.resize(archive.len().next_multiple_of(4), 0);
}
