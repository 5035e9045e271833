//! The records that name a module's debug file.

use super::string::eight_bit;
use dumpwright_format::minidump::{
    CV_SIGNATURE_ELF, CV_SIGNATURE_NB10, CV_SIGNATURE_RSDS, CvInfoPdb20, CvInfoPdb70,
};
use zerocopy::FromBytes;
use zerocopy::little_endian::U32;

/// What identifies the debug file of a module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CodeView {
    /// `RSDS`: a PDB of version 7; macOS and Crashpad use it too.
    Pdb70 {
        /// GUID as it stands in the record.
        guid: [u8; 16],
        /// How often the PDB was written since its GUID was made.
        age: u32,
        /// Name of the debug file.
        name: String,
    },
    /// `NB10`: a PDB of version 2.
    Pdb20 {
        /// Its timestamp.
        timestamp: u32,
        /// How often it was written.
        age: u32,
        /// Name of the debug file.
        name: String,
    },
    /// `BpEL`: an ELF build id.
    ElfBuildId(Vec<u8>),
    /// Something else.
    Unknown {
        /// The first four bytes.
        signature: u32,
    },
}

impl CodeView {
    /// Decodes a record; `None` if it is too short for what it says it is.
    pub fn decode(bytes: &[u8]) -> Option<CodeView> {
        let (signature, rest) = U32::read_from_prefix(bytes).ok()?;
        match signature.get() {
            CV_SIGNATURE_RSDS => {
                let (info, name) = CvInfoPdb70::read_from_prefix(bytes).ok()?;
                let guid = bytes.get(4..20)?.try_into().ok()?;
                Some(CodeView::Pdb70 { guid, age: info.age.get(), name: eight_bit(name) })
            }
            CV_SIGNATURE_NB10 => {
                let (info, name) = CvInfoPdb20::read_from_prefix(bytes).ok()?;
                Some(CodeView::Pdb20 {
                    timestamp: info.timestamp.get(),
                    age: info.age.get(),
                    name: eight_bit(name),
                })
            }
            CV_SIGNATURE_ELF => Some(CodeView::ElfBuildId(rest.to_vec())),
            signature => Some(CodeView::Unknown { signature }),
        }
    }

    /// The debug identifier in Breakpad's form: for a GUID its 32 digits with
    /// the age behind them; for a build id its first 16 bytes read as a GUID,
    /// with age 0. `None` where all of it is zero, or nothing is known.
    pub fn debug_id(&self) -> Option<String> {
        match self {
            CodeView::Pdb70 { guid, age, .. } if *guid != [0; 16] => Some(breakpad_id(guid, *age)),
            CodeView::Pdb20 { timestamp, age, .. } => Some(format!("{timestamp:08X}{age:x}")),
            CodeView::ElfBuildId(id) if id.iter().any(|byte| *byte != 0) => {
                let mut guid = [0; 16];
                let length = id.len().min(16);
                guid[..length].copy_from_slice(&id[..length]);
                Some(breakpad_id(&guid, 0))
            }
            _ => None,
        }
    }

    /// Name of the debug file, where the record has one.
    pub fn debug_file(&self) -> Option<&str> {
        match self {
            CodeView::Pdb70 { name, .. } | CodeView::Pdb20 { name, .. } => {
                (!name.is_empty()).then_some(name)
            }
            CodeView::ElfBuildId(_) | CodeView::Unknown { .. } => None,
        }
    }
}

/// The first three parts of a GUID are little-endian numbers, the rest is bytes.
fn breakpad_id(guid: &[u8; 16], age: u32) -> String {
    const ORDER: [usize; 16] = [3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15];
    let digits: Vec<String> = ORDER.iter().map(|index| format!("{:02X}", guid[*index])).collect();
    format!("{}{age:x}", digits.concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_ids_have_breakpads_form() {
        let mut rsds = b"RSDS".to_vec();
        rsds.extend(0..16u8);
        rsds.extend([0x1a, 0, 0, 0]);
        rsds.extend(b"app.pdb\0rest");
        let record = CodeView::decode(&rsds).unwrap();
        assert_eq!(record.debug_id().as_deref(), Some("030201000504070608090A0B0C0D0E0F1a"));
        assert_eq!(record.debug_file(), Some("app.pdb"));

        let record = CodeView::decode(b"NB10\0\0\0\0\x78\x56\x34\x12\x02\0\0\0old.pdb\0").unwrap();
        assert_eq!(record.debug_id().as_deref(), Some("123456782"));

        let record = CodeView::decode(b"LEpB\x01\x02\x03\x04\x05").unwrap();
        assert_eq!(record.debug_id().as_deref(), Some("040302010005000000000000000000000"));
    }

    #[test]
    fn a_record_too_short_for_its_kind_is_none() {
        assert_eq!(CodeView::decode(b"RSDS1234"), None);
        assert_eq!(CodeView::decode(b"NB10"), None);
        assert_eq!(CodeView::decode(b"RS"), None);
        assert!(matches!(CodeView::decode(b"XYZ1"), Some(CodeView::Unknown { .. })));
    }
}
