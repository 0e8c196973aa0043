//! Which values can become values of another type without a loss that nobody asked for.
//!
//! What every database does alike is here; what it spells its own way is handed in.

use std::fmt::Write as _;

use mainstay_lang::types::{EnumType, Type};

use super::{Dialect, JsonText};

/// How the values of a column become those of another type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TypeChange {
    /// The template of the new value of `{0}`; none: it is the same in the database.
    pub value: Option<String>,
    /// The template of a condition that is true of a value `{0}` that has none; none: all have one.
    pub lost: Option<String>,
}

/// What a database spells its own way: each gives a template of the value, and of what is lost.
pub(super) trait Spelling: Dialect {
    /// From one number to another that is no float.
    fn number(&self, from: &Type, to: &Type) -> (String, Option<String>);
    /// From an int or a decimal to a float.
    fn float(&self, from: &Type) -> String;
    /// From a day to its first instant.
    fn instant(&self) -> &'static str;
    /// From an instant to its day, and whether it is another one.
    fn day(&self) -> (&'static str, &'static str);
    /// Whether a text is no uuid, as uuids are written.
    fn no_uuid(&self) -> String;
    /// From a text that is one to a uuid.
    fn uuid(&self) -> Option<&'static str>;
    /// A value to its text.
    fn text(&self, from: &Type) -> String;
    /// A text to json, where that is another type.
    fn json_cast(&self, json: String) -> String;
}

/// The greatest whole number up to which a float has each.
const FLOAT_EXACT_MAX: i64 = 1 << 53;

pub(super) fn between(spelling: &dyn Spelling, from: &Type, to: &Type) -> Option<TypeChange> {
    let same = |lost: Option<String>| Some(TypeChange { value: None, lost });
    let to_value = |value: String, lost: Option<String>| Some(TypeChange { value: Some(value), lost });
    let is_text = |ty: &Type| matches!(ty, Type::Text { .. } | Type::Enum(_) | Type::File);
    match (from, to) {
        (Type::Enum(was), Type::Enum(is)) if was.values.iter().all(|value| is.rank(value).is_some()) => {
            same(None)
        }
        (from, Type::Enum(of)) if is_text(from) => same(Some(not_in(of))),
        (from, Type::Text { .. }) if is_text(from) => same(None),
        (Type::List(was), Type::List(is)) if is_text(was) && matches!(**is, Type::Text { .. }) => same(None),
        (Type::List(_), Type::Json) => same(None),
        (Type::Int, Type::Float) => {
            let lost = format!("({{0}} NOT BETWEEN -{FLOAT_EXACT_MAX} AND {FLOAT_EXACT_MAX})");
            to_value(spelling.float(from), Some(lost))
        }
        (Type::Decimal { .. }, Type::Float) => to_value(spelling.float(from), None),
        (Type::Int | Type::Decimal { .. } | Type::Bool, Type::Decimal { .. } | Type::Int) => {
            let (value, lost) = spelling.number(from, to);
            to_value(value, lost)
        }
        (Type::Date, Type::Timestamp) => to_value(spelling.instant().to_owned(), None),
        (Type::Timestamp, Type::Date) => {
            let (value, lost) = spelling.day();
            to_value(value.to_owned(), Some(lost.to_owned()))
        }
        (Type::Text { .. }, Type::Uuid) => {
            Some(TypeChange { value: spelling.uuid().map(str::to_owned), lost: Some(spelling.no_uuid()) })
        }
        (Type::Json | Type::List(_) | Type::Bytes, Type::Text { .. }) => None,
        (from, Type::Text { .. }) => to_value(spelling.text(from), None),
        (Type::Json, _) => None,
        (from, Type::Json) => to_value(spelling.json_cast(json(spelling, from)), None),
        (from, Type::List(of)) if *from == **of => {
            to_value(spelling.json_cast(format!("('[' || {} || ']')", json(spelling, from))), None)
        }
        _ => None,
    }
}

/// The JSON text of a value that is not null; null stays null.
fn json(dialect: &dyn Spelling, ty: &Type) -> String {
    match dialect.json(ty) {
        JsonText::Whole(text) => format!("CASE WHEN {{0}} IS NOT NULL THEN {text} END"),
        JsonText::NotNull(text) => text.into_owned(),
        JsonText::Plain(text) => format!("{text}::text"),
        JsonText::Quoted(text) => format!("('\"' || {text} || '\"')"),
    }
}

fn not_in(of: &EnumType) -> String {
    let mut text = String::from("{0} NOT IN (");
    for (index, value) in of.values.iter().enumerate() {
        let separator = if index > 0 { ", " } else { "" };
        write!(text, "{separator}'{value}'").expect("writing to a string does not fail");
    }
    text + ")"
}
