//! `handler status`.

use super::StatusArgs;
use super::config::{Config, DEFAULT_FILE};
use super::folder::Folder;
use super::install::{SYS, SYSCTL_FILE, no_forward, previous};
use super::kernel::Settings;
use super::record::{self, Entry, plain};
use super::rules::{Compress, DumpType, Rules};
use super::safe;
use crate::output::{Outcome, json, print};
use dumpwright::time::CivilTime;
use indicatif::BinaryBytes;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Crashes that are shown.
const LAST: usize = 10;

/// What there is to say.
#[derive(Serialize)]
struct Status {
    installed: bool,
    /// Whether it is set up again at the next boot.
    persistent: bool,
    #[serde(flatten)]
    settings: Settings,
    /// What was there before.
    #[serde(skip_serializing_if = "Option::is_none")]
    previous: Option<Settings>,
    config: PathBuf,
    config_exists: bool,
    forward: bool,
    parallel: usize,
    folders: BTreeMap<PathBuf, Usage>,
    programs: BTreeMap<String, Section>,
    last: Vec<Entry>,
    /// Why crashes are not dumped, or not as the configuration wants.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    trouble: Vec<String>,
}

/// A folder of dumps.
#[derive(Default, Serialize)]
struct Usage {
    dumps: usize,
    bytes: u64,
    budget: u64,
}

/// What is done for programs.
#[derive(Serialize)]
struct Section {
    #[serde(rename = "type")]
    kind: DumpType,
    compress: Compress,
    count: usize,
    sanitized: bool,
    ignore: bool,
}

/// `dumpwright handler status`.
pub fn run(args: &StatusArgs) -> Outcome {
    let settings = Settings::read(Path::new(SYS))?;
    let ours = settings.ours();
    let installed_config = ours.as_ref().map(|(_, config)| config.clone());
    let file = args.config.clone().or(installed_config).unwrap_or_else(|| DEFAULT_FILE.into());
    // A mistake in it is for the status to tell, not a reason to tell nothing.
    let (config, mistake) = match Config::read(&file) {
        Ok(config) => (config, None),
        Err(why) => (
            Config { state: Config::state_of(&file), ..Config::default() },
            Some(format!("{why}; until that is mended nothing is dumped")),
        ),
    };
    let previous = previous(&config.state).ok();
    let trouble = trouble(&config, ours.as_ref(), previous.as_ref(), mistake.as_ref());
    let known = mistake.is_none();
    let status = Status {
        installed: ours.is_some(),
        persistent: Path::new(SYSCTL_FILE).exists(),
        settings,
        previous,
        config_exists: file.exists(),
        config: file,
        forward: config.forward,
        parallel: config.parallel,
        folders: if known { usage(&config) } else { BTreeMap::new() },
        programs: if known { sections(&config) } else { BTreeMap::new() },
        last: record::last(&config.state, LAST),
        trouble: mistake.into_iter().chain(trouble).collect(),
    };
    let text = if args.json { json(&status)? } else { status.text() };
    print(&text)?;
    Ok(if status.trouble.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What keeps an installed handler from its work.
fn trouble(
    config: &Config,
    ours: Option<&(PathBuf, PathBuf)>,
    previous: Option<&Settings>,
    mistake: Option<&String>,
) -> Vec<String> {
    let mut trouble = Vec::new();
    let Some((program, file)) = ours else { return trouble };
    trouble.extend(safe::file(program).err());
    if mistake.is_none() {
        // That the default one is not there is no mistake.
        trouble.extend(file.exists().then(|| safe::file(file).err()).flatten());
        trouble.extend(previous.and_then(|previous| no_forward(config, previous)));
        // Others than root do not see into them.
        if rustix::process::geteuid().is_root() {
            let folders = config.folders().into_iter().chain([config.state.as_path()]);
            trouble.extend(folders.filter_map(|folder| safe::look(folder).err()));
        }
    }
    trouble
}

fn sections(config: &Config) -> BTreeMap<String, Section> {
    let mut programs: BTreeMap<_, _> =
        config.programs.iter().map(|(name, rules)| (name.clone(), Section::of(rules))).collect();
    let mut others = Section::of(&config.rules);
    others.ignore |= config.ignore_unlisted;
    programs.insert("*".into(), others);
    programs
}

fn usage(config: &Config) -> BTreeMap<PathBuf, Usage> {
    let mut folders = BTreeMap::new();
    for rules in std::iter::once(&config.rules).chain(config.programs.values()) {
        let usage: &mut Usage = folders.entry(rules.folder.clone()).or_default();
        usage.budget = usage.budget.max(rules.budget);
        // Not made for a mere look.
        if rules.folder.is_dir()
            && let Ok(dumps) =
                Folder::open(&rules.folder).and_then(|f| f.dumps().map_err(|e| e.to_string()))
        {
            usage.dumps = dumps.len();
            usage.bytes = dumps.iter().map(|dump| dump.size).sum();
        }
    }
    folders
}

impl Section {
    fn of(rules: &Rules) -> Section {
        Section {
            kind: rules.kind,
            compress: rules.compress,
            count: rules.count,
            sanitized: !rules.sanitize.is_empty(),
            ignore: rules.ignore,
        }
    }

    fn text(&self) -> String {
        if self.ignore {
            return "no dump".into();
        }
        let kind = match self.kind {
            DumpType::Mini => "mini",
            DumpType::Full => "full",
            DumpType::Custom => "custom",
        };
        let cab = if self.compress == Compress::Cab { ", CAB" } else { "" };
        let sanitized = if self.sanitized { ", sanitized" } else { "" };
        format!("{kind}{cab}{sanitized}, {} kept", self.count)
    }
}

impl Status {
    fn text(&self) -> String {
        let mut out = String::new();
        let mut line = |label: &str, value: &str| {
            // Names come from programs and must not talk to the terminal; writing to
            // a String cannot fail.
            let _ = writeln!(out, "{label:<11}{}", plain(value));
        };
        let installed = match (self.installed, self.persistent) {
            (true, true) => "yes",
            (true, false) => "until the next boot",
            (false, true) => "no; it will be at the next boot",
            (false, false) => "no",
        };
        line("installed", installed);
        line("pattern", &self.settings.core_pattern);
        line("pipe limit", &self.settings.core_pipe_limit);
        let setuid = if self.settings.suid_dumpable == "0" { "not dumped" } else { "dumped" };
        line("setuid", setuid);
        if let Some(previous) = &self.previous {
            line("before", &previous.core_pattern);
        }
        let missing = if self.config_exists { "" } else { " (not there: defaults)" };
        line("config", &format!("{}{missing}", self.config.display()));
        if self.forward {
            line("forward", "yes");
        }
        for (program, section) in &self.programs {
            line("program", &format!("{program}: {}", section.text()));
        }
        for (folder, usage) in &self.folders {
            let (bytes, budget) = (BinaryBytes(usage.bytes), BinaryBytes(usage.budget));
            let text = format!("{}: {} dumps, {bytes} of {budget}", folder.display(), usage.dumps);
            line("folder", &text);
        }
        for entry in &self.last {
            line("crash", &crash(entry));
        }
        for trouble in &self.trouble {
            line("trouble", trouble);
        }
        if !rustix::process::geteuid().is_root() {
            line("note", "dumps and crashes are for root to see; run it with sudo");
        }
        out
    }
}

fn crash(entry: &Entry) -> String {
    let outcome = match entry.outcome {
        record::Outcome::Dumped => "dumped",
        record::Outcome::Ignored => "ignored",
        record::Outcome::Skipped => "skipped",
        record::Outcome::Failed => "failed",
    };
    let file = entry.file.as_ref().map(|file| format!(" {}", file.display())).unwrap_or_default();
    let messages = if entry.messages.is_empty() {
        String::new()
    } else {
        format!(" ({})", entry.messages.join("; "))
    };
    format!(
        "{}  {} ({}) signal {}: {outcome}{file}{messages}",
        CivilTime::from_unix(entry.time / 1000),
        entry.program,
        entry.pid,
        entry.signal
    )
}
