//! What the command line says of machines.

use crate::numbers::{parse_number, parse_range};
use clap::{ArgGroup, Args};
use dumpwright::KernelDumpType;
use dumpwright::target::machine::image::RawLayout;
use dumpwright::target::machine::{
    ByHand, Gva, MachineArchitecture, MachineOptions, SymbolSources,
};
use std::path::PathBuf;

/// Options of `dump` for machines.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Machines (-z with a memory image or kernel dump, or --qemu)")]
#[command(group = ArgGroup::new("kernel-type").args(["kernel", "active", "dump_type"]))]
pub struct MachineArgs {
    /// QMP socket of a live QEMU or KVM guest (-qmp unix:SOCKET,server=on,wait=off)
    #[arg(long, value_name = "SOCKET")]
    pub qemu: Option<PathBuf>,
    /// Letters of -k
    #[arg(long, hide = true, num_args = 1, value_name = "LETTERS")]
    pub kernel: Option<String>,
    /// Memory that is in use, without free and standby pages
    #[arg(long)]
    pub active: bool,
    /// Any other type: full, bitmap-full, bitmap-kernel, …, or its number
    #[arg(long = "type", value_name = "NAME", value_parser = parse_type)]
    pub dump_type: Option<KernelDumpType>,
    /// Carry a file in the dump's secondary data; can be repeated
    #[arg(long, value_name = "FILE")]
    pub attach: Vec<PathBuf>,
    /// Where the bytes of a raw image stood: flat, pc, q35, or START-END,… back to back
    #[arg(long, value_name = "LAYOUT", value_parser = parse_layout, requires = "open")]
    pub ranges: Option<RawLayout>,
    /// Symbols of the guest's kernel: a PDB, or a folder of them; can be repeated
    #[arg(long, value_name = "FILE|FOLDER")]
    pub pdb: Vec<PathBuf>,
    /// Symbol server to fetch them from, as http://HOST/PATH; can be repeated
    #[arg(long, value_name = "URL")]
    pub symbol_server: Vec<String>,
    /// What is known of the guest: dtb=, kdbg=, kernel=, modules=, processes=, pfn=, build=,
    /// cpu= (the processor that the dump is seen from), arch= (amd64, la57, x86, pae, arm64)
    #[arg(long, value_name = "KEY=VALUE,…", value_parser = parse_by_hand)]
    pub raw_header: Option<ByHand>,
}

impl MachineArgs {
    /// The type that is asked for by name or letter.
    pub fn kernel_type(&self) -> Option<KernelDumpType> {
        match self.kernel.as_deref() {
            Some("a") => Some(KernelDumpType::KernelAndUserMemory),
            Some(_) => Some(KernelDumpType::KernelMemory),
            None if self.active => Some(KernelDumpType::Active),
            None => self.dump_type,
        }
    }

    /// How to open the machine.
    pub fn options(&self) -> MachineOptions {
        MachineOptions {
            layout: self.ranges.clone().unwrap_or_default(),
            by_hand: self.raw_header.clone().unwrap_or_default(),
            symbols: SymbolSources { paths: self.pdb.clone(), servers: self.symbol_server.clone() },
            ..MachineOptions::default()
        }
    }
}

fn parse_type(text: &str) -> Result<KernelDumpType, String> {
    KernelDumpType::from_name(text).ok_or_else(|| {
        let names: Vec<_> = KernelDumpType::ALL.iter().map(|t| t.name()).collect();
        format!("not a type of kernel dump; there are {}", names.join(", "))
    })
}

fn parse_layout(text: &str) -> Result<RawLayout, String> {
    match text {
        "flat" => Ok(RawLayout::Flat),
        "pc" => Ok(RawLayout::PC),
        "q35" => Ok(RawLayout::Q35),
        list => list.split(',').map(parse_range).collect::<Result<_, _>>().map(RawLayout::Ranges),
    }
}

fn parse_by_hand(text: &str) -> Result<ByHand, String> {
    let mut by_hand = ByHand::default();
    for pair in text.split(',') {
        let Some((key, value)) = pair.split_once('=') else {
            return Err(format!("'{pair}' is not KEY=VALUE"));
        };
        if key == "arch" {
            by_hand.architecture = Some(parse_architecture(value)?);
            continue;
        }
        let number = parse_number(value)?;
        match key {
            "dtb" => by_hand.directory_table_base = Some(number),
            "kdbg" => by_hand.debugger_data = Some(Gva(number)),
            "kernel" => by_hand.kernel_base = Some(Gva(number)),
            "modules" => by_hand.loaded_module_list = Some(Gva(number)),
            "processes" => by_hand.active_process_head = Some(Gva(number)),
            "pfn" => by_hand.pfn_database = Some(Gva(number)),
            "build" => {
                let build = u32::try_from(number);
                by_hand.build = Some(build.map_err(|_| format!("{value} is no build number"))?);
            }
            "cpu" => {
                let cpu = usize::try_from(number);
                by_hand.current_processor =
                    Some(cpu.map_err(|_| format!("{value} is no processor"))?);
            }
            _ => {
                return Err(format!(
                    "'{key}' is not one of dtb, kdbg, kernel, modules, processes, pfn, build, cpu, arch"
                ));
            }
        }
    }
    Ok(by_hand)
}

fn parse_architecture(name: &str) -> Result<MachineArchitecture, String> {
    match name {
        "amd64" => Ok(MachineArchitecture::Amd64),
        "la57" => Ok(MachineArchitecture::Amd64La57),
        "x86" => Ok(MachineArchitecture::X86),
        "pae" => Ok(MachineArchitecture::X86Pae),
        "arm64" => Ok(MachineArchitecture::Arm64),
        _ => Err(format!("'{name}' is not one of amd64, la57, x86, pae, arm64")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dumpwright::address::AddressRange;

    #[test]
    fn layouts_and_headers_are_read_as_people_write_them() {
        assert_eq!(parse_layout("q35"), Ok(RawLayout::Q35));
        assert_eq!(
            parse_layout("0-0x1000,0x10000+0x2000"),
            Ok(RawLayout::Ranges(vec![
                AddressRange::new(0, 0x1000),
                AddressRange::new(0x10000, 0x12000)
            ]))
        );
        let by_hand = parse_by_hand("dtb=0x1ad000,kdbg=0xfffff800`12345678,arch=la57").unwrap();
        assert_eq!(by_hand.directory_table_base, Some(0x1a_d000));
        assert_eq!(by_hand.debugger_data, Some(Gva(0xffff_f800_1234_5678)));
        assert_eq!(by_hand.architecture, Some(MachineArchitecture::Amd64La57));
        assert!(parse_by_hand("dtb").is_err() && parse_by_hand("x=1").is_err());
        assert_eq!(parse_type("active"), Ok(KernelDumpType::Active));
        assert!(parse_type("huge").is_err());
    }
}
