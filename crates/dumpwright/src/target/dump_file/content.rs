//! What a file holds, told by its first bytes.

use crate::read::recognise::{self, not_a_minidump};

/// Bytes at the start of a file that [`Content::of`] wants to see.
pub const PEEK: usize = 64;

/// What a file holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// A minidump.
    Minidump,
    /// A full user-mode dump of the old kind (`USERDUMP`, `USERDU64`).
    UserDump,
    /// A Windows kernel dump (`PAGEDUMP`, `PAGEDU64`).
    KernelDump,
    /// An ELF core, of a process or of a machine.
    ElfCore,
    /// A dump inside something that has to be unpacked first.
    Packed(Packing),
    /// Nothing that can be a target, with the reason in words.
    Other(String),
}

/// How a dump is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packing {
    /// gzip: one stream.
    Gzip,
    /// Zstandard frames, as systemd-coredump stores cores.
    Zstd,
    /// xz: one or more streams.
    Xz,
    /// LZ4: a frame, or the older form of the `lz4` tool.
    Lz4,
    /// A Windows cabinet.
    Cab,
    /// A zip archive.
    Zip,
}

impl Packing {
    /// Its name, for messages.
    pub fn name(self) -> &'static str {
        match self {
            Packing::Gzip => "gzip",
            Packing::Zstd => "zstd",
            Packing::Xz => "xz",
            Packing::Lz4 => "lz4",
            Packing::Cab => "CAB",
            Packing::Zip => "zip",
        }
    }
}

impl Content {
    /// What the file with these first bytes (up to [`PEEK`]) holds.
    pub fn of(start: &[u8]) -> Content {
        /// `ET_CORE`, little-endian, where `e_type` stands.
        const CORE: Option<&[u8]> = Some(&[4, 0]);
        match start {
            [b'M', b'D', b'M', b'P', ..] => Content::Minidump,
            [b'U', b'S', b'E', b'R', b'D', b'U', b'M' | b'6', ..] => Content::UserDump,
            [b'P', b'A', b'G', b'E', b'D', b'U', b'M' | b'6', ..] => Content::KernelDump,
            [0x7f, b'E', b'L', b'F', _, 1, ..] if start.get(16..18) == CORE => Content::ElfCore,
            [0x7f, b'E', b'L', b'F', _, 1, ..] => Content::Other(
                "it is an ELF file, and no core: a program, library or object".into(),
            ),
            [0x1f, 0x8b, ..] => Content::Packed(Packing::Gzip),
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Content::Packed(Packing::Zstd),
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Content::Packed(Packing::Xz),
            [0x04, 0x22, 0x4d, 0x18, ..] | [0x02, 0x21, 0x4c, 0x18, ..] => {
                Content::Packed(Packing::Lz4)
            }
            [b'M', b'S', b'C', b'F', ..] => Content::Packed(Packing::Cab),
            [b'P', b'K', 3, 4, ..] => Content::Packed(Packing::Zip),
            _ => Content::Other(not_a_minidump(&start[..start.len().min(recognise::PEEK)])),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_is_known_by_its_first_bytes() {
        let elf = |kind: u8| {
            let mut start = b"\x7fELF\x02\x01\x01".to_vec();
            start.resize(16, 0);
            start.extend([kind, 0, 62, 0]);
            start
        };
        for (start, content) in [
            (b"MDMP\x93\xa7".to_vec(), Content::Minidump),
            (b"USERDUMP".to_vec(), Content::UserDump),
            (b"USERDU64".to_vec(), Content::UserDump),
            (b"PAGEDU64".to_vec(), Content::KernelDump),
            (elf(4), Content::ElfCore),
            (b"\x1f\x8b\x08".to_vec(), Content::Packed(Packing::Gzip)),
            (b"\x28\xb5\x2f\xfd".to_vec(), Content::Packed(Packing::Zstd)),
            (b"\xfd7zXZ\0".to_vec(), Content::Packed(Packing::Xz)),
            (b"\x04\x22\x4d\x18".to_vec(), Content::Packed(Packing::Lz4)),
            (b"\x02\x21\x4c\x18".to_vec(), Content::Packed(Packing::Lz4)),
            (b"MSCF".to_vec(), Content::Packed(Packing::Cab)),
            (b"PK\x03\x04".to_vec(), Content::Packed(Packing::Zip)),
        ] {
            assert_eq!(Content::of(&start), content, "{start:?}");
        }
        for start in [elf(2), elf(3), b"hello".to_vec(), Vec::new(), b"\x7fELF".to_vec()] {
            assert!(matches!(Content::of(&start), Content::Other(_)), "{start:?}");
        }
    }
}
