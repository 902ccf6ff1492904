//! The relative links of the documentation lead somewhere: to a file or folder that exists, and to a heading in it.

use std::fs;
use std::path::{Path, PathBuf};

use crate::Result;
use crate::project::Project;

pub(crate) fn check(project: &Project) -> Result {
    let mut broken = String::new();
    let mut found = 0;
    for page in pages(&project.root)? {
        let text = fs::read_to_string(&page)?;
        let folder = page.parent().unwrap_or(&project.root);
        for link in links(&text) {
            if leads_somewhere(&page, folder, link) {
                found += 1;
            } else {
                let page = page.strip_prefix(&project.root).unwrap_or(&page);
                broken += &format!("\n  {}: {link}", page.display());
            }
        }
    }
    if !broken.is_empty() {
        return Err(format!("links that lead nowhere:{broken}").into());
    }
    println!("{found} links lead somewhere");
    Ok(())
}

/// The Markdown files at the top and in `docs/`.
fn pages(root: &Path) -> Result<Vec<PathBuf>> {
    let mut pages = Vec::new();
    for folder in [root.to_owned(), root.join("docs")] {
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "md") {
                pages.push(path);
            }
        }
    }
    pages.sort();
    Ok(pages)
}

/// The targets of a page's links that lead to a place in this repository. Code is left out.
fn links(text: &str) -> impl Iterator<Item = &str> {
    prose(text)
        .flat_map(|line| {
            let targets = line.split("](").skip(1);
            targets.filter_map(|rest| rest.split_once(')').map(|(target, _)| target))
        })
        .filter(|target| !target.contains("://") && !target.starts_with("mailto:"))
}

/// The lines outside of blocks of code.
fn prose(text: &str) -> impl Iterator<Item = &str> {
    let mut in_code = false;
    text.lines().filter(move |line| {
        let fence = line.trim_start().starts_with("```");
        in_code ^= fence;
        !fence && !in_code
    })
}

fn leads_somewhere(page: &Path, folder: &Path, link: &str) -> bool {
    let (file, heading) = link.split_once('#').unwrap_or((link, ""));
    let target = if file.is_empty() {
        page.to_owned()
    } else {
        folder.join(file)
    };
    let is_page = target
        .extension()
        .is_some_and(|extension| extension == "md");
    if heading.is_empty() || !is_page {
        return target.exists();
    }
    fs::read_to_string(target).is_ok_and(|text| {
        prose(&text)
            .filter(|line| line.starts_with('#'))
            .any(|line| anchor(line) == heading)
    })
}

/// The name by which a heading is linked: lower case, spaces as hyphens, most punctuation left out.
fn anchor(heading: &str) -> String {
    heading
        .trim_start_matches('#')
        .trim()
        .chars()
        .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'))
        .flat_map(char::to_lowercase)
        .map(|c| if c == ' ' { '-' } else { c })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_links_of_prose_to_this_repository_count() {
        let text =
            "See [a](a.md#b) and [c](https://c.org).\n```md\n[d](d.md)\n```\n- [e](../e.rs)\n";
        assert_eq!(links(text).collect::<Vec<_>>(), ["a.md#b", "../e.rs"]);
    }

    #[test]
    fn a_heading_is_linked_as_the_forges_do() {
        assert_eq!(anchor("## 2. Effectively once"), "2-effectively-once");
        assert_eq!(
            anchor("## What is pure, and what does I/O"),
            "what-is-pure-and-what-does-io"
        );
        assert_eq!(anchor("### `take`, in a word"), "take-in-a-word");
    }

    #[test]
    fn a_link_to_a_heading_that_is_not_there_leads_nowhere() {
        let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/guarantees.md");
        let leads = |link| leads_somewhere(&page, page.parent().unwrap(), link);
        assert!(leads("#2-effectively-once"));
        assert!(leads("protocol.md"));
        assert!(!leads("#13-world-peace"));
        assert!(!leads("no-such-page.md"));
    }
}
