//! Folders and files that nobody but root can tamper with. The handler runs
//! as root and writes what processes knew: a folder that another user could
//! replace by a link would send a dump, or a removal, anywhere.

use rustix::fs::Access;
use std::fs::{self, DirBuilder, Metadata};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Component, Path, PathBuf};

/// Only the owner enters.
const PRIVATE: u32 = 0o700;
/// Group or others may write.
const OTHERS_WRITE: u32 = 0o022;
/// Only owners remove and rename what is in it.
const STICKY: u32 = 0o1000;
/// Links that one path may lead through.
const MAX_LINKS: u32 = 8;

/// Makes the folder `path` (mode 0700, with its parents) if it is not there;
/// answers it with all links resolved.
///
/// # Errors
/// It cannot be made, is no folder, or somebody else may write into it or put
/// another in its place.
pub fn folder(path: &Path) -> Result<PathBuf, String> {
    let failed = |error: io::Error| format!("cannot make the folder '{}': {error}", path.display());
    let resolved = resolve(path, MAX_LINKS)?;
    DirBuilder::new().recursive(true).mode(PRIVATE).create(&resolved).map_err(failed)?;
    // What was just made is looked at like what was there.
    look(&resolved)
}

/// Checks a folder like [`folder`], and makes none; answers it with all links
/// resolved.
///
/// # Errors
/// As [`folder`], but that it is not there is none.
pub fn look(path: &Path) -> Result<PathBuf, String> {
    let resolved = resolve(path, MAX_LINKS)?;
    let Ok(metadata) = fs::symlink_metadata(&resolved) else { return Ok(resolved) };
    if let Err(error) = rustix::fs::access(&resolved, Access::WRITE_OK) {
        return Err(format!("'{}' cannot be written to: {error}", path.display()));
    }
    if metadata.mode() & OTHERS_WRITE != 0 {
        return Err(format!(
            "others may write into the folder '{}'; chmod 0700 it, or name another",
            path.display()
        ));
    }
    Ok(resolved)
}

/// Checks that only root can change a file that the handler, as root, goes by:
/// its program, its configuration. Answers it with all links resolved.
///
/// # Errors
/// It is not there, or somebody else may write to it or replace it.
pub fn file(path: &Path) -> Result<PathBuf, String> {
    let real = fs::canonicalize(path).map_err(|e| format!("'{}': {e}", path.display()))?;
    let parent = real.parent().unwrap_or(Path::new("/"));
    resolve(parent, 0)?;
    let metadata = fs::symlink_metadata(&real).map_err(|e| format!("'{}': {e}", real.display()))?;
    if !is_ours(&metadata) || metadata.mode() & OTHERS_WRITE != 0 {
        return Err(format!(
            "'{}' can be changed by others than root, and the handler, which runs as root, goes by it; make it root's alone (chown root, chmod go-w)",
            real.display()
        ));
    }
    Ok(real)
}

/// Follows `path` from the root as far as it exists, and checks each step.
fn resolve(path: &Path, links: u32) -> Result<PathBuf, String> {
    let mut here = PathBuf::from("/");
    for component in path.components() {
        match component {
            Component::Normal(name) => here.push(name),
            Component::ParentDir => return Err(format!("'{}' has a '..'", path.display())),
            _ => {}
        }
        let metadata = match fs::symlink_metadata(&here) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(format!("'{}': {error}", here.display())),
        };
        if !is_ours(&metadata) {
            return Err(format!(
                "'{}' belongs to user {}, who could put anything in its place; choose a folder of root's",
                here.display(),
                metadata.uid()
            ));
        }
        if metadata.is_symlink() {
            let target = fs::canonicalize(&here);
            let target = target.map_err(|error| format!("'{}': {error}", here.display()))?;
            let left = links.checked_sub(1);
            let left = left.ok_or_else(|| format!("'{}' has too many links", path.display()))?;
            here = resolve(&target, left)?;
        } else if !metadata.is_dir() {
            return Err(format!("'{}' is no folder", here.display()));
        } else if metadata.mode() & OTHERS_WRITE != 0 && metadata.mode() & STICKY == 0 {
            return Err(format!(
                "others may write into '{}' and replace what is in it; choose a folder of root's",
                here.display()
            ));
        }
    }
    Ok(here)
}

fn is_ours(metadata: &Metadata) -> bool {
    metadata.uid() == 0 || metadata.uid() == rustix::process::geteuid().as_raw()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::Permissions;
    use std::os::unix::fs::{PermissionsExt, symlink};

    fn chmod(path: &Path, mode: u32) {
        fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn a_folder_is_made_private_and_through_links_of_ours() {
        let base = tempfile::tempdir().unwrap();
        let base = fs::canonicalize(base.path()).unwrap();
        let made = folder(&base.join("a/b")).unwrap();
        assert_eq!(made, base.join("a/b"));
        assert_eq!(fs::metadata(&made).unwrap().mode() & 0o777, 0o700);
        symlink(base.join("a"), base.join("link")).unwrap();
        assert_eq!(folder(&base.join("link/b")).unwrap(), made);
        assert!(folder(&base.join("link/../a")).unwrap_err().contains("'..'"));
    }

    #[test]
    fn a_place_where_others_may_write_is_refused() {
        let base = tempfile::tempdir().unwrap();
        let open = base.path().join("open");
        fs::create_dir(&open).unwrap();
        chmod(&open, 0o777);
        assert!(folder(&open.join("mine")).unwrap_err().contains("replace what is in it"));
        chmod(&open, 0o1777);
        folder(&open.join("mine")).unwrap();
        assert!(folder(&open).unwrap_err().contains("chmod 0700"));
        fs::write(base.path().join("file"), "").unwrap();
        assert!(folder(&base.path().join("file")).unwrap_err().contains("no folder"));
    }

    #[test]
    fn a_link_or_program_of_another_user_is_refused() {
        let base = tempfile::tempdir().unwrap();
        let file = base.path().join("program");
        fs::write(&file, "").unwrap();
        chmod(&file, 0o755);
        super::file(&file).unwrap();
        chmod(&file, 0o775);
        assert!(super::file(&file).unwrap_err().contains("chmod go-w"));
        if !rustix::process::geteuid().is_root() {
            return;
        }
        let link = base.path().join("link");
        symlink("/etc", &link).unwrap();
        std::os::unix::fs::lchown(&link, Some(1234), None).unwrap();
        assert!(folder(&link.join("x")).unwrap_err().contains("user 1234"));
    }
}
