use super::*;
use proptest::prelude::*;
use std::io::{Cursor, Write};
use zerocopy::FromZeros;

/// A folder: how it is packed, its blocks (bytes, and how many come out).
type PackedFolder = (u16, Vec<(Vec<u8>, usize)>);
/// A file: name, folder, where it starts, its size.
type Entry<'a> = (&'a str, u16, u32, u32);

/// A cabinet with reserved areas of odd sizes, the data of its folders at
/// `shared` or one after another.
fn cabinet(folders: &[PackedFolder], files: &[Entry<'_>], shared: bool) -> Vec<u8> {
    const RESERVE: [u8; 3] = [5, 3, 7];
    let mut entries = Vec::new();
    for (name, folder, start, size) in files {
        let mut entry = FileEntry::new_zeroed();
        entry.folder = (*folder).into();
        entry.folder_offset = (*start).into();
        entry.size = (*size).into();
        entries.extend(entry.as_bytes());
        entries.extend(name.as_bytes());
        entries.push(0);
    }
    let head = size_of::<Header>() + 4 + usize::from(RESERVE[0]);
    let files_at = head + folders.len() * (size_of::<Folder>() + usize::from(RESERVE[1]));
    let data_at = files_at + entries.len();
    let (mut table, mut data) = (Vec::new(), Vec::new());
    for (compression, blocks) in folders {
        let at = if shared { data_at } else { data_at + data.len() };
        let folder = Folder {
            data_offset: (at as u32).into(),
            blocks: (blocks.len() as u16).into(),
            compression: (*compression).into(),
        };
        table.extend(folder.as_bytes());
        table.extend(&[0xee; RESERVE[1] as usize]);
        for (packed, size) in blocks {
            let reserved = [0xdd; RESERVE[2] as usize];
            let mut head = DataBlock {
                checksum: 0.into(),
                compressed: (packed.len() as u16).into(),
                uncompressed: (*size as u16).into(),
            };
            let sum = checksum(&[&head.as_bytes()[4..], &reserved].concat()) ^ checksum(packed);
            head.checksum = sum.into();
            data.extend(head.as_bytes());
            data.extend(reserved);
            data.extend(packed);
        }
    }
    let mut header = Header::new_zeroed();
    header.signature = SIGNATURE.into();
    (header.version_major, header.version_minor) = VERSION;
    header.files_offset = (files_at as u32).into();
    header.folders = (folders.len() as u16).into();
    header.files = (files.len() as u16).into();
    header.flags = FLAG_RESERVE_PRESENT.into();
    let areas = [RESERVE[0], 0, RESERVE[1], RESERVE[2]];
    let reserved = [0xcc; RESERVE[0] as usize];
    [header.as_bytes(), &areas, &reserved, &table, &entries, &data].concat()
}

fn stored(bytes: &[u8]) -> PackedFolder {
    (COMPRESSION_NONE, bytes.chunks(BLOCK).map(|block| (block.to_vec(), block.len())).collect())
}

/// One uncompressed LZX block: no translation, type 3, size; three repeated
/// offsets; the bytes.
fn lzx(bytes: &[u8]) -> PackedFolder {
    let head = 3 << 28 | (bytes.len() as u32) << 4;
    let mut packed = Vec::new();
    for word in [(head >> 16) as u16, head as u16] {
        packed.extend(word.to_le_bytes());
    }
    packed.extend([1, 0, 0, 0].repeat(3));
    packed.extend(bytes);
    (COMPRESSION_LZX | 15 << 8, vec![(packed, bytes.len())])
}

fn open(bytes: Vec<u8>) -> io::Result<Cabinet<Cursor<Vec<u8>>>> {
    Cabinet::open(Cursor::new(bytes))
}

fn contents(cabinet: &mut Cabinet<Cursor<Vec<u8>>>, index: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    cabinet.file(index)?.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Bytes that compress, and repeat over the borders of blocks.
fn text(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at / 7 % 251) as u8).collect()
}

#[test]
fn files_come_out_as_they_are_wherever_they_stand_in_a_folder() {
    let all = text(3 * BLOCK + 100);
    let files = [("a", 0, 0, 10), ("b", 0, 10, BLOCK as u32), ("c", 0, 2 * BLOCK as u32 - 3, 9000)];
    let mut cabinet = open(cabinet(&[stored(&all)], &files, false)).unwrap();
    let starts = cabinet.starts(|| Ok(())).unwrap();
    // In any order: each folder is taken up anew.
    for index in [2, 0, 1] {
        let (name, _, start, size) = files[index];
        let expected = &all[start as usize..(start + size) as usize];
        assert_eq!(contents(&mut cabinet, index).unwrap(), expected, "{name}");
        assert_eq!(starts[index].0, name);
        assert_eq!(starts[index].1, expected[..expected.len().min(PEEK)], "{name}");
    }
}

#[test]
fn another_writers_mszip_is_read_with_what_stands_in_earlier_blocks() {
    let files = [text(5 * BLOCK + 17), text(90), text(2 * BLOCK)];
    let mut builder = cab::CabinetBuilder::new();
    let folder = builder.add_folder(cab::CompressionType::MsZip);
    for name in ["0", "1", "2"] {
        folder.add_file(name);
    }
    let mut writer = builder.build(Cursor::new(Vec::new())).unwrap();
    while let Some(mut file) = writer.next_file().unwrap() {
        let index: usize = file.file_name().parse().unwrap();
        file.write_all(&files[index]).unwrap();
    }
    let mut cabinet = open(writer.finish().unwrap().into_inner()).unwrap();
    let starts = cabinet.starts(|| Ok(())).unwrap();
    for (index, file) in files.iter().enumerate() {
        assert!(contents(&mut cabinet, index).unwrap() == *file, "{index}");
        assert_eq!(starts[index].1, file[..PEEK]);
    }
}

#[test]
fn lzx_is_read() {
    let all = text(1000);
    let mut cabinet = open(cabinet(&[lzx(&all)], &[("x", 0, 100, 900)], false)).unwrap();
    assert_eq!(contents(&mut cabinet, 0).unwrap(), all[100..]);
}

#[test]
fn a_file_that_its_folder_does_not_hold_is_an_error_and_not_a_shorter_file() {
    let folder = stored(&text(100));
    for (start, size) in [(0, 101), (99, 2), (100, 1), (101, 1), (u32::MAX, 1)] {
        let mut cabinet =
            open(cabinet(std::slice::from_ref(&folder), &[("x", 0, start, size)], false)).unwrap();
        assert!(contents(&mut cabinet, 0).is_err(), "{start} {size}");
        assert!(cabinet.starts(|| Ok(())).unwrap()[0].1.len() < 100);
    }
    let empty = (COMPRESSION_NONE, Vec::new());
    let mut cabinet = open(cabinet(&[empty], &[("x", 0, 5, 1), ("y", 7, 0, 1)], false)).unwrap();
    assert!(contents(&mut cabinet, 0).is_err());
    assert!(contents(&mut cabinet, 1).is_err(), "a folder that there is not");
}

#[test]
fn a_changed_byte_is_an_error() {
    let bytes = cabinet(&[stored(&text(100))], &[("x", 0, 0, 100)], false);
    for back in [1, 50, 100, 104, 110] {
        let mut bytes = bytes.clone();
        let at = bytes.len() - back;
        bytes[at] ^= 1;
        assert!(contents(&mut open(bytes).unwrap(), 0).is_err(), "{back}");
    }
}

#[test]
fn a_search_takes_no_more_than_the_cabinet_has() {
    // One file at the end of each of many folders that are all the same bytes.
    let folder = stored(&text(50 * BLOCK));
    let files: Vec<_> = (0..200).map(|at| ("x", at, 50 * BLOCK as u32 - 10, 10)).collect();
    let folders: Vec<_> = std::iter::repeat_n(folder.clone(), 200).collect();
    let mut bytes = cabinet(&folders, &files, true);
    bytes.truncate(bytes.len() - 199 * 50 * (BLOCK + 15));
    let error = open(bytes).unwrap().starts(|| Ok(())).unwrap_err();
    assert!(error.to_string().contains("overlap"), "{error}");

    // Many files in one folder are found in one pass.
    let files: Vec<_> = (0..5000).map(|at| ("x", 0, at * 300, 300)).collect();
    let mut blocks = 0;
    let count = || {
        blocks += 1;
        Ok(())
    };
    open(cabinet(&[folder], &files, false)).unwrap().starts(count).unwrap();
    assert_eq!(blocks, (4999 * 300 + PEEK).div_ceil(BLOCK));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]
    #[test]
    fn damaged_cabinets_never_panic(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        cut in any::<prop::sample::Index>(),
    ) {
        let folders = [stored(&text(3000)), lzx(&text(400)), stored(&[])];
        let files = [("a", 0, 5, 700), ("b", 1, 0, 400), ("c", 1, 30, 9), ("d", 2, 0, 0)];
        let mut bytes = cabinet(&folders, &files, false);
        for (at, value) in changes {
            // Most of it in the tables.
            let at = at.index(bytes.len() + 400) % bytes.len();
            bytes[at] = value;
        }
        bytes.truncate(cut.index(4 * bytes.len()).max(40));
        if let Ok(mut cabinet) = open(bytes) {
            let _ = cabinet.starts(|| Ok(()));
            for index in 0..files.len() {
                let _ = contents(&mut cabinet, index);
            }
        }
    }
}
