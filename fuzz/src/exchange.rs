//! Requests and answers as text, in the manner of HTTP: a first line, headers, an empty line, a body.

/// The parts of a message.
pub(crate) struct Message<'a> {
    pub(crate) first: &'a str,
    /// Names, in lower case, and values.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: &'a [u8],
}

impl<'a> Message<'a> {
    /// The message in an input; `None` when there is no first line.
    pub(crate) fn parse(input: &'a [u8]) -> Option<Self> {
        let end = input.windows(2).position(|two| two == b"\n\n");
        let (head, body) = match end {
            Some(end) => (&input[..end], &input[end + 2..]),
            None => (input, &[][..]),
        };
        let mut lines = str::from_utf8(head).ok()?.split('\n');
        let first = lines.next()?;
        let headers = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.trim().to_ascii_lowercase(), value.trim().to_owned()))
            .collect();
        Some(Self {
            first,
            headers,
            body,
        })
    }
}
