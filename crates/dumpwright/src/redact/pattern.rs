//! Patterns, and their UTF-16 forms.

use crate::error::{Error, Result};
use regex::bytes::{Regex, RegexBuilder};
use regex_syntax::ParserBuilder;
use regex_syntax::hir::{Class, ClassBytes, ClassBytesRange, ClassUnicode, Hir, HirKind, Look};
use serde::Serialize;

/// Bytes of a match that is found whole, wherever it lies.
pub const MAX_MATCH: usize = 64 << 10;
/// Bytes that a compiled pattern may have.
const SIZE_LIMIT: usize = 64 << 20;

/// A pattern to be redacted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedactPattern {
    /// What the audit list calls it; the pattern itself may be a secret.
    pub name: String,
    /// A regular expression as the `regex` crate has them.
    pub regex: String,
}

/// How text is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Encoding {
    /// UTF-8, and with it ASCII.
    #[serde(rename = "utf-8")]
    Utf8,
    /// UTF-16, little-endian.
    #[serde(rename = "utf-16le")]
    Utf16,
}

/// Compiled patterns.
#[derive(Clone, Debug)]
pub struct Redactor {
    names: Vec<String>,
    pub(super) searches: Vec<Search>,
}

/// A pattern in one encoding.
#[derive(Clone, Debug)]
pub(super) struct Search {
    pub pattern: usize,
    pub encoding: Encoding,
    pub regex: Regex,
}

impl Redactor {
    /// Compiles patterns.
    ///
    /// # Errors
    /// [`Error::InvalidRequest`] for a pattern that is none, that matches where
    /// nothing is, or that asks for the start or end of the text, which memory
    /// does not have.
    pub fn new(patterns: &[RedactPattern]) -> Result<Redactor> {
        let mut redactor = Redactor { names: Vec::new(), searches: Vec::new() };
        for (index, pattern) in patterns.iter().enumerate() {
            let fail = |reason: String| {
                Error::InvalidRequest(format!(
                    "redaction pattern '{}' cannot be used: {reason}",
                    pattern.name
                ))
            };
            let hir = parse(&pattern.regex).map_err(fail)?;
            for (encoding, text) in [
                (Encoding::Utf8, pattern.regex.clone()),
                (Encoding::Utf16, utf16(&hir).to_string()),
            ] {
                let regex = RegexBuilder::new(&text).size_limit(SIZE_LIMIT).build();
                let regex = regex.map_err(|error| fail(one_line(&error.to_string())))?;
                redactor.searches.push(Search { pattern: index, encoding, regex });
            }
            redactor.names.push(pattern.name.clone());
        }
        Ok(redactor)
    }

    /// The name of a pattern.
    pub(super) fn name(&self, pattern: usize) -> &str {
        self.names.get(pattern).map_or("", String::as_str)
    }
}

/// Errors of the parser draw the pattern over several lines.
fn one_line(text: &str) -> String {
    text.lines().next_back().unwrap_or_default().trim_start_matches("error: ").to_owned()
}

fn parse(pattern: &str) -> Result<Hir, String> {
    let parsed = ParserBuilder::new().utf8(false).build().parse(pattern);
    let hir = parsed.map_err(|error| one_line(&error.to_string()))?;
    let properties = hir.properties();
    match properties.minimum_len() {
        None => return Err("it never matches".into()),
        Some(0) => return Err("it matches where nothing is; have it ask for something".into()),
        Some(least) if least > MAX_MATCH => {
            return Err(format!("it asks for {least} bytes at least; {MAX_MATCH} is the most"));
        }
        Some(_) => {}
    }
    let words = [
        Look::WordAscii,
        Look::WordAsciiNegate,
        Look::WordUnicode,
        Look::WordUnicodeNegate,
        Look::WordStartAscii,
        Look::WordEndAscii,
        Look::WordStartUnicode,
        Look::WordEndUnicode,
        Look::WordStartHalfAscii,
        Look::WordEndHalfAscii,
        Look::WordStartHalfUnicode,
        Look::WordEndHalfUnicode,
    ];
    if properties.look_set().iter().any(|look| !words.contains(&look)) {
        return Err(
            "memory has no start or end of text or lines; leave ^, $, \\A and \\z out".into()
        );
    }
    Ok(hir)
}

/// The pattern for the same text in UTF-16. Word boundaries are left out, which
/// can only make it match more.
fn utf16(hir: &Hir) -> Hir {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => Hir::empty(),
        HirKind::Literal(literal) => match std::str::from_utf8(&literal.0) {
            Ok(text) => {
                Hir::literal(text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<_>>())
            }
            Err(_) => Hir::literal(literal.0.iter().flat_map(|b| [*b, 0]).collect::<Vec<_>>()),
        },
        HirKind::Class(Class::Unicode(class)) => utf16_class(class),
        HirKind::Class(Class::Bytes(class)) => {
            Hir::concat(vec![Hir::class(Class::Bytes(class.clone())), Hir::literal([0])])
        }
        HirKind::Repetition(repetition) => {
            let mut repetition = repetition.clone();
            repetition.sub = Box::new(utf16(&repetition.sub));
            Hir::repetition(repetition)
        }
        HirKind::Capture(capture) => utf16(&capture.sub),
        HirKind::Concat(parts) => Hir::concat(parts.iter().map(utf16).collect()),
        HirKind::Alternation(parts) => Hir::alternation(parts.iter().map(utf16).collect()),
    }
}

fn utf16_class(class: &ClassUnicode) -> Hir {
    let mut parts = Vec::new();
    for range in class.ranges() {
        let (start, end) = (u32::from(range.start()), u32::from(range.end()));
        if start <= 0xFFFF {
            basic_plane(start as u16, end.min(0xFFFF) as u16, &mut parts);
        }
    }
    if class.ranges().iter().any(|range| u32::from(range.end()) > 0xFFFF) {
        // Any pair: that can only make it match more.
        let unit = |high: (u8, u8)| [bytes(0, 0xFF), bytes(high.0, high.1)];
        parts.push(Hir::concat([unit((0xD8, 0xDB)), unit((0xDC, 0xDF))].concat()));
    }
    Hir::alternation(parts)
}

/// The units from `start` to `end`, low byte first.
fn basic_plane(start: u16, end: u16, parts: &mut Vec<Hir>) {
    let [low_start, high_start] = start.to_le_bytes();
    let [low_end, high_end] = end.to_le_bytes();
    let mut add = |low: (u8, u8), high: (u8, u8)| {
        parts.push(Hir::concat(vec![bytes(low.0, low.1), bytes(high.0, high.1)]));
    };
    if high_start == high_end {
        add((low_start, low_end), (high_start, high_end));
        return;
    }
    add((low_start, 0xFF), (high_start, high_start));
    if high_end - high_start > 1 {
        add((0, 0xFF), (high_start + 1, high_end - 1));
    }
    add((0, low_end), (high_end, high_end));
}

fn bytes(start: u8, end: u8) -> Hir {
    Hir::class(Class::Bytes(ClassBytes::new([ClassBytesRange::new(start, end)])))
}
