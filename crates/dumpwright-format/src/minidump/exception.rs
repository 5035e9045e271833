//! The exception that the dump was written for.

use super::LocationDescriptor;
use crate::wire;
use zerocopy::little_endian::{U32, U64};

/// `EXCEPTION_MAXIMUM_PARAMETERS`, winnt.h.
pub const EXCEPTION_MAXIMUM_PARAMETERS: usize = 15;

wire! {
    /// `MINIDUMP_EXCEPTION`, minidumpapiset.h.
    pub struct Exception [152] {
        /// Exception code; on Linux the signal number.
        pub exception_code: U32,
        /// Exception flags; on Linux `si_code`.
        pub exception_flags: U32,
        /// Address of a chained record.
        pub exception_record: U64,
        /// Where it happened; on Linux the address of the fault.
        pub exception_address: U64,
        /// Entries of `exception_information` that count.
        pub number_parameters: U32,
        /// 0.
        pub unused_alignment: U32,
        /// Parameters.
        pub exception_information: [U64; EXCEPTION_MAXIMUM_PARAMETERS],
    }

    /// `MINIDUMP_EXCEPTION_STREAM`, minidumpapiset.h.
    pub struct ExceptionStream [168] {
        /// The thread that it happened in.
        pub thread_id: U32,
        /// 0.
        pub alignment: U32,
        /// What happened.
        pub exception_record: Exception,
        /// The context at the exception.
        pub thread_context: LocationDescriptor,
    }
}

/// Breakpad's exception code of a dump that was asked for, not caused.
pub const LINUX_DUMP_REQUESTED: u32 = 0xFFFF_FFFF;
