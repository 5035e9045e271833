//! Which files go along, held against a target made of files in a folder.

mod collecting;
mod fixture;
mod searching;

use super::*;
use fixture::{Elf, FakeTarget};
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// A folder with an image, and an empty debug root and cache.
struct Machine {
    folder: TempDir,
    paths: SearchPaths,
}

impl Machine {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let paths = SearchPaths {
            roots: vec![folder.path().join("debug")],
            caches: vec![folder.path().join("cache")],
        };
        Machine { folder, paths }
    }

    /// Writes a file below the folder.
    fn file(&self, below: &str, contents: &[u8]) -> PathBuf {
        let path = self.folder.path().join(below);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, contents).unwrap();
        path
    }

    fn collect(&self, target: &FakeTarget, scope: SecondaryScope) -> SecondaryFiles {
        collect(target, scope, 1 << 20, None, &self.paths)
    }

    /// Collects for one module at `image`: names and notes.
    fn beside(&self, image: &Path) -> (Vec<String>, Vec<SoftError>) {
        let target = FakeTarget::new().module(0x1000, image.to_str().unwrap(), Some(image));
        let found = self.collect(&target, SecondaryScope::Modules);
        (names(&found), found.notes)
    }
}

fn names(found: &SecondaryFiles) -> Vec<String> {
    found.entries.iter().map(|e| e.name.clone()).collect()
}
