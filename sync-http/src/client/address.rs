//! The server's base address, checked.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::BuildError;

/// An address that requests may go to: `https://host:port/prefix/`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Address {
    base: String,
    host: String,
    secure: bool,
}

impl Address {
    /// Strict on purpose: an address that two parsers could read differently might send a token elsewhere.
    pub(super) fn parse(base: &str) -> Result<Self, BuildError> {
        let invalid = |reason| BuildError::InvalidAddress { reason };
        let (scheme, rest) = base.split_once("://").ok_or(invalid(
            "it must be absolute, such as https://sync.example.com/",
        ))?;
        let secure = match scheme {
            "https" => true,
            "http" => false,
            _ => return Err(invalid("only https and http are known")),
        };
        let authority = rest.split('/').next().unwrap_or_default();
        if authority.contains('@') {
            return Err(invalid(
                "it must hold no credentials; they come from the token source",
            ));
        }
        if rest.contains(['?', '#']) {
            return Err(invalid("it must have no query and no fragment"));
        }
        if !rest.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(invalid(
                "it must be plain ASCII, an international host name in its xn-- form",
            ));
        }
        let host = host(authority).ok_or(invalid("the host or the port is not well-formed"))?;
        let slash = if base.ends_with('/') { "" } else { "/" };
        Ok(Self {
            base: format!("{base}{slash}"),
            host: host.to_owned(),
            secure,
        })
    }

    pub(super) fn is_secure(&self) -> bool {
        self.secure
    }

    pub(super) fn host(&self) -> &str {
        &self.host
    }

    /// Whether requests stay on this machine.
    pub(super) fn is_loopback(&self) -> bool {
        let host = self.host.as_str();
        host == "localhost"
            || host.ends_with(".localhost")
            || host.parse::<Ipv4Addr>().is_ok_and(|ip| ip.is_loopback())
            || ipv6(host).is_some_and(|ip| ip.is_loopback())
    }

    /// The address of a path and query below the base.
    pub(super) fn join(&self, target: &str) -> String {
        format!("{}{}", self.base, target.trim_start_matches('/'))
    }
}

fn ipv6(host: &str) -> Option<Ipv6Addr> {
    host.strip_prefix('[')?.strip_suffix(']')?.parse().ok()
}

/// The host of `host`, `host:port`, `[ipv6]` or `[ipv6]:port`.
fn host(authority: &str) -> Option<&str> {
    let end = authority.find(']').map_or(0, |end| end + 1);
    let (host, port) = match authority.get(end..)?.find(':') {
        Some(colon) => (
            authority.get(..end + colon)?,
            authority.get(end + colon + 1..)?,
        ),
        None => (authority, "1"),
    };
    let is_name = !host.is_empty()
        && host
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte));
    let is_port = port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok();
    (is_port && (is_name || ipv6(host).is_some())).then_some(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_stays_on_this_machine_is_loopback() {
        for base in [
            "http://localhost",
            "http://localhost:8080/api",
            "http://app.localhost/",
            "http://127.0.0.1:1",
            "http://127.1.2.3/x",
            "http://[::1]:80/",
        ] {
            assert!(Address::parse(base).unwrap().is_loopback(), "{base}");
        }
        for base in [
            "http://localhost.example.com",
            "http://127.0.0.1.example.com",
            "http://example.com/localhost",
            "http://128.0.0.1",
            "http://[::2]",
            "http://notlocalhost",
        ] {
            assert!(!Address::parse(base).unwrap().is_loopback(), "{base}");
        }
    }

    #[test]
    fn an_address_that_could_mean_two_things_is_refused() {
        for base in [
            "",
            "example.com",
            "/api",
            "ftp://example.com",
            "https://",
            "https:///x",
            "https://a:secret@example.com",
            "http://localhost\\@example.com",
            "http://localhost#@example.com",
            "http://localhost?x",
            "https://exa mple.com",
            "https://exämple.com",
            "https://example.com:port",
            "https://example.com:99999",
            "https://example.com:",
            "https://[::1",
            "https://[nope]",
            "https://a%2eb",
        ] {
            let error = Address::parse(base).unwrap_err();
            assert!(matches!(error, BuildError::InvalidAddress { .. }), "{base}");
            assert!(!error.to_string().contains("secret"));
        }
    }

    #[test]
    fn a_prefix_is_kept() {
        let join = |base| Address::parse(base).unwrap().join("v1/pull?a=b");
        assert_eq!(join("https://e.com"), "https://e.com/v1/pull?a=b");
        assert_eq!(join("https://e.com/x"), "https://e.com/x/v1/pull?a=b");
        assert_eq!(join("https://e.com:1/x/"), "https://e.com:1/x/v1/pull?a=b");
    }
}
