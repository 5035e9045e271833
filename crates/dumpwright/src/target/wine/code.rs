//! Functions of the PE side's ntdll, and what the few instructions of one say:
//! where variables are that nothing exports.

use crate::target::MemorySource;

/// Bytes that a function of a few stores has at most.
const FUNCTION: usize = 64;

const RAX: u8 = 0;

/// What a function does that only takes addresses of variables and hands them
/// out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Handed {
    /// Where it stored one through the pointer in a register, by that register's
    /// number.
    pub stored: Vec<(u8, u64)>,
    /// What it returned.
    pub returned: Option<u64>,
}

/// Follows the function at `address`. `None` if it has any instruction but LEA
/// of an address relative to RIP, MOV of a register to where another one points,
/// and RET.
pub(super) fn follow(memory: &dyn MemorySource, address: u64) -> Option<Handed> {
    const REX_WIDE: u8 = 0x48;
    let mut bytes = [0; FUNCTION];
    if !memory.read_exact(address, &mut bytes) {
        return None;
    }
    let mut registers = [None; 16];
    let mut handed = Handed::default();
    let mut at = 0;
    loop {
        match *bytes.get(at..)? {
            // ENDBR64
            [0xF3, 0x0F, 0x1E, 0xFA, ..] => at += 4,
            [0xC3, ..] => {
                handed.returned = registers[usize::from(RAX)];
                return Some(handed);
            }
            [rex, 0x8D, operands, a, b, c, d, ..]
                if rex & 0xFB == REX_WIDE && operands & 0xC7 == 0x05 =>
            {
                at += 7;
                let register = operands >> 3 & 7 | (rex & 4) << 1;
                let offset = i64::from(i32::from_le_bytes([a, b, c, d]));
                let value = address.checked_add(at as u64)?.checked_add_signed(offset)?;
                registers[usize::from(register)] = Some(value);
            }
            // Without a displacement, and not the forms of SIB and RIP.
            [rex, 0x89, operands, ..]
                if rex & 0xFA == REX_WIDE
                    && operands & 0xC0 == 0
                    && !matches!(operands & 7, 4 | 5) =>
            {
                at += 3;
                let from = operands >> 3 & 7 | (rex & 4) << 1;
                let to = operands & 7 | (rex & 1) << 3;
                handed.stored.push((to, registers[usize::from(from)]?));
            }
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::target::nt::fake::FakeMemory;

    #[test]
    fn a_function_that_hands_out_addresses_is_followed_and_no_other() {
        let mut memory = FakeMemory::default();
        let mut code = vec![
            0x48, 0x8D, 0x05, 0x1D, 0x9A, 0x03, 0x00, 0x48, 0x89, 0x01, 0x4C, 0x8D, 0x0D, 0xF0,
            0xFF, 0xFF, 0xFF, 0x4D, 0x89, 0x08, 0xC3,
        ];
        code.resize(FUNCTION, 0x90);
        memory.put(0x1_0000, code.clone());
        let handed = follow(&memory, 0x1_0000).unwrap();
        assert_eq!(handed.stored, [(1, 0x1_0007 + 0x39A1D), (8, 0x1_0001)]);
        assert_eq!(handed.returned, Some(0x1_0007 + 0x39A1D));
        code[7] = 0x53;
        memory.put(0x1_0000, code);
        assert_eq!(follow(&memory, 0x1_0000), None);
        assert_eq!(follow(&memory, 0x9_0000), None);
    }
}
