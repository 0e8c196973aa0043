//! Which of the language's types a column of a PostgreSQL database may have, the best first.

use std::sync::Arc;

use mainstay_lang::reserved::is_expression_word;
use mainstay_lang::types::{EnumType, Type};

use crate::catalogue::{FoundColumn, FoundEnum};
use crate::pull::Candidate;

const TEXT: Type = Type::Text { max: None };
const DIGITS_MAX: u8 = 18;
/// Digits behind the point that are tried for numbers that say nothing of theirs.
const SCALES: [u8; 4] = [2, 4, 6, 10];

pub(super) fn candidates(found: &FoundColumn, enums: &[FoundEnum]) -> Vec<Candidate> {
    let whole = found.base_type.as_deref().unwrap_or(&found.type_name);
    let whole = whole.split(" COLLATE ").next().unwrap_or(whole);
    let (name, arguments) = parts(whole);
    let sure = |ty: Type| vec![Candidate::sure(ty)];
    let as_text =
        || vec![Candidate::sure(TEXT).saying(format!("is {whole}, which is shown and taken as text"))];
    if let Some(of) = enums.iter().find(|of| of.name == whole) {
        return listed(of);
    }
    if let Some(item) = name.strip_suffix("[]") {
        return match item_type(item) {
            Some(item) => sure(Type::List(Arc::new(item))),
            None => as_text(),
        };
    }
    let digits = |at: usize| arguments.get(at).and_then(|digits| u8::try_from(*digits).ok());
    match name.as_str() {
        "boolean" => sure(Type::Bool),
        "smallint" | "integer" | "bigint" | "oid" => sure(Type::Int),
        "real" | "double precision" => sure(Type::Float),
        "numeric" => match (digits(0), digits(1)) {
            (Some(precision), Some(scale)) if precision <= DIGITS_MAX && scale <= precision => {
                sure(Type::Decimal { precision, scale })
            }
            (precision, scale) => numbers(precision, scale.unwrap_or(0)),
        },
        "money" => sure(Type::Decimal { precision: DIGITS_MAX, scale: 2 }),
        "text" => sure(TEXT),
        "character varying" | "character" => sure(Type::Text { max: arguments.first().copied() }),
        "name" => sure(Type::Text { max: Some(63) }),
        "uuid" => sure(Type::Uuid),
        "date" => sure(Type::Date),
        "time without time zone" => sure(Type::Time),
        "timestamp with time zone" => sure(Type::Timestamp),
        "timestamp without time zone" => {
            vec![Candidate::sure(Type::Timestamp).saying("has no time zone and is taken for UTC".to_owned())]
        }
        "json" | "jsonb" => sure(Type::Json),
        "bytea" => sure(Type::Bytes),
        name if name.starts_with("interval") => vec![
            Candidate::tried(Type::Duration),
            Candidate::sure(TEXT).saying(
                "has intervals of months or years, which have no fixed length: shown and taken as text"
                    .to_owned(),
            ),
        ],
        _ => as_text(),
    }
}

/// What a number may be that has more digits than the language's, or says nothing of them.
fn numbers(precision: Option<u8>, scale: u8) -> Vec<Candidate> {
    let said = precision.is_some().then_some(scale);
    let scales =
        said.into_iter().chain(SCALES.into_iter().filter(|more| precision.is_none() || *more > scale));
    let words =
        "has room for more digits than a decimal has: a value of more ends what reads it with an error";
    let decimal =
        |scale| Candidate::tried(Type::Decimal { precision: DIGITS_MAX, scale }).saying(words.to_owned());
    let mut candidates: Vec<Candidate> = scales.filter(|scale| *scale <= DIGITS_MAX).map(decimal).collect();
    candidates.push(
        Candidate::sure(TEXT)
            .saying("has numbers of more than 18 digits, which are shown and taken as text".to_owned()),
    );
    candidates
}

fn listed(of: &FoundEnum) -> Vec<Candidate> {
    let is_name = |value: &String| {
        value.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && value.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
            && !is_expression_word(value)
    };
    if of.values.iter().all(is_name) {
        return vec![Candidate::sure(Type::Enum(Arc::new(EnumType { values: of.values.clone() })))];
    }
    let words = format!(
        "is the enum {} with values that are no names ({}), so it is taken as text; the database refuses others",
        of.name,
        of.values
            .iter()
            .filter(|value| !is_name(value))
            .map(|value| format!("'{value}'"))
            .collect::<Vec<_>>()
            .join(", ")
    );
    vec![Candidate::sure(TEXT).saying(words)]
}

fn item_type(name: &str) -> Option<Type> {
    match name {
        "text" | "character varying" => Some(TEXT),
        "smallint" | "integer" | "bigint" => Some(Type::Int),
        "boolean" => Some(Type::Bool),
        "uuid" => Some(Type::Uuid),
        "date" => Some(Type::Date),
        "real" | "double precision" => Some(Type::Float),
        _ => None,
    }
}

/// A type's name without its arguments, and those.
fn parts(name: &str) -> (String, Vec<u32>) {
    let Some((before, rest)) = name.split_once('(') else { return (name.to_owned(), Vec::new()) };
    let Some((arguments, behind)) = rest.split_once(')') else { return (name.to_owned(), Vec::new()) };
    let numbers = arguments.split(',').filter_map(|number| number.trim().parse().ok()).collect();
    (format!("{before}{behind}"), numbers)
}
