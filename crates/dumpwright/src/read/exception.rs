//! The exception that the dump was written for.

use super::error::ReadResult;
use super::minidump::{Location, Minidump};
use dumpwright_format::minidump::{EXCEPTION_MAXIMUM_PARAMETERS, ExceptionStream, StreamType};

/// The Exception stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exception {
    /// The thread that it happened in.
    pub thread_id: u32,
    /// Exception code; on Linux the signal number.
    pub code: u32,
    /// Exception flags; on Linux `si_code`.
    pub flags: u32,
    /// Address of a chained record, or 0.
    pub nested_record: u64,
    /// Where it happened; on Linux the address of the fault.
    pub address: u64,
    /// How many parameters the record says it has.
    pub number_parameters: u32,
    /// Those of them that a record can hold.
    pub parameters: Vec<u64>,
    /// Where the context is; [`Minidump::registers`] decodes it.
    pub context: Location,
}

impl Minidump {
    /// The exception, from the Exception stream.
    pub fn exception(&self) -> ReadResult<Option<Exception>> {
        let Some(bytes) = self.load(StreamType::EXCEPTION)? else { return Ok(None) };
        let stream: ExceptionStream = bytes.get(0)?;
        let record = &stream.exception_record;
        let number_parameters = record.number_parameters.get();
        let count = (number_parameters as usize).min(EXCEPTION_MAXIMUM_PARAMETERS);
        Ok(Some(Exception {
            thread_id: stream.thread_id.get(),
            code: record.exception_code.get(),
            flags: record.exception_flags.get(),
            nested_record: record.exception_record.get(),
            address: record.exception_address.get(),
            number_parameters,
            parameters: record.exception_information[..count].iter().map(|p| p.get()).collect(),
            context: stream.thread_context.into(),
        }))
    }
}
