//! `IDebugSymbols`: the modules of the current target. Loaded modules come
//! first, unloaded ones after them.

use super::processes::file_name;
use super::{ANY_ID, INVALID_OFFSET, OK};
use crate::abi::{Answer, In, ModuleParameters, Out, Text, TextBuf};
use crate::object::Client;
use dumpwright::HResult;
use dumpwright::target::ProcessSnapshot;

/// `DEBUG_MODULE_UNLOADED`.
const UNLOADED: u32 = 1;
/// `DEBUG_SYMTYPE_DEFERRED`: no symbols were looked for.
const SYMBOLS_DEFERRED: u32 = 5;
/// `DEBUG_GETMOD_NO_LOADED_MODULES`.
const NO_LOADED: u32 = 1;
/// `DEBUG_GETMOD_NO_UNLOADED_MODULES`.
const NO_UNLOADED: u32 = 2;

/// A module, loaded or not.
struct Module<'a> {
    base: u64,
    size: u64,
    path: &'a str,
    time_date_stamp: u32,
    check_sum: u32,
    unloaded: bool,
}

impl Module<'_> {
    /// The name without path and extension, by which symbols are qualified.
    fn name(&self) -> &str {
        let file = file_name(self.path);
        file.split_once('.').map_or(file, |(stem, _)| if stem.is_empty() { file } else { stem })
    }

    fn is_named(&self, name: &str) -> bool {
        self.name().eq_ignore_ascii_case(name) || file_name(self.path).eq_ignore_ascii_case(name)
    }

    fn contains(&self, offset: u64) -> bool {
        offset.checked_sub(self.base).is_some_and(|inside| inside < self.size)
    }
}

fn modules(snapshot: &ProcessSnapshot) -> impl Iterator<Item = Module<'_>> {
    let loaded = snapshot.modules.iter().map(|m| Module {
        base: m.base,
        size: m.size,
        path: &m.path,
        time_date_stamp: m.time_date_stamp,
        check_sum: m.check_sum,
        unloaded: false,
    });
    let unloaded = snapshot.unloaded_modules.iter().map(|m| Module {
        base: m.base,
        size: m.size,
        path: &m.name,
        time_date_stamp: m.time_date_stamp,
        check_sum: m.check_sum,
        unloaded: true,
    });
    loaded.chain(unloaded)
}

/// `GetNumberModules`.
pub fn number(client: &Client, loaded: Out<u32>, unloaded: Out<u32>) -> Answer {
    let state = client.state.session.state();
    let snapshot = &state.current()?.snapshot;
    loaded.put(snapshot.modules.len() as u32)?;
    unloaded.put(snapshot.unloaded_modules.len() as u32)?;
    OK
}

/// `GetModuleByIndex`.
pub fn by_index(client: &Client, index: u32, base: Out<u64>) -> Answer {
    let state = client.state.session.state();
    let module = modules(&state.current()?.snapshot).nth(index as usize);
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
    let left_out = |m: &Module<'_>| flags & if m.unloaded { NO_UNLOADED } else { NO_LOADED } != 0;
    let state = client.state.session.state();
    let snapshot = &state.current()?.snapshot;
    let (place, module) = modules(snapshot)
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
fn chosen(snapshot: &ProcessSnapshot, index: u32, base: u64) -> Answer<Module<'_>> {
    let mut modules = modules(snapshot);
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
    let module = chosen(&state.current()?.snapshot, index, base)?;
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
    let module = chosen(&state.current()?.snapshot, index, base)?;
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
    let snapshot = &state.current()?.snapshot;
    let none = ModuleParameters { base: INVALID_OFFSET, ..ModuleParameters::default() };
    if let Some(bases) = bases.values(count) {
        let found = bases.iter().map(|base| modules(snapshot).find(|m| m.base == *base));
        let found: Vec<_> = found.map(|m| m.map_or(none, |m| described(&m))).collect();
        let missing = found.iter().any(|p| p.base == INVALID_OFFSET);
        parameters.put_array(count, found);
        return Ok(if missing { HResult::S_FALSE } else { HResult::S_OK });
    }
    let all = snapshot.modules.len() + snapshot.unloaded_modules.len();
    if start as usize + count as usize > all {
        return Err(HResult::E_INVALIDARG);
    }
    parameters.put_array(count, modules(snapshot).skip(start as usize).map(|m| described(&m)));
    OK
}

fn described(module: &Module<'_>) -> ModuleParameters {
    let size = |text: &str| text.len() as u32 + 1;
    ModuleParameters {
        base: module.base,
        size: u32::try_from(module.size).unwrap_or(u32::MAX),
        time_date_stamp: module.time_date_stamp,
        checksum: module.check_sum,
        flags: if module.unloaded { UNLOADED } else { 0 },
        symbol_type: SYMBOLS_DEFERRED,
        image_name_size: size(module.path),
        module_name_size: size(module.name()),
        loaded_image_name_size: size(module.path),
        ..ModuleParameters::default()
    }
}
