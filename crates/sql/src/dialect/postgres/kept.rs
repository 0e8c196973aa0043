//! How columns of PostgreSQL databases that others made keep the language's values.
//!
//! A column that has the language's own type, or one that PostgreSQL compares with it as it is, is read as it stands, so that its indexes
//! serve. Everything else is cast; a value that the type cannot hold ends the statement in words, by a cast that cannot succeed.

use mainstay_lang::types::Type;

use crate::forms::{Form, Kept};

pub(super) fn form(kept: Kept<'_>) -> Option<Form> {
    let found = kept.found;
    let whole = found.base_type.as_deref().unwrap_or(&found.type_name);
    let (name, collation) = match whole.split_once(" COLLATE ") {
        Some((name, collation)) => (name, Some(collation)),
        None => (whole, found.type_name.split_once(" COLLATE ").map(|(_, collation)| collation)),
    };
    let (bare, precision) = parts(name);
    let bare = bare.as_str();
    // A value is written as what it is, then as what its column is over, which checks a domain's conditions.
    let native = found.type_name.split(" COLLATE ").next().unwrap_or_default();
    let read = |read: &str| Some(Form { read: Some(read.to_owned()), write: None });
    let both = |read: &str, write: &str| {
        Some(Form { read: Some(read.to_owned()), write: Some(write.replace("NATIVE", native)) })
    };
    let as_it_is = Some(Form::default());
    match kept.ty {
        Type::Bool if bare == "boolean" => as_it_is,
        Type::Int if matches!(bare, "bigint" | "integer" | "smallint") => as_it_is,
        Type::Int if bare == "oid" => both("{0}::bigint", "{0}::oid"),
        Type::Int if bare == "numeric" => read(&exact("{0}", found, 0, "bigint")),
        Type::Float if bare == "double precision" => as_it_is,
        Type::Float if matches!(bare, "real" | "numeric") => read("{0}::float8"),
        Type::Decimal { precision: digits, scale } => match bare {
            "numeric" if precision == Some((*digits, *scale)) => as_it_is,
            "numeric" => read(&exact("{0}", found, *scale, &format!("numeric(18,{scale})"))),
            "money" => both(&format!("{{0}}::numeric::numeric(18,{scale})"), "{0}::numeric::NATIVE"),
            "smallint" | "integer" | "bigint" => read(&format!("{{0}}::numeric(18,{scale})")),
            _ => None,
        },
        Type::Uuid if bare == "uuid" => as_it_is,
        Type::Date if bare == "date" => as_it_is,
        Type::Time if bare == "time without time zone" => as_it_is,
        Type::Timestamp if bare == "timestamp with time zone" => as_it_is,
        Type::Timestamp if bare == "timestamp without time zone" => {
            both("({0} AT TIME ZONE 'UTC')", "({0} AT TIME ZONE 'UTC')")
        }
        Type::Duration if bare == "bigint" => as_it_is,
        Type::Duration if bare.starts_with("interval") => both(
            &format!(
                "CASE WHEN {{0}} IS NULL THEN NULL WHEN extract(year FROM {{0}}) = 0 AND extract(month FROM {{0}}) = 0 \
                 THEN (extract(epoch FROM {{0}}) * 1000000)::bigint ELSE {} END",
                misfit(&found.name, "an interval with months or years, which have no fixed length", "bigint")
            ),
            "({0} * interval '1 microsecond')",
        ),
        Type::Bytes if bare == "bytea" => as_it_is,
        Type::Json if bare == "json" => as_it_is,
        Type::Json if bare == "jsonb" => both("{0}::json", "{0}::jsonb"),
        Type::List(_) if bare == "json" => as_it_is,
        Type::List(_) if bare == "jsonb" => both("{0}::json", "{0}::jsonb"),
        Type::List(_) if bare.ends_with("[]") => both(
            "array_to_json({0})",
            "CASE WHEN {0} IS NULL THEN NULL ELSE (ARRAY(SELECT json_array_elements_text({0})))::NATIVE END",
        ),
        Type::Text { .. } | Type::File | Type::Enum(_) => match (bare, collation) {
            ("text" | "character varying", None | Some("\"C\"")) => as_it_is,
            ("text" | "character varying", Some(_)) => read("{0} COLLATE \"C\""),
            _ => both("{0}::text", "{0}::text::NATIVE"),
        },
        _ => None,
    }
}

/// A number as another type that it can be without a loss, or none.
fn exact(value: &str, found: &crate::catalogue::FoundColumn, scale: u8, to: &str) -> String {
    let words = format!("a number that has more than {scale} digits behind the point, or is none");
    format!(
        "CASE WHEN {value} IS NULL THEN NULL WHEN scale(trim_scale({value})) <= {scale} THEN {value}::{to} ELSE {} END",
        misfit(&found.name, &words, to)
    )
}

/// What ends a statement with words: a cast of them that fails whenever it is reached, and that no planner reaches before.
fn misfit(column: &str, words: &str, to: &str) -> String {
    let column = column.replace('\'', "''").replace(['{', '}'], "");
    format!("concat('the column {column} holds {words}', nullif({{0}}, {{0}}))::{to}")
}

/// A type's name without its arguments, and those of a `numeric`.
fn parts(name: &str) -> (String, Option<(u8, u8)>) {
    let Some((before, rest)) = name.split_once('(') else { return (name.to_owned(), None) };
    let Some((arguments, behind)) = rest.split_once(')') else { return (name.to_owned(), None) };
    let numbers = arguments
        .split_once(',')
        .and_then(|(precision, scale)| Some((precision.trim().parse().ok()?, scale.trim().parse().ok()?)));
    (format!("{before}{behind}"), numbers)
}

/// The text of a value in a key that is put together.
pub(super) fn key_part(ty: &Type) -> &'static str {
    match ty {
        Type::Date => "to_char({0}, 'YYYY-MM-DD')",
        Type::Int | Type::Uuid => "{0}::text",
        _ => "replace(replace({0}, '%', '%25'), ',', '%2C')",
    }
}

#[cfg(test)]
mod tests {
    use mainstay_lang::types::Type;

    use super::form;
    use crate::catalogue::FoundColumn;
    use crate::forms::Kept;

    #[test]
    fn indexes_serve_where_a_column_can_be_read_as_it_is() {
        let check = |type_name: &str, ty: Type, expect: Option<bool>| {
            let found =
                FoundColumn { name: "c".into(), type_name: type_name.into(), ..FoundColumn::default() };
            let kept = Kept { found: &found, ty: &ty, is_indexed: true, sample: None };
            assert_eq!(form(kept).map(|form| form.read.is_none()), expect, "{type_name} as {ty}");
        };
        let text = || Type::Text { max: None };
        let decimal = || Type::Decimal { precision: 10, scale: 2 };
        check("integer", Type::Int, Some(true));
        check("smallint", Type::Int, Some(true));
        check("character varying(20)", text(), Some(true));
        check("character(5)", text(), Some(false));
        check("text COLLATE other", text(), Some(false));
        check("inet", text(), Some(false));
        check("numeric(10,2)", decimal(), Some(true));
        check("numeric(12,2)", decimal(), Some(false));
        check("numeric", decimal(), Some(false));
        check("timestamp(3) with time zone", Type::Timestamp, Some(true));
        check("timestamp without time zone", Type::Timestamp, Some(false));
        check("integer[]", Type::List(std::sync::Arc::new(Type::Int)), Some(false));
        check("polygon", Type::Int, None);
        check("text", Type::Uuid, None);
    }
}
