//! Names of mappings, in little memory: those that stand near each other share
//! what they begin with.

use std::fmt;
use std::sync::Arc;

/// Names that are packed together. Finding one costs as many copies.
const TOGETHER: usize = 16;
/// Items that may wait for their names to be packed.
const MANY: usize = 4096;

/// A name: bytes, cheap to clone.
#[derive(Clone, Default)]
pub(in crate::target) struct Name {
    /// `None` for no name.
    block: Option<Arc<Vec<u8>>>,
    index: u32,
}

impl Name {
    /// The name of these bytes, alone.
    pub fn new(name: &[u8]) -> Self {
        if name.is_empty() {
            Name::default()
        } else {
            Name { block: Some(pack(&[name])), index: 0 }
        }
    }

    /// Its bytes.
    pub fn bytes(&self) -> Vec<u8> {
        let mut name = Vec::new();
        let mut block = self.block.as_deref().map_or(&[][..], Vec::as_slice);
        for _ in 0..=self.index {
            let Some((shared, rest)) = block.split_first_chunk() else { break };
            let Some((own, rest)) = rest.split_first_chunk() else { break };
            let (shared, own) = (u32::from_le_bytes(*shared), u32::from_le_bytes(*own));
            let (shared, own) = (shared as usize, own as usize);
            let (own, rest) = rest.split_at(own.min(rest.len()));
            name.truncate(shared);
            name.extend_from_slice(own);
            block = rest;
        }
        name
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.block.is_none()
    }

    /// Whether both are the very same, and not only the same bytes.
    fn is(&self, other: &Name) -> bool {
        match (&self.block, &other.block) {
            (Some(own), Some(others)) => Arc::ptr_eq(own, others) && self.index == other.index,
            (None, None) => true,
            _ => false,
        }
    }
}

impl From<&[u8]> for Name {
    fn from(name: &[u8]) -> Self {
        Name::new(name)
    }
}

impl PartialEq for Name {
    fn eq(&self, other: &Self) -> bool {
        self.is(other) || self.bytes() == other.bytes()
    }
}

impl Eq for Name {}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&String::from_utf8_lossy(&self.bytes()), f)
    }
}

/// A block of names: before each stands how many bytes it shares with the name
/// before it, and how many follow.
fn pack(names: &[impl AsRef<[u8]>]) -> Arc<Vec<u8>> {
    let mut block = Vec::new();
    let mut last: &[u8] = &[];
    for name in names.iter().map(AsRef::as_ref) {
        let shared = last.iter().zip(name).take_while(|(a, b)| a == b).count();
        block.extend_from_slice(&(shared as u32).to_le_bytes());
        block.extend_from_slice(&((name.len() - shared) as u32).to_le_bytes());
        block.extend_from_slice(&name[shared..]);
        last = name;
    }
    block.shrink_to_fit();
    Arc::new(block)
}

/// Gives each of a list its name, and packs them as they come.
#[derive(Default)]
pub(super) struct Namer {
    /// The last name that was one: mappings of one file follow each other, with
    /// and without other mappings between them.
    last: Name,
    /// Names that are not packed yet.
    names: Vec<Vec<u8>>,
    /// Which items have them: position, and which name.
    items: Vec<(usize, u32)>,
}

impl Namer {
    /// The name of the item at `position`.
    pub fn name(&mut self, position: usize, name: &[u8]) -> Name {
        if name.is_empty() {
            return Name::default();
        }
        if self.last.bytes() != name {
            self.last = Name::new(name);
            self.names.push(name.to_vec());
        }
        if let Some(index) = (self.names.len() as u32).checked_sub(1) {
            self.items.push((position, index));
        }
        self.last.clone()
    }

    /// Whether there is enough to pack.
    pub fn is_full(&self) -> bool {
        self.names.len() >= TOGETHER || self.items.len() >= MANY
    }

    /// Packs, and tells `rename` the position and the new name of each item.
    pub fn pack(&mut self, mut rename: impl FnMut(usize, Name)) {
        let block = pack(&self.names);
        for (position, index) in self.items.drain(..) {
            self.last = Name { block: Some(Arc::clone(&block)), index };
            rename(position, self.last.clone());
        }
        self.names.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_back_as_they_were_and_take_little_room() {
        let name = |n: usize| match n % 3 {
            0 => Vec::new(),
            1 => format!("/a/folder/with a long name/of a file, {}", n / 6).into_bytes(),
            _ => [b"[x]\xff", &[n as u8; 3][..]].concat(),
        };
        let mut namer = Namer::default();
        let mut given = Vec::new();
        for position in 0..1000 {
            given.push(namer.name(position, &name(position)));
            if namer.is_full() {
                namer.pack(|position, packed| given[position] = packed);
            }
        }
        for (position, held) in given.iter().enumerate() {
            assert_eq!(held.bytes(), name(position), "{position}");
            assert_eq!(*held, Name::new(&name(position)));
            assert_eq!(held.is_empty(), name(position).is_empty());
        }
        let files: Vec<_> = (0..TOGETHER).map(|n| name(6 * n + 1)).collect();
        assert!(pack(&files).len() < files.concat().len() / 2);
    }

    #[test]
    fn one_file_with_many_mappings_has_one_name() {
        let mut namer = Namer::default();
        let mut given = Vec::new();
        for position in 0..3 * MANY {
            given.push(namer.name(position, if position % 2 == 0 { b"/a" } else { b"" }));
            if namer.is_full() {
                namer.pack(|position, packed| given[position] = packed);
            }
        }
        let blocks: std::collections::HashSet<_> =
            given.iter().filter_map(|name| name.block.as_ref().map(Arc::as_ptr)).collect();
        assert!(blocks.len() <= 4, "{}", blocks.len());
    }
}
