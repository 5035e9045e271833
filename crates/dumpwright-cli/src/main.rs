//! The `dumpwright` command.

fn main() {}
