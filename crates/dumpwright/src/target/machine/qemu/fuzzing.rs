//! A door for the fuzz targets to the text that the human monitor answers with.

use super::super::image::Extent;
use super::{layout, memory};

/// A monitor's answers, whatever the question was.
pub(in crate::target::machine) fn monitor(answer: &str) {
    let regions = layout::regions(answer);
    let _ = layout::host_address(answer);
    let _ = layout::words(answer);
    let ram = [Extent { start: 0, len: u64::MAX, offset: 0 }];
    for piece in memory::pieces(&ram, &regions) {
        assert!(piece.start.checked_add(piece.len).is_some());
    }
}
