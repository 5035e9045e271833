use super::*;
use proptest::prelude::*;
use std::ffi::OsString;

fn parse(text: &str) -> Result<Config, String> {
    Config::parse(text, Path::new("h.toml"))
}

fn crash(path: &str) -> Crash {
    Crash { executable: Some(path.into()), name: OsString::from("thread"), ..Crash::default() }
}

#[test]
fn an_empty_file_is_the_default() {
    assert_eq!(parse("").unwrap(), Config::default());
    assert!(Config::read(Path::new("/nowhere/x.toml")).unwrap_err().contains("/nowhere/x.toml"));
}

#[test]
fn a_section_has_what_stands_above_and_its_own() {
    let config = parse(
        r#"
        [program."nginx"]
        type = "full"
        count = 3
        [program."/opt/a b/server"]
        type = "custom"
        flags = "Fhut"
        sanitize = ["paths", "triage"]
        redact = ["secret=\\w+"]
        max-size = 1_000_000
        [program.quiet]
        ignore = true
        "#,
    )
    .unwrap();
    let nginx = config.rules_for(&crash("/usr/sbin/nginx")).unwrap();
    assert_eq!((nginx.kind, nginx.count, nginx.counted), (DumpType::Full, 3, Counted::Program));
    let server = config.rules_for(&crash("/opt/a b/server")).unwrap();
    assert_eq!(server.flags, mini_flags("Fhut").unwrap());
    assert_eq!((server.max_size, server.counted), (Some(1_000_000), Counted::Folder));
    assert_eq!(server.redact[0].regex, "secret=\\w+");
    assert!(!server.sanitize.contains(FormatFlags::USER_SMALL_FILTER_MEMORY));
    assert_eq!(config.rules_for(&crash("/usr/bin/quiet")), None);
    assert_eq!(config.rules_for(&crash("/usr/bin/other")), Some(&config.rules));
    assert_eq!(config.counted_apart(), BTreeSet::from(["nginx"]));
}

#[test]
fn what_stands_above_counts_for_sections_and_unlisted_programs_can_be_ignored() {
    let text = "budget = \"1G\"\nunlisted = \"ignore\"\nparallel = 4\nwait = 0\nforward = true\n\
                comment = \"from here\"\nsanitize = true\ncompress = \"cab\"\n[program.x]\n";
    let config = parse(text).unwrap();
    assert_eq!((config.parallel, config.wait, config.forward), (4, Duration::ZERO, true));
    assert_eq!(config.rules_for(&crash("/bin/y")), None);
    let x = config.rules_for(&crash("/bin/x")).unwrap();
    assert_eq!((x.budget, x.sanitize, x.extension()), (1 << 30, SANITIZE, "cab"));
    assert_eq!(x.comment.as_deref(), Some("from here"));
}

#[test]
fn flags_are_letters_or_names() {
    let flags = |text: &str| {
        parse(&format!("type = \"custom\"\nflags = \"{text}\"")).map(|config| config.rules.flags)
    };
    assert_eq!(flags("h"), Ok(FormatFlags::USER_SMALL_HANDLE_DATA));
    assert_eq!(flags("HANDLE_DATA, 0x800"), parse_flags("0x802").or(flags("0x802")));
    assert!(flags("zz").unwrap_err().contains("line 2, 'flags'"));
}

#[test]
fn every_error_names_file_line_and_key() {
    for (text, named, what) in [
        ("\ncounts = 3", "'h.toml' line 2, 'counts'", "no such key"),
        ("count = 0", "line 1, 'count'", "0 is not a number from 1 to 100000"),
        ("count = \"3\"", "line 1, 'count'", "\"3\" is not"),
        ("x = 1\ny", "line 2, 'y'", ""),
        ("type = \"huge\"", "line 1, 'type'", "\"mini\" or \"full\" or \"custom\""),
        ("folder = \"here\"", "line 1, 'folder'", "absolute"),
        ("budget = \"lots\"", "line 1, 'budget'", "\"64M\""),
        ("budget = -1", "line 1, 'budget'", "-1"),
        ("sanitize = [\"all\"]", "line 1, 'sanitize'", "\"memory\""),
        ("redact = \"x\"", "line 1, 'redact'", "a list"),
        ("redact = [\n \"a\",\n \"[\"]", "line 3, 'redact'", "redact 2"),
        ("forward = 1", "line 1, 'forward'", "true or false"),
        ("program = 1", "line 1, 'program'", "a table"),
        ("[program.a]\nparallel = 1", "line 2, 'parallel'", "no such key"),
        ("[program.a]\ntype = \"custom\"", "line 1, 'program.\"a\"'", "needs flags"),
        ("[program.a]\nflags = \"h\"", "line 1, 'program.\"a\"'", "for type = \"custom\""),
        ("comment = \"a\\u0000b\"", "line 1", "NUL"),
        ("budget = \"1K\"", "line 1, 'budget'", "256K"),
        ("[program.a]\nmax-size = 2", "line 2, 'max-size'", "256K"),
        ("[program.\"*\"]", "line 1, '*'", "no pattern"),
        ("[program.\"bin/x\"]", "line 1, 'bin/x'", "absolute path"),
        ("[program.\"\"]", "line 1", "a file name"),
    ] {
        let error = parse(text).unwrap_err();
        assert!(error.contains(named) && error.contains(what), "{text}: {error}");
        assert_eq!(error.lines().count(), 1, "{error}");
    }
}

#[test]
fn the_state_folder_is_known_whatever_else_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("h.toml");
    for text in ["", "count = 0\n", "nonsense = [\n"] {
        fs::write(&file, format!("state = \"/some/where\"\n{text}")).unwrap();
        assert_eq!(Config::state_of(&file), Path::new("/some/where"), "{text}");
    }
    fs::write(&file, "state = \"relative\"").unwrap();
    assert_eq!(Config::state_of(&file), Config::default().state);
    assert_eq!(Config::state_of(Path::new("/nowhere/x.toml")), Config::default().state);
}

#[test]
fn a_configuration_that_others_can_change_is_not_gone_by() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("h.toml");
    fs::write(&file, "").unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    assert_eq!(Config::of_root(&file), Ok(Config::default()));
    fs::set_permissions(&file, fs::Permissions::from_mode(0o666)).unwrap();
    assert!(Config::of_root(&file).unwrap_err().contains("chmod go-w"));
}

/// A line of a configuration, or nearly one.
fn line() -> impl Strategy<Value = String> {
    let key = prop_oneof![
        "(folder|count|type|flags|comment|max-size|compress|sanitize|redact|budget|min-free|ignore)",
        "(state|parallel|wait|time-limit|forward|unlisted|program|other)",
        "program\\.[a-z\"é/*.]{0,6}",
        "[a-zé.\" -]{0,6}",
    ];
    let value = prop_oneof![
        "\"(/d|mini|full|custom|cab|none|a|Fhut|64M|1K|\\\\u0000|é|\\PC{0,6})\"",
        "-?(0x|0o|0b)?[0-9_]{1,24}",
        "(true|false|inf|nan|1979-05-27|1.5e300)",
        "\\[(\"(memory|paths|[a-z(\\[]{0,4})\",?[ \n]?){0,3}\\]",
        "\\{ ?(count ?= ?3)?,? ?\\}",
        "(\"\"\"|''')\\PC{0,8}\n?\\PC{0,8}(\"\"\"|''')?",
    ];
    prop_oneof![
        4 => (key, value).prop_map(|(key, value)| format!("{key} = {value}")),
        1 => "\\[\\[?(program)?\\.?[a-z\"é/]{0,6}\\]?\\]",
        1 => "\\PC{0,12}",
    ]
}

proptest! {
    #[test]
    fn any_text_is_a_configuration_or_an_error_of_one_line(
        lines in prop::collection::vec(line(), 0..8),
        end in prop_oneof![Just("\n"), Just("\r\n"), Just("\r")],
    ) {
        if let Err(error) = parse(&lines.join(end)) {
            prop_assert_eq!(error.lines().count(), 1, "{}", error);
            prop_assert!(error.starts_with("'h.toml' line "), "{}", error);
        }
    }
}
