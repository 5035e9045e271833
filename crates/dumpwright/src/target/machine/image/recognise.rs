//! What kind of machine image a file is, or why it cannot be read as one.

use dumpwright_format::machine::kdump::{FLATTENED_SIGNATURE, KDUMP_SIGNATURE};
use dumpwright_format::machine::lime::LIME_MAGIC;

/// The bytes that [`recognise`] wants to see.
pub(in crate::target::machine) const PEEK: usize = 16;

/// What a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::target::machine) enum FileKind {
    /// Its bytes are those of memory, in pieces.
    Image(ImageKind),
    /// Compressed pages, by QEMU or makedumpfile.
    Kdump,
}

/// A kind of memory image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::target::machine) enum ImageKind {
    /// Ranges with headers, by LiME and its kin.
    Lime,
    /// ELF core.
    Elf,
    /// Memory and nothing else.
    Raw,
}

/// What `start`, the first bytes of a file, says: a kind, or, as an error, that
/// it is a memory image of a kind that cannot be read, and the way out. `None`
/// if it says nothing.
pub(in crate::target::machine) fn recognise(start: &[u8]) -> Option<Result<FileKind, String>> {
    let refused = match start {
        [0xd0..=0xd2, 0xbe, 0xd2, 0xbe, ..] => {
            "it is a VMware snapshot (.vmss, .vmsn) without the memory; give the .vmem file"
        }
        [b'h', b'i', b'b', b'r', ..] | [b'H', b'I', b'B', b'R', ..] => {
            "it is a hibernation file, which is compressed; unpack it to a raw image first"
        }
        [b'Q', b'E', b'V', b'M', ..] => {
            "it is a saved state of QEMU (savevm, migrate); start the guest from it (-incoming) and dump it with --qemu"
        }
        [b'Q', b'F', b'I', 0xfb, ..] => {
            "it is a disk image (qcow2), not memory; memory comes from dump-guest-memory"
        }
        [0x7f, b'E', b'L', b'F', _, 2, ..] => {
            "it is a big-endian ELF file; only little-endian guests can be read"
        }
        [b'E', b'M', b'i', b'L', version, ..] if *version != 1 => {
            "it is LiME of another version than 1; take it again with format=lime and without compression"
        }
        [0x7f, b'E', b'L', b'F', ..] => return Some(Ok(FileKind::Image(ImageKind::Elf))),
        _ if start.starts_with(&KDUMP_SIGNATURE) || start == FLATTENED_SIGNATURE => {
            return Some(Ok(FileKind::Kdump));
        }
        _ if start.starts_with(&LIME_MAGIC.to_le_bytes()) => {
            return Some(Ok(FileKind::Image(ImageKind::Lime)));
        }
        _ => return None,
    };
    Some(Err(refused.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_that_cannot_be_read_are_named_with_the_way_out() {
        for (start, word) in [
            (&b"QEVM\0\0\0\x03"[..], "--qemu"),
            (b"QFI\xfb\0\0\0\x03", "disk image"),
            (b"EMiL\x02\0\0\0", "version"),
            (b"\x7fELF\x02\x02", "big-endian"),
        ] {
            let Some(Err(reason)) = recognise(start) else { panic!("{start:?}") };
            assert!(reason.contains(word), "{reason}");
        }
        assert_eq!(recognise(b"KDUMP   \x06\0\0\0\0\0\0\0"), Some(Ok(FileKind::Kdump)));
        assert_eq!(recognise(b"makedumpfile\0\0\0\0"), Some(Ok(FileKind::Kdump)));
        assert_eq!(recognise(b"EMiL\x01\0\0\0"), Some(Ok(FileKind::Image(ImageKind::Lime))));
        assert_eq!(recognise(b"\x7fELF\x02\x01"), Some(Ok(FileKind::Image(ImageKind::Elf))));
        assert_eq!(recognise(b"\0\0\0\0"), None);
    }
}
