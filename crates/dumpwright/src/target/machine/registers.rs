//! Registers of all processors as a dump carries them beside its header, which
//! has room for one: JSON in a block of secondary data.

use super::snapshot::{ControlRegisters, MachineSnapshot, ProcessorSnapshot};
use serde_json::{Map, Value, json};
use std::fmt::Write;

/// Processors that are believed.
const MAX_PROCESSORS: usize = 4096;
/// The largest `CONTEXT` that is believed.
const MAX_CONTEXT: usize = 0x1000;

/// Names of the control registers, and which they are.
type Named = (&'static str, fn(&mut ControlRegisters) -> &mut u64);
const CONTROL: [Named; 9] = [
    ("cr0", |control| &mut control.cr0),
    ("cr2", |control| &mut control.cr2),
    ("cr3", |control| &mut control.cr3),
    ("cr4", |control| &mut control.cr4),
    ("efer", |control| &mut control.efer),
    ("gs_base", |control| &mut control.gs_base),
    ("kernel_gs_base", |control| &mut control.kernel_gs_base),
    ("idt", |control| &mut control.idt.0),
    ("gdt", |control| &mut control.gdt.0),
];

/// Registers of all processors; `None` where the header says as much.
pub(crate) fn encode(snapshot: &MachineSnapshot) -> Option<Vec<u8>> {
    let processors = &snapshot.processors;
    let more = processors.iter().any(|processor| processor.control.is_some())
        || processors.iter().filter(|processor| !processor.context.is_empty()).count() > 1;
    more.then(|| {
        let list: Vec<Value> = processors.iter().map(encode_one).collect();
        json!({ "current": snapshot.current_processor, "processors": list }).to_string().into()
    })
}

fn encode_one(processor: &ProcessorSnapshot) -> Value {
    let mut value = Map::new();
    let mut hex = |name: &str, number: u64| {
        value.insert(name.into(), format!("{number:#x}").into());
    };
    hex("instruction_pointer", processor.instruction_pointer);
    hex("stack_pointer", processor.stack_pointer);
    if let Some(mut control) = processor.control {
        for (name, register) in CONTROL {
            hex(name, *register(&mut control));
        }
        hex("idt_limit", control.idt.1.into());
        hex("gdt_limit", control.gdt.1.into());
    }
    let mut context = String::with_capacity(2 * processor.context.len());
    for byte in &processor.context {
        // Writing to a string cannot fail.
        let _ = write!(context, "{byte:02x}");
    }
    value.insert("context".into(), context.into());
    value.into()
}

/// The number of the current processor, and all; `None` if the bytes are no such
/// block.
pub(crate) fn decode(bytes: &[u8]) -> Option<(usize, Vec<ProcessorSnapshot>)> {
    let value: Value = serde_json::from_slice(bytes).ok()?;
    let list = value["processors"].as_array().filter(|list| list.len() <= MAX_PROCESSORS)?;
    let current = usize::try_from(value["current"].as_u64()?).ok()?;
    let processors: Option<Vec<_>> = list.iter().map(decode_one).collect();
    processors.filter(|all| current < all.len()).map(|all| (current, all))
}

fn decode_one(value: &Value) -> Option<ProcessorSnapshot> {
    let number = |name: &str| {
        let digits = value[name].as_str()?.strip_prefix("0x")?;
        u64::from_str_radix(digits, 16).ok()
    };
    let text = value["context"].as_str()?.as_bytes();
    let (pairs, rest) = text.as_chunks::<2>();
    (rest.is_empty() && pairs.len() <= MAX_CONTEXT).then_some(())?;
    let byte = |pair: &[u8; 2]| {
        let digits = std::str::from_utf8(pair).ok()?;
        u8::from_str_radix(digits, 16).ok()
    };
    let control = value.get("cr3").map(|_| {
        let mut control = ControlRegisters::default();
        for (name, register) in CONTROL {
            *register(&mut control) = number(name).unwrap_or_default();
        }
        let limit = |name: &str| number(name).unwrap_or_default() as u16;
        control.idt.1 = limit("idt_limit");
        control.gdt.1 = limit("gdt_limit");
        control
    });
    Some(ProcessorSnapshot {
        context: pairs.iter().map(byte).collect::<Option<_>>()?,
        instruction_pointer: number("instruction_pointer")?,
        stack_pointer: number("stack_pointer")?,
        control,
        ..ProcessorSnapshot::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registers_of_all_processors_come_back() {
        let control = ControlRegisters { cr3: 0x1a_d002, idt: (7, 0xfff), ..Default::default() };
        let processor = |n: u8, control| ProcessorSnapshot {
            context: vec![n; 0x4d0],
            instruction_pointer: u64::MAX - u64::from(n),
            control,
            ..ProcessorSnapshot::default()
        };
        let mut snapshot = MachineSnapshot {
            processors: vec![processor(1, None), processor(2, Some(control))],
            current_processor: 1,
            ..MachineSnapshot::default()
        };
        let (current, found) = decode(&encode(&snapshot).unwrap()).unwrap();
        assert_eq!(current, 1);
        assert_eq!(found[0].context, [1; 0x4d0]);
        assert_eq!(found[1].control, Some(control));
        assert_eq!(found[1].instruction_pointer, u64::MAX - 2);
        snapshot.processors.truncate(1);
        assert!(encode(&snapshot).is_none(), "the header has that");
    }

    #[test]
    fn what_is_no_such_block_is_none() {
        for text in [
            "",
            "{}",
            "[1]",
            r#"{"current":1,"processors":[]}"#,
            r#"{"current":0,"processors":[{"context":"zz"}]}"#,
            r#"{"current":0,"processors":[{"context":"123"}]}"#,
        ] {
            assert!(decode(text.as_bytes()).is_none(), "{text}");
        }
    }
}
