//! FILTER_PATHS, FILTER_TRIAGE and NO_OPTIONAL_DATA in everything that is
//! text: names, `/proc` streams, messages. Their effect on memory is in
//! [`filter_memory`](super::filter_memory).

use crate::target::stream_bytes::TextPacker;
use crate::target::{Platform, PlatformStream, StreamBytes};
use dumpwright_format::FormatFlags;
use dumpwright_format::minidump::StreamType;
use std::borrow::Cow;
use std::collections::HashSet;
use std::ops::Range;

/// Folders that are the same on every machine of a kind. Any other can name a
/// person, a customer or a machine.
const SYSTEM_FOLDERS: [&str; 14] = [
    "/usr/",
    "/lib/",
    "/lib32/",
    "/lib64/",
    "/libx32/",
    "/bin/",
    "/sbin/",
    "/opt/",
    "/snap/",
    "/nix/store/",
    "/gnu/store/",
    "/dev/",
    "/apex/",
    "/system/",
];

/// What programs put here they name themselves.
const SHARED_MEMORY: &[u8] = b"/dev/shm/";

/// Lines of `/proc/PID/status` that say who runs the process, or what the
/// process calls itself.
const IDENTITY_LINES: [&[u8]; 4] = [b"Name:", b"Uid:", b"Gid:", b"Groups:"];
/// The line of `/proc/cpuinfo` that some ARM boards have.
const SERIAL_LINES: [&[u8]; 1] = [b"Serial"];

/// Keys of `os-release` and `lsb-release` that say which system it is.
const RELEASE_KEYS: [&[u8]; 13] = [
    b"NAME",
    b"PRETTY_NAME",
    b"ID",
    b"ID_LIKE",
    b"VERSION",
    b"VERSION_ID",
    b"VERSION_CODENAME",
    b"VARIANT",
    b"VARIANT_ID",
    b"DISTRIB_ID",
    b"DISTRIB_RELEASE",
    b"DISTRIB_CODENAME",
    b"DISTRIB_DESCRIPTION",
];

/// Which text is filtered out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Privacy {
    /// FILTER_PATHS: names instead of paths, everywhere.
    pub paths: bool,
    /// FILTER_TRIAGE: nothing that identifies a person or machine.
    pub triage: bool,
    /// NO_OPTIONAL_DATA: no environment and no command line.
    pub no_optional: bool,
    /// Whether a backslash separates folders, as on Windows.
    pub windows: bool,
}

impl Privacy {
    /// What the flags ask for.
    pub fn new(flags: FormatFlags, platform: Platform) -> Self {
        Privacy {
            paths: flags.contains(FormatFlags::USER_SMALL_FILTER_PATHS),
            triage: flags.contains(FormatFlags::USER_SMALL_FILTER_TRIAGE),
            no_optional: flags.contains(FormatFlags::USER_SMALL_NO_OPTIONAL_DATA),
            windows: platform == Platform::Windows,
        }
    }

    /// Whether any text is filtered.
    pub fn is_on(self) -> bool {
        self.paths || self.triage || self.no_optional
    }

    /// Whether environment and command line are dropped.
    pub fn drops_arguments(self) -> bool {
        self.triage || self.no_optional
    }

    /// One path, as far as the dump may show it.
    pub fn path(self, path: &str) -> Cow<'_, str> {
        let shown = self.path_bytes(path.as_bytes());
        match std::str::from_utf8(shown) {
            Ok(shown) => Cow::Owned(shown.to_owned()),
            // A path is only ever cut behind an ASCII character.
            Err(_) => Cow::Borrowed(path),
        }
    }

    /// One path as bytes, as far as the dump may show it.
    pub fn path_bytes(self, path: &[u8]) -> &[u8] {
        let hide = self.paths || (self.triage && !self.is_system_path(path));
        if !hide {
            return path;
        }
        let trimmed = match path.split_last() {
            Some((last, rest)) if self.is_slash(*last) => rest,
            _ => path,
        };
        trimmed.rsplit(|b| self.is_slash(*b)).next().unwrap_or(trimmed)
    }

    /// A path that NUL ends, as bytes, with the NUL.
    pub fn stored_path(self, stored: &[u8]) -> Cow<'_, [u8]> {
        let end = stored.iter().position(|b| *b == 0).unwrap_or(stored.len());
        let shown = self.path_bytes(&stored[..end]);
        if shown.len() == end {
            return Cow::Borrowed(stored);
        }
        Cow::Owned([shown, &[0]].concat())
    }

    /// One UTF-16 path, as far as the dump may show it.
    pub fn path_units(self, path: &[u16]) -> &[u16] {
        // Lone surrogates become one character each too, so units can be counted.
        let narrow: Vec<u8> = path.iter().map(|u| u8::try_from(*u).unwrap_or(b'?')).collect();
        let hidden = self.paths || (self.triage && !self.is_system_path(&narrow));
        if !hidden {
            return path;
        }
        let shown = self.path_bytes(&narrow);
        let trailing = narrow.last().is_some_and(|last| self.is_slash(*last)) as usize;
        let end = path.len() - trailing.min(path.len() - shown.len());
        &path[end - shown.len()..end]
    }

    fn is_slash(self, byte: u8) -> bool {
        byte == b'/' || (self.windows && byte == b'\\')
    }

    fn is_system_path(self, path: &[u8]) -> bool {
        if self.windows { is_windows_system_path(path) } else { is_system_path(path) }
    }

    /// Free text with paths in it.
    pub fn text(self, text: &str) -> Cow<'_, str> {
        match self.text_bytes(text.as_bytes()) {
            Cow::Borrowed(_) => Cow::Borrowed(text),
            Cow::Owned(bytes) => Cow::Owned(String::from_utf8_lossy(&bytes).into_owned()),
        }
    }

    /// Free text with paths in it, as bytes; never longer than it was.
    pub fn text_bytes(self, text: &[u8]) -> Cow<'_, [u8]> {
        if !(self.paths || self.triage) || !text.iter().any(|b| self.is_slash(*b)) {
            return Cow::Borrowed(text);
        }
        let mut out = Vec::with_capacity(text.len());
        for piece in text.chunk_by(|a, b| is_separator(*a) == is_separator(*b)) {
            if is_separator(piece[0]) {
                out.extend_from_slice(piece);
            } else {
                self.words(piece, &mut out);
            }
        }
        Cow::Owned(out)
    }

    /// Text without separators but with spaces, which are as likely to stand in
    /// a path as behind it: rather a word too few than half a folder's name.
    fn words(self, mut text: &[u8], out: &mut Vec<u8>) {
        while let Some(slash) = text.iter().position(|b| self.is_slash(*b)) {
            let (before, path) =
                text.split_at(text[..slash].iter().rposition(|b| *b == b' ').map_or(0, |s| s + 1));
            let (path, behind) = path.split_at(self.path_len(path));
            out.extend_from_slice(before);
            out.extend_from_slice(self.path_bytes(path));
            text = behind;
        }
        out.extend_from_slice(text);
    }

    /// How far the path goes that `text` begins with: to the end of the last word
    /// with a slash in it, before one that begins with a slash.
    fn path_len(self, text: &[u8]) -> usize {
        let next = text.windows(2).position(|w| w[0] == b' ' && self.is_slash(w[1]));
        let next = next.unwrap_or(text.len());
        let slash = text[..next].iter().rposition(|b| self.is_slash(*b)).unwrap_or_default();
        text[slash..next].iter().position(|b| *b == b' ').map_or(next, |space| slash + space)
    }

    /// The name of a thread: some programs give it the path of their file, and
    /// some that of whoever they work for. FILTER_TRIAGE keeps only what says no
    /// more than the name of the `program`, which is a thread's first name.
    pub fn thread_name<'n>(self, name: &'n str, program: &str) -> Cow<'n, str> {
        if self.triage && !program.starts_with(name) {
            return Cow::Borrowed("");
        }
        let windows = self.windows && name.contains('\\');
        if name.starts_with('/') || windows { self.path(name) } else { Cow::Borrowed(name) }
    }

    /// A platform's own stream, as far as the dump may hold it; `None` if not
    /// at all.
    pub fn platform_stream(self, stream: &PlatformStream) -> Option<StreamBytes> {
        if stream.stream_type == StreamType::LINUX_MAPS {
            let filters = self.paths || self.triage;
            return Some(if filters { self.maps(&stream.bytes) } else { stream.bytes.clone() });
        }
        let bytes = &*stream.bytes.to_bytes();
        let kept = match stream.stream_type {
            StreamType::LINUX_ENVIRON | StreamType::LINUX_CMD_LINE if self.drops_arguments() => {
                return None;
            }
            StreamType::LINUX_ENVIRON | StreamType::LINUX_CMD_LINE => self.text_bytes(bytes),
            StreamType::LINUX_LSB_RELEASE if self.paths || self.triage => {
                Cow::Owned(self.release(bytes))
            }
            StreamType::LINUX_PROC_STATUS => Cow::Owned(self.status(bytes)),
            StreamType::LINUX_CPU_INFO if self.triage => {
                Cow::Owned(without_lines(bytes, &SERIAL_LINES))
            }
            _ => Cow::Borrowed(bytes),
        };
        Some(match kept {
            Cow::Borrowed(_) => stream.bytes.clone(),
            Cow::Owned(kept) => kept.into(),
        })
    }

    /// `/proc/PID/status`; its first line is the name of the main thread.
    fn status(self, status: &[u8]) -> Vec<u8> {
        let mut kept =
            if self.triage { without_lines(status, &IDENTITY_LINES) } else { status.to_vec() };
        let line = kept.iter().position(|b| *b == b'\n').unwrap_or(kept.len());
        if let Some(name) = kept[..line].strip_prefix(b"Name:\t").filter(|n| n.starts_with(b"/")) {
            let shown = self.path_bytes(name).to_vec();
            kept.splice(line - name.len()..line, shown);
        }
        kept
    }

    /// `os-release` or `lsb-release`: comments can hold paths, and keys that only
    /// some systems have can say who built this one.
    fn release(self, release: &[u8]) -> Vec<u8> {
        let known = |line: &&[u8]| {
            let key = line.split(|b| *b == b'=').next().unwrap_or_default();
            RELEASE_KEYS.contains(&key.trim_ascii())
        };
        let lines = release.split_inclusive(|b| *b == b'\n');
        let kept = lines.filter(|line| {
            !line.trim_ascii_start().starts_with(b"#") && (!self.triage || known(line))
        });
        kept.flatten().copied().collect()
    }

    /// `/proc/PID/maps`: the sixth column is a path and may hold spaces.
    fn maps(self, maps: &StreamBytes) -> StreamBytes {
        // A program or library is known by its name; a document has a name of its own.
        let mut programs = HashSet::new();
        for piece in maps.pieces().filter(|_| self.triage) {
            let code = lines_with_path(&piece)
                .filter(|(columns, _)| columns.split(|b| *b == b' ').nth(1).is_some_and(is_code));
            programs.extend(code.map(|(_, path)| path.trim_ascii_end().to_vec()));
        }
        let mut out = TextPacker::default();
        let mut line = Vec::new();
        for piece in maps.pieces() {
            for (columns, path) in lines_with_path(&piece) {
                self.maps_line(columns, path, &programs, &mut line);
                out.push(&line);
                line.clear();
            }
        }
        out.finish()
    }

    /// One line, as far as the dump may show it.
    fn maps_line(
        self,
        columns: &[u8],
        path: &[u8],
        programs: &HashSet<Vec<u8>>,
        out: &mut Vec<u8>,
    ) {
        if let Some(label) = own_label(columns) {
            out.extend_from_slice(&columns[..label.start]);
            if self.triage {
                out.extend_from_slice(b"]\n");
            } else {
                out.extend_from_slice(&self.text_bytes(&columns[label]));
            }
            return;
        }
        out.extend_from_slice(columns);
        let name = path.trim_ascii_end();
        if self.triage && !self.is_system_path(name) && !programs.contains(name) {
            out.extend_from_slice(&path[name.len()..]);
        } else {
            out.extend_from_slice(self.path_bytes(path));
        }
    }
}

/// The lines of a maps file, each divided where its path begins.
fn lines_with_path(maps: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    maps.split_inclusive(|b| *b == b'\n').map(|line| {
        let path =
            if own_label(line).is_some() { None } else { line.iter().position(|b| *b == b'/') };
        line.split_at(path.unwrap_or(line.len()))
    })
}

/// Where in a line of a maps file the name stands that the process gave to memory
/// without a file (`PR_SET_VMA_ANON_NAME`): from the colon on.
fn own_label(line: &[u8]) -> Option<Range<usize>> {
    let start = line.iter().position(|b| b"/[".contains(b))?;
    let label = &line[start..];
    let kind =
        [&b"[anon:"[..], b"[anon_shmem:"].into_iter().find(|kind| label.starts_with(kind))?;
    Some(start + kind.len() - 1..line.len())
}

/// Whether permissions are those of code.
fn is_code(permissions: &[u8]) -> bool {
    permissions.get(2) == Some(&b'x')
}

fn is_system_path(path: &[u8]) -> bool {
    let leads_out = path.windows(4).any(|w| w == b"/../")
        || !path.starts_with(b"/")
        || path.starts_with(SHARED_MEMORY);
    !leads_out && SYSTEM_FOLDERS.iter().any(|folder| path.starts_with(folder.as_bytes()))
}

/// Folders that are the same on every Windows machine; the drive is any.
const WINDOWS_SYSTEM_FOLDERS: [&[u8]; 3] =
    [b":\\windows\\", b":\\program files\\", b":\\program files (x86)\\"];

fn is_windows_system_path(path: &[u8]) -> bool {
    let leads_out = path.windows(3).any(|w| w == b"\\..");
    let folder = path.get(1..).unwrap_or_default();
    !leads_out
        && WINDOWS_SYSTEM_FOLDERS
            .iter()
            .any(|f| folder.get(..f.len()).is_some_and(|start| start.eq_ignore_ascii_case(f)))
}

/// Characters that end a path inside other text. Brackets do not: folders have
/// them in their names.
fn is_separator(byte: u8) -> bool {
    byte != b' ' && (byte.is_ascii_whitespace() || b"\0=:,;'\"`<>|&".contains(&byte))
}

fn without_lines(text: &[u8], prefixes: &[&[u8]]) -> Vec<u8> {
    text.split_inclusive(|b| *b == b'\n')
        .filter(|line| !prefixes.iter().any(|p| line.starts_with(p)))
        .flatten()
        .copied()
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATHS: Privacy =
        Privacy { paths: true, triage: false, no_optional: false, windows: false };
    const TRIAGE: Privacy =
        Privacy { paths: false, triage: true, no_optional: false, windows: false };
    const WINDOWS: Privacy = Privacy { windows: true, ..PATHS };

    fn stream(stream_type: StreamType, bytes: &[u8]) -> PlatformStream {
        PlatformStream { stream_type, bytes: bytes.to_vec().into() }
    }

    #[test]
    fn filter_paths_leaves_names_only() {
        assert_eq!(PATHS.path("/usr/lib/libc.so.6"), "libc.so.6");
        assert_eq!(PATHS.path("/usr/lib/"), "lib");
        assert_eq!(PATHS.path("[vdso]"), "[vdso]");
        assert_eq!(PATHS.path("/opt/größe/naïve"), "naïve");
        assert_eq!(PATHS.thread_name("/usr/sbin/x", "y"), "x");
        assert_eq!(PATHS.thread_name("pool/3", "y"), "pool/3");
        let text = b"/bin/x\0--config=/etc/a/b.toml\0PATH=/usr/bin:/bin\0";
        assert_eq!(*PATHS.text_bytes(text), *b"x\0--config=b.toml\0PATH=bin:bin\0");
        assert_eq!(Privacy::default().path("/a/b"), "/a/b");
    }

    #[test]
    fn a_path_with_spaces_or_brackets_leaves_no_part_of_a_folder() {
        for (text, shown) in [
            ("/home/ann lee/My Docs/x y.txt", "x y.txt"),
            ("cp /home/ann lee/a.txt /mnt/big disk/b", "cp a.txt b"),
            ("/opt/Tool (x86) 2/bin/x", "x"),
            ("open of '/a b/c d' failed", "open of 'c d' failed"),
            ("-I/a/b -L../c d/e", "e"),
            ("/home/ann lee/", "ann lee"),
            ("no path here", "no path here"),
            ("/", ""),
        ] {
            assert_eq!(PATHS.text(text), shown, "{text}");
        }
    }

    #[test]
    fn filter_triage_hides_all_but_system_paths() {
        for path in ["/srv/ann/app", "/data/app", "/usr/../home/ann/app", "home/ann/app"] {
            assert_eq!(TRIAGE.path(path), "app");
        }
        let cpu = stream(StreamType::LINUX_CPU_INFO, b"processor\t: 0\nSerial\t\t: 00ab\n");
        assert_eq!(*TRIAGE.platform_stream(&cpu).unwrap().to_bytes(), *b"processor\t: 0\n");
        assert_eq!(TRIAGE.path("/home/ann/app"), "app");
        assert_eq!(TRIAGE.path("/usr/lib/libc.so.6"), "/usr/lib/libc.so.6");
        assert!(TRIAGE.platform_stream(&stream(StreamType::LINUX_ENVIRON, b"A=1\0")).is_none());
        let release = b"# /depot/ann/x.erb\nPRETTY_NAME=\"GNU/Linux\"\nBUILT_BY=ann\n";
        let release = stream(StreamType::LINUX_LSB_RELEASE, release);
        let name = b"PRETTY_NAME=\"GNU/Linux\"\n";
        assert_eq!(*TRIAGE.platform_stream(&release).unwrap().to_bytes(), *name);
        let kept = PATHS.platform_stream(&release).unwrap();
        assert_eq!(*kept.to_bytes(), [&name[..], b"BUILT_BY=ann\n"].concat());
        let status = stream(StreamType::LINUX_PROC_STATUS, b"Name:\tx\nUid:\t1000\nVmRSS:\t4\n");
        assert_eq!(*TRIAGE.platform_stream(&status).unwrap().to_bytes(), *b"VmRSS:\t4\n");
    }

    #[test]
    fn filter_triage_hides_what_programs_name_themselves() {
        assert_eq!(TRIAGE.thread_name("a-long-program-", "a-long-program-name"), "a-long-program-");
        assert_eq!(TRIAGE.thread_name("for ann", "postgres"), "");
        assert_eq!(TRIAGE.path("/dev/shm/ann"), "ann");
        let maps = b"1000-2000 r--p 0 fe:00 1    /home/ann/app\n2000-3000 r-xp 0 fe:00 1    /home/ann/app\n4000-5000 r--s 0 fe:00 2    /home/ann/my diary\n6000-7000 rw-s 0 0:1 3    /memfd:ann (deleted)\n8000-9000 r--p 0 0:1 4    /usr/share/locale/C\n";
        let kept = TRIAGE.platform_stream(&stream(StreamType::LINUX_MAPS, maps)).unwrap();
        assert_eq!(
            std::str::from_utf8(&kept.to_bytes()).unwrap(),
            "1000-2000 r--p 0 fe:00 1    app\n2000-3000 r-xp 0 fe:00 1    app\n4000-5000 r--s 0 fe:00 2    \n6000-7000 rw-s 0 0:1 3    \n8000-9000 r--p 0 0:1 4    /usr/share/locale/C\n"
        );
    }

    #[test]
    fn what_a_process_calls_its_memory_has_no_path_and_under_triage_no_name() {
        let maps = b"1000-2000 rw-p 0 00:00 0    [anon:for ann/b]\n2000-3000 rw-s 0 0:1 4    [anon_shmem:ann]\n3000-4000 rw-p 0 00:00 0    [heap]\n";
        let kept = |privacy: Privacy| {
            let stream = stream(StreamType::LINUX_MAPS, maps);
            String::from_utf8_lossy(&privacy.platform_stream(&stream).unwrap().to_bytes())
                .into_owned()
        };
        assert_eq!(
            kept(PATHS),
            "1000-2000 rw-p 0 00:00 0    [anon:for b]\n2000-3000 rw-s 0 0:1 4    [anon_shmem:ann]\n3000-4000 rw-p 0 00:00 0    [heap]\n"
        );
        assert_eq!(
            kept(TRIAGE),
            "1000-2000 rw-p 0 00:00 0    [anon]\n2000-3000 rw-s 0 0:1 4    [anon_shmem]\n3000-4000 rw-p 0 00:00 0    [heap]\n"
        );
    }

    #[test]
    fn windows_paths_are_cut_at_backslashes() {
        assert_eq!(WINDOWS.path(r"C:\Users\ann lee\app.exe"), "app.exe");
        assert_eq!(WINDOWS.path(r"C:\Users\ann\"), "ann");
        assert_eq!(PATHS.path(r"a\b"), r"a\b", "a name on Linux");
        let triage = Privacy { paths: false, triage: true, ..WINDOWS };
        assert_eq!(triage.path(r"C:\WINDOWS\system32\ntdll.dll"), r"C:\WINDOWS\system32\ntdll.dll");
        assert_eq!(triage.path(r"D:\work\ann\x.dll"), "x.dll");
        assert_eq!(triage.path(r"C:\Windows\..\Users\ann\x.dll"), "x.dll");
        assert_eq!(&*WINDOWS.stored_path(b"c:\\b\\x.pdb\0\0"), b"x.pdb\0");
        let wide = |s: &str| s.encode_utf16().collect::<Vec<_>>();
        assert_eq!(WINDOWS.path_units(&wide(r"C:\Größe\naïve.exe")), wide("naïve.exe"));
        assert_eq!(WINDOWS.path_units(&wide("C:\\a\\b\\")), wide("b"));
        assert_eq!(WINDOWS.path_units(&wide("x")), wide("x"));
        assert_eq!(
            WINDOWS.text(r"*** procdump -ma C:\Users\ann\app.exe"),
            "*** procdump -ma C:app.exe"
        );
    }

    #[test]
    fn a_path_as_the_name_of_the_process_goes_from_its_status() {
        let status = stream(StreamType::LINUX_PROC_STATUS, b"Name:\t/a/b\nSigQ:\t0/9\n");
        assert_eq!(*PATHS.platform_stream(&status).unwrap().to_bytes(), *b"Name:\tb\nSigQ:\t0/9\n");
    }

    #[test]
    fn maps_keep_their_columns_and_lose_their_folders() {
        let maps = b"1000-2000 r-xp 00000000 fe:00 1234    /usr/my lib/a b.so (deleted)\n3000-4000 rw-p 00000000 00:00 0 \n";
        let kept = PATHS.platform_stream(&stream(StreamType::LINUX_MAPS, maps)).unwrap();
        assert_eq!(
            std::str::from_utf8(&kept.to_bytes()).unwrap(),
            "1000-2000 r-xp 00000000 fe:00 1234    a b.so (deleted)\n3000-4000 rw-p 00000000 00:00 0 \n"
        );
    }
}
