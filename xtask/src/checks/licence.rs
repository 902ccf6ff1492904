//! Licence expressions, as manifests state them.

/// An SPDX licence expression, or the `MIT/Apache-2.0` of old manifests.
pub(super) struct Expression<'a>(pub(super) &'a str);

impl Expression<'_> {
    /// Whether one can comply with it by the allowed licences alone.
    pub(super) fn is_met_by(&self, allowed: &[&str]) -> bool {
        let spaced = self
            .0
            .replace('(', " ( ")
            .replace(')', " ) ")
            .replace('/', " OR ");
        let tokens: Vec<_> = spaced.split_whitespace().collect();
        let mut parser = Parser {
            tokens: &tokens,
            allowed,
        };
        // What is left over is not an expression: better to refuse than to guess.
        parser.any_of() == Some(true) && parser.tokens.is_empty()
    }
}

/// Evaluates while it reads; `None` is a syntax error. `AND` binds tighter than `OR`.
struct Parser<'a> {
    tokens: &'a [&'a str],
    allowed: &'a [&'a str],
}

impl<'a> Parser<'a> {
    fn any_of(&mut self) -> Option<bool> {
        let mut met = self.all_of()?;
        while self.take_if("OR") {
            met |= self.all_of()?;
        }
        Some(met)
    }

    fn all_of(&mut self) -> Option<bool> {
        let mut met = self.licence()?;
        while self.take_if("AND") {
            met &= self.licence()?;
        }
        Some(met)
    }

    fn licence(&mut self) -> Option<bool> {
        if self.take_if("(") {
            let met = self.any_of()?;
            return self.take_if(")").then_some(met);
        }
        let name = self.take()?;
        if self.take_if("WITH") {
            let name = format!("{name} WITH {}", self.take()?);
            return Some(self.allowed.contains(&name.as_str()));
        }
        Some(self.allowed.contains(&name))
    }

    fn take_if(&mut self, token: &str) -> bool {
        let is_next = self.tokens.first() == Some(&token);
        if is_next {
            self.tokens = &self.tokens[1..];
        }
        is_next
    }

    fn take(&mut self) -> Option<&'a str> {
        let (token, rest) = self.tokens.split_first()?;
        self.tokens = rest;
        Some(token)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALLOWED: &[&str] = &[
        "MIT",
        "Apache-2.0",
        "Unicode-3.0",
        "Apache-2.0 WITH LLVM-exception",
    ];

    fn is_met(expression: &str) -> bool {
        Expression(expression).is_met_by(ALLOWED)
    }

    #[test]
    fn one_allowed_alternative_is_enough() {
        assert!(is_met("MIT"));
        assert!(is_met("MIT OR GPL-3.0-only"));
        assert!(is_met("GPL-3.0-only OR MIT"));
        assert!(is_met("GPL-2.0/MIT"));
        assert!(!is_met("GPL-3.0-only OR LGPL-3.0-only"));
    }

    #[test]
    fn every_part_of_a_conjunction_must_be_allowed() {
        assert!(is_met("(MIT OR Apache-2.0) AND Unicode-3.0"));
        assert!(!is_met("(MIT OR Apache-2.0) AND OpenSSL"));
        assert!(is_met("OpenSSL AND GPL-3.0-only OR MIT"));
        assert!(!is_met("OpenSSL AND (GPL-3.0-only OR MIT)"));
    }

    #[test]
    fn an_exception_is_part_of_its_licence() {
        assert!(is_met("Apache-2.0 WITH LLVM-exception"));
        assert!(!is_met("MIT WITH LLVM-exception"));
    }

    #[test]
    fn what_is_not_an_expression_is_refused() {
        for expression in ["", "MIT OR", "(MIT", "MIT)", "MIT MIT", "OR MIT", "mit"] {
            assert!(!is_met(expression), "{expression:?}");
        }
    }
}
