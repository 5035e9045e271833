//! Handles: on Linux, open file descriptors.

use super::error::ReadResult;
use super::minidump::Minidump;
use super::string::Allowance;
use dumpwright_format::minidump::{
    HandleDataStream, HandleDescriptor, HandleDescriptor2, HandleObjectInformation,
    LINUX_FD_INFORMATION, StreamType,
};
use std::collections::BTreeSet;
use zerocopy::FromBytes;

/// Object informations of one handle that are followed; Windows writes two or three.
const MAX_CHAIN: usize = 16;
/// The longest object information that is read.
const MAX_INFO: usize = 0x1_0000;

/// The HandleData stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HandleData {
    /// Bytes of a descriptor as the stream states them: 32 or 40.
    pub size_of_descriptor: u32,
    /// The handles.
    pub handles: Vec<Handle>,
}

/// A handle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Handle {
    /// Its value.
    pub handle: u64,
    /// File offset of the type's name, or 0.
    pub type_name_rva: u32,
    /// Kind of object.
    pub type_name: Option<String>,
    /// File offset of the object's name, or 0.
    pub object_name_rva: u32,
    /// Name of the object.
    pub object_name: Option<String>,
    /// `OBJ_*` attributes.
    pub attributes: u32,
    /// Access mask.
    pub granted_access: u32,
    /// Handles to the object.
    pub handle_count: u32,
    /// Kernel pointers to the object.
    pub pointer_count: u32,
    /// File offset of the first object information, or 0.
    pub object_info_rva: u32,
    /// More about the object.
    pub object_infos: Vec<HandleObjectInfo>,
    /// Whether `object_infos` is all: `false` if the chain comes back to itself,
    /// leads out of the file, or is longer than is followed.
    pub object_infos_complete: bool,
}

/// More about a handle's object: `MINIDUMP_HANDLE_OBJECT_INFORMATION`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HandleObjectInfo {
    /// `MINIDUMP_HANDLE_OBJECT_INFORMATION_TYPE`, or [`LINUX_FD_INFORMATION`].
    pub info_type: u32,
    /// Its bytes.
    pub data: Vec<u8>,
}

impl HandleObjectInfo {
    /// The text, `key: value` a line, if it is [`LINUX_FD_INFORMATION`].
    pub fn linux_text(&self) -> Option<String> {
        (self.info_type == LINUX_FD_INFORMATION)
            .then(|| String::from_utf8_lossy(&self.data).trim_end_matches('\0').to_owned())
    }

    /// The name of the type in minidumpapiset.h.
    pub fn type_name(&self) -> Option<&'static str> {
        Some(match self.info_type {
            1 => "Thread",
            2 | 3 => "Mutant",
            4 | 5 => "Process",
            6 => "Event",
            7 => "Section",
            8 => "Semaphore",
            LINUX_FD_INFORMATION => "Linux file descriptor",
            _ => return None,
        })
    }
}

impl Minidump {
    /// The open handles, from the HandleData stream.
    pub fn handles(&self) -> ReadResult<Option<HandleData>> {
        let Some(bytes) = self.load(StreamType::HANDLE_DATA)? else { return Ok(None) };
        let head: HandleDataStream = bytes.get(0)?;
        let size_of_descriptor = head.size_of_descriptor.get();
        let (start, stride) = (head.size_of_header.get() as usize, size_of_descriptor as usize);
        let count = head.number_of_descriptors.get().into();
        let mut allowance = self.allowance();
        let handles = if stride >= size_of::<HandleDescriptor2>() {
            bytes
                .list(start, count, stride)?
                .map(|entry: HandleDescriptor2| {
                    self.handle(&entry.base, entry.object_info_rva.get(), &mut allowance)
                })
                .collect()
        } else {
            bytes
                .list(start, count, stride)?
                .map(|entry: HandleDescriptor| self.handle(&entry, 0, &mut allowance))
                .collect()
        };
        Ok(Some(HandleData { size_of_descriptor, handles }))
    }

    fn handle(
        &self,
        entry: &HandleDescriptor,
        object_info_rva: u32,
        allowance: &mut Allowance,
    ) -> Handle {
        let [type_name_rva, object_name_rva] =
            [entry.type_name_rva.get(), entry.object_name_rva.get()];
        let (object_infos, object_infos_complete) = self.object_infos(object_info_rva, allowance);
        Handle {
            handle: entry.handle.get(),
            type_name_rva,
            type_name: self.referred_string(type_name_rva.into(), allowance),
            object_name_rva,
            object_name: self.referred_string(object_name_rva.into(), allowance),
            attributes: entry.attributes.get(),
            granted_access: entry.granted_access.get(),
            handle_count: entry.handle_count.get(),
            pointer_count: entry.pointer_count.get(),
            object_info_rva,
            object_infos,
            object_infos_complete,
        }
    }

    /// Follows the chain of object informations until it ends (`true`), or comes
    /// back to a place where it was, leads out of the file or is too long.
    fn object_infos(&self, first: u32, allowance: &mut Allowance) -> (Vec<HandleObjectInfo>, bool) {
        const HEAD: usize = size_of::<HandleObjectInformation>();
        let mut infos = Vec::new();
        let mut seen = BTreeSet::new();
        let mut rva = u64::from(first);
        while rva != 0 {
            let head = self
                .referred_bytes(rva, HEAD as u64, HEAD, allowance)
                .and_then(|bytes| HandleObjectInformation::read_from_bytes(&bytes).ok());
            let Some(head) = head else { return (infos, false) };
            if infos.len() == MAX_CHAIN || !seen.insert(rva) {
                return (infos, false);
            }
            let size = head.size_of_info.get().into();
            let data = self.referred_bytes(rva + HEAD as u64, size, MAX_INFO, allowance);
            if data.is_none() && size > 0 {
                return (infos, false);
            }
            let data = data.unwrap_or_default();
            infos.push(HandleObjectInfo { info_type: head.info_type.get(), data });
            rva = head.next_info_rva.get().into();
        }
        (infos, true)
    }
}

#[cfg(test)]
mod tests {
    use super::super::synth::Synth;
    use super::*;
    use zerocopy::{FromZeros, IntoBytes};

    fn dump(descriptor: &HandleDescriptor2, size: u32, mut synth: Synth) -> HandleData {
        let head = HandleDataStream {
            size_of_header: 16.into(),
            size_of_descriptor: size.into(),
            number_of_descriptors: 1.into(),
            reserved: 0.into(),
        };
        let entry = &descriptor.as_bytes()[..size as usize];
        synth.stream(StreamType::HANDLE_DATA, &[head.as_bytes(), entry].concat());
        synth.open().handles().unwrap().unwrap()
    }

    #[test]
    fn both_descriptors_are_read_and_linux_text_is_found() {
        let mut synth = Synth::new();
        let mut descriptor = HandleDescriptor2::new_zeroed();
        descriptor.base.handle = 7.into();
        descriptor.base.type_name_rva = synth.string("Socket").into();
        let info = HandleObjectInformation {
            next_info_rva: 0.into(),
            info_type: LINUX_FD_INFORMATION.into(),
            size_of_info: 7.into(),
        };
        let bytes = [info.as_bytes(), b"pos: 12"].concat();
        descriptor.object_info_rva = synth.put(&bytes).into();
        let data = dump(&descriptor, 40, synth);
        assert_eq!(data.handles[0].type_name.as_deref(), Some("Socket"));
        assert_eq!(data.handles[0].object_infos[0].linux_text().as_deref(), Some("pos: 12"));
        let data = dump(&descriptor, 32, Synth::new());
        assert_eq!((data.handles[0].handle, data.handles[0].object_infos.len()), (7, 0));
    }

    #[test]
    fn a_chain_that_bites_its_tail_ends() {
        let mut synth = Synth::new();
        let info = HandleObjectInformation {
            next_info_rva: 32.into(),
            info_type: 1.into(),
            size_of_info: 0.into(),
        };
        assert_eq!(synth.put(info.as_bytes()), 32);
        let mut descriptor = HandleDescriptor2::new_zeroed();
        descriptor.object_info_rva = 32.into();
        let handle = dump(&descriptor, 40, synth).handles.remove(0);
        assert_eq!((handle.object_infos.len(), handle.object_infos_complete), (1, false));
    }
}
