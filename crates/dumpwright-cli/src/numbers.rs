//! Numbers, sizes and address ranges on the command line.

use dumpwright::address::AddressRange;

/// A decimal number, or a hexadecimal one with `0x`; digits may be grouped by
/// `_` or a backtick, as WinDbg prints addresses.
pub fn parse_number(text: &str) -> Result<u64, String> {
    let digits: String = text.chars().filter(|c| !matches!(c, '_' | '`')).collect();
    let parsed = match digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X")) {
        Some(hex) => u64::from_str_radix(hex, 16),
        None => digits.parse(),
    };
    parsed.map_err(|_| format!("'{text}' is not a number; write hexadecimal ones with 0x"))
}

/// A size in bytes, with K, M, G or T for powers of 1024.
pub fn parse_size(text: &str) -> Result<u64, String> {
    let trimmed = text.trim_end_matches(['B', 'b']).trim_end_matches('i');
    let (number, shift) = match trimmed.chars().last().map(|c| c.to_ascii_uppercase()) {
        Some('K') => (&trimmed[..trimmed.len() - 1], 10),
        Some('M') => (&trimmed[..trimmed.len() - 1], 20),
        Some('G') => (&trimmed[..trimmed.len() - 1], 30),
        Some('T') => (&trimmed[..trimmed.len() - 1], 40),
        _ => (trimmed, 0),
    };
    parse_number(number)?
        .checked_mul(1 << shift)
        .ok_or_else(|| format!("'{text}' is larger than any file"))
}

/// `START-END` or `START+LENGTH`.
pub fn parse_range(text: &str) -> Result<AddressRange, String> {
    let (start, end) = if let Some((start, end)) = text.split_once('-') {
        (parse_number(start)?, parse_number(end)?)
    } else if let Some((start, length)) = text.split_once('+') {
        let start = parse_number(start)?;
        let end = start.checked_add(parse_number(length)?);
        (start, end.ok_or_else(|| format!("'{text}' reaches past the end of the address space"))?)
    } else {
        return Err(format!("'{text}' is not START-END or START+LENGTH"));
    };
    if end <= start {
        return Err(format!("'{text}' ends before it starts"));
    }
    Ok(AddressRange::new(start, end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_sizes_and_ranges_are_read_as_people_write_them() {
        assert_eq!(parse_number("0x7ff6`1234"), Ok(0x7ff6_1234));
        assert_eq!(parse_size("64M"), Ok(64 << 20));
        assert_eq!(parse_size("1GiB"), Ok(1 << 30));
        assert_eq!(parse_size("4096"), Ok(4096));
        assert!(parse_size("99999999T").is_err());
        assert_eq!(parse_range("0x1000+0x10"), Ok(AddressRange::new(0x1000, 0x1010)));
        assert_eq!(parse_range("0x1000-0x2000"), Ok(AddressRange::new(0x1000, 0x2000)));
        assert!(parse_range("0x2000-0x1000").is_err());
    }
}
