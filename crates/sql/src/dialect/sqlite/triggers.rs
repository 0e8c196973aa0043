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
    ask: Some("SELECT 1 FROM sqlite_master WHERE type = 'trigger' AND name LIKE '%.mainstay.%' LIMIT 1"),
    ask_log: "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = '_change'",
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
        Type::Bytes => text(base64(value)),
        Type::Null => None,
    }
}

/// The base64 of a value's bytes, by what is in every SQLite: three bytes at a time, numbered by a JSON array of as many zeros.
fn base64(value: &str) -> String {
    let bytes = format!("CAST({value} AS BLOB)");
    let digit = |at: u32| format!("instr('123456789ABCDEF', substr(h, {at}, 1)) * {}", 1 << (4 * (6 - at)));
    let number = (1..=6).map(digit).collect::<Vec<_>>().join(" + ");
    let letter = |shift: u32| {
        format!(
            "substr('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/', (n >> {shift} & 63) + 1, 1)"
        )
    };
    let (first, second, third, fourth) = (letter(18), letter(12), letter(6), letter(0));
    format!(
        "CASE WHEN {value} IS NOT NULL THEN coalesce((SELECT group_concat({first} || {second} \
         || CASE WHEN l > 1 THEN {third} ELSE '=' END || CASE WHEN l > 2 THEN {fourth} ELSE '=' END, '') \
         FROM (SELECT l, {number} AS n FROM (SELECT length(p) AS l, substr(hex(p) || '0000', 1, 6) AS h \
         FROM (SELECT substr({bytes}, key * 3 + 1, 3) AS p \
         FROM json_each('[0' || replace(hex(zeroblob(length({bytes}) / 3)), '00', ',0') || ']')) WHERE length(p) > 0))), '') END"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_told_as_elsewhere() {
        let database = rusqlite::Connection::open_in_memory().unwrap();
        let told = |literal: &str| {
            let sql =
                format!("SELECT {} FROM (SELECT {literal} AS v)", json(&Type::Bytes, false, "v").unwrap());
            database.query_row(&sql, [], |row| row.get::<_, String>(0)).unwrap()
        };
        assert_eq!(told("NULL"), "null");
        for (literal, expect) in [
            ("x''", ""),
            ("x'00'", "AA=="),
            ("x'0001'", "AAE="),
            ("x'fbefbe'", "++++"),
            ("x'ffffff00'", "////AA=="),
            ("x'48656c6c6f2c20776f726c6421'", "SGVsbG8sIHdvcmxkIQ=="),
        ] {
            assert_eq!(told(literal), format!("\"{expect}\""), "{literal}");
        }
    }
}
