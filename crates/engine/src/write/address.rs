//! What `match email` and `match url` take.
//!
//! The forms that a browser's input fields take, not the grammar of the standards, which allows comments and quoted
//! spaces; but letters beyond ASCII may stand in an address, as RFC 6531 says. Whether anybody is there is not looked at.

/// Whether a text is an e-mail address: the rule of HTML's `<input type=email>`, and no longer than mail can carry.
pub(super) fn is_email(text: &str) -> bool {
    let Some((local, domain)) = text.split_once('@') else { return false };
    let is_local = |char: char| is_letter(char) || ".!#$%&'*+/=?^_`{|}~-".contains(char);
    (1..=64).contains(&local.len())
        && local.chars().all(is_local)
        && domain.len() <= 255
        && domain.split('.').all(is_host_label)
}

fn is_host_label(label: &str) -> bool {
    (1..=63).contains(&label.len())
        && !label.starts_with('-')
        && !label.ends_with('-')
        && label.chars().all(|char| is_letter(char) || char == '-')
}

fn is_letter(char: char) -> bool {
    if char.is_ascii() { char.is_ascii_alphanumeric() } else { char.is_alphanumeric() }
}

/// Whether a text is an absolute http or https address with a host, and without white space or control characters.
pub(super) fn is_url(text: &str) -> bool {
    let scheme_end = text.find("://").unwrap_or(0);
    let (scheme, rest) = text.split_at(scheme_end);
    let is_web = scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https");
    if !is_web || text.chars().any(|char| char.is_whitespace() || char.is_control() || "<>\"".contains(char))
    {
        return false;
    }
    let authority = rest["://".len()..].split(['/', '?', '#', '\\']).next().unwrap_or("");
    let host_and_port = authority.rsplit_once('@').map_or(authority, |(_, after)| after);
    let (host, port) = match host_and_port.strip_prefix('[') {
        Some(inner) => match inner.split_once(']') {
            Some((address, after)) => return is_bracketed(address, after),
            None => return false,
        },
        None => {
            host_and_port.split_once(':').map_or((host_and_port, None), |(host, port)| (host, Some(port)))
        }
    };
    !host.is_empty() && !host.contains(['[', ']']) && port.is_none_or(is_port)
}

/// `[::1]:8080`: the address between the brackets and what follows them.
fn is_bracketed(address: &str, after: &str) -> bool {
    let port_fits = after.is_empty() || after.strip_prefix(':').is_some_and(is_port);
    address.parse::<std::net::Ipv6Addr>().is_ok() && port_fits
}

fn is_port(port: &str) -> bool {
    port.is_empty() || (port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::{is_email, is_url};

    #[test]
    fn e_mail_addresses() {
        for text in
            ["a@b", "stanisław.wójcik@wp.pl", "a@münchen.de", "ann.o'neill+x@mail.example.org", "1@2.nl"]
        {
            assert!(is_email(text), "{text}");
        }
        for text in ["", "a", "@b", "a@", "a@b..c", "a@-b.c", "a b@c", "a@b@c", "a\u{a0}b@c", "a@b.c\n"] {
            assert!(!is_email(text), "{text}");
        }
        assert!(!is_email(&format!("{}@b.c", "a".repeat(65))));
    }

    #[test]
    fn web_addresses() {
        for text in [
            "http://a",
            "HTTPS://a.b:8080/c?d#e",
            "https://u:p@a/",
            "http://[::1]:80/x",
            "https://münchen.de",
        ] {
            assert!(is_url(text), "{text}");
        }
        for text in
            ["", "a.b", "ftp://a", "http://", "http:///a", "http://a b", "javascript:x://", "http://a:99999"]
        {
            assert!(!is_url(text), "{text}");
        }
    }
}
