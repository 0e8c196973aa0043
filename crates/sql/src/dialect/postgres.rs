//! PostgreSQL's spelling.
//!
//! Its own operators serve where they give the language's answer for every input, the functions of `functions.sql` where they
//! do not. Text is compared by code point, whatever the database collates by: columns and placeholders are `COLLATE "C"`, and
//! what is made of them inherits it. A decimal is brought to its scale by a cast to `numeric(18, s)`, which
//! rounds half away from zero and fails beyond 18 digits, as the language does. Json and lists are `json`, which keeps the
//! text as it was given; instants become text in UTC, whatever the session's time zone is.

mod catalogue;
mod change;
mod json;
mod kept;
mod pulled;
mod triggers;

use std::borrow::Cow;
use std::fmt::Write as _;

use mainstay_lang::expr::{ArithmeticOp, Clock, Function};
use mainstay_lang::schema::Schema;
use mainstay_lang::types::Type;
use mainstay_lang::value::Value;

use crate::catalogue::{CatalogueQueries, FoundColumn, FoundEnum};
use crate::forms::{Form, Forms, Kept};
use crate::pull::Candidate;
use crate::triggers::TriggerSpelling;

use super::{
    ChangeLog, ColumnRole, Counted, Dialect, JsonText, Lock, Operator, OutrightSpelling, RowCounting,
    TypeChange,
};

/// PostgreSQL 14 or later, with a database encoded in UTF-8.
#[derive(Clone, Debug)]
pub struct Postgres {
    /// How a database that others made keeps its columns.
    pub(super) forms: Option<Forms>,
}

/// The functions that statements call, in a schema of their own.
const FUNCTIONS: &str = include_str!("postgres/functions.sql");

/// Names are cut in silence behind so many bytes.
const NAME_BYTES_MAX: usize = 63;

impl Dialect for Postgres {
    fn kind(&self) -> &'static str {
        "postgres"
    }

    fn placeholder(&self, sql: &mut String, number: usize, ty: &Type) {
        let cast = match ty {
            Type::Bool => "::boolean",
            Type::Int | Type::Duration => "::bigint",
            Type::Float => "::float8",
            Type::Decimal { .. } => "::numeric",
            Type::Uuid => "::uuid",
            Type::Date => "::date",
            Type::Time => "::time",
            Type::Timestamp => "::timestamptz",
            Type::Bytes => "::bytea",
            // Bound as text, so that whoever binds needs no form for it.
            Type::Json | Type::List(_) => "::text::json",
            // What is said here would keep an index of a column that collates otherwise from being used for `=`.
            Type::Text { .. } | Type::Enum(_) | Type::File | Type::Ref(_) | Type::Null
                if self.forms.is_some() =>
            {
                "::text"
            }
            Type::Text { .. } | Type::Enum(_) | Type::File | Type::Ref(_) | Type::Null => {
                "::text COLLATE \"C\""
            }
        };
        write!(sql, "${number}{cast}").expect("writing to a string does not fail");
    }

    fn null(&self, ty: &Type) -> Cow<'static, str> {
        if *ty == Type::Null { "NULL".into() } else { format!("NULL::{}", self.type_name(ty)).into() }
    }

    fn rank(&self, sql: &mut String, rank: usize) {
        write!(sql, "{rank}::bigint").expect("writing to a string does not fail");
    }

    fn clock(&self, clock: Clock) -> &'static str {
        match clock {
            Clock::Now => "(now())",
            Clock::Today => "(now() AT TIME ZONE 'UTC')",
        }
    }

    fn literal(&self, value: &Value) -> Option<String> {
        let text = match value {
            Value::Null | Value::Bytes(_) => return None,
            Value::Duration(value) => value.0.to_string(),
            value => value.to_string(),
        };
        // An untyped literal takes the type of its column.
        Some(format!("'{}'", text.replace('\'', "''")))
    }

    fn operator(&self, operator: Operator<'_>) -> Cow<'static, str> {
        match operator {
            // Columns of others may be of fewer bits than what is computed of them.
            Operator::Arithmetic { op, left: Type::Int, right: Type::Int, result }
                if self.forms.is_some() =>
            {
                let template = arithmetic(op, &Type::Int, &Type::Int, result);
                template.replace("{0}", "{0}::bigint").replace("{1}", "{1}::bigint").into()
            }
            Operator::Arithmetic { op, left, right, result } => arithmetic(op, left, right, result),
            // From zero, so that zero stays the one zero that there is.
            Operator::Negate(Type::Float) => "(0::float8 - {0})".into(),
            Operator::Negate(_) => "(- {0})".into(),
            Operator::Call { function, subject, result } => call(function, subject, result),
            Operator::Convert { from, to } => convert(from, to),
            Operator::Contains => "(strpos(lower({0} COLLATE \"C\"), lower({1} COLLATE \"C\")) > 0)".into(),
            Operator::InList(of) => format!("({{0}}::jsonb @> {})", json::item(of)).into(),
            Operator::JsonPath(names) => {
                let way: String = (1..=names).map(|name| format!(" -> {{{name}}}")).collect();
                format!("(mainstay_1.scalar({{0}}{way}) COLLATE \"C\")").into()
            }
            Operator::Least(Type::Uuid) => "mainstay_1.min({0})".into(),
            Operator::Least(ty) if self.ordered(ty).is_some() => "min({0} COLLATE \"C\")".into(),
            Operator::Greatest(ty) if self.ordered(ty).is_some() => "max({0} COLLATE \"C\")".into(),
            Operator::Least(_) => "min({0})".into(),
            Operator::Greatest(Type::Uuid) => "mainstay_1.max({0})".into(),
            Operator::Greatest(_) => "max({0})".into(),
            Operator::Sum(Type::Float) => "mainstay_1.sum({0})".into(),
            Operator::Sum(Type::Decimal { scale, .. }) => {
                format!("coalesce(sum({{0}}), 0)::numeric(18, {scale})").into()
            }
            Operator::Sum(_) => "coalesce(sum({0}), 0)::bigint".into(),
            Operator::Avg(Type::Float) => "(mainstay_1.sum({0}) / nullif(count({0}), 0)::float8)".into(),
            // The sum of the digits as a whole number, then two divisions: rounded where SQLite rounds.
            Operator::Avg(Type::Decimal { scale, .. }) => format!(
                "(sum({{0}} * 1e{scale})::float8 / nullif(count({{0}}), 0)::float8 / 1e{scale}::float8)"
            )
            .into(),
            Operator::Avg(_) => "(sum({0})::float8 / nullif(count({0}), 0)::float8)".into(),
            Operator::Cursor => {
                "translate(encode(convert_to({0} || {1}, 'UTF8'), 'base64'), E'+/=\\n', '-_')".into()
            }
        }
    }

    fn is_among_first(&self) -> &'static str {
        "{1}.\"#\" <= {0}"
    }

    fn list_counter(&self, counted: Counted) -> &'static str {
        // Far too many rows end the statement soon. Counting each of them here would take as long as a small column does, and
        // counting each short list as long as one of its rows.
        match counted {
            Counted::Always => {
                "CASE WHEN set_config('mainstay.rows', (current_setting('mainstay.rows')::bigint - count(*))::text, true)\
                 ::bigint < 0 THEN mainstay_1.too_many_rows() END"
            }
            Counted::WhenLong => {
                "CASE WHEN count(*) > 16 AND \
                 set_config('mainstay.rows', (current_setting('mainstay.rows')::bigint - count(*))::text, true)\
                 ::bigint < 0 THEN mainstay_1.too_many_rows() END"
            }
        }
    }

    fn plans_before_values(&self) -> bool {
        true
    }

    fn has_arrays(&self) -> bool {
        true
    }

    fn array_placeholder(&self, sql: &mut String, number: usize, ty: &Type) {
        let of = match ty {
            Type::Bool => "boolean",
            Type::Int | Type::Duration => "bigint",
            Type::Float => "float8",
            Type::Decimal { .. } => "numeric",
            Type::Uuid => "uuid",
            Type::Date => "date",
            Type::Time => "time",
            Type::Timestamp => "timestamptz",
            Type::Bytes => "bytea",
            // Bound as text, as a single value is.
            Type::Json | Type::List(_) => "text",
            Type::Text { .. } | Type::Enum(_) | Type::File | Type::Ref(_) | Type::Null => "text",
        };
        write!(sql, "${number}::{of}[]").expect("writing to a string does not fail");
    }

    fn row_version(&self) -> Option<(&'static str, &'static str)> {
        // The transaction that wrote it. Whoever has waited for another to write the row looks at this condition again.
        self.forms.is_none().then_some(("xmin::text", "xmin = ({0})::xid"))
    }

    fn outright(&self) -> Option<OutrightSpelling> {
        self.forms.is_none().then_some(OutrightSpelling {
            // Of a row that was waited for, this is looked at again, with the row under the second alias as it was seen.
            same: "{0}.xmin = {1}.xmin",
            later: "greatest({0}, {1} + interval '1 microsecond')",
            bytes: "coalesce(octet_length({0}::text), 0)::bigint",
        })
    }

    fn row_number(&self) -> Option<&'static str> {
        // No column has such a name.
        Some("row_number() OVER () AS \"#\"")
    }

    fn row_counting(&self) -> RowCounting {
        RowCounting::Mark("\t")
    }

    fn row_cap(&self) -> Option<&'static str> {
        // Asked once, before any row is read.
        Some("(SELECT set_config('mainstay.rows', {0}::text, true)) IS NOT NULL")
    }

    fn among(&self, is_alternative: bool) -> (&'static str, &'static str) {
        // `IN` becomes a join, the best there is, but only where it stands alone: behind an OR it is asked of each row of the
        // table. An array made first is looked up in an index, which the other alternatives are too.
        if is_alternative { (" = ANY (ARRAY(", "))") } else { (" IN (", ")") }
    }

    fn json(&self, ty: &Type) -> JsonText {
        json::text(ty)
    }

    fn nulls(&self, descending: bool, first: bool) -> &'static str {
        // Null is the greatest value to PostgreSQL.
        match (descending, first) {
            (false, false) | (true, true) => "",
            (false, true) => " NULLS FIRST",
            (true, false) => " NULLS LAST",
        }
    }

    fn index_nulls(&self, descending: bool) -> &'static str {
        self.nulls(descending, false)
    }

    fn unlimited(&self) -> &'static str {
        ""
    }

    fn lock(&self, lock: Lock) -> &'static str {
        match lock {
            // Weaker than FOR UPDATE: a row that refers to this one can still be made meanwhile.
            Lock::Write => " FOR NO KEY UPDATE",
            Lock::Hold => " FOR SHARE",
            Lock::Delete => " FOR UPDATE",
        }
    }

    fn lock_free(&self) -> &'static str {
        " FOR UPDATE SKIP LOCKED"
    }

    fn steady(&self) -> Option<&'static str> {
        Some("SELECT set_config('enable_seqscan', 'off', true), set_config('enable_bitmapscan', 'off', true)")
    }

    fn lazy_commit(&self) -> Option<&'static str> {
        Some("SELECT set_config('synchronous_commit', 'off', true)")
    }

    fn json_rows(&self, columns: &[(&str, &Type)]) -> String {
        let column = |(name, ty): &(&str, &Type)| format!("\"{name}\" {}", self.type_name(ty));
        let columns: Vec<String> = columns.iter().map(column).collect();
        format!("json_to_recordset({{0}}) AS \"given\" ({})", columns.join(", "))
    }

    fn turn(&self) -> Option<&'static str> {
        Some("pg_advisory_xact_lock(hashtextextended({0}, 0)) IS NOT NULL")
    }

    fn compared(&self, ty: &Type) -> Option<&'static str> {
        // `json` has no equality; there is one spelling of a value, but in databases that others write.
        let template = if self.forms.is_some() {
            "({0}::jsonb::text COLLATE \"C\")"
        } else {
            "({0}::text COLLATE \"C\")"
        };
        matches!(ty, Type::Json | Type::List(_)).then_some(template)
    }

    fn column(&self, _: &Schema, ty: &Type, nullable: bool, role: ColumnRole) -> String {
        let name = self.type_name(ty);
        match role {
            // One number at a time, drawn in the statement that writes the row, so that numbers of a snapshot can be told.
            ColumnRole::Serial => "bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY".to_owned(),
            ColumnRole::Transaction => "xid8 NOT NULL DEFAULT pg_current_xact_id()".to_owned(),
            ColumnRole::Key => format!("{name} PRIMARY KEY"),
            ColumnRole::Plain if nullable => name.into_owned(),
            ColumnRole::Plain => format!("{name} NOT NULL"),
        }
    }

    fn transaction(&self) -> Option<&'static str> {
        Some("{0}::text::bigint")
    }

    fn change_log(&self) -> ChangeLog {
        // A snapshot knows which transactions were under way: exactly those may still turn up behind it. Both ends of the range are said,
        // though what is visible tells one of them already: a plan that is made before the values are known takes two ends for few lines and
        // one for a third of the log, which it would walk from its beginning each time.
        ChangeLog {
            position: "pg_current_snapshot()::text",
            between: "((\"tx\" >= pg_snapshot_xmax(({0})::pg_snapshot) \
                AND \"tx\" < pg_snapshot_xmax(coalesce(({1})::pg_snapshot, pg_current_snapshot()))) \
                OR \"tx\" = ANY (ARRAY(SELECT pg_snapshot_xip(({0})::pg_snapshot)))) \
                AND pg_visible_in_snapshot(\"tx\", coalesce(({1})::pg_snapshot, pg_current_snapshot()))",
            order: "\"seq\" + 0",
            is_between: "NOT pg_visible_in_snapshot(\"tx\", ({0})::pg_snapshot) \
                AND pg_visible_in_snapshot(\"tx\", coalesce(({1})::pg_snapshot, pg_current_snapshot()))",
            holds: |position, tx, _| {
                let snapshot = Snapshot::read(position)?;
                Some(tx < snapshot.max && !snapshot.running.contains(&tx))
            },
            progress: |position| Some(Snapshot::read(position)?.max),
        }
    }

    fn json_has(&self) -> &'static str {
        "({0} -> {1}) IS NOT NULL"
    }

    fn json_remove(&self) -> &'static str {
        // Through `json` alone, which keeps each value's text.
        "(SELECT coalesce(json_object_agg(key, value), json_build_object()) FROM json_each({0}) WHERE key <> {1})"
    }

    fn json_rename(&self) -> &'static str {
        "(SELECT json_object_agg(CASE key WHEN {1} THEN {2} ELSE key END, value) FROM json_each({0}))"
    }

    fn refers_ahead(&self) -> bool {
        false
    }

    fn keeps_defaults(&self) -> bool {
        true
    }

    fn table_options(&self, _: bool) -> &'static str {
        ""
    }

    fn type_name(&self, ty: &Type) -> Cow<'static, str> {
        match ty {
            Type::Bool => "boolean",
            Type::Int | Type::Duration => "bigint",
            Type::Float => "double precision",
            Type::Decimal { precision, scale } => return format!("numeric({precision},{scale})").into(),
            Type::Uuid => "uuid",
            Type::Date => "date",
            Type::Time => "time without time zone",
            Type::Timestamp => "timestamp with time zone",
            Type::Bytes => "bytea",
            Type::Json | Type::List(_) => "json",
            Type::Text { .. } | Type::Enum(_) | Type::File | Type::Ref(_) | Type::Null => {
                "text COLLATE \"C\""
            }
        }
        .into()
    }

    fn widens(&self, from: &str, to: &str) -> bool {
        let parts = |name: &str| -> Option<(u8, u8)> {
            let (precision, scale) = name.strip_prefix("numeric(")?.strip_suffix(')')?.split_once(',')?;
            Some((precision.parse().ok()?, scale.parse().ok()?))
        };
        match (parts(from), parts(to)) {
            (Some((from, from_scale)), Some((to, to_scale))) => from_scale == to_scale && from <= to,
            _ => false,
        }
    }

    fn name_bytes_max(&self) -> Option<usize> {
        Some(NAME_BYTES_MAX)
    }

    fn setup(&self) -> &'static [&'static str] {
        &[FUNCTIONS]
    }

    fn copies(&self) -> bool {
        true
    }

    fn transaction_of(&self) -> Option<&'static str> {
        None
    }

    fn continue_numbers(&self) -> Option<&'static str> {
        Some("SELECT setval(pg_get_serial_sequence({0}, {1}), max({2})) FROM {3} HAVING max({2}) IS NOT NULL")
    }

    fn change_type(&self, from: &Type, to: &Type) -> Option<TypeChange> {
        super::change::between(self, from, to)
    }

    fn alters_columns(&self) -> bool {
        true
    }

    fn forms(&self) -> Option<&Forms> {
        self.forms.as_ref()
    }

    fn with_forms(&self, forms: Forms) -> &'static dyn Dialect {
        Box::leak(Box::new(Postgres { forms: Some(forms) }))
    }

    fn form(&self, kept: Kept<'_>) -> Option<Form> {
        kept::form(kept)
    }

    fn candidates(&self, found: &FoundColumn, enums: &[FoundEnum]) -> Vec<Candidate> {
        pulled::candidates(found, enums)
    }

    fn triggers(&self) -> TriggerSpelling {
        triggers::SPELLING
    }

    fn trigger_json(&self, ty: &Type, form: Option<&Form>, value: &str) -> Option<String> {
        Some(triggers::json(ty, form, value))
    }

    fn trigger_image(&self) -> &'static str {
        "({0})::json"
    }

    fn key_part(&self, ty: &Type) -> Cow<'static, str> {
        kept::key_part(ty).into()
    }

    fn ordered(&self, ty: &Type) -> Option<&'static str> {
        let is_text = matches!(ty, Type::Text { .. } | Type::File | Type::Enum(_));
        (is_text && self.forms.is_some()).then_some("({0} COLLATE \"C\")")
    }

    fn catalogue(&self) -> CatalogueQueries {
        catalogue::QUERIES
    }
}

fn scale_of(ty: &Type) -> u8 {
    match ty {
        Type::Decimal { scale, .. } => *scale,
        _ => 0,
    }
}

fn arithmetic(op: ArithmeticOp, left: &Type, right: &Type, result: &Type) -> Cow<'static, str> {
    use ArithmeticOp::{Add, Div, Mul, Rem, Sub};
    match (op, left, right) {
        (_, Type::Decimal { .. }, _) | (_, _, Type::Decimal { .. }) => {
            return decimal_arithmetic(op, scale_of(result)).into();
        }
        (Mul, Type::Float, _) => "mainstay_1.mul({0}, {1})",
        (Div, Type::Float, _) => "mainstay_1.div({0}, {1})",
        (Rem, Type::Float, _) => "mainstay_1.rem({0}, {1})",
        (Add, Type::Timestamp | Type::Date, _) => "mainstay_1.add({0}, {1})",
        (Add, _, Type::Timestamp | Type::Date) => "mainstay_1.add({1}, {0})",
        // The difference is an interval of days and a rest, which has its exact number of seconds.
        (Sub, Type::Timestamp, Type::Timestamp) => "(extract(epoch FROM {0} - {1}) * 1000000)::bigint",
        (Sub, Type::Date, Type::Date) => "(({0} - {1}) * 86400000000)",
        (Sub, Type::Timestamp | Type::Date, _) => "mainstay_1.sub({0}, {1})",
        (Add, _, _) => "({0} + {1})",
        (Sub, _, _) => "({0} - {1})",
        (Mul, _, _) => "({0} * {1})",
        (Div, _, _) => "({0} / nullif({1}, 0))",
        (Rem, _, _) => "({0} % nullif({1}, 0))",
    }
    .into()
}

/// What `pg_snapshot` is as text: `min:max:running,…`. Every transaction before the least that runs is over.
struct Snapshot {
    /// No transaction from this on had begun.
    max: i64,
    /// Those before it that were not over.
    running: Vec<i64>,
}

impl Snapshot {
    fn read(text: &str) -> Option<Snapshot> {
        let mut pieces = text.split(':');
        let (_min, max, running) = (pieces.next()?.parse::<i64>().ok()?, pieces.next()?, pieces.next()?);
        let running = running.split(',').filter(|number| !number.is_empty());
        let snapshot = Snapshot {
            max: max.parse().ok()?,
            running: running.map(|number| number.parse().ok()).collect::<Option<_>>()?,
        };
        pieces.next().is_none().then_some(snapshot)
    }
}

/// Exact, then rounded once. A quotient of two numbers of 18 digits that is no tie between two of the result's differs from
/// one in the first 55 digits, so that the rounding of 60 decides nothing.
fn decimal_arithmetic(op: ArithmeticOp, scale: u8) -> String {
    let exact = match op {
        ArithmeticOp::Add => "{0} + {1}",
        ArithmeticOp::Sub => "{0} - {1}",
        ArithmeticOp::Mul => "{0} * {1}",
        ArithmeticOp::Div => "round({0}, 60) / nullif({1}, 0)",
        ArithmeticOp::Rem => "{0} % nullif({1}, 0)",
    };
    format!("({exact})::numeric(18, {scale})")
}

fn call(function: Function, subject: &Type, result: &Type) -> Cow<'static, str> {
    let part = |name: &str| {
        let day = if *subject == Type::Timestamp { "{0} AT TIME ZONE 'UTC'" } else { "{0}" };
        format!("extract({name} FROM {day})::bigint").into()
    };
    match function {
        Function::Year => return part("year"),
        Function::Month => return part("month"),
        Function::Day => return part("day"),
        Function::Lower => "lower({0} COLLATE \"C\")",
        Function::Upper => "upper({0} COLLATE \"C\")",
        Function::Length if matches!(subject, Type::List(_)) => "json_array_length({0})::bigint",
        Function::Length => "length({0})::bigint",
        Function::Trim => "btrim({0}, E' \\t\\n\\r\\f\\x0b')",
        Function::StartsWith => "starts_with({0}, {1})",
        Function::EndsWith => "mainstay_1.ends_with({0}, {1})",
        Function::Like => "mainstay_1.matches({0}, {1})",
        Function::Round => match subject {
            Type::Decimal { .. } => {
                return format!("mainstay_1.round({{0}}, {{1}})::numeric(18, {})", scale_of(result)).into();
            }
            _ => "mainstay_1.round({0}, {1})",
        },
        Function::Abs => "abs({0})",
        Function::Concat => unreachable!("joining texts is the same everywhere"),
    }
    .into()
}

fn convert(from: &Type, to: &Type) -> Cow<'static, str> {
    match (from, to) {
        (Type::Int | Type::Decimal { .. }, Type::Float) => "{0}::float8".into(),
        (Type::Int, Type::Decimal { scale, .. }) => format!("{{0}}::numeric(18, {scale})").into(),
        (Type::Decimal { scale: from, .. }, Type::Decimal { scale: to, .. }) if from != to => {
            format!("{{0}}::numeric(18, {to})").into()
        }
        _ => "{0}".into(),
    }
}
