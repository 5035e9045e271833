//! Comments and soft errors.

use super::report::Report;
use dumpwright_format::minidump::StreamType;
use serde::de::IgnoredAny;

pub(super) fn check(report: &mut Report) {
    let dump = report.dump;
    let narrow = report.decoded(StreamType::COMMENT_A, dump.stream_bytes(StreamType::COMMENT_A));
    if narrow.as_ref().is_some_and(|bytes| !bytes.contains(&0)) {
        report.warning(StreamType::COMMENT_A, None, || "it is not terminated by NUL".to_owned());
    }
    let wide = report.decoded(StreamType::COMMENT_W, dump.stream_bytes(StreamType::COMMENT_W));
    if let Some(bytes) = &wide {
        if bytes.len() % 2 != 0 {
            report.error(StreamType::COMMENT_W, None, || {
                format!("UTF-16 text has an odd length of {} bytes", bytes.len())
            });
        }
        if !bytes.chunks_exact(2).any(|unit| unit == [0, 0]) {
            report
                .warning(StreamType::COMMENT_W, None, || "it is not terminated by NUL".to_owned());
        }
    }
    check_agreement(report);
    check_soft_errors(report);
}

/// Both comments must be the same text, as far as the narrow one can hold it:
/// a character that is not ASCII may have become anything.
fn check_agreement(report: &mut Report) {
    let dump = report.dump;
    let (Ok(Some(narrow)), Ok(Some(wide))) = (dump.comment_a(), dump.comment_w()) else { return };
    if wide.is_ascii() && narrow != wide {
        report.warning(StreamType::COMMENT_A, None, || {
            "it differs from the wide comment; which one a reader shows is chance".to_owned()
        });
    }
}

fn check_soft_errors(report: &mut Report) {
    const STREAM: StreamType = StreamType::MOZ_SOFT_ERRORS;
    let Some(bytes) = report.decoded(STREAM, report.dump.stream_bytes(STREAM)) else { return };
    if let Err(error) = serde_json::from_slice::<IgnoredAny>(&bytes) {
        report.error(STREAM, None, || format!("it is not JSON: {error}"));
    }
}
