//! How SQLite's stored values become those of another type: decimals are whole numbers of their last digit.

use mainstay_lang::types::Type;

use crate::dialect::Dialect as _;
use crate::dialect::change::Spelling;
use crate::dialect::{JsonText, Sqlite};

impl Spelling for Sqlite {
    fn number(&self, from: &Type, to: &Type) -> (String, Option<String>) {
        let digits = |ty: &Type| match ty {
            Type::Decimal { precision, scale } => (u32::from(*precision), u32::from(*scale)),
            _ => (19, 0),
        };
        let ((_, from_scale), (precision, scale)) = (digits(from), digits(to));
        let within = |value: &str| {
            let max = 10i64.checked_pow(precision).map(|limit| limit - 1);
            max.map(|max| format!("{value} NOT BETWEEN -{max} AND {max}"))
        };
        if scale >= from_scale {
            let factor = 10i64.pow(scale - from_scale);
            let max = 10i64.checked_pow(precision).map_or(i64::MAX, |limit| limit - 1) / factor;
            let value = if factor == 1 { "{0}".to_owned() } else { format!("({{0}} * {factor})") };
            (value, Some(format!("({{0}} NOT BETWEEN -{max} AND {max})")))
        } else {
            let factor = 10i64.pow(from_scale - scale);
            let value = format!("({{0}} / {factor})");
            let lost = within(&value).map(|beyond| format!(" OR {beyond}")).unwrap_or_default();
            (value, Some(format!("({{0}} % {factor} <> 0{lost})")))
        }
    }

    fn float(&self, from: &Type) -> String {
        match from {
            Type::Decimal { scale, .. } => format!("ms_dec_real({{0}}, {scale})"),
            _ => "CAST({0} AS REAL)".to_owned(),
        }
    }

    fn instant(&self) -> &'static str {
        "({0} || 'T00:00:00.000000Z')"
    }

    fn day(&self) -> (&'static str, &'static str) {
        ("substr({0}, 1, 10)", "({0} NOT LIKE '%T00:00:00.000000Z')")
    }

    fn no_uuid(&self) -> String {
        let digits = |count: usize| "[0-9a-f]".repeat(count);
        let groups = [8, 4, 4, 4, 12].map(digits).join("-");
        format!("({{0}} NOT GLOB '{groups}')")
    }

    fn uuid(&self) -> Option<&'static str> {
        None
    }

    fn text(&self, from: &Type) -> String {
        match (from, self.json(from)) {
            (Type::Int, _) => "CAST({0} AS TEXT)".to_owned(),
            (Type::Bool, JsonText::Whole(_)) => {
                "CASE {0} WHEN 1 THEN 'true' WHEN 0 THEN 'false' END".to_owned()
            }
            (
                _,
                JsonText::Whole(text)
                | JsonText::NotNull(text)
                | JsonText::Plain(text)
                | JsonText::Quoted(text),
            ) => text.into_owned(),
        }
    }

    fn json_cast(&self, json: String) -> String {
        json
    }
}
