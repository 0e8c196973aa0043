//! Triggers of the change log on SQLite, which call nothing that a connection of any program lacks.

use mainstay_lang::types::Type;

use crate::triggers::TriggerSpelling;

pub(super) const SPELLING: TriggerSpelling = TriggerSpelling {
    setup: &["CREATE TABLE IF NOT EXISTS \"_writing\" (\"by\" INTEGER PRIMARY KEY)"],
    create:
        "CREATE TRIGGER {name} AFTER {event} ON {table} WHEN NOT EXISTS (SELECT 1 FROM \"_writing\") BEGIN
{lines}END",
    drop: "DROP TRIGGER IF EXISTS {name}",
    given: (
        "\"tx\", \"at\"",
        "CAST((julianday('now') - 2440587.5) * 86400000000.0 AS INTEGER), strftime('%Y-%m-%dT%H:%M:%f000Z', 'now')",
    ),
    mark: "INSERT OR IGNORE INTO \"_writing\" (\"by\") VALUES (1)",
    unmark: Some("DELETE FROM \"_writing\""),
};

/// The JSON text of a value; `is_theirs`: kept as others keep it.
pub(super) fn json(ty: &Type, is_theirs: bool, value: &str) -> Option<String> {
    // A value that does not fit its type must not keep others from writing it, so nothing here can fail.
    let text = |text: String| Some(format!("coalesce('\"' || {text} || '\"', 'null')"));
    match ty {
        Type::Int | Type::Float => Some(format!(
            "CASE WHEN typeof({value}) IN ('integer', 'real') THEN json_quote({value}) ELSE 'null' END"
        )),
        Type::Bool => Some(format!(
            "CASE WHEN {value} IS NULL THEN 'null' WHEN lower({value}) IN ('1', 't', 'true', 'yes') THEN 'true' ELSE 'false' END"
        )),
        Type::Text { .. } | Type::Enum(_) | Type::File | Type::Uuid | Type::Ref(_) => {
            Some(format!("json_quote(CAST({value} AS TEXT))"))
        }
        Type::Json | Type::List(_) => {
            Some(format!("CASE WHEN json_valid({value}) THEN json({value}) ELSE 'null' END"))
        }
        Type::Decimal { scale, .. } if is_theirs => {
            text(format!("CASE WHEN {value} IS NOT NULL THEN printf('%.{scale}f', {value}) END"))
        }
        Type::Decimal { scale: 0, .. } => text(format!("CAST({value} AS TEXT)")),
        Type::Decimal { scale, .. } => {
            let one = 10_i64.pow(u32::from(*scale));
            text(format!(
                "CASE WHEN {value} IS NOT NULL THEN printf('%s%d.%0{scale}d', CASE WHEN {value} < 0 THEN '-' ELSE '' END, abs({value}) / {one}, abs({value}) % {one}) END"
            ))
        }
        Type::Date if is_theirs => text(format!("strftime('%Y-%m-%d', {value})")),
        Type::Time if is_theirs => text(format!("strftime('%H:%M:%f000', {value})")),
        Type::Timestamp if is_theirs => text(format!(
            "CASE WHEN typeof({value}) = 'integer' THEN strftime('%Y-%m-%dT%H:%M:%f000Z', \
             CASE WHEN abs({value}) >= 10000000000 THEN {value} / 1000.0 ELSE {value} END, 'unixepoch') \
             ELSE strftime('%Y-%m-%dT%H:%M:%f000Z', {value}) END"
        )),
        Type::Date | Type::Time | Type::Timestamp => text(value.to_owned()),
        Type::Duration => text(format!(
            "CASE WHEN {value} IS NOT NULL THEN printf('%sPT%d.%06dS', CASE WHEN {value} < 0 THEN '-' ELSE '' END, abs({value}) / 1000000, abs({value}) % 1000000) END"
        )),
        Type::Bytes | Type::Null => None,
    }
}
