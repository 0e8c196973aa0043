//! JSON texts in PostgreSQL: byte for byte what [`mainstay_lang::value::Value::write_json`] writes.
//!
//! Numbers, truth values and instants are spelled here rather than by `to_json`, whose spelling is another (`1e+15` for a quadrillion)
//! or depends on the value (no zeros behind a second). Strings are its own, which escapes the same characters.

use std::borrow::Cow;

use mainstay_lang::types::Type;

use crate::dialect::JsonText;

pub(super) fn text(ty: &Type) -> JsonText {
    match ty {
        Type::Text { .. } | Type::File | Type::Null | Type::Ref(_) => JsonText::Plain("to_json({0})".into()),
        Type::Bool => {
            JsonText::Whole("CASE {0} WHEN TRUE THEN 'true' WHEN FALSE THEN 'false' ELSE 'null' END".into())
        }
        Type::Int | Type::Json | Type::List(_) => JsonText::Plain("{0}".into()),
        Type::Float => JsonText::NotNull("mainstay_1.float_text({0})".into()),
        Type::Date => JsonText::Plain("to_json({0})".into()),
        Type::Uuid | Type::Enum(_) | Type::Decimal { .. } => JsonText::Quoted("{0}".into()),
        Type::Time => JsonText::Quoted("to_char({0}::interval, 'HH24:MI:SS.US')".into()),
        Type::Timestamp => {
            JsonText::Quoted("to_char({0} AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')".into())
        }
        Type::Duration => JsonText::Quoted("mainstay_1.duration_text({0})".into()),
        Type::Bytes => JsonText::Quoted("translate(encode({0}, 'base64'), E'\\n', '')".into()),
    }
}

/// The value `{1}` as `jsonb`, to be looked for in a list of that type; null of null.
pub(super) fn item(ty: &Type) -> Cow<'static, str> {
    let text = match text(ty) {
        // These are the same to `jsonb` however they are spelled. A float is what the digits of its shortest text are.
        _ if matches!(ty, Type::Int | Type::Bool | Type::Text { .. } | Type::Enum(_) | Type::File) => {
            return "to_jsonb({1})".into();
        }
        JsonText::Quoted(text) => text,
        JsonText::Whole(text) | JsonText::NotNull(text) | JsonText::Plain(text) => {
            return format!("{}::jsonb", text.replace("{0}", "{1}")).into();
        }
    };
    format!("to_jsonb({}::text)", text.replace("{0}", "{1}")).into()
}
