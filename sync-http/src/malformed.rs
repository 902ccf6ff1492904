//! What is wrong with a body that cannot be decoded, and where.

use std::fmt;

/// A body is not what the protocol says. Nothing of it is used.
///
/// The message names the place and what was expected there, and quotes nothing of the body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Malformed(Box<Inner>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Inner {
    field: String,
    line: usize,
    column: usize,
    problem: String,
}

/// A path goes no deeper than this: below lies the app's data, whose field names are nobody's business.
const PATH_DEPTH: usize = 3;

/// How serde says that a field is not there.
const MISSING: &str = "missing field";

impl Malformed {
    /// What serde says about a body. A field is named if `is_name` knows it: any other name is the body's own.
    pub(crate) fn of(
        body: &str,
        error: &serde_json::Error,
        is_name: impl Fn(&str) -> bool,
    ) -> Self {
        let (line, column) = (error.line(), error.column());
        let problem = problem(error);
        let mut path = path_at(body, offset(body, line, column));
        if problem.starts_with(MISSING) {
            // The parser stands behind the last field that is there, which is not at fault.
            path.leave_field();
        }
        Self(Box::new(Inner {
            field: path.render(is_name),
            line,
            column,
            problem,
        }))
    }

    /// A problem that JSON itself does not see, in the field of this name.
    pub(crate) fn field(field: impl Into<String>, problem: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            field: field.into(),
            line: 0,
            column: 0,
            problem: problem.into(),
        }))
    }

    /// The same problem, seen inside another field.
    pub(crate) fn within(mut self, outer: &str) -> Self {
        self.0.field = match self.0.field.as_str() {
            "" => outer.to_owned(),
            inner if inner.starts_with('[') => format!("{outer}{inner}"),
            inner => format!("{outer}.{inner}"),
        };
        self
    }
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.problem)?;
        if !self.0.field.is_empty() {
            write!(f, " in {}", self.0.field)?;
        }
        if self.0.line > 0 {
            write!(f, " at line {} column {}", self.0.line, self.0.column)?;
        }
        Ok(())
    }
}

impl std::error::Error for Malformed {}

/// What serde says, without the values that it likes to quote.
fn problem(error: &serde_json::Error) -> String {
    let message = error.to_string();
    let message = message
        .rsplit_once(" at line ")
        .map_or(message.as_str(), |(message, _)| message);
    if !error.is_data() || message.starts_with(MISSING) {
        message.to_owned()
    } else if message.starts_with("duplicate field") {
        "a field comes twice".to_owned()
    } else if let Some((_, expected)) = message.rsplit_once(", expected ") {
        // The names of Rust's types say nothing to who writes the other side.
        let is_object = expected.starts_with("struct ");
        format!(
            "expected {}",
            if is_object { "an object" } else { expected }
        )
    } else {
        "an invalid value".to_owned()
    }
}

/// The place of a line and column (both from 1, in bytes) as an offset.
fn offset(body: &str, line: usize, column: usize) -> usize {
    let before: usize = body
        .split_inclusive('\n')
        .take(line.saturating_sub(1))
        .map(str::len)
        .sum();
    before + column.saturating_sub(1)
}

/// One step on the way to a value.
enum Step {
    Key(String),
    Index(usize),
}

/// The way to a value: its first steps, and how many more there are.
#[derive(Default)]
struct Path {
    steps: Vec<Step>,
    beneath: usize,
}

impl Path {
    fn enter(&mut self, step: Step) {
        if self.steps.len() < PATH_DEPTH {
            self.steps.push(step);
        } else {
            self.beneath += 1;
        }
    }

    fn leave(&mut self) {
        match self.beneath.checked_sub(1) {
            Some(beneath) => self.beneath = beneath,
            None => drop(self.steps.pop()),
        }
    }

    /// From a field to the object that it is in.
    fn leave_field(&mut self) {
        if self.beneath == 0 {
            self.steps.pop_if(|step| matches!(step, Step::Key(_)));
        }
    }

    /// The last step, unless it lies too deep to be shown.
    fn last(&mut self) -> Option<&mut Step> {
        self.steps.last_mut().filter(|_| self.beneath == 0)
    }

    /// The way as text: `changes[3].seq`.
    fn render(&self, is_name: impl Fn(&str) -> bool) -> String {
        let mut path = String::new();
        for step in &self.steps {
            match step {
                Step::Key(key) if !is_name(key) => break,
                Step::Key(key) if path.is_empty() => path.clone_from(key),
                Step::Key(key) => {
                    path.push('.');
                    path.push_str(key);
                }
                Step::Index(index) => path.push_str(&format!("[{index}]")),
            }
        }
        path
    }
}

/// The way to the value that holds this offset.
fn path_at(body: &str, offset: usize) -> Path {
    let mut path = Path::default();
    let mut string: Option<usize> = None;
    let mut escaped = false;
    let mut last = "";
    for (at, byte) in body.bytes().enumerate().take(offset) {
        if let Some(start) = string {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => {
                    last = body.get(start..at).unwrap_or_default();
                    string = None;
                }
                _ => {}
            }
            continue;
        }
        match byte {
            b'"' => string = Some(at + 1),
            b'{' => path.enter(Step::Key(String::new())),
            b'[' => path.enter(Step::Index(0)),
            b'}' | b']' => path.leave(),
            b':' => {
                if let Some(Step::Key(key)) = path.last() {
                    last.clone_into(key);
                }
            }
            b',' => match path.last() {
                Some(Step::Key(key)) => key.clear(),
                Some(Step::Index(index)) => *index += 1,
                None => {}
            },
            _ => {}
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(body: &str) -> String {
        #[derive(Debug, serde::Deserialize)]
        #[expect(dead_code, reason = "only decoding is looked at")]
        struct Row {
            seq: u64,
        }
        #[derive(Debug, serde::Deserialize)]
        #[expect(dead_code, reason = "only decoding is looked at")]
        struct Body {
            changes: Vec<Row>,
        }
        let error = serde_json::from_str::<Body>(body).unwrap_err();
        Malformed::of(body, &error, |name| ["changes", "seq"].contains(&name)).to_string()
    }

    #[test]
    fn the_message_names_field_line_and_column() {
        assert_eq!(
            refused("{\"changes\":[{\"seq\":1},\n{\"seq\":-2}]}"),
            "expected u64 in changes[1].seq at line 2 column 9"
        );
        assert_eq!(
            refused("{\"changes\":[{}]}"),
            "missing field `seq` in changes[0] at line 1 column 14"
        );
        assert_eq!(refused("7"), "expected an object at line 1 column 1");
    }

    #[test]
    fn nothing_of_the_body_is_quoted() {
        for body in [
            r#"{"my secret":tru}"#,
            r#"{"changes":[{"my secret":{"secret":tru}}]}"#,
            r#"{"changes":[{"seq":1,"op":"my secret":}"#,
            r#"{"changes":[{"seq":"my secret"}]}"#,
            r#"{"changes":"my secret, expected secret"}"#,
            r#"{"changes":[{"seq":1}], "secret" 1}"#,
            r#"{"changes":[{"seq":{"my secret":{"secret":"secret}}}]}"#,
        ] {
            let message = refused(body);
            assert!(!message.contains("secret"), "{message}");
        }
    }
}
