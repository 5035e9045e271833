//! How large a dump may become: what the rules say, and what the disk has.

use super::folder::Folder;
use super::rules::Rules;
use std::io;
use std::path::PathBuf;

/// With less it is not worth beginning.
pub const LEAST: u64 = 256 << 10;

/// The bytes that a dump may have, and the old dumps that went for it.
///
/// Each of `parallel` writers may take its part of what is free, so that all
/// together leave `min-free` bytes.
///
/// # Errors
/// There is too little room, and would be with all old dumps gone too: they are
/// left then.
pub fn room(
    folder: &Folder,
    rules: &Rules,
    parallel: usize,
) -> Result<(u64, Vec<PathBuf>), String> {
    let mut removed = Vec::new();
    let failed = |error: io::Error| format!("'{}': {error}", folder.path().display());
    let kept: u64 = folder.dumps().map_err(failed)?.iter().map(|dump| dump.size).sum();
    let enough = LEAST.saturating_mul(parallel as u64).saturating_add(rules.min_free);
    loop {
        let free = free_space(folder).map_err(failed)?;
        // Old dumps do not go for nothing.
        if removed.is_empty() && free.saturating_add(kept) < enough {
            return Err(too_little(folder, free, rules));
        }
        let part = free.saturating_sub(rules.min_free) / parallel as u64;
        let room = part.min(rules.budget).min(rules.max_size.unwrap_or(u64::MAX));
        if part >= LEAST {
            return Ok((room, removed));
        }
        match folder.remove_oldest().map_err(failed)? {
            Some(path) => removed.push(path),
            None => return Err(too_little(folder, free, rules)),
        }
    }
}

fn too_little(folder: &Folder, free: u64, rules: &Rules) -> String {
    format!(
        "the disk of '{}' has {free} bytes free, and min-free keeps {} of them; free some",
        folder.path().display(),
        rules.min_free
    )
}

fn free_space(folder: &Folder) -> io::Result<u64> {
    let stat = rustix::fs::statvfs(folder.path())?;
    // Some user-space file systems know no sizes and leave all at zero.
    if stat.f_blocks == 0 {
        return Ok(u64::MAX);
    }
    Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_of_all_limits_counts() {
        let base = tempfile::tempdir().unwrap();
        let folder = Folder::open(base.path()).unwrap();
        let of = |rules: Rules| room(&folder, &rules, 2).map(|(room, _)| room);
        let rules = Rules { min_free: 0, ..Rules::default() };
        let free = free_space(&folder).unwrap();
        assert!(of(Rules { budget: u64::MAX, ..rules.clone() }).unwrap() <= free / 2 + (1 << 30));
        assert_eq!(of(Rules { budget: 1 << 20, ..rules.clone() }), Ok(1 << 20));
        assert_eq!(of(Rules { max_size: Some(1 << 19), ..rules.clone() }), Ok(1 << 19));
        let error = of(Rules { min_free: u64::MAX, ..rules }).unwrap_err();
        assert!(error.contains("min-free"), "{error}");
    }

    #[test]
    fn old_dumps_go_for_a_new_one_but_not_for_nothing() {
        let base = tempfile::tempdir().unwrap();
        let folder = Folder::open(base.path()).unwrap();
        let old = folder.new_name("x".as_ref(), 1, std::time::UNIX_EPOCH, "dmp");
        std::fs::write(&old, "").unwrap();
        let rules = Rules { min_free: u64::MAX, ..Rules::default() };
        room(&folder, &rules, 1).unwrap_err();
        assert!(old.exists());
        let free = free_space(&folder).unwrap();
        // It looks as if its removal were enough; it is sparse.
        std::fs::File::create(&old).unwrap().set_len(1 << 40).unwrap();
        let rules = Rules { min_free: free + (1 << 39), ..Rules::default() };
        room(&folder, &rules, 1).unwrap_err();
        assert!(!old.exists());
    }
}
