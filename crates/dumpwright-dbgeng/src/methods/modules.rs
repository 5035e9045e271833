//! `IDebugSymbols`: the modules of the current target. Loaded modules come
//! first, unloaded ones after them.

use super::processes::file_name;
use super::{ANY_ID, INVALID_OFFSET, OK};
use crate::abi::{Answer, In, ModuleParameters, Out, Text, TextBuf};
use crate::event_callbacks::ToldModule;
use crate::object::Client;
use crate::target::{Subject, Target};
use dumpwright::HResult;
use dumpwright::target::ProcessSnapshot;
use dumpwright::target::machine::MachineSnapshot;

/// `DEBUG_MODULE_UNLOADED`.
const UNLOADED: u32 = 1;
/// `DEBUG_SYMTYPE_DEFERRED`: no symbols were looked for.
const SYMBOLS_DEFERRED: u32 = 5;
/// `DEBUG_GETMOD_NO_LOADED_MODULES`.
const NO_LOADED: u32 = 1;
/// `DEBUG_GETMOD_NO_UNLOADED_MODULES`.
const NO_UNLOADED: u32 = 2;

/// A module, loaded or not.
#[derive(Clone, Copy)]
struct Module<'a> {
    base: u64,
    size: u64,
    path: &'a str,
    time_date_stamp: u32,
    check_sum: u32,
    state: Loaded,
    /// What it is called whatever its file is: `nt` of the kernel.
    known_as: Option<&'a str>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Loaded {
    Yes,
    NoLonger,
}

impl<'a> Module<'a> {
    /// The name without path and extension, by which symbols are qualified.
    fn name(&self) -> &'a str {
        let file = file_name(self.path);
        let stem = file.split_once('.').map_or(file, |(stem, _)| stem);
        self.known_as.unwrap_or(if stem.is_empty() { file } else { stem })
    }

    fn is_named(&self, name: &str) -> bool {
        self.name().eq_ignore_ascii_case(name) || file_name(self.path).eq_ignore_ascii_case(name)
    }

    fn contains(&self, offset: u64) -> bool {
        offset.checked_sub(self.base).is_some_and(|inside| inside < self.size)
    }
}

/// The module at `base` as a callback is told of it: one that the loader does not list,
/// or not yet, has no names.
pub fn told_module(snapshot: &ProcessSnapshot, base: u64) -> ToldModule {
    let found = of_process(snapshot).into_iter().find(|module| module.base == base);
    found.map_or_else(
        || ToldModule { base, ..ToldModule::default() },
        |module| ToldModule {
            base,
            size: module.size as u32,
            name: module.name().to_owned(),
            image: module.path.to_owned(),
            check_sum: module.check_sum,
            time_date_stamp: module.time_date_stamp,
        },
    )
}

/// All modules, the loaded ones first.
fn modules(target: &Target) -> Vec<Module<'_>> {
    match &target.subject {
        Subject::Process { snapshot, .. } => of_process(snapshot),
        Subject::Machine { snapshot, .. } => of_machine(snapshot),
    }
}

fn of_process(snapshot: &ProcessSnapshot) -> Vec<Module<'_>> {
    let loaded = snapshot.modules.iter().map(|m| Module {
        base: m.base,
        size: m.size,
        path: &m.path,
        time_date_stamp: m.time_date_stamp,
        check_sum: m.check_sum,
        state: Loaded::Yes,
        known_as: None,
    });
    let unloaded = snapshot.unloaded_modules.iter().map(|m| Module {
        base: m.base,
        size: m.size,
        path: &m.name,
        time_date_stamp: m.time_date_stamp,
        check_sum: m.check_sum,
        state: Loaded::NoLonger,
        known_as: None,
    });
    loaded.chain(unloaded).collect()
}

/// Drivers, the kernel first. Stamp and checksum are those that a small dump
/// lists; of other machines they are 0.
fn of_machine(snapshot: &MachineSnapshot) -> Vec<Module<'_>> {
    let small = snapshot.small_dump.as_deref();
    let drivers = small.into_iter().flat_map(|small| &small.drivers).map(|d| Module {
        base: d.base.0,
        size: d.size.into(),
        path: &d.name,
        time_date_stamp: d.time_date_stamp,
        check_sum: d.check_sum,
        state: Loaded::Yes,
        known_as: None,
    });
    let loaded = snapshot.modules.iter().map(|m| Module {
        base: m.base.0,
        size: m.size.into(),
        path: &m.name,
        time_date_stamp: 0,
        check_sum: 0,
        state: Loaded::Yes,
        known_as: None,
    });
    let unloaded = snapshot.unloaded_modules.iter();
    let unloaded = unloaded.chain(small.into_iter().flat_map(|small| &small.unloaded));
    let unloaded = unloaded.map(|m| Module {
        base: m.start.0,
        size: m.end.0.saturating_sub(m.start.0),
        path: &m.name,
        time_date_stamp: 0,
        check_sum: 0,
        state: Loaded::NoLonger,
        known_as: None,
    });
    let mut all: Vec<_> = drivers.chain(loaded).chain(unloaded).collect();
    if let Some(kernel) = all.first_mut().filter(|m| m.state == Loaded::Yes) {
        kernel.known_as = Some("nt");
    }
    all
}

/// `GetNumberModules`.
pub fn number(client: &Client, loaded: Out<u32>, unloaded: Out<u32>) -> Answer {
    let state = client.state.session.state();
    let all = modules(state.current()?);
    let still = all.iter().filter(|m| m.state == Loaded::Yes).count();
    loaded.put(still as u32)?;
    unloaded.put((all.len() - still) as u32)?;
    OK
}

/// `GetModuleByIndex`.
pub fn by_index(client: &Client, index: u32, base: Out<u64>) -> Answer {
    let state = client.state.session.state();
    let module = modules(state.current()?).get(index as usize).copied();
    base.put(module.ok_or(HResult::E_INVALIDARG)?.base)?;
    OK
}

fn find(
    client: &Client,
    start: u32,
    flags: u32,
    index: Out<u32>,
    base: Out<u64>,
    is_it: impl Fn(&Module<'_>) -> bool,
) -> Answer {
    if flags & !(NO_LOADED | NO_UNLOADED) != 0 {
        return Err(HResult::E_INVALIDARG);
    }
    let left_out = |m: &Module<'_>| match m.state {
        Loaded::Yes => flags & NO_LOADED != 0,
        Loaded::NoLonger => flags & NO_UNLOADED != 0,
    };
    let state = client.state.session.state();
    let (place, module) = modules(state.current()?)
        .into_iter()
        .enumerate()
        .skip(start as usize)
        .find(|(_, m)| !left_out(m) && is_it(m))
        .ok_or(HResult::E_NOINTERFACE)?;
    index.put_if_wanted(place as u32);
    base.put_if_wanted(module.base);
    OK
}

/// `GetModuleByModuleName`: by file name, with or without what comes after the
/// first dot. `E_NOINTERFACE` if there is none.
pub fn by_name(
    client: &Client,
    name: impl Text,
    start: u32,
    index: Out<u32>,
    base: Out<u64>,
) -> Answer {
    by_name2(client, name, start, 0, index, base)
}

/// `GetModuleByModuleName2`.
pub fn by_name2(
    client: &Client,
    name: impl Text,
    start: u32,
    flags: u32,
    index: Out<u32>,
    base: Out<u64>,
) -> Answer {
    let name = name.required()?;
    find(client, start, flags, index, base, |m| m.is_named(&name))
}

/// `GetModuleByOffset`: `E_NOINTERFACE` if there is none.
pub fn by_offset(
    client: &Client,
    offset: u64,
    start: u32,
    index: Out<u32>,
    base: Out<u64>,
) -> Answer {
    by_offset2(client, offset, start, 0, index, base)
}

/// `GetModuleByOffset2`.
pub fn by_offset2(
    client: &Client,
    offset: u64,
    start: u32,
    flags: u32,
    index: Out<u32>,
    base: Out<u64>,
) -> Answer {
    find(client, start, flags, index, base, |m| m.contains(offset))
}

/// The module of an index, or of a base if the index is `DEBUG_ANY_ID`.
fn chosen(target: &Target, index: u32, base: u64) -> Answer<Module<'_>> {
    let mut modules = modules(target).into_iter();
    let module = if index == ANY_ID {
        modules.find(|m| m.base == base)
    } else {
        modules.nth(index as usize)
    };
    module.ok_or(HResult::E_INVALIDARG)
}

/// `GetModuleNames`: path, name and path as it was loaded.
#[expect(clippy::too_many_arguments, reason = "it is the method's")]
pub fn names<B: TextBuf>(
    client: &Client,
    index: u32,
    base: u64,
    image: B,
    image_size: u32,
    image_needed: Out<u32>,
    name: B,
    name_size: u32,
    name_needed: Out<u32>,
    loaded: B,
    loaded_size: u32,
    loaded_needed: Out<u32>,
) -> Answer {
    let state = client.state.session.state();
    let module = chosen(state.current()?, index, base)?;
    let answers = [
        image.fill(image_size, image_needed, module.path)?,
        name.fill(name_size, name_needed, module.name())?,
        loaded.fill(loaded_size, loaded_needed, module.path)?,
    ];
    Ok(answers.into_iter().find(|a| *a != HResult::S_OK).unwrap_or(HResult::S_OK))
}

/// `GetModuleNameString`. There is no symbol file, and no image mapped here.
pub fn name_string(
    client: &Client,
    which: u32,
    index: u32,
    base: u64,
    buffer: impl TextBuf,
    size: u32,
    needed: Out<u32>,
) -> Answer {
    let state = client.state.session.state();
    let module = chosen(state.current()?, index, base)?;
    let text = match which {
        // IMAGE, LOADED_IMAGE.
        0 | 2 => module.path,
        // MODULE.
        1 => module.name(),
        // SYMBOL_FILE, MAPPED_IMAGE.
        3 | 4 => "",
        _ => return Err(HResult::E_INVALIDARG),
    };
    buffer.fill(size, needed, text)
}

/// `GetModuleParameters`: of the modules with these bases, or from an index on.
pub fn parameters(
    client: &Client,
    count: u32,
    bases: In<u64>,
    start: u32,
    parameters: Out<ModuleParameters>,
) -> Answer {
    if parameters.is_null() {
        return Err(HResult::E_POINTER);
    }
    let state = client.state.session.state();
    let modules = modules(state.current()?);
    let none = ModuleParameters { base: INVALID_OFFSET, ..ModuleParameters::default() };
    if let Some(bases) = bases.values(count) {
        let found = bases.iter().map(|base| modules.iter().find(|m| m.base == *base));
        let found: Vec<_> = found.map(|m| m.map_or(none, described)).collect();
        let missing = found.iter().any(|p| p.base == INVALID_OFFSET);
        parameters.put_array(count, found);
        return Ok(if missing { HResult::S_FALSE } else { HResult::S_OK });
    }
    let asked = modules.get(start as usize..).and_then(|rest| rest.get(..count as usize));
    let asked = asked.ok_or(HResult::E_INVALIDARG)?;
    parameters.put_array(count, asked.iter().map(described));
    OK
}

fn described(module: &Module<'_>) -> ModuleParameters {
    let size = |text: &str| text.len() as u32 + 1;
    ModuleParameters {
        base: module.base,
        size: u32::try_from(module.size).unwrap_or(u32::MAX),
        time_date_stamp: module.time_date_stamp,
        checksum: module.check_sum,
        flags: if module.state == Loaded::Yes { 0 } else { UNLOADED },
        symbol_type: SYMBOLS_DEFERRED,
        image_name_size: size(module.path),
        module_name_size: size(module.name()),
        loaded_image_name_size: size(module.path),
        ..ModuleParameters::default()
    }
}
