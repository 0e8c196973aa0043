//! How names are written, and what to say when one is not.
//!
//! It knows spelling only: what a name stands for is the resolver's.

use crate::suggest;

/// The longest name that every database keeps whole, in bytes.
pub const NAME_BYTES_MAX: usize = 63;

/// The words that offer the nearest name, when there is one.
pub fn did_you_mean<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<String> {
    suggest::nearest(name, candidates).map(|nearest| format!("did you mean `{nearest}`?"))
}

/// Whether a name is written as columns, relations, parameters, flags and commands are.
pub fn is_snake_case(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
}

/// Whether a name is written as tables and events are.
pub fn is_upper_camel(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_uppercase()) && name.bytes().all(|b| b.is_ascii_alphanumeric())
}

/// The name as a column would have it: `unitPrice` and `UnitPrice` become `unit_price`.
pub fn to_snake_case(name: &str) -> String {
    let mut out = String::new();
    let mut after_lower = false;
    for c in name.trim_start_matches(|c: char| !c.is_ascii_alphabetic()).chars() {
        if c.is_ascii_uppercase() && after_lower {
            out.push('_');
        }
        after_lower = c.is_ascii_lowercase() || c.is_ascii_digit();
        if c.is_ascii_alphanumeric() {
            out.push(c.to_ascii_lowercase());
        } else if !out.ends_with('_') {
            out.push('_');
        }
    }
    out
}

/// The name as a table would have it: `order_line` becomes `OrderLine`.
pub fn to_upper_camel(name: &str) -> String {
    let mut out = String::new();
    let mut start = true;
    for c in name.trim_start_matches(|c: char| !c.is_ascii_alphabetic()).chars() {
        if !c.is_ascii_alphanumeric() {
            start = true;
        } else if start {
            out.push(c.to_ascii_uppercase());
            start = false;
        } else {
            out.push(c);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::{to_snake_case, to_upper_camel};

    #[test]
    fn names_are_put_into_the_expected_case() {
        for (name, snake, camel) in [
            ("unitPrice", "unit_price", "UnitPrice"),
            ("UnitPrice", "unit_price", "UnitPrice"),
            ("order_line", "order_line", "OrderLine"),
            ("_Title", "title", "Title"),
            ("HTTPCode", "httpcode", "HTTPCode"),
            ("größe", "gr_e", "GrE"),
        ] {
            assert_eq!(
                (to_snake_case(name).as_str(), to_upper_camel(name).as_str()),
                (snake, camel),
                "{name}"
            );
        }
    }
}
