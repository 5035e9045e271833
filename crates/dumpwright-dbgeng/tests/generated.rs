//! The files that are made of the lists of interfaces are as the lists say.
//! `DUMPWRIGHT_UPDATE=1 cargo test -p dumpwright-dbgeng --test generated` makes
//! them anew.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use dumpwright::FormatFlags;
use dumpwright_dbgeng::interfaces::FAMILIES;
use dumpwright_dbgeng::vtable::{Interface, Method};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Compares a checked-in file with what it should be, or makes it.
fn check(file: &str, expected: &str) {
    let path = root().join(file);
    if std::env::var_os("DUMPWRIGHT_UPDATE").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, expected).unwrap();
        return;
    }
    let found = fs::read_to_string(&path).unwrap_or_default();
    assert!(found == expected, "{file} is not what the lists say; see this test's documentation");
}

fn c_type(rust: &str) -> &'static str {
    match rust.replace(' ', "").as_str() {
        "u8" => "UCHAR",
        "u16" => "USHORT",
        "u32" => "ULONG",
        "u64" => "ULONG64",
        "i32" => "LONG",
        "Str" => "PCSTR",
        "StrBuf" => "PSTR",
        "Wide" => "PCWSTR",
        "WideBuf" => "PWSTR",
        "Raw" | "Buffer" => "void *",
        "Bytes" => "const void *",
        "Out<Raw>" => "void **",
        "Out<u32>" => "ULONG *",
        "Out<i32>" => "LONG *",
        "Out<u64>" => "ULONG64 *",
        "In<u32>" => "const ULONG *",
        "In<u64>" => "const ULONG64 *",
        "In<Guid>" => "const GUID *",
        "Out<ModuleParameters>" => "DEBUG_MODULE_PARAMETERS *",
        "Out<MemoryBasicInformation>" => "MEMORY_BASIC_INFORMATION64 *",
        other => panic!("no C type is known for {other}"),
    }
}

fn declaration(method: &Method) -> String {
    let mut arguments = String::new();
    for (name, ty) in method.arguments {
        let ty = c_type(ty);
        let space = if ty.ends_with('*') { "" } else { " " };
        write!(arguments, ", {ty}{space}{name}").unwrap();
    }
    format!("HRESULT (DUMPWRIGHT_CALL *{})(T *This{arguments});", method.name)
}

fn guid(interface: &Interface) -> String {
    let value = interface.iid.to_u128();
    let data4: Vec<_> = (value as u64).to_be_bytes().iter().map(|b| format!("0x{b:02x}")).collect();
    format!(
        "{{0x{:08x}, 0x{:04x}, 0x{:04x}, {{{}}}}}",
        (value >> 96) as u32,
        (value >> 80) as u16,
        (value >> 64) as u16,
        data4.join(", ")
    )
}

fn header() -> String {
    let mut out = include_str!("header/start.h").to_owned();
    for (name, flag) in FormatFlags::all().iter_names() {
        writeln!(out, "#define DEBUG_FORMAT_{name} 0x{:08X}u", flag.bits()).unwrap();
    }
    writeln!(
        out,
        "/* With DEBUG_FORMAT_WRITE_CAB only; without it the bit is SCAN_PARTIAL_PAGES. */\n\
         #define DEBUG_FORMAT_CAB_SECONDARY_ALL_IMAGES 0x10000000u\n"
    )
    .unwrap();
    for family in FAMILIES {
        for (index, interface) in family.iter().enumerate() {
            let name = interface.name;
            writeln!(out, "#define DUMPWRIGHT_{name}_METHODS(T) \\").unwrap();
            let methods: Vec<_> =
                interface.methods.iter().map(|m| format!("    {}", declaration(m))).collect();
            writeln!(out, "{}\n", methods.join(" \\\n")).unwrap();
            writeln!(out, "typedef struct {name} {name};\ntypedef struct {name}Vtbl {{").unwrap();
            writeln!(out, "    DUMPWRIGHT_UNKNOWN({name})").unwrap();
            for earlier in &family[..=index] {
                writeln!(out, "    DUMPWRIGHT_{}_METHODS({name})", earlier.name).unwrap();
            }
            writeln!(out, "}} {name}Vtbl;").unwrap();
            writeln!(out, "struct {name} {{\n    const {name}Vtbl *lpVtbl;\n}};").unwrap();
            writeln!(out, "static const GUID IID_{name} =\n    {};\n", guid(interface)).unwrap();
        }
    }
    out + include_str!("header/end.h")
}

#[test]
fn the_header_declares_what_the_library_has() {
    check("include/dumpwright-dbgeng.h", &header());
}

#[test]
fn the_table_of_methods_is_true() {
    let mut out = String::from(
        "# What the dbgeng interfaces do\n\n\
         Generated of the lists in `crates/dumpwright-dbgeng/src/interfaces`. Each interface\n\
         has also the methods of the one above it. A method that does not work answers\n\
         `E_NOTIMPL`; it is there, in its place, and touches none of its arguments.\n",
    );
    for family in FAMILIES {
        write!(
            out,
            "\n## {}\n\n| interface | works | `E_NOTIMPL` |\n|---|---|---|\n",
            family[0].name
        )
        .unwrap();
        for interface in family {
            let list = |implemented: bool| {
                let names: Vec<_> = interface
                    .methods
                    .iter()
                    .filter(|m| m.implemented == implemented)
                    .map(|m| m.name)
                    .collect();
                names.join(", ")
            };
            writeln!(out, "| `{}` | {} | {} |", interface.name, list(true), list(false)).unwrap();
        }
    }
    check("docs/dbgeng-methods.md", &out);
}

/// Order and number of methods are those of an independent header.
#[test]
fn the_lists_are_those_of_mingws_dbgeng_h() {
    const HEADERS: [&str; 2] =
        ["/usr/share/mingw-w64/include/dbgeng.h", "/usr/x86_64-w64-mingw32/include/dbgeng.h"];
    let Some(header) = HEADERS.iter().find_map(|h| fs::read(h).ok()) else {
        let required = std::env::var("DUMPWRIGHT_REQUIRE_READERS").is_ok_and(|v| v != "0");
        assert!(!required, "mingw-w64's dbgeng.h is missing (DUMPWRIGHT_REQUIRE_READERS is set)");
        eprintln!("SKIPPED: the lists of interfaces: no dbgeng.h; install mingw-w64-common");
        return;
    };
    let header = String::from_utf8_lossy(&header);
    let mut compared = 0;
    for family in FAMILIES {
        let mut ours = vec!["QueryInterface", "AddRef", "Release"];
        for interface in family {
            ours.extend(interface.methods.iter().map(|m| m.name));
            let start = format!("DECLARE_INTERFACE_({},IUnknown)", interface.name);
            let Some((_, rest)) = header.split_once(&start) else { continue };
            let body = rest.split("};").next().unwrap();
            let theirs: Vec<_> = body
                .lines()
                .filter_map(|line| line.trim().strip_prefix("STDMETHOD"))
                .filter_map(|line| {
                    let inside = line.split_once('(')?.1.split_once(')')?.0;
                    Some(inside.rsplit(',').next().unwrap_or(inside))
                })
                .collect();
            assert_eq!(ours, theirs, "{}", interface.name);
            compared += 1;
        }
    }
    assert!(compared >= 14, "only {compared} interfaces were found in dbgeng.h");
}

/// What a header defines as numbers.
fn numbers(header: &str) -> BTreeMap<&str, u64> {
    header.lines().filter_map(define).collect()
}

fn define(line: &str) -> Option<(&str, u64)> {
    let mut words = line.strip_prefix("#define ")?.split_whitespace();
    let (name, value) = (words.next()?, words.next()?.trim_matches(['(', ')']));
    let number = match value.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok()?,
        None => value.parse().ok()?,
    };
    Some((name, number))
}

#[test]
fn the_constants_are_those_of_mingw_s_header() {
    const THEIRS: &str = "/usr/share/mingw-w64/include/dbgeng.h";
    let Ok(theirs) = fs::read(THEIRS) else {
        eprintln!("SKIPPED for want of mingw-w64: constants held against its dbgeng.h");
        let required = std::env::var_os("DUMPWRIGHT_REQUIRE_READERS").is_some_and(|v| v != "0");
        assert!(!required, "DUMPWRIGHT_REQUIRE_READERS");
        return;
    };
    let theirs = String::from_utf8_lossy(&theirs);
    let ours = fs::read_to_string(root().join("include/dumpwright-dbgeng.h")).unwrap();
    let (theirs, ours) = (numbers(&theirs), numbers(&ours));
    let both: Vec<_> =
        ours.iter().filter_map(|(name, ours)| Some((name, *ours, *theirs.get(name)?))).collect();
    assert!(both.len() > 60, "{} constants are in both", both.len());
    for (name, ours, theirs) in both {
        assert_eq!(ours, theirs, "{name}");
    }
}
