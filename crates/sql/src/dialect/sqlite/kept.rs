//! How columns of SQLite databases that others made keep the language's values.
//!
//! What a column is declared as binds nobody, so every value is looked at by a function that gives the language's form of it or ends the statement
//! in words. Numbers and texts of a column that an index begins with are read as they stand instead, so that the index serves.

use mainstay_lang::types::Type;

use crate::forms::{Form, Kept};

/// How texts of instants are told: the codes of `ms_to_their_ts`.
const CANONICAL: u8 = 0;
const SPACE: u8 = 1;
const SECONDS: u8 = 2;
const MILLISECONDS: u8 = 3;
const LETTER: u8 = 4;

/// Numbers of milliseconds since 1970 are at least this, numbers of seconds less: 11 digits.
const MILLISECONDS_MIN: i64 = 10_000_000_000;

pub(super) fn form(kept: Kept<'_>) -> Option<Form> {
    let is_key_type = kept.is_indexed;
    let read = |function: &str| Some(Form { read: Some(format!("{function}({{0}})")), write: None });
    let as_it_is = Some(Form::default());
    match kept.ty {
        Type::Int | Type::Duration if is_key_type => as_it_is,
        Type::Int | Type::Duration => read("ms_their_int"),
        Type::Bool => read("ms_their_bool"),
        Type::Float => read("ms_their_real"),
        Type::Decimal { scale, .. } => Some(Form {
            read: Some(format!("ms_their_dec({{0}}, {scale})")),
            write: Some(format!("ms_to_their_dec({{0}}, {scale})")),
        }),
        // Equality and order are by code point, whatever the column collates by.
        Type::Text { .. } | Type::Enum(_) | Type::File | Type::Uuid if is_key_type => {
            Some(Form { read: Some("({0} COLLATE BINARY)".to_owned()), write: None })
        }
        Type::Text { .. } | Type::Enum(_) | Type::File | Type::Uuid => read("ms_their_text"),
        Type::Date => read("ms_their_date"),
        Type::Time => read("ms_their_time"),
        Type::Timestamp => {
            let code = instant(kept.sample);
            Some(Form {
                read: Some("ms_their_ts({0})".to_owned()),
                write: (code != CANONICAL).then(|| format!("ms_to_their_ts({{0}}, {code})")),
            })
        }
        Type::Json | Type::List(_) => read("ms_their_json"),
        Type::Bytes => read("ms_their_blob"),
        Type::Ref(_) | Type::Null => None,
    }
}

/// How a column's instants are written, as far as one of them tells; as `CURRENT_TIMESTAMP` would where there is none.
fn instant(sample: Option<(&str, &str)>) -> u8 {
    match sample {
        Some((number, "integer")) => match number.parse::<i64>() {
            Ok(number) if number.abs() >= MILLISECONDS_MIN => MILLISECONDS,
            _ => SECONDS,
        },
        Some((text, "text")) if text.ends_with('Z') => CANONICAL,
        Some((text, "text")) if text.as_bytes().get(10) == Some(&b'T') => LETTER,
        _ => SPACE,
    }
}

/// The text of a value in a key that is put together.
pub(super) fn key_part(ty: &Type) -> &'static str {
    match ty {
        Type::Int => "CAST({0} AS TEXT)",
        Type::Uuid | Type::Date => "{0}",
        _ => "replace(replace({0}, '%', '%25'), ',', '%2C')",
    }
}
