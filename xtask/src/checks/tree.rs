//! The packages of a dependency tree, as `cargo tree` prints them.

use std::collections::BTreeSet;

use crate::Result;
use crate::command::output;
use crate::project::Project;

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Package {
    pub(super) name: String,
    /// A package of this workspace, rather than one of a registry.
    pub(super) is_local: bool,
    pub(super) features: Vec<String>,
    /// Its licence expression; empty where the manifest has none.
    pub(super) licence: String,
}

/// The packages, on any target and with all features, of the tree that `selection` tells `cargo tree` to print.
pub(super) fn packages(project: &Project, selection: &str) -> Result<BTreeSet<Package>> {
    chosen_packages(project, &format!("--all-features {selection}"))
}

/// As [`packages`], with the features that `selection` names.
pub(super) fn chosen_packages(project: &Project, selection: &str) -> Result<BTreeSet<Package>> {
    let tree = format!("tree --target all --prefix none {selection} --format");
    let tree = output(project.cargo(&tree).arg("{p}|{f}|{l}"))?;
    Ok(tree.lines().filter_map(package).collect())
}

fn package(line: &str) -> Option<Package> {
    // Marks a package whose own dependencies were printed before.
    let line = line.strip_suffix(" (*)").unwrap_or(line);
    let mut fields = line.split('|');
    let (title, features, licence) = (fields.next()?, fields.next()?, fields.next()?);
    Some(Package {
        name: title.split(' ').next()?.into(),
        is_local: title.contains("(/"),
        features: features.split(',').map(String::from).collect(),
        licence: licence.into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_a_package_of_the_workspace() {
        let line = "sync-http v0.1.0 (/src/project/sync-http)|client,default|MIT OR Apache-2.0 (*)";
        let expected = Package {
            name: "sync-http".into(),
            is_local: true,
            features: vec!["client".into(), "default".into()],
            licence: "MIT OR Apache-2.0".into(),
        };
        assert_eq!(package(line), Some(expected));
    }

    #[test]
    fn a_procedural_macro_is_no_local_package() {
        let package = package("async-trait v0.1.92 (proc-macro)||MIT").unwrap();
        assert!(!package.is_local);
    }

    #[test]
    fn an_empty_line_is_no_package() {
        assert_eq!(package(""), None);
    }
}
