//! What a dump of a dump carries as it stands: comments, and streams of which
//! nothing is made anew.

use crate::plan::Context;
use crate::plan::assembly::{Assembly, BlobId, FixupKind, Section, utf16};
use crate::plan::filter_text::Privacy;
use crate::request::DumpRequest;
use crate::soft_error::SoftError;
use crate::target::{CarriedContent, CarriedSection, CarriedStream, PointerKind, ProcessSnapshot};
use dumpwright_format::FormatFlags;
use dumpwright_format::minidump::StreamType;
use std::borrow::Cow;

/// The carried streams that flags and filters keep.
pub(super) fn streams(
    context: &Context<'_>,
    request: &DumpRequest,
    privacy: Privacy,
    out: &mut Assembly,
) {
    let original = context.snapshot.original.iter();
    for stream in original.flat_map(|original| &original.streams) {
        if is_wanted(context, stream) && forbidden_by(context, request, privacy, stream).is_none() {
            put(stream, out);
        }
    }
}

/// The carried streams that filters leave out.
pub(super) fn forbidden<'a>(
    context: &'a Context<'_>,
    request: &'a DumpRequest,
    privacy: Privacy,
) -> impl Iterator<Item = &'a CarriedStream> {
    let original = context.snapshot.original.iter();
    original.flat_map(|original| &original.streams).filter(move |stream| {
        is_wanted(context, stream) && forbidden_by(context, request, privacy, stream).is_some()
    })
}

/// What filters leave out, so that nobody looks for it in vain.
pub(crate) fn left_out(
    context: &Context<'_>,
    request: &DumpRequest,
    privacy: Privacy,
) -> Vec<SoftError> {
    let Some(original) = &context.snapshot.original else { return Vec::new() };
    let streams = original.streams.iter().filter(|stream| is_wanted(context, stream));
    let mut notes: Vec<_> = streams
        .filter_map(|stream| {
            let filter = forbidden_by(context, request, privacy, stream)?;
            let subject = format!("source's {}", stream.stream_type);
            Some(SoftError::new(
                subject,
                format!("{filter} leaves it out: what is in it is not known"),
            ))
        })
        .collect();
    if privacy.triage && request.comment.is_none() && !original.comments.is_empty() {
        let message = "FILTER_TRIAGE leaves it out: debuggers put command lines there";
        notes.push(SoftError::new("source's comment", message));
    }
    notes
}

/// Whether the flags ask for a stream that one stands for.
fn is_wanted(context: &Context<'_>, stream: &CarriedStream) -> bool {
    match stream.stream_type {
        StreamType::IPT_TRACE => context.has(FormatFlags::USER_SMALL_IPT_TRACE),
        StreamType::HANDLE_OPERATION_LIST => context.has(FormatFlags::USER_SMALL_HANDLE_DATA),
        _ => true,
    }
}

/// The filter that forbids a stream.
fn forbidden_by(
    context: &Context<'_>,
    request: &DumpRequest,
    privacy: Privacy,
    stream: &CarriedStream,
) -> Option<&'static str> {
    match stream.content {
        CarriedContent::Numbers => None,
        CarriedContent::Identity => {
            [(privacy.triage, "FILTER_TRIAGE"), (privacy.no_optional, "NO_OPTIONAL_DATA")]
                .into_iter()
                .find_map(|(set, name)| (set && !request.extensions.token).then_some(name))
        }
        CarriedContent::Unknown => [
            (privacy.triage, "FILTER_TRIAGE"),
            (privacy.paths, "FILTER_PATHS"),
            (context.has(FormatFlags::USER_SMALL_FILTER_MEMORY), "FILTER_MEMORY"),
        ]
        .into_iter()
        .find_map(|(set, name)| set.then_some(name)),
    }
}

fn put(stream: &CarriedStream, out: &mut Assembly) {
    let mut ids: Vec<BlobId> = Vec::with_capacity(stream.blobs.len());
    // Each points only to those before it.
    for blob in &stream.blobs {
        let section = section(blob, &ids);
        ids.push(out.blob(section));
    }
    out.stream(stream.stream_type, section(&stream.section, &ids));
}

fn section(carried: &CarriedSection, ids: &[BlobId]) -> Section {
    let mut section = Section::from_bytes(carried.bytes.clone());
    if carried.text.0 < carried.text.1 {
        section.mark_text(carried.text.0..carried.text.1);
    }
    for pointer in &carried.pointers {
        let Some(id) = ids.get(pointer.to).copied() else { continue };
        section.fix(
            pointer.at,
            match pointer.kind {
                PointerKind::Rva => FixupKind::Rva(id),
                PointerKind::Rva64 => FixupKind::Rva64(id),
                PointerKind::Location => FixupKind::Location(id),
            },
        );
    }
    section
}

/// The original's comment, as far as the dump may show it.
pub(super) fn comments(snapshot: &ProcessSnapshot, privacy: Privacy, out: &mut Assembly) {
    if privacy.triage {
        return;
    }
    let original = snapshot.original.iter();
    for (stream_type, bytes) in original.flat_map(|original| &original.comments) {
        let shown = if *stream_type == StreamType::COMMENT_W {
            wide_text(privacy, bytes)
        } else {
            privacy.text_bytes(bytes)
        };
        out.stream(*stream_type, Section::from_text(shown.into_owned()));
    }
}

/// UTF-16 text with paths in it.
fn wide_text(privacy: Privacy, bytes: &[u8]) -> Cow<'_, [u8]> {
    let units = bytes.chunks_exact(2).map(|unit| u16::from_le_bytes([unit[0], unit[1]]));
    let text: String =
        char::decode_utf16(units).map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER)).collect();
    match privacy.text(&text) {
        Cow::Borrowed(_) => Cow::Borrowed(bytes),
        Cow::Owned(shown) => Cow::Owned(utf16(&shown)),
    }
}
