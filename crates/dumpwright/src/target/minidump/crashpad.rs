//! Crashpad's own stream, whose pointers are moved.
//!
//! The structures are those of Crashpad's minidump_extensions.h:
//! `MinidumpCrashpadInfo` points to a dictionary of strings and to a list with
//! a `MinidumpModuleCrashpadInfo` for some of the modules, by their position in
//! the module list, which a dump of a dump keeps.

use super::tree::{Reader, Tree};
use crate::read::Minidump;
use crate::target::{CarriedContent, CarriedStream};
use dumpwright_format::minidump::StreamType;

/// Offsets of `simple_annotations` and `module_list` in `MinidumpCrashpadInfo`:
/// behind a version, and the ids of report and client.
const SIMPLE_ANNOTATIONS: usize = 36;
const MODULE_LIST: usize = 44;
/// The last byte that is known; what further versions have behind it (an
/// address mask) has no pointers.
const KNOWN: usize = 52;
/// Offset of the location in `MinidumpModuleCrashpadInfoLink`, behind the index.
const LINK: usize = 4;
const LINK_SIZE: usize = 12;
/// Offsets of the three locations in `MinidumpModuleCrashpadInfo`.
const LIST_ANNOTATIONS: usize = 4;
const MODULE_SIMPLE_ANNOTATIONS: usize = 12;
const ANNOTATION_OBJECTS: usize = 20;
/// Bytes of the first form of `MinidumpModuleCrashpadInfo`, without objects.
const MODULE_INFO_1: usize = 20;
/// `MinidumpAnnotation`: RVAs of name and value, with type and padding between.
const ANNOTATION_SIZE: usize = 12;
const ANNOTATION_VALUE: usize = 8;

/// The stream with its pointers to be moved; `None` if one leads nowhere.
pub(super) fn carry(dump: &Minidump, bytes: &[u8]) -> Option<CarriedStream> {
    let mut reader = Reader::new(dump);
    let mut info = Tree::new(bytes.to_vec());
    if bytes.len() >= KNOWN {
        reader.location(&mut info, SIMPLE_ANNOTATIONS, dictionary)?;
        reader.location(&mut info, MODULE_LIST, modules)?;
    }
    Some(info.into_stream(StreamType::CRASHPAD_INFO, CarriedContent::Unknown))
}

/// `MinidumpSimpleStringDictionary`: pairs of strings.
fn dictionary(reader: &mut Reader<'_>, bytes: Vec<u8>) -> Option<Tree> {
    let mut tree = Tree::new(bytes);
    for at in tree.entries(8)? {
        reader.counted(&mut tree, at, 1)?;
        reader.counted(&mut tree, at + 4, 1)?;
    }
    Some(tree)
}

fn modules(reader: &mut Reader<'_>, bytes: Vec<u8>) -> Option<Tree> {
    let mut tree = Tree::new(bytes);
    for at in tree.entries(LINK_SIZE)? {
        reader.location(&mut tree, at + LINK, module)?;
    }
    Some(tree)
}

fn module(reader: &mut Reader<'_>, bytes: Vec<u8>) -> Option<Tree> {
    let mut tree = Tree::new(bytes);
    if tree.len() < MODULE_INFO_1 {
        return Some(tree);
    }
    reader.location(&mut tree, LIST_ANNOTATIONS, list)?;
    reader.location(&mut tree, MODULE_SIMPLE_ANNOTATIONS, dictionary)?;
    if tree.len() >= ANNOTATION_OBJECTS + 8 {
        reader.location(&mut tree, ANNOTATION_OBJECTS, objects)?;
    }
    Some(tree)
}

/// `MinidumpRVAList` of strings.
fn list(reader: &mut Reader<'_>, bytes: Vec<u8>) -> Option<Tree> {
    let mut tree = Tree::new(bytes);
    for at in tree.entries(4)? {
        reader.counted(&mut tree, at, 1)?;
    }
    Some(tree)
}

/// `MinidumpAnnotationList`: names, and values in `MinidumpByteArray`s.
fn objects(reader: &mut Reader<'_>, bytes: Vec<u8>) -> Option<Tree> {
    let mut tree = Tree::new(bytes);
    for at in tree.entries(ANNOTATION_SIZE)? {
        reader.counted(&mut tree, at, 1)?;
        reader.counted(&mut tree, at + ANNOTATION_VALUE, 0)?;
    }
    Some(tree)
}
