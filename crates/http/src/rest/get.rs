//! The parameter `get`: `title,sender(name),messages(text,author(name))`, `*`.
//!
//! Knows the form alone; whether a name exists is the engine's business.

use mainstay_engine::error::Error;
use mainstay_engine::part::{Field, Get};

use super::split::split;
use crate::parameters::malformed;

/// Deeper nesting is refused here, before it is recursed into; the engine's own limit is lower.
const DEPTH_MAX: usize = 32;

/// Reads the whole parameter.
pub(super) fn parse(text: &str) -> Result<Vec<Get>, Error> {
    items(text, 0)
}

/// Hands what `get` asks of nested rows to the parts of a body that make or find them: a row that has a part of its
/// own shows what that part says.
pub(super) fn hand_down(get: &[Get], fields: &mut [(String, Field)]) {
    for item in get {
        let Get::Member(name, inner) = item else { continue };
        let of_name = fields.iter_mut().filter(|(field, _)| field == name && !inner.is_empty());
        of_name.for_each(|(_, field)| hand_to(inner, field));
    }
}

fn hand_to(get: &[Get], field: &mut Field) {
    match field {
        Field::Object(_, Ok(part)) if part.get.is_none() => {
            part.keywords.push("get");
            part.get = Some(get.to_vec());
            hand_down(get, &mut part.fields);
        }
        Field::Array(_, items) => items.iter_mut().for_each(|item| hand_to(get, item)),
        _ => {}
    }
}

fn items(text: &str, depth: usize) -> Result<Vec<Get>, Error> {
    if depth > DEPTH_MAX {
        return Err(refused(format!("`get` nests deeper than {DEPTH_MAX} levels.")));
    }
    split(text).into_iter().map(|text| item(text, depth)).collect()
}

fn item(text: &str, depth: usize) -> Result<Get, Error> {
    let (name, inner) = match text.split_once('(') {
        None => (text, Vec::new()),
        Some((name, rest)) => {
            let Some(inner) = rest.strip_suffix(')') else {
                return Err(refused(format!("`{text}` in `get` has no closing `)`.")));
            };
            (name.trim_end(), items(inner, depth + 1)?)
        }
    };
    match name {
        "*" if text == "*" => Ok(Get::All),
        "" => Err(refused("`get` has an empty item; write `get=title,sender(name)`.".to_owned())),
        name if name.contains(['(', ')', '*', '"']) => {
            Err(refused(format!("`{text}` in `get` is no name; write `get=title,sender(name)`.")))
        }
        name => Ok(Get::Member(name.to_owned(), inner)),
    }
}

fn refused(words: String) -> Error {
    malformed("get", words)
}

#[cfg(test)]
mod tests {
    use mainstay_engine::part::Get;

    use super::parse;

    fn member(name: &str, inner: Vec<Get>) -> Get {
        Get::Member(name.to_owned(), inner)
    }

    #[test]
    fn nesting_is_read() {
        let author = member("author", vec![member("name", vec![])]);
        assert_eq!(
            parse("title, messages(text,author(name)),*").unwrap(),
            [member("title", vec![]), member("messages", vec![member("text", vec![]), author]), Get::All]
        );
    }

    #[test]
    fn what_is_no_list_of_names_is_refused() {
        for text in ["", "a,,b", "a(b", "a)", "a(b))", "a()", "*(a)", "a(b)c", &"a(".repeat(5000)] {
            assert!(parse(text).is_err(), "{text}");
        }
        assert!(parse(&format!("{}a{}", "a(".repeat(100), ")".repeat(100))).is_err());
    }
}
