//! The query string, read strictly: UTF-8, each name once, no name that the route does not know.
//!
//! `+` is a space, as in forms; a plus sign is `%2B`. A name without a value is a flag. What the values mean is not
//! known here.

use mainstay_engine::error::{Error, Key};
use percent_encoding::percent_decode_str;

use mainstay_lang::suggest::nearest;

/// The parameters of a request, in the order given.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Parameters(Vec<(String, Option<String>)>);

impl Parameters {
    /// Reads a query string whose names must all be `known`.
    pub(crate) fn parse(query: Option<&str>, known: &[&str]) -> Result<Parameters, Error> {
        let mut parameters = Parameters::default();
        for piece in query.unwrap_or_default().split('&').filter(|piece| !piece.is_empty()) {
            let (name, value) = match piece.split_once('=') {
                Some((name, value)) => (decode(name)?, Some(decode(value)?)),
                None => (decode(piece)?, None),
            };
            if !known.contains(&name.as_str()) {
                return Err(unknown(&name, known));
            }
            if parameters.0.iter().any(|(other, _)| *other == name) {
                return Err(malformed(&name, format!("`{name}` is given twice.")));
            }
            parameters.0.push((name, value));
        }
        Ok(parameters)
    }

    /// A parameter that needs words; given without any, it is refused.
    pub(crate) fn text(&self, name: &str) -> Result<Option<&str>, Error> {
        match self.get(name) {
            None => Ok(None),
            Some(value) => match value.map(str::trim).filter(|text| !text.is_empty()) {
                Some(text) => Ok(Some(text)),
                None => Err(malformed(name, format!("`{name}` is empty; leave it out or give it a value."))),
            },
        }
    }

    /// A whole number that is not negative.
    pub(crate) fn number(&self, name: &str) -> Result<Option<u64>, Error> {
        self.text(name)?
            .map(|text| {
                let is_digits = text.bytes().all(|byte| byte.is_ascii_digit());
                text.parse().ok().filter(|_| is_digits).ok_or_else(|| {
                    malformed(name, format!("`{name}` is a whole number from 0 on, not `{text}`."))
                })
            })
            .transpose()
    }

    /// `name`, `name=` and `name=true` say yes; `name=false` and no `name` say no.
    pub(crate) fn flag(&self, name: &str) -> Result<bool, Error> {
        match self.get(name) {
            None | Some(Some("false")) => Ok(false),
            Some(None | Some("" | "true")) => Ok(true),
            Some(Some(other)) => {
                Err(malformed(name, format!("`{name}` is `true` or `false`, not `{other}`.")))
            }
        }
    }

    /// Whether it is given at all.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    fn get(&self, name: &str) -> Option<Option<&str>> {
        self.0.iter().find(|(of, _)| of == name).map(|(_, value)| value.as_deref())
    }
}

/// A parameter whose value cannot be read.
pub(crate) fn malformed(name: &str, words: String) -> Error {
    Error::at(Key::Request, format!("?{name}"), "parameter", words)
}

fn unknown(name: &str, known: &[&str]) -> Error {
    let words = match nearest(name, known.iter().copied()) {
        Some(near) => format!("There is no parameter `{name}` here; did you mean `{near}`?"),
        None if known.is_empty() => format!("This path takes no parameters; `{name}` is given."),
        None => format!("There is no parameter `{name}` here; there are {}.", known.join(", ")),
    };
    Error::at(Key::NameUnknown, format!("?{name}"), "name", words)
}

fn decode(text: &str) -> Result<String, Error> {
    let bytes = text.as_bytes();
    let is_escape =
        |at: usize| bytes.get(at + 1..at + 3).is_some_and(|hex| hex.iter().all(u8::is_ascii_hexdigit));
    if bytes.iter().enumerate().any(|(at, byte)| *byte == b'%' && !is_escape(at)) {
        let words = "The query string has a `%` that is not followed by two hexadecimal digits; write `%25`.";
        return Err(Error::new(Key::Request, words));
    }
    let spaced = text.replace('+', " ");
    match percent_decode_str(&spaced).decode_utf8() {
        Ok(text) => Ok(text.into_owned()),
        Err(_) => Err(Error::new(Key::Request, "The query string is not UTF-8.")),
    }
}

#[cfg(test)]
mod tests {
    use super::Parameters;

    const KNOWN: &[&str] = &["where", "limit", "count"];

    fn parse(query: &str) -> Result<Parameters, String> {
        Parameters::parse(Some(query), KNOWN).map_err(|error| error.detail)
    }

    #[test]
    fn values_are_decoded() {
        let parameters = parse("where=a%20%3D%3D+%22%C3%BC%2B%22&count&limit=10").unwrap();
        assert_eq!(parameters.text("where").unwrap(), Some("a == \"ü+\""));
        assert!(parameters.flag("count").unwrap());
        assert_eq!(parameters.number("limit").unwrap(), Some(10));
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        let check = |query: &str, expect: &str| {
            assert_eq!(parse(query).unwrap_err(), expect, "{query}");
        };
        check("wehre=a", "There is no parameter `wehre` here; did you mean `where`?");
        check("limit=1&limit=2", "`limit` is given twice.");
        check("where=%FF", "The query string is not UTF-8.");
        check(
            "where=100%",
            "The query string has a `%` that is not followed by two hexadecimal digits; write `%25`.",
        );
        assert!(parse("where=").unwrap().text("where").is_err());
        assert!(parse("where=+").unwrap().text("where").is_err());
        assert!(parse("where").unwrap().text("where").is_err());
        assert!(parse("limit=-1").unwrap().number("limit").is_err());
        assert!(parse("limit=%2B1").unwrap().number("limit").is_err());
        assert!(parse("limit=99999999999999999999").unwrap().number("limit").is_err());
        assert!(parse("count=yes").unwrap().flag("count").is_err());
    }
}
