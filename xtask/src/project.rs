//! Where the project lies.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The root of the workspace, and where its builds go.
pub(crate) struct Project {
    pub(crate) root: PathBuf,
    pub(crate) target: PathBuf,
}

impl Project {
    pub(crate) fn find() -> Self {
        let xtask = Path::new(env!("CARGO_MANIFEST_DIR"));
        let root = xtask.parent().unwrap_or(xtask).to_path_buf();
        let target = env::var_os("CARGO_TARGET_DIR").map_or("target".into(), PathBuf::from);
        Self {
            target: root.join(target),
            root,
        }
    }

    /// A cargo command at the root, its arguments as one would type them.
    pub(crate) fn cargo(&self, args: &str) -> Command {
        let mut command = Command::new("cargo");
        command
            .args(args.split_whitespace())
            .current_dir(&self.root);
        command
    }
}
