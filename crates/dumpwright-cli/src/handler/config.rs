//! The configuration file: TOML, with an error that names file, line and key
//! for whatever is wrong with it.

use super::crash::Crash;
use super::room::LEAST;
use super::rules::{Compress, Counted, DumpType, Rules};
use super::safe;
use crate::flag_args::parse_flags;
use crate::numbers::parse_size;
use crate::privacy::SANITIZE;
use dumpwright::FormatFlags;
use dumpwright::dot_dump::mini_flags;
use dumpwright::redact::{RedactPattern, Redactor};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Where the configuration is unless another file is named.
pub const DEFAULT_FILE: &str = "/etc/dumpwright/handler.toml";

/// The configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Where the handler keeps its record, its locks and what was there before.
    pub state: PathBuf,
    /// Dumps at a time.
    pub parallel: usize,
    /// How long a crash waits for its turn.
    pub wait: Duration,
    /// How long one dump may take.
    pub time_limit: Duration,
    /// Whether cores go on to the handler that was there before.
    pub forward: bool,
    /// Whether programs without a section are left alone.
    pub ignore_unlisted: bool,
    /// For programs without a section.
    pub rules: Rules,
    /// For programs with one, by file name or path of the executable.
    pub programs: BTreeMap<String, Rules>,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            state: "/var/lib/dumpwright".into(),
            parallel: 2,
            wait: Duration::from_secs(30),
            time_limit: Duration::from_secs(600),
            forward: false,
            ignore_unlisted: false,
            rules: Rules::default(),
            programs: BTreeMap::new(),
        }
    }
}

impl Config {
    /// Reads a file. That there is none is no error for the default one.
    pub fn read(file: &Path) -> Result<Config, String> {
        match fs::read_to_string(file) {
            Ok(text) => Self::parse(&text, file),
            Err(error)
                if error.kind() == io::ErrorKind::NotFound && file == Path::new(DEFAULT_FILE) =>
            {
                Ok(Config::default())
            }
            Err(error) => Err(format!("cannot read '{}': {error}", file.display())),
        }
    }

    /// Reads a file that nobody but root can have changed.
    pub fn of_root(file: &Path) -> Result<Config, String> {
        if file.exists() {
            safe::file(file)?;
        }
        Self::read(file)
    }

    /// The state folder that a file names, whatever else is wrong with it; the
    /// default one where it names none.
    pub fn state_of(file: &Path) -> PathBuf {
        let text = fs::read_to_string(file).unwrap_or_default();
        let (table, _) = DeTable::parse_recoverable(&text);
        let state = table.get_ref().get("state").and_then(|state| state.get_ref().as_str());
        let state = state.map(PathBuf::from);
        state.filter(|state| state.is_absolute()).unwrap_or_else(|| Config::default().state)
    }

    /// Every folder of dumps that it names.
    pub fn folders(&self) -> BTreeSet<&Path> {
        let rules = std::iter::once(&self.rules).chain(self.programs.values());
        rules.map(|rules| rules.folder.as_path()).collect()
    }

    fn parse(text: &str, file: &Path) -> Result<Config, String> {
        Parser { text, file }.config()
    }

    /// What is to be done about a crash; `None` if nothing.
    pub fn rules_for(&self, crash: &Crash) -> Option<&Rules> {
        let path = crash.executable.as_ref().and_then(|path| path.to_str());
        let name = crash.program().to_str();
        let section = [path, name].into_iter().flatten().find_map(|key| self.programs.get(key));
        let rules = section.or((!self.ignore_unlisted).then_some(&self.rules))?;
        (!rules.ignore).then_some(rules)
    }

    /// The programs whose dumps are counted apart, by file name.
    pub fn counted_apart(&self) -> BTreeSet<&str> {
        let own = self.programs.iter().filter(|(_, rules)| rules.counted == Counted::Program);
        own.filter_map(|(key, _)| key.rsplit('/').next()).collect()
    }
}

/// Reads values, and knows how to say what is wrong with one.
struct Parser<'t> {
    text: &'t str,
    file: &'t Path,
}

type Entry<'a, 'i> = (&'a Spanned<std::borrow::Cow<'i, str>>, &'a Spanned<DeValue<'i>>);

impl Parser<'_> {
    fn config(&self) -> Result<Config, String> {
        let document = DeTable::parse(self.text).map_err(|error| {
            let at = error.span().map_or(0, |span| span.start);
            let key = self.key_at(at);
            self.message(at, key, error.message())
        })?;
        let mut config = Config::default();
        for entry in document.get_ref() {
            if entry.0.get_ref() != "program" && !self.rule(&mut config.rules, entry)? {
                self.whole(&mut config, entry)?;
            }
        }
        self.check(&config.rules, 0, "")?;
        // Sections have what is said above them, wherever in the file that stands.
        for (key, value) in document.get_ref() {
            if key.get_ref() == "program" {
                let programs = self.table(key, value)?;
                for (name, section) in programs {
                    self.check_name(name)?;
                    let rules = self.section(&config.rules, name, section)?;
                    config.programs.insert(name.get_ref().to_string(), rules);
                }
            }
        }
        Ok(config)
    }

    fn section(
        &self,
        base: &Rules,
        name: &Spanned<std::borrow::Cow<'_, str>>,
        section: &Spanned<DeValue<'_>>,
    ) -> Result<Rules, String> {
        let mut rules = Rules { counted: Counted::Folder, ..base.clone() };
        let section = self.table(name, section)?;
        if section.contains_key("type") {
            // Flags of another type mean nothing for this one.
            rules.flags = FormatFlags::empty();
        }
        for entry in section {
            if entry.0.get_ref() == "count" {
                rules.counted = Counted::Program;
            }
            if !self.rule(&mut rules, entry)? {
                return Err(self.unknown(entry.0));
            }
        }
        let at = name.span().start;
        self.check(&rules, at, &format!("program.\"{}\"", name.get_ref()))?;
        Ok(rules)
    }

    /// A name that no program can have would be a section without effect.
    fn check_name(&self, name: &Key<'_>) -> Result<(), String> {
        let text = name.get_ref().as_ref();
        let is_name = !text.is_empty() && !text.contains('/');
        let is_path = text.starts_with('/') && !text.ends_with('/');
        if (is_name || is_path) && !text.contains(['*', '?']) {
            return Ok(());
        }
        let what = "a section is for one program: a file name or an absolute path, no pattern";
        Err(self.message(name.span().start, text, what))
    }

    /// Combinations that make no sense.
    fn check(&self, rules: &Rules, at: usize, key: &str) -> Result<(), String> {
        let custom = rules.kind == DumpType::Custom;
        if custom && rules.flags.is_empty() {
            return Err(self.message(at, key, "type = \"custom\" needs flags"));
        }
        if !custom && !rules.flags.is_empty() {
            return Err(self.message(at, key, "flags are for type = \"custom\""));
        }
        if let Err(error) = rules.request(Path::new("x.dmp"), 0).validate() {
            return Err(self.message(at, key, &error.to_string()));
        }
        Ok(())
    }

    /// A key that sections have too; `false` if it is none.
    fn rule(&self, rules: &mut Rules, (key, value): Entry<'_, '_>) -> Result<bool, String> {
        match key.get_ref().as_ref() {
            "folder" => rules.folder = self.absolute(key, value)?,
            "count" => rules.count = self.number(key, value, 1..=100_000)? as usize,
            "type" => {
                rules.kind = self.one_of(
                    key,
                    value,
                    &[
                        ("mini", DumpType::Mini),
                        ("full", DumpType::Full),
                        ("custom", DumpType::Custom),
                    ],
                )?;
            }
            "flags" => rules.flags = self.flags(key, value)?,
            "comment" => rules.comment = Some(self.string(key, value)?.to_owned()),
            "max-size" => rules.max_size = Some(self.size_of_dumps(key, value)?),
            "compress" => {
                let values = [("none", Compress::None), ("cab", Compress::Cab)];
                rules.compress = self.one_of(key, value, &values)?;
            }
            "sanitize" => rules.sanitize = self.sanitize(key, value)?,
            "redact" => rules.redact = self.redact(key, value)?,
            "budget" => rules.budget = self.size_of_dumps(key, value)?,
            "min-free" => rules.min_free = self.size(key, value)?,
            "ignore" => rules.ignore = self.boolean(key, value)?,
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// A key that only stands above all sections.
    fn whole(&self, config: &mut Config, (key, value): Entry<'_, '_>) -> Result<(), String> {
        match key.get_ref().as_ref() {
            "state" => config.state = self.absolute(key, value)?,
            "parallel" => config.parallel = self.number(key, value, 1..=256)? as usize,
            "wait" => config.wait = Duration::from_secs(self.number(key, value, 0..=3600)?),
            "time-limit" => {
                config.time_limit = Duration::from_secs(self.number(key, value, 1..=86_400)?);
            }
            "forward" => config.forward = self.boolean(key, value)?,
            "unlisted" => {
                config.ignore_unlisted =
                    self.one_of(key, value, &[("dump", false), ("ignore", true)])?;
            }
            _ => return Err(self.unknown(key)),
        }
        Ok(())
    }

    fn table<'a, 'i>(
        &self,
        key: &Key<'_>,
        value: &'a Spanned<DeValue<'i>>,
    ) -> Result<&'a DeTable<'i>, String> {
        value.get_ref().as_table().ok_or_else(|| self.wrong(key, value, "a table"))
    }

    fn string<'a>(
        &self,
        key: &Key<'_>,
        value: &'a Spanned<DeValue<'_>>,
    ) -> Result<&'a str, String> {
        value.get_ref().as_str().ok_or_else(|| self.wrong(key, value, "a string"))
    }

    fn boolean(&self, key: &Key<'_>, value: &Spanned<DeValue<'_>>) -> Result<bool, String> {
        value.get_ref().as_bool().ok_or_else(|| self.wrong(key, value, "true or false"))
    }

    fn absolute(&self, key: &Key<'_>, value: &Spanned<DeValue<'_>>) -> Result<PathBuf, String> {
        let path = PathBuf::from(self.string(key, value)?);
        if path.is_absolute() { Ok(path) } else { Err(self.wrong(key, value, "an absolute path")) }
    }

    fn number(
        &self,
        key: &Key<'_>,
        value: &Spanned<DeValue<'_>>,
        range: std::ops::RangeInclusive<u64>,
    ) -> Result<u64, String> {
        let number = integer(value.get_ref()).filter(|number| range.contains(number));
        number.ok_or_else(|| {
            let expected = format!("a number from {} to {}", range.start(), range.end());
            self.wrong(key, value, &expected)
        })
    }

    fn size(&self, key: &Key<'_>, value: &Spanned<DeValue<'_>>) -> Result<u64, String> {
        let text = value.get_ref().as_str();
        let size = text.map_or_else(|| integer(value.get_ref()), |text| parse_size(text).ok());
        size.ok_or_else(|| self.wrong(key, value, "a size, such as 1048576 or \"64M\""))
    }

    /// A size that leaves room for a dump.
    fn size_of_dumps(&self, key: &Key<'_>, value: &Spanned<DeValue<'_>>) -> Result<u64, String> {
        let size = self.size(key, value)?;
        if size >= LEAST {
            return Ok(size);
        }
        Err(self.wrong(key, value, "room for any dump; give 256K or more"))
    }

    fn one_of<T: Copy>(
        &self,
        key: &Key<'_>,
        value: &Spanned<DeValue<'_>>,
        values: &[(&str, T)],
    ) -> Result<T, String> {
        let text = value.get_ref().as_str();
        let found = values.iter().find(|(name, _)| text == Some(*name));
        found.map(|(_, value)| *value).ok_or_else(|| {
            let names: Vec<_> = values.iter().map(|(name, _)| format!("\"{name}\"")).collect();
            self.wrong(key, value, &names.join(" or "))
        })
    }

    /// Letters of `-m`, or names and values of `DEBUG_FORMAT_*`.
    fn flags(&self, key: &Key<'_>, value: &Spanned<DeValue<'_>>) -> Result<FormatFlags, String> {
        let text = self.string(key, value)?;
        mini_flags(text).or_else(|_| parse_flags(text)).map_err(|error| {
            self.message(value.span().start, key.get_ref(), &format!("{error}, nor letters of -m"))
        })
    }

    fn sanitize(&self, key: &Key<'_>, value: &Spanned<DeValue<'_>>) -> Result<FormatFlags, String> {
        let values = [
            ("memory", FormatFlags::USER_SMALL_FILTER_MEMORY),
            ("paths", FormatFlags::USER_SMALL_FILTER_PATHS),
            ("triage", FormatFlags::USER_SMALL_FILTER_TRIAGE),
            ("optional", FormatFlags::USER_SMALL_NO_OPTIONAL_DATA),
        ];
        match value.get_ref() {
            DeValue::Boolean(all) => Ok(if *all { SANITIZE } else { FormatFlags::empty() }),
            DeValue::Array(filters) => filters.iter().try_fold(FormatFlags::empty(), |flags, f| {
                Ok(flags | self.one_of(key, f, &values)?)
            }),
            _ => Err(self.wrong(key, value, "true, false or a list of filters")),
        }
    }

    /// Patterns, named by their place in the list: they can be secret themselves.
    fn redact(
        &self,
        key: &Key<'_>,
        value: &Spanned<DeValue<'_>>,
    ) -> Result<Vec<RedactPattern>, String> {
        let list = value.get_ref().as_array();
        let list = list.ok_or_else(|| self.wrong(key, value, "a list of regular expressions"))?;
        let mut patterns = Vec::new();
        for (number, regex) in (1..).zip(list.iter()) {
            let pattern = RedactPattern {
                name: format!("redact {number}"),
                regex: self.string(key, regex)?.to_owned(),
            };
            Redactor::new(std::slice::from_ref(&pattern)).map_err(|error| {
                self.message(regex.span().start, key.get_ref(), &error.to_string())
            })?;
            patterns.push(pattern);
        }
        Ok(patterns)
    }

    fn wrong(&self, key: &Key<'_>, value: &Spanned<DeValue<'_>>, expected: &str) -> String {
        let given = &self.text[value.span()];
        self.message(value.span().start, key.get_ref(), &format!("{given} is not {expected}"))
    }

    fn unknown(&self, key: &Key<'_>) -> String {
        self.message(key.span().start, key.get_ref(), "no such key; see `handler install --help`")
    }

    fn message(&self, at: usize, key: &str, what: &str) -> String {
        let line = self.text[..at].matches('\n').count() + 1;
        let key = if key.is_empty() { String::new() } else { format!(", '{key}'") };
        format!("'{}' line {line}{key}: {}", self.file.display(), what.replace('\n', " "))
    }

    /// The key on the line of a place that is no TOML.
    fn key_at(&self, at: usize) -> &str {
        let start = self.text[..at].rfind('\n').map_or(0, |newline| newline + 1);
        let line = self.text[start..].lines().next().unwrap_or_default();
        line.split('=').next().unwrap_or_default().trim()
    }
}

type Key<'i> = Spanned<std::borrow::Cow<'i, str>>;

fn integer(value: &DeValue<'_>) -> Option<u64> {
    let integer = value.as_integer()?;
    u64::from_str_radix(&integer.as_str().replace('_', ""), integer.radix()).ok()
}

#[cfg(test)]
mod tests;
