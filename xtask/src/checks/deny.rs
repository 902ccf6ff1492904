//! Dependencies keep to `deny.toml`: its licences, and the crates that it bans.
//!
//! cargo-deny reads the same file and knows much more, but takes minutes to build and fetches a database of
//! advisories; these checks run on every machine.

use std::fs;

use super::licence::Expression;
use super::tree;
use crate::Result;
use crate::project::Project;

const FILE: &str = "deny.toml";

pub(crate) fn check_licences(project: &Project) -> Result {
    let rules = fs::read_to_string(project.root.join(FILE))?;
    let allowed = array(&rules, "licenses", "allow")?;
    let packages = tree::packages(project, "--workspace")?;
    let mut refused = String::new();
    for package in &packages {
        if !Expression(&package.licence).is_met_by(&allowed) {
            refused += &format!("\n  {}: {:?}", package.name, package.licence);
        }
    }
    if !refused.is_empty() {
        return Err(format!("{FILE} does not allow the licences of:{refused}").into());
    }
    println!(
        "{FILE} allows the licences of all {} packages",
        packages.len()
    );
    Ok(())
}

pub(crate) fn check_bans(project: &Project) -> Result {
    let rules = fs::read_to_string(project.root.join(FILE))?;
    let banned = array(&rules, "bans", "deny")?;
    for package in tree::packages(project, "--workspace")? {
        if banned.contains(&package.name.as_str()) {
            return Err(format!("{FILE} bans {}", package.name).into());
        }
    }
    println!("{FILE} bans {}: none is there", banned.join(", "));
    Ok(())
}

/// The strings of an array in a table of the file: enough of TOML for a file of our own.
fn array<'a>(rules: &'a str, table: &str, key: &str) -> Result<Vec<&'a str>> {
    let find = || {
        let (_, table) = rules.split_once(&format!("[{table}]"))?;
        let table = table.split("\n[").next()?;
        let (_, array) = table.split_once(&format!("\n{key} = ["))?;
        let (array, _) = array.split_once(']')?;
        let lines = array
            .lines()
            .map(str::trim)
            .filter(|line| !line.starts_with('#'));
        Some(
            lines
                .flat_map(|line| line.split('"').skip(1).step_by(2))
                .collect(),
        )
    };
    find().ok_or_else(|| format!("{FILE} has no array `{key}` in [{table}]").into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_arrays_of_the_rules() {
        let rules = r#"
[bans]
wildcards = "deny"
deny = [
    # It wants a "C" library.
    "openssl-sys",
]

[licenses]
allow = ["MIT", "ISC"]
"#;
        assert_eq!(array(rules, "licenses", "allow").unwrap(), ["MIT", "ISC"]);
        assert_eq!(array(rules, "bans", "deny").unwrap(), ["openssl-sys"]);
    }

    #[test]
    fn an_array_that_is_missing_is_an_error_and_not_empty() {
        let rules = "[bans]\n[licenses]\nallow = []\n";
        assert!(array(rules, "bans", "allow").is_err());
        assert!(array(rules, "sources", "allow").is_err());
    }
}
