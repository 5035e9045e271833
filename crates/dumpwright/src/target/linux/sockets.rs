//! What the sockets of a process are connected to, from the tables of its
//! network namespace under `/proc/<pid>/net`. Nothing is asked of the sockets
//! themselves.

use super::proc_dir::ProcDir;
use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// How the lines of a table are laid out.
#[derive(Clone, Copy)]
enum Layout {
    /// `sl local remote st …`; the inode is column 9.
    Inet,
    /// `Num RefCount Protocol Flags Type St Inode Path`.
    Unix,
    /// `sk Eth Pid Groups …`; the inode is column 9.
    Netlink,
    /// `sk RefCnt Type Proto Iface …`; the inode is column 8.
    Packet,
}

const TABLES: [(&str, Layout); 13] = [
    ("unix", Layout::Unix),
    ("tcp", Layout::Inet),
    ("tcp6", Layout::Inet),
    ("udp", Layout::Inet),
    ("udp6", Layout::Inet),
    ("netlink", Layout::Netlink),
    ("packet", Layout::Packet),
    ("raw", Layout::Inet),
    ("raw6", Layout::Inet),
    ("icmp", Layout::Inet),
    ("icmp6", Layout::Inet),
    ("udplite", Layout::Inet),
    ("udplite6", Layout::Inet),
];

/// Describes the sockets with the given inodes, one `key: value` a line. Those
/// that are in no table (not bound, closed) are missing from the result; so are
/// all of a table that the kernel does not have.
pub(super) fn describe(proc: &ProcDir, inodes: &HashSet<u64>) -> HashMap<u64, String> {
    let mut found = HashMap::new();
    for (table, layout) in TABLES {
        // A busy machine's tables are long: none is read without need.
        if found.len() == inodes.len() {
            break;
        }
        let Ok(text) = proc.read(&format!("net/{table}")) else { continue };
        let text = String::from_utf8_lossy(&text);
        for line in text.lines().skip(1) {
            if let Some((inode, details)) = parse(line, table, layout, inodes) {
                found.insert(inode, details);
            }
        }
    }
    found
}

fn parse(line: &str, table: &str, layout: Layout, wanted: &HashSet<u64>) -> Option<(u64, String)> {
    let columns: Vec<&str> = line.split_ascii_whitespace().collect();
    let inode_column = match layout {
        Layout::Inet | Layout::Netlink => 9,
        Layout::Unix => 6,
        Layout::Packet => 8,
    };
    let inode = columns.get(inode_column)?.parse().ok()?;
    if !wanted.contains(&inode) {
        return None;
    }
    let details = match layout {
        Layout::Inet => inet(&columns, table)?,
        Layout::Unix => unix(&columns, line)?,
        Layout::Netlink => {
            format!("protocol: netlink\nfamily: {}\nport: {}\n", columns[1], columns[2])
        }
        Layout::Packet => {
            format!("protocol: packet\nethertype: 0x{}\ninterface: {}\n", columns[3], columns[4])
        }
    };
    Some((inode, details))
}

fn inet(columns: &[&str], table: &str) -> Option<String> {
    let state = u8::from_str_radix(columns[3], 16).ok()?;
    let state = if table.starts_with("tcp") {
        tcp_state(state)
    } else if state == 1 {
        "ESTABLISHED"
    } else {
        "UNCONNECTED"
    };
    let (local, peer) = (endpoint(columns[1])?, endpoint(columns[2])?);
    Some(format!("protocol: {table}\nstate: {state}\nlocal: {local}\npeer: {peer}\n"))
}

/// An address such as `0100007F:0050`: 32-bit words in the byte order of the
/// processor, then the port.
fn endpoint(text: &str) -> Option<String> {
    let (address, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let word = |digits: &str| u32::from_str_radix(digits, 16).ok().map(u32::to_ne_bytes);
    let address: IpAddr = match address.len() {
        8 => Ipv4Addr::from(word(address)?).into(),
        32 => {
            let mut bytes = [0; 16];
            for (i, four) in bytes.chunks_exact_mut(4).enumerate() {
                four.copy_from_slice(&word(address.get(i * 8..i * 8 + 8)?)?);
            }
            Ipv6Addr::from(bytes).into()
        }
        _ => return None,
    };
    Some(std::net::SocketAddr::new(address, port).to_string())
}

/// Names of the states in include/net/tcp_states.h.
fn tcp_state(state: u8) -> &'static str {
    const NAMES: [&str; 12] = [
        "ESTABLISHED",
        "SYN_SENT",
        "SYN_RECV",
        "FIN_WAIT1",
        "FIN_WAIT2",
        "TIME_WAIT",
        "CLOSE",
        "CLOSE_WAIT",
        "LAST_ACK",
        "LISTEN",
        "CLOSING",
        "NEW_SYN_RECV",
    ];
    NAMES.get(usize::from(state).wrapping_sub(1)).copied().unwrap_or("unknown")
}

fn unix(columns: &[&str], line: &str) -> Option<String> {
    let kind = match u32::from_str_radix(columns[4], 16).ok()? {
        1 => "unix stream",
        2 => "unix dgram",
        5 => "unix seqpacket",
        _ => "unix",
    };
    // __SO_ACCEPTCON of include/uapi/linux/net.h.
    let listening = u32::from_str_radix(columns[3], 16).ok()? & 0x1_0000 != 0;
    let state = match (listening, columns[5]) {
        (true, _) => "LISTEN",
        (false, "03") => "CONNECTED",
        (false, "02") => "CONNECTING",
        (false, "04") => "DISCONNECTING",
        _ => "UNCONNECTED",
    };
    let mut details = format!("protocol: {kind}\nstate: {state}\n");
    if let Some(path) = after_columns(line, 7) {
        details.push_str("local: ");
        details.push_str(path);
        details.push('\n');
    }
    Some(details)
}

/// What follows the first `count` columns: a path may hold blanks itself.
fn after_columns(line: &str, count: usize) -> Option<&str> {
    let rest = (0..count).try_fold(line, |rest, _| {
        let rest = rest.trim_ascii_start();
        rest.find(|c: char| c.is_ascii_whitespace()).map(|end| &rest[end..])
    });
    rest.map(str::trim_ascii_start).filter(|rest| !rest.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(line: &str, table: &str, layout: Layout) -> Option<String> {
        parse(line, table, layout, &HashSet::from([550])).map(|(_, details)| details)
    }

    #[test]
    #[cfg(target_endian = "little")]
    fn endpoints_are_written_as_people_read_them() {
        assert_eq!(endpoint("0100007F:0050").as_deref(), Some("127.0.0.1:80"));
        assert_eq!(
            endpoint("00000000000000000000000001000000:1F90").as_deref(),
            Some("[::1]:8080")
        );
        assert_eq!(endpoint("0100007F"), None);
        assert_eq!(endpoint("é100007F:0050"), None);
    }

    #[test]
    fn a_tcp_line_gives_state_and_both_ends_of_a_wanted_socket_only() {
        let line = "0: 00000000:07E8 00000000:0000 0A 00000000:00000000 00:00000000 00000000 \
                    0 0 550 1 00000000e32ba9b2 100 0 0 10 0";
        let details = one(line, "tcp", Layout::Inet).unwrap();
        assert_eq!(details, "protocol: tcp\nstate: LISTEN\nlocal: 0.0.0.0:2024\npeer: 0.0.0.0:0\n");
        assert!(parse(line, "tcp", Layout::Inet, &HashSet::from([551])).is_none());
    }

    #[test]
    fn a_unix_path_with_blanks_is_whole() {
        let line = "00000000e30eb6df: 00000002 00000000 00010000 0001 01 550 a b";
        let details = one(line, "unix", Layout::Unix).unwrap();
        assert_eq!(details, "protocol: unix stream\nstate: LISTEN\nlocal: a b\n");
    }

    #[test]
    fn a_torn_line_is_no_socket() {
        assert_eq!(one("0: 00000000:07E8", "tcp", Layout::Inet), None);
        assert_eq!(one("", "unix", Layout::Unix), None);
    }
}
