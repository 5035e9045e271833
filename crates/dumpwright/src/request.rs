//! What to write: the four inputs of `WriteDumpFile2` and what goes beyond them.

use crate::address::AddressRange;
use crate::error::{Error, Result};
use crate::kernel_type::KernelDumpType;
use crate::redact::{RedactPattern, Redactor};
use crate::target::{ExceptionSource, Wants};
use dumpwright_format::{FormatFlags, Qualifier};
use std::path::PathBuf;

/// Where a dump goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// A file; its name includes the extension. A relative path is relative to
    /// the directory in which the program was started.
    File(PathBuf),
    /// Standard output, as a stream.
    Stdout,
}

/// A request to write a dump: `DumpFile`, `Qualifier`, `FormatFlags` and
/// `Comment` of `IDebugClient4::WriteDumpFile2`, and dumpwright's extensions.
///
/// ```
/// use dumpwright::{DumpRequest, FormatFlags, Qualifier};
/// let request = DumpRequest::new("app.dmp", Qualifier::Small)
///     .flags(FormatFlags::USER_SMALL_FULL_MEMORY | FormatFlags::NO_OVERWRITE)
///     .comment("hangs after login");
/// assert!(request.validate().is_ok());
/// ```
#[derive(Clone, Debug)]
pub struct DumpRequest {
    /// `DumpFile`.
    pub destination: Destination,
    /// `Qualifier`.
    pub qualifier: Qualifier,
    /// `FormatFlags`.
    pub format_flags: FormatFlags,
    /// `Comment`.
    pub comment: Option<String>,
    /// What no `DEBUG_FORMAT_*` bit exists for.
    pub extensions: Extensions,
}

/// What kind of file a dump of a process is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OutputFormat {
    /// A minidump.
    #[default]
    Minidump,
    /// An ELF core, of Linux processes only.
    ElfCore,
}

/// What a dump can hold beyond the `DEBUG_FORMAT_*` flags.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Extensions {
    /// The Token stream.
    pub token: bool,
    /// The ProcessVmCounters stream.
    pub vm_counters: bool,
    /// The SystemMemoryInfo stream.
    pub system_memory: bool,
    /// Further memory to take.
    pub memory: Vec<AddressRange>,
    /// The most bytes that the file may have, be it a dump or a CAB. Memory is
    /// taken by [`Reason`](crate::plan::selection::Reason), in its order;
    /// [`Summary::left_out`](crate::Summary::left_out) says what had no place.
    pub max_size: Option<u64>,
    /// Dump a process under Wine as the Windows process that it is.
    pub wine: bool,
    /// Take memory that the process marked `MADV_DONTDUMP` too.
    pub include_dontdump: bool,
    /// Where in the target an exception was left.
    pub exception: ExceptionSource,
    /// What kind of file is written.
    pub format: OutputFormat,
    /// What is overwritten wherever it stands, see [`redact`](crate::redact).
    pub redact: Vec<RedactPattern>,
    /// Of a machine: the type of the dump, instead of what the qualifier says.
    pub kernel_type: Option<KernelDumpType>,
    /// Of a machine: files that the dump carries in its secondary data.
    pub attach: Vec<PathBuf>,
}

impl DumpRequest {
    /// A request for a dump in `file`, without flags or comment.
    pub fn new(file: impl Into<PathBuf>, qualifier: Qualifier) -> Self {
        Self::to(Destination::File(file.into()), qualifier)
    }

    /// A request for a dump that goes to `destination`.
    pub fn to(destination: Destination, qualifier: Qualifier) -> Self {
        DumpRequest {
            destination,
            qualifier,
            format_flags: FormatFlags::empty(),
            comment: None,
            extensions: Extensions::default(),
        }
    }

    /// A request from the raw values of a call of `WriteDumpFile2`.
    ///
    /// # Errors
    /// [`Error::UnknownQualifier`] and [`Error::UnknownFormatFlags`].
    pub fn from_raw(
        file: impl Into<PathBuf>,
        qualifier: u32,
        format_flags: u32,
        comment: Option<&str>,
    ) -> Result<Self> {
        let qualifier =
            Qualifier::from_value(qualifier).ok_or(Error::UnknownQualifier(qualifier))?;
        let unknown = format_flags & !FormatFlags::all().bits();
        if unknown != 0 {
            return Err(Error::UnknownFormatFlags(unknown));
        }
        let mut request =
            Self::new(file, qualifier).flags(FormatFlags::from_bits_retain(format_flags));
        request.comment = comment.map(str::to_owned);
        Ok(request)
    }

    /// Sets the format flags.
    #[must_use]
    pub fn flags(mut self, flags: FormatFlags) -> Self {
        self.format_flags = flags;
        self
    }

    /// Sets the comment.
    #[must_use]
    pub fn comment(mut self, comment: impl Into<String>) -> Self {
        self.comment = Some(comment.into());
        self
    }

    /// Sets what goes beyond the format flags.
    #[must_use]
    pub fn extensions(mut self, extensions: Extensions) -> Self {
        self.extensions = extensions;
        self
    }

    /// Checks what can be checked without a target.
    ///
    /// # Errors
    /// Unknown or contradicting flags, a qualifier that is not for processes, a
    /// destination without name or extension, a comment or sizes that cannot be.
    pub fn validate(&self) -> Result<()> {
        let unknown = self.format_flags.bits() & !FormatFlags::all().bits();
        if unknown != 0 {
            return Err(Error::UnknownFormatFlags(unknown));
        }
        if !matches!(self.qualifier, Qualifier::Small | Qualifier::Default) {
            return Err(Error::QualifierNotForProcess(self.qualifier));
        }
        for (a, b) in [
            (
                FormatFlags::USER_SMALL_NO_AUXILIARY_STATE,
                FormatFlags::USER_SMALL_FULL_AUXILIARY_STATE,
            ),
            (
                FormatFlags::USER_SMALL_NO_IGNORE_INACCESSIBLE_MEM,
                FormatFlags::USER_SMALL_IGNORE_INACCESSIBLE_MEM,
            ),
        ] {
            if self.format_flags.contains(a | b) {
                return Err(Error::ConflictingFlags(a, b));
            }
        }
        if self.extensions.memory.iter().any(|r| r.is_empty()) {
            return Err(Error::InvalidRequest(
                "an extra memory range is empty; give a length of at least one byte".into(),
            ));
        }
        if self.extensions.token
            && self.content_flags().contains(FormatFlags::USER_SMALL_FILTER_TRIAGE)
        {
            return Err(Error::InvalidRequest(
                "the token stream (--token) is made of the user and group ids that USER_SMALL_FILTER_TRIAGE drops; leave one of them out".into(),
            ));
        }
        Redactor::new(&self.extensions.redact)?;
        let exception = &self.extensions.exception;
        if exception.pointers.is_some()
            && (exception.context.is_some() || exception.record.is_some())
        {
            return Err(Error::InvalidRequest(
                "exception pointers (-xp) name both record and context; leave -xr and -xc out"
                    .into(),
            ));
        }
        self.validate_wine()?;
        if self.extensions.kernel_type.is_some() || !self.extensions.attach.is_empty() {
            return Err(Error::InvalidRequest(
                "a process has no kernel dump; leave --type and --attach out".into(),
            ));
        }
        self.validate_file()
    }

    /// Checks what dumping a process as one of Windows excludes.
    fn validate_wine(&self) -> Result<()> {
        if !self.extensions.wine {
            return Ok(());
        }
        if cfg!(windows) {
            return Err(Error::InvalidRequest(
                "from inside of Wine every process is dumped as one of Windows; leave --wine out"
                    .into(),
            ));
        }
        if self.extensions.format == OutputFormat::ElfCore {
            return Err(Error::InvalidRequest(
                "an ELF core shows a process under Wine as Linux sees it; leave --wine out, or write a minidump".into(),
            ));
        }
        Ok(())
    }

    /// Checks, for a machine, what can be checked without it: the qualifier or
    /// type is one of kernel dumps, and nothing is asked for that only a
    /// process has.
    ///
    /// # Errors
    /// Unknown flags, those of processes, and what [`validate`](Self::validate)
    /// refuses of comment and destination.
    pub fn validate_for_machine(&self) -> Result<()> {
        let unknown = self.format_flags.bits() & !FormatFlags::all().bits();
        if unknown != 0 {
            return Err(Error::UnknownFormatFlags(unknown));
        }
        if self.extensions.kernel_type.or(KernelDumpType::of(self.qualifier)).is_none() {
            return Err(Error::QualifierNotForMachine(self.qualifier));
        }
        let mut generic =
            FormatFlags::WRITE_CAB | FormatFlags::CAB_SECONDARY_FILES | FormatFlags::NO_OVERWRITE;
        if self.format_flags.contains(FormatFlags::WRITE_CAB) {
            generic |= FormatFlags::CAB_SECONDARY_ALL_IMAGES;
        }
        let user_only = self.format_flags - generic;
        if !user_only.is_empty() {
            return Err(Error::FlagsNotForMachine(user_only));
        }
        let of_processes = [
            (self.extensions.token, "the token stream (--token)"),
            (self.extensions.vm_counters, "process counters (--vm-counters)"),
            (self.extensions.system_memory, "the SystemMemoryInfo stream (--system-memory)"),
            (!self.extensions.memory.is_empty(), "extra memory (--memory)"),
            (self.extensions.max_size.is_some(), "a size budget (--max-size)"),
            (self.extensions.include_dontdump, "MADV_DONTDUMP memory (--include-dontdump)"),
            (
                self.extensions.exception.is_given(),
                "an exception in a process (-xt, -xc, -xr, -xp)",
            ),
            (self.extensions.format != OutputFormat::Minidump, "an ELF core (--as core)"),
            (!self.extensions.redact.is_empty(), "redaction (--redact, --redact-file)"),
        ];
        if let Some((_, what)) = of_processes.iter().find(|(given, _)| *given) {
            return Err(Error::InvalidRequest(format!(
                "{what} can be had of a process only; leave it out of a kernel dump"
            )));
        }
        self.validate_file()
    }

    /// Comment and destination, which are the same for every target.
    fn validate_file(&self) -> Result<()> {
        if self.comment.as_ref().is_some_and(|c| c.contains('\0')) {
            return Err(Error::InvalidRequest(
                "the comment holds a NUL character, which would cut it off; remove it".into(),
            ));
        }
        match &self.destination {
            Destination::Stdout if self.format_flags.contains(FormatFlags::WRITE_CAB) => {
                Err(Error::InvalidRequest(
                    "a CAB cannot be written to a stream, since its header tells its size; name a file, or leave WRITE_CAB out and compress the stream".into(),
                ))
            }
            Destination::Stdout => Ok(()),
            Destination::File(file) if file.as_os_str().is_empty() => Err(Error::EmptyFileName),
            Destination::File(file) => match (file.file_name(), file.extension()) {
                (None, _) => Err(Error::EmptyFileName),
                (Some(_), None) => Err(Error::NoExtension(file.clone())),
                (Some(_), Some(ext)) if ext.is_empty() => Err(Error::NoExtension(file.clone())),
                _ => Ok(()),
            },
        }
    }

    /// The flags that decide the contents: those of the request, and for
    /// `DEBUG_DUMP_DEFAULT` also those of `.dump /ma`, since a full user-mode
    /// dump is written as a minidump with full memory, memory information,
    /// thread information, handles and unloaded modules.
    pub fn content_flags(&self) -> FormatFlags {
        match self.qualifier {
            Qualifier::Default => self.format_flags | FormatFlags::DUMP_MA,
            _ => self.format_flags,
        }
    }

    /// What the target has to find out for this request.
    pub fn wants(&self) -> Wants {
        let flags = self.content_flags();
        let has = |flag| flags.contains(flag);
        let whole =
            FormatFlags::USER_SMALL_FULL_MEMORY | FormatFlags::USER_SMALL_PRIVATE_READ_WRITE_MEMORY;
        // A size budget takes thread data before the rest of the memory.
        let ranked = self.extensions.max_size.is_some() && flags.intersects(whole);
        Wants {
            handles: has(FormatFlags::USER_SMALL_HANDLE_DATA),
            full_memory: has(FormatFlags::USER_SMALL_FULL_MEMORY),
            thread_info: has(FormatFlags::USER_SMALL_THREAD_INFO),
            extended_state: has(FormatFlags::USER_SMALL_ADD_AVX_XSTATE_CONTEXT),
            process_data: ranked
                || has(FormatFlags::USER_SMALL_PROCESS_THREAD_DATA)
                || self.extensions.format == OutputFormat::ElfCore,
            module_headers: has(FormatFlags::USER_SMALL_MODULE_HEADERS),
            token: self.extensions.token,
            vm_counters: self.extensions.vm_counters,
            system_memory: self.extensions.system_memory,
            exception: self.extensions.exception,
        }
    }
}
