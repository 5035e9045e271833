//! Processor contexts: the `CONTEXT` records of winnt.h, one file per
//! architecture, and the extended state that can follow one.

pub mod amd64;
pub mod arm64;
pub mod x86;
pub mod xstate;
