//! Which type a request makes of this machine.

use super::select::Machine;
use crate::error::{Error, Result};
use crate::kernel_type::KernelDumpType;
use crate::request::DumpRequest;
use crate::soft_error::SoftError;
use crate::target::machine::MachineArchitecture;
use dumpwright_format::kernel::{MAX_RUNS_32, MAX_RUNS_64};

/// Frames that a bitmap may have to say something of: 16 TiB of memory, in a
/// bitmap of 512 MiB. More is a mistake of whoever stated the memory map.
const MAX_BITMAP_PAGES: u64 = 1 << 32;

/// The type to write.
pub fn choose(
    request: &DumpRequest,
    machine: &Machine<'_>,
    soft_errors: &mut Vec<SoftError>,
) -> Result<KernelDumpType> {
    let asked = match request.extensions.kernel_type {
        Some(kind) => kind,
        None => KernelDumpType::of(request.qualifier)
            .ok_or(Error::QualifierNotForMachine(request.qualifier))?,
    };
    let is_64_bit = machine.snapshot.architecture.is_64_bit();
    let kind = match asked {
        KernelDumpType::Full => {
            let most = if is_64_bit { MAX_RUNS_64 } else { MAX_RUNS_32 };
            let runs = machine.ram.len();
            if runs > most {
                soft_errors.push(SoftError::new(
                    "type",
                    format!("the machine's memory has {runs} runs and the header of a full dump holds {most}, so a bitmap-full dump was written, which has the same pages"),
                ));
                KernelDumpType::BitmapFull
            } else {
                KernelDumpType::Full
            }
        }
        KernelDumpType::KernelMemory if !is_64_bit && request.extensions.kernel_type.is_none() => {
            soft_errors.push(SoftError::new(
                "type",
                "the debugger's own types are of 64-bit kernels, so a bitmap-kernel dump was written, which has the same pages",
            ));
            KernelDumpType::BitmapKernel
        }
        other => other,
    };
    check(kind, machine)?;
    Ok(kind)
}

fn check(kind: KernelDumpType, machine: &Machine<'_>) -> Result<()> {
    use KernelDumpType as T;
    let refuse =
        |why: &str| Err(Error::InvalidRequest(format!("a dump of type {} {why}", kind.name())));
    let is_64_bit = machine.snapshot.architecture.is_64_bit();
    match kind {
        T::KernelMemory | T::KernelAndUserMemory | T::CompleteMemory if !is_64_bit => {
            return refuse(
                "has no form for 32-bit kernels; use --type bitmap-kernel or bitmap-full",
            );
        }
        T::Triage
            if !matches!(
                machine.snapshot.architecture,
                MachineArchitecture::Amd64 | MachineArchitecture::Amd64La57
            ) =>
        {
            return refuse("is made of x86-64 kernels only; use -f or --type bitmap-full");
        }
        T::BitmapFull | T::BitmapKernel | T::Automatic | T::KernelSummary | T::Active => {
            let end = machine.ram.last().map_or(0, |run| run.end().0);
            if end > MAX_BITMAP_PAGES {
                return refuse(
                    "cannot say anything of page frames past 16 TiB, and the memory map has some; use --type complete-memory or kernel-memory",
                );
            }
        }
        _ => {}
    }
    if machine.snapshot.small_dump.is_some() {
        return match kind {
            T::Triage => Ok(()),
            _ => refuse("cannot be made of a small dump, which has no page frames; use -m"),
        };
    }
    if machine.ram.is_empty() {
        return refuse("would be empty: the source has no memory of the machine");
    }
    Ok(())
}
