//! File systems for a child alone.

use std::{
    env,
    path::Path,
    process::{Command, Output},
};

use libtest_mimic::Failed;

use crate::{CASE, FOLDER, cases::Case, edits};

/// The last line of a child that has come through.
pub(crate) const THROUGH: &str = "through";

/// What is special about the child's folder.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Space {
    /// A file system of 8 MB in memory.
    Small,
    /// No file may become larger than 1 MB.
    Limited,
    /// A database lies in it, and nothing in it can be changed.
    ReadOnlyFolder,
    /// A database lies in it that cannot be changed; files can be added beside it.
    ReadOnlyFile,
}

impl Space {
    /// What a shell does first; `$1` is the folder.
    fn set_up(self) -> &'static str {
        match self {
            Self::Small => r#"mount -t tmpfs -o size=8m tmpfs "$1""#,
            // Past the limit a write fails, as the signal that would come first is ignored.
            Self::Limited => r#"trap "" XFSZ && ulimit -f 2048"#,
            Self::ReadOnlyFolder => r#"mount --bind "$1" "$1" && mount -o remount,ro,bind "$1""#,
            Self::ReadOnlyFile => {
                r#"mount --bind "$1/app.db" "$1/app.db" && mount -o remount,ro,bind "$1/app.db""#
            }
        }
    }

    fn mounts(self) -> bool {
        !matches!(self, Self::Limited)
    }
}

/// Runs a case in a child with such a folder, and looks afterwards, in this process, at what is left.
pub(crate) fn run(case: &Case) -> Result<(), Failed> {
    let space = case.space;
    let directory = tempfile::tempdir()?;
    let path = directory.path().join(edits::FILE);
    if matches!(space, Space::ReadOnlyFile | Space::ReadOnlyFolder) {
        edits::make(&path);
    }
    let before = std::fs::read(&path).unwrap_or_default();
    let output = start(case.name, space, directory.path())?;
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() || !told.trim_end().ends_with(THROUGH) {
        return Err(format!("{}: {told}{errors}", output.status).into());
    }
    match space {
        Space::Small => {}
        Space::Limited => edits::are_all_there(&path, &told),
        Space::ReadOnlyFile | Space::ReadOnlyFolder => {
            assert!(before == std::fs::read(&path)?, "the file has changed");
        }
    }
    Ok(())
}

fn start(case: &str, space: Space, folder: &Path) -> Result<Output, Failed> {
    let script = format!(r#"{} && exec "$2""#, space.set_up());
    let program = env::current_exe()?;
    let shell = |words: &[&str]| -> Result<Output, Failed> {
        let mut words = words.iter();
        let mut command = Command::new(words.next().expect("a program"));
        command.args(words).arg(format!("{CASE}={case}"));
        command.arg(format!("{FOLDER}={}", folder.display()));
        command
            .args(["sh", "-c", &script, "sh"])
            .args([folder, &program]);
        Ok(command.output()?)
    };
    if !space.mounts() {
        return shell(&["env"]);
    }
    // The first of these that can make a mount at all.
    let ways: [&[&str]; 3] = [
        &["unshare", "-m", "env"],
        &["unshare", "-rm", "env"],
        &["sudo", "-n", "unshare", "-m", "env"],
    ];
    let can_mount = |way: &&&[&str]| {
        let mut probe = Command::new(way[0]);
        probe
            .args(&way[1..])
            .args(["mount", "-t", "tmpfs", "tmpfs"])
            .arg(folder);
        probe.output().is_ok_and(|output| output.status.success())
    };
    let Some(way) = ways.iter().find(can_mount) else {
        return Err(
            "no mounts can be made here: run this as root, allow user namespaces \
            (sysctl kernel.apparmor_restrict_unprivileged_userns=0), or sudo without a password"
                .into(),
        );
    };
    shell(way)
}
