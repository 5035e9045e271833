//! What a file that is not a minidump is instead, so that the error can say
//! what to do with it.

/// The bytes that [`not_a_minidump`] wants to see.
pub(crate) const PEEK: usize = 16;

/// Why a file that starts with `start` (up to [`PEEK`] bytes) is not a minidump.
pub(crate) fn not_a_minidump(start: &[u8]) -> String {
    let known = match start {
        [] => "the file is empty",
        [b'P', b'M', b'D', b'M', ..] => {
            "it is a big-endian minidump; only little-endian ones can be read"
        }
        [b'M', b'S', b'C', b'F', ..] => {
            "it is a CAB; extract the dump from it first (cabextract, expand)"
        }
        [0x7f, b'E', b'L', b'F', _, 2, ..] => "it is a big-endian ELF file",
        [0x7f, b'E', b'L', b'F', ..] => "it is an ELF file (a core dump or a program)",
        [b'P', b'A', b'G', b'E', b'D', b'U', b'6', b'4', ..] => {
            "it is a 64-bit Windows kernel dump"
        }
        [b'P', b'A', b'G', b'E', b'D', b'U', b'M', b'P', ..] => {
            "it is a 32-bit Windows kernel dump"
        }
        [b'U', b'S', b'E', b'R', b'D', b'U', b'M' | b'6', ..] => {
            "it is a user-mode dump of the old kind (USERDUMP), which is not a minidump"
        }
        [0x1f, 0x8b, ..] => "it is compressed with gzip; decompress it first (gunzip)",
        [b'P', b'K', 3, 4, ..] => "it is a zip archive; extract the dump from it first (unzip)",
        [0x28, 0xb5, 0x2f, 0xfd, ..] => "it is compressed with zstd; decompress it first (unzstd)",
        [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => {
            "it is compressed with xz; decompress it first (unxz)"
        }
        [0x04, 0x22, 0x4d, 0x18, ..] | [0x02, 0x21, 0x4c, 0x18, ..] => {
            "it is compressed with LZ4; decompress it first (unlz4)"
        }
        [b'B', b'Z', b'h', ..] => "it is compressed with bzip2; decompress it first (bunzip2)",
        [b'7', b'z', 0xbc, 0xaf, ..] => "it is a 7z archive; extract the dump from it first (7z x)",
        [0xfe, 0xed, 0xfa, 0xce | 0xcf, ..] | [0xce | 0xcf, 0xfa, 0xed, 0xfe, ..] => {
            "it is a Mach-O file (a core dump or a program)"
        }
        [b'M', b'Z', ..] => "it is a Windows program (PE)",
        [0, rest @ ..] if rest.len() + 1 == PEEK && rest.iter().all(|b| *b == 0) => {
            "it starts with zeros: the writer may have ended before the dump was whole"
        }
        _ => return format!("it starts with {start:02x?} instead of the signature 'MDMP'"),
    };
    known.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_the_field_are_named() {
        for (start, word) in [
            (&b"MSCF\0\0\0\0"[..], "CAB"),
            (b"PMDM", "big-endian"),
            (b"PAGEDU64", "64-bit Windows kernel dump"),
            (b"PAGEDUMP", "32-bit Windows kernel dump"),
            (b"\x7fELF\x02\x01", "ELF"),
            (b"\x1f\x8b\x08", "gzip"),
            (b"PK\x03\x04", "zip"),
            (b"\x04\x22\x4d\x18", "LZ4"),
            (b"\x02\x21\x4c\x18", "LZ4"),
            (b"BZh9", "bzip2"),
            (b"", "empty"),
            (&[0; PEEK], "zeros"),
            (b"hello", "signature"),
        ] {
            assert!(not_a_minidump(start).contains(word), "{start:?}");
        }
    }
}
