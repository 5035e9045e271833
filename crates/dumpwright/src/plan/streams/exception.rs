//! Exception.

use crate::plan::Context;
use crate::plan::assembly::{Assembly, FixupKind, Section};
use dumpwright_format::minidump::{EXCEPTION_MAXIMUM_PARAMETERS, ExceptionStream, StreamType};
use std::mem::offset_of;
use zerocopy::FromZeros;

pub(super) fn exception(context: &Context<'_>, out: &mut Assembly) {
    let snapshot = context.snapshot;
    let Some(exception) = &snapshot.exception else { return };
    let mut stream = ExceptionStream::new_zeroed();
    stream.thread_id = exception.tid.0.into();
    let record = &mut stream.exception_record;
    record.exception_code = exception.code.into();
    record.exception_flags = exception.flags.into();
    record.exception_record =
        snapshot.original.as_ref().map_or(0, |original| original.chained_exception).into();
    record.exception_address = exception.address.into();
    let parameters = exception.parameters.len().min(EXCEPTION_MAXIMUM_PARAMETERS);
    record.number_parameters = (parameters as u32).into();
    for (field, value) in record.exception_information.iter_mut().zip(&exception.parameters) {
        *field = (*value).into();
    }
    let mut section = Section::new();
    section.put(&stream);
    if !exception.registers.context.is_empty() {
        let shown = context.registers(&exception.registers).into_owned();
        let registers = out.blob(Section::from_bytes(shown));
        section.fix(offset_of!(ExceptionStream, thread_context), FixupKind::Location(registers));
    }
    out.stream(StreamType::EXCEPTION, section);
}
