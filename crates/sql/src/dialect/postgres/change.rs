//! How PostgreSQL's stored values become those of another type.

use mainstay_lang::types::Type;

use crate::dialect::Dialect as _;
use crate::dialect::change::Spelling;
use crate::dialect::{JsonText, Postgres};

impl Spelling for Postgres {
    fn number(&self, from: &Type, to: &Type) -> (String, Option<String>) {
        let number = if *from == Type::Bool { "{0}::int::numeric" } else { "{0}::numeric" };
        match to {
            Type::Decimal { precision, scale } => {
                let whole = u32::from(precision - scale);
                let lost = format!("({number} <> round({number}, {scale}) OR abs({number}) >= 1e{whole})");
                (format!("{number}::numeric({precision},{scale})"), Some(lost))
            }
            _ => (format!("{number}::bigint"), Some(format!("({number} <> trunc({number}))"))),
        }
    }

    fn float(&self, _: &Type) -> String {
        "{0}::float8".to_owned()
    }

    fn instant(&self) -> &'static str {
        "({0}::timestamp AT TIME ZONE 'UTC')"
    }

    fn day(&self) -> (&'static str, &'static str) {
        (
            "({0} AT TIME ZONE 'UTC')::date",
            "({0} <> date_trunc('day', {0} AT TIME ZONE 'UTC') AT TIME ZONE 'UTC')",
        )
    }

    fn no_uuid(&self) -> String {
        "({0} !~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$')".to_owned()
    }

    fn uuid(&self) -> Option<&'static str> {
        Some("{0}::uuid")
    }

    fn text(&self, from: &Type) -> String {
        match (from, self.json(from)) {
            // The text of a cast follows a setting of the session.
            (Type::Date, _) => "to_char({0}, 'YYYY-MM-DD')".to_owned(),
            (Type::Int | Type::Bool | Type::Uuid | Type::Decimal { .. }, _) => "{0}::text".to_owned(),
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
        format!("({json})::json")
    }
}
