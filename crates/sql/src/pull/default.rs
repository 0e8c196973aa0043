//! Defaults in a database's own words as defaults of the language, as far as they mean the same.

use mainstay_lang::types::Type;

/// What stands behind a column's type for its default.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Default {
    /// Nothing: there is none, or it is null.
    None,
    /// `= expr`
    Said(String),
    /// The database gives it.
    Generated,
}

/// Reads a default of a column of a type.
pub(super) fn read(text: &str, ty: &Type) -> Default {
    let text = outer(text.trim());
    let lower = text.to_ascii_lowercase();
    let bare = cast_away(&lower);
    if bare == "null" {
        return Default::None;
    }
    let said = |text: &str| Default::Said(text.to_owned());
    let is_clock =
        matches!(bare, "now()" | "current_timestamp" | "transaction_timestamp()" | "statement_timestamp()");
    match ty {
        Type::Timestamp if is_clock || lower.starts_with("timezone('utc'") => said("now()"),
        Type::Date if matches!(bare, "current_date" | "('now'::text)::date") => said("today()"),
        Type::Bool if matches!(bare, "true" | "1" | "'t'" | "'true'") => said("true"),
        Type::Bool if matches!(bare, "false" | "0" | "'f'" | "'false'") => said("false"),
        Type::Int => match unquoted(bare).parse::<i64>() {
            Ok(number) => said(&number.to_string()),
            Err(_) => Default::Generated,
        },
        Type::Decimal { scale, .. } => {
            let number = unquoted(bare);
            let behind = number.split_once('.').map_or(0, |(_, digits)| digits.len());
            let is_number = number.parse::<f64>().is_ok()
                && number.chars().all(|c| c.is_ascii_digit() || c == '.' || c == '-');
            if is_number && behind <= usize::from(*scale) { said(number) } else { Default::Generated }
        }
        Type::Float => match unquoted(bare).parse::<f64>() {
            Ok(number) if number.is_finite() => said(&format!("{number:?}")),
            _ => Default::Generated,
        },
        Type::Text { .. } => match literal(text) {
            Some(text) => said(&format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))),
            None => Default::Generated,
        },
        Type::Enum(of) => match literal(text).filter(|text| of.rank(text).is_some()) {
            Some(text) => said(&text),
            None => Default::Generated,
        },
        _ => Default::Generated,
    }
}

/// Without parentheses around all of it.
fn outer(text: &str) -> &str {
    match text.strip_prefix('(').and_then(|rest| rest.strip_suffix(')')) {
        Some(inner) if !inner.contains(['(', ')']) => inner.trim(),
        _ => text,
    }
}

/// Without the type that it is cast to.
fn cast_away(text: &str) -> &str {
    match text.rsplit_once("::") {
        Some((value, ty)) if !ty.contains('\'') && (!value.contains("::") || value.starts_with('\'')) => {
            outer(value)
        }
        _ => text,
    }
}

fn unquoted(text: &str) -> &str {
    text.strip_prefix('\'').and_then(|rest| rest.strip_suffix('\'')).unwrap_or(text)
}

/// The text of a literal, whatever it is cast to. One with control characters is left to the database.
fn literal(text: &str) -> Option<String> {
    let bare = cast_away(text);
    let inner = bare.strip_prefix('\'').and_then(|rest| rest.strip_suffix('\''))?;
    let plain = inner.replace("''", "");
    (!plain.contains('\'') && !inner.chars().any(char::is_control)).then(|| inner.replace("''", "'"))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use mainstay_lang::types::{EnumType, Type};

    use super::{Default, read};

    #[test]
    fn a_default_is_said_only_where_it_means_the_same() {
        let check = |text: &str, ty: &Type, expect: &str| {
            let found = match read(text, ty) {
                Default::None => "none".to_owned(),
                Default::Said(text) => text,
                Default::Generated => "generated".to_owned(),
            };
            assert_eq!(found, expect, "{text} of {ty}");
        };
        let text = Type::Text { max: None };
        let decimal = Type::Decimal { precision: 5, scale: 2 };
        let rating = Type::Enum(Arc::new(EnumType { values: vec!["G".into(), "PG".into()] }));
        check("now()", &Type::Timestamp, "now()");
        check("CURRENT_TIMESTAMP", &Type::Timestamp, "now()");
        check("('now'::text)::date", &Type::Date, "today()");
        check("'G'::mpaa_rating", &rating, "G");
        check("'X'::mpaa_rating", &rating, "generated");
        check("4.99", &decimal, "4.99");
        check("4.999", &decimal, "generated");
        check("3", &Type::Int, "3");
        check("'-1'::integer", &Type::Int, "-1");
        check("nextval('film_film_id_seq'::regclass)", &Type::Int, "generated");
        check("'it''s \"so\"'::character varying", &text, r#""it's \"so\"""#);
        check("'a' || 'b'", &text, "generated");
        check("upper('x'::text)", &text, "generated");
        check("NULL::character varying", &text, "none");
        check("true", &Type::Bool, "true");
        check("'{}'::text[]", &Type::List(Arc::new(text.clone())), "generated");
    }
}
