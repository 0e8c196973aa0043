//! Who may be written to by a system that is not in production.

use lettre::Address;

/// Addresses, and domains as `@example.com`. An empty list allows nobody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Allowed {
    /// In production.
    Everybody,
    /// Elsewhere.
    Only(Vec<String>),
}

impl Allowed {
    /// Whether an address may be written to. Upper and lower case are the same.
    pub fn allows(&self, address: &Address) -> bool {
        match self {
            Allowed::Everybody => true,
            Allowed::Only(list) => list.iter().any(|entry| match entry.strip_prefix('@') {
                Some(domain) => domain.eq_ignore_ascii_case(address.domain()),
                None => entry.eq_ignore_ascii_case(address.as_ref()),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Allowed;

    #[test]
    fn addresses_and_whole_domains_are_allowed_and_no_others() {
        let allowed = Allowed::Only(vec!["@example.com".to_owned(), "Ann@elsewhere.org".to_owned()]);
        for (address, expect) in [
            ("bob@EXAMPLE.com", true),
            ("ann@elsewhere.org", true),
            ("bob@elsewhere.org", false),
            ("bob@sub.example.com", false),
            ("bob@notexample.com", false),
        ] {
            assert_eq!(allowed.allows(&address.parse().unwrap()), expect, "{address}");
        }
        assert!(!Allowed::Only(Vec::new()).allows(&"bob@example.com".parse().unwrap()));
    }
}
