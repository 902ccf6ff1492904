//! Where two values differ, as their `Debug` shows them.

use std::fmt;

/// The most characters of a side that are told.
const WIDTH: usize = 400;

/// The first field in which two values differ.
#[derive(Debug)]
pub(super) struct Difference {
    /// The way to the field.
    pub(super) place: String,
    pub(super) mine: String,
    pub(super) theirs: String,
}

impl Difference {
    /// Of two values that are not equal; `what` says what they are.
    pub(super) fn of(what: &str, mine: &dyn fmt::Debug, theirs: &dyn fmt::Debug) -> Self {
        let (mine, theirs) = (format!("{mine:#?}"), format!("{theirs:#?}"));
        let (mine, theirs): (Vec<&str>, Vec<&str>) =
            (mine.lines().collect(), theirs.lines().collect());
        let longer = mine.len().max(theirs.len());
        let Some(at) = (0..longer).find(|n| mine.get(*n) != theirs.get(*n)) else {
            let hidden = "what a payload holds, which is not shown".to_owned();
            return Self {
                place: what.to_owned(),
                mine: hidden.clone(),
                theirs: hidden,
            };
        };
        // One of the lines may close what the other goes on with.
        let depth = [&mine, &theirs].map(|lines| lines.get(at).map_or(0, |line| indent(line)));
        let depth = depth[0].max(depth[1]);
        Self {
            place: place(what, &mine, at, depth),
            mine: value(&mine, at, depth),
            theirs: value(&theirs, at, depth),
        }
    }
}

fn indent(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

/// The fields and variants around a line, outermost first.
fn place(what: &str, lines: &[&str], at: usize, mut depth: usize) -> String {
    let mut around = Vec::new();
    for line in lines.iter().take(at).rev() {
        if indent(line) < depth {
            depth = indent(line);
            let name = line.trim().trim_end_matches(['{', '(', '[', ' ']);
            around.push(name.replace(": ", " "));
        }
    }
    around.push(what.to_owned());
    around.retain(|name| !name.is_empty());
    around.reverse();
    around.join(" > ")
}

/// The value that begins at a line, in one line.
fn value(lines: &[&str], at: usize, depth: usize) -> String {
    let Some(first) = lines.get(at).filter(|line| indent(line) >= depth) else {
        return "nothing more".to_owned();
    };
    let mut text = first.trim().to_owned();
    if first.ends_with(['{', '(', '[']) {
        for line in lines.iter().skip(at + 1) {
            let closes = indent(line) <= depth;
            if !closes && !text.ends_with(['(', '[']) {
                text.push(' ');
            }
            text.push_str(line.trim());
            if closes {
                break;
            }
        }
    }
    let text = text.trim_end_matches(',');
    let mut cut: String = text.chars().take(WIDTH).collect();
    if cut.len() < text.len() {
        cut.push('…');
    }
    cut
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    #[expect(dead_code, reason = "they are shown")]
    struct Row {
        id: u64,
        tags: Vec<&'static str>,
        inner: Option<Box<Self>>,
    }

    fn row(id: u64, tags: &[&'static str], inner: Option<Row>) -> Row {
        Row {
            id,
            tags: tags.to_vec(),
            inner: inner.map(Box::new),
        }
    }

    #[test]
    fn the_first_field_that_differs_is_told_with_the_way_to_it() {
        let mine = row(1, &["a"], Some(row(2, &[], None)));
        let theirs = row(1, &["a"], Some(row(3, &[], None)));
        let difference = Difference::of("the row", &mine, &theirs);
        assert_eq!(difference.place, "the row > Row > inner Some > Row");
        assert_eq!(difference.mine, "id: 2");
        assert_eq!(difference.theirs, "id: 3");
    }

    #[test]
    fn what_one_side_has_and_the_other_has_not_is_told_whole() {
        let mine = row(1, &["a"], None);
        let theirs = row(1, &["a", "b"], Some(row(2, &[], None)));
        let difference = Difference::of("the row", &mine, &theirs);
        assert_eq!(difference.mine, "nothing more");
        assert_eq!(difference.theirs, "\"b\"");
        let theirs = row(1, &["a"], Some(row(2, &[], None)));
        let difference = Difference::of("the row", &mine, &theirs);
        assert_eq!(difference.mine, "inner: None");
        assert_eq!(
            difference.theirs,
            "inner: Some(Row { id: 2, tags: [], inner: None, },)"
        );
    }
}
