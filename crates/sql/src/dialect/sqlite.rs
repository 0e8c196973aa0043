//! SQLite's spelling.
//!
//! Where SQLite's own operators differ from the language, the `ms_…` functions of [`mainstay_lang::ops::sqlite`] are
//! called, which every connection has; `ms_rows(n)` and `ms_kept()` are the store's own. Values are stored as
//! [`mainstay_lang::value`] says: truth values, ints, decimals' mantissas and durations as INTEGER, bytes as BLOB, all
//! else that is no float as TEXT.

mod catalogue;
mod change;
mod kept;
mod pulled;
mod triggers;

use std::borrow::Cow;
use std::fmt::Write as _;

use mainstay_lang::expr::{ArithmeticOp, Clock, Function};
use mainstay_lang::ops::sqlite::{OBJECTS, SqlResult};
use mainstay_lang::schema::Schema;
use mainstay_lang::types::Type;
use mainstay_lang::value::Value;

use crate::catalogue::{CatalogueQueries, FoundColumn, FoundEnum};
use crate::forms::{Form, Forms, Kept};
use crate::pull::Candidate;
use crate::triggers::TriggerSpelling;

use super::{ChangeLog, ColumnRole, Counted, Dialect, JsonText, Lock, Operator, RowCounting, TypeChange};

/// The embedded database, 3.46 or later.
#[derive(Clone, Debug)]
pub struct Sqlite {
    /// How a database that others made keeps its columns.
    pub(super) forms: Option<Forms>,
}

impl Dialect for Sqlite {
    fn kind(&self) -> &'static str {
        "sqlite"
    }

    fn placeholder(&self, sql: &mut String, number: usize, _: &Type) {
        write!(sql, "?{number}").expect("writing to a string does not fail");
    }

    fn clock(&self, clock: Clock) -> &'static str {
        match clock {
            Clock::Now => "strftime('%Y-%m-%dT%H:%M:%f000Z', 'now')",
            Clock::Today => "date('now')",
        }
    }

    fn literal(&self, value: &Value) -> Option<String> {
        match value.to_sql() {
            SqlResult::Null | SqlResult::Blob(_) => None,
            SqlResult::Int(number) => Some(number.to_string()),
            SqlResult::Real(number) => Some(format!("{number:e}")),
            SqlResult::Text(text) => Some(format!("'{}'", text.replace('\'', "''"))),
        }
    }

    fn operator(&self, operator: Operator<'_>) -> Cow<'static, str> {
        match operator {
            Operator::Arithmetic { op, left, right, result } => arithmetic(op, left, right, result),
            Operator::Negate(_) => "ms_neg({0})".into(),
            Operator::Call { function, subject, result } => call(function, subject, result),
            Operator::Convert { from, to } => convert(from, to),
            Operator::Contains => "ms_contains({0}, {1})".into(),
            Operator::InList(of) => {
                let item = self.json(of).template(true).replace("{0}", "{1}");
                format!("ms_list_contains({{0}}, {item})").into()
            }
            Operator::JsonPath(names) => {
                let way: String = (1..=names).map(|name| format!(", {{{name}}}")).collect();
                format!("ms_json_path({{0}}{way})").into()
            }
            Operator::Least(_) => "min({0})".into(),
            Operator::Greatest(_) => "max({0})".into(),
            Operator::Sum(Type::Float) => "coalesce(sum({0}), 0.0)".into(),
            Operator::Sum(Type::Decimal { .. }) => "ms_sum_dec({0})".into(),
            Operator::Sum(_) => "ms_sum_int({0})".into(),
            Operator::Avg(Type::Decimal { scale, .. }) => format!("(avg({{0}}) / 1e{scale})").into(),
            Operator::Avg(_) => "avg({0})".into(),
            Operator::Cursor => "ms_cursor({0}, {1})".into(),
        }
    }

    fn row_counting(&self) -> RowCounting {
        RowCounting::Call("ms_rows(1)")
    }

    fn objects(&self) -> Option<&'static str> {
        Some(OBJECTS)
    }

    fn object_mark(&self, ty: &Type) -> Option<Cow<'static, str>> {
        Some(match ty {
            Type::Text { .. } | Type::File => "$".into(),
            Type::Int | Type::Json | Type::List(_) => "#".into(),
            Type::Uuid | Type::Date | Type::Time | Type::Timestamp | Type::Enum(_) => "@".into(),
            Type::Bool => "!".into(),
            Type::Decimal { scale, .. } => format!("%{scale}").into(),
            Type::Null | Type::Ref(_) | Type::Float | Type::Duration | Type::Bytes => return None,
        })
    }

    fn list_counter(&self, _: Counted) -> &'static str {
        "ms_rows(count(*))"
    }

    fn is_among_first(&self) -> &'static str {
        // Whoever reads the rows one by one knows how many it has read; a window would keep them all first.
        "ms_kept()"
    }

    fn json(&self, ty: &Type) -> JsonText {
        match ty {
            Type::Text { .. } | Type::File | Type::Null | Type::Ref(_) => {
                JsonText::Whole("json_quote({0})".into())
            }
            Type::Bool => {
                JsonText::Whole("CASE {0} WHEN 1 THEN 'true' WHEN 0 THEN 'false' ELSE 'null' END".into())
            }
            Type::Int | Type::Json | Type::List(_) => JsonText::NotNull("{0}".into()),
            Type::Float => JsonText::NotNull("ms_float_text({0})".into()),
            Type::Uuid | Type::Date | Type::Time | Type::Timestamp | Type::Enum(_) => {
                JsonText::Quoted("{0}".into())
            }
            Type::Decimal { scale, .. } => JsonText::Quoted(format!("ms_dec_text({{0}}, {scale})").into()),
            Type::Duration => JsonText::Quoted("ms_duration_text({0})".into()),
            Type::Bytes => JsonText::Quoted("ms_base64({0})".into()),
        }
    }

    fn nulls(&self, descending: bool, first: bool) -> &'static str {
        // Null is the least value to SQLite.
        match (descending, first) {
            (false, true) | (true, false) => "",
            (false, false) => " NULLS LAST",
            (true, true) => " NULLS FIRST",
        }
    }

    fn unlimited(&self) -> &'static str {
        " LIMIT -1"
    }

    fn lock(&self, _: Lock) -> &'static str {
        // There is one writer: nobody else can change what it has read.
        ""
    }

    fn json_rows(&self, columns: &[(&str, &Type)]) -> String {
        let column = |(name, ty): &(&str, &Type)| {
            // JSON stays JSON, everything else becomes what it is stored as.
            let way = if matches!(ty, Type::Json) { "->" } else { "->>" };
            format!("\"value\" {way} '$.{name}' AS \"{name}\"")
        };
        let columns: Vec<String> = columns.iter().map(column).collect();
        format!("(SELECT {} FROM json_each({{0}})) AS \"given\"", columns.join(", "))
    }

    fn column(&self, _: &Schema, ty: &Type, nullable: bool, role: ColumnRole) -> String {
        let name = self.type_name(ty);
        match role {
            // The next number is one more than the greatest that is there, so whoever prunes such a table leaves its
            // last row. AUTOINCREMENT would remember the number elsewhere: a page more for each transaction.
            ColumnRole::Serial => "INTEGER PRIMARY KEY".to_owned(),
            // Exactly `INTEGER PRIMARY KEY` is the row's address in its table; no index is needed.
            ColumnRole::Key if name == "INTEGER" => "INTEGER PRIMARY KEY".to_owned(),
            ColumnRole::Key => format!("{name} NOT NULL PRIMARY KEY"),
            ColumnRole::Plain if nullable => name.into_owned(),
            ColumnRole::Plain | ColumnRole::Transaction => format!("{name} NOT NULL"),
        }
    }

    fn json_has(&self) -> &'static str {
        "json_type({0}, '$.' || {1}) IS NOT NULL"
    }

    fn json_remove(&self) -> &'static str {
        "json_remove({0}, '$.' || {1})"
    }

    fn json_rename(&self) -> &'static str {
        "json_set(json_remove({0}, '$.' || {1}), '$.' || {2}, json({0} -> ('$.' || {1})))"
    }

    fn refers_ahead(&self) -> bool {
        true
    }

    fn table_options(&self, keyed_by_columns: bool) -> &'static str {
        if keyed_by_columns { " STRICT, WITHOUT ROWID" } else { " STRICT" }
    }

    fn transaction_of(&self) -> Option<&'static str> {
        // Microseconds since 1970, as a server numbers its transactions: lines of one share the instant.
        Some("unixepoch(substr({0}, 1, 19)) * 1000000 + CAST(substr({0}, 21, 6) AS INTEGER)")
    }

    fn change_type(&self, from: &Type, to: &Type) -> Option<TypeChange> {
        super::change::between(self, from, to)
    }

    fn alters_columns(&self) -> bool {
        false
    }

    fn forms(&self) -> Option<&Forms> {
        self.forms.as_ref()
    }

    fn with_forms(&self, forms: Forms) -> &'static dyn Dialect {
        Box::leak(Box::new(Sqlite { forms: Some(forms) }))
    }

    fn form(&self, kept: Kept<'_>) -> Option<Form> {
        kept::form(kept)
    }

    fn is_bare_key(&self, form: &Form) -> bool {
        form.write.is_none() && form.read.as_deref() == Some("({0} COLLATE BINARY)")
    }

    fn finds_rows_in_values(&self) -> bool {
        // Not where the columns are compared under another collation than their own.
        false
    }

    fn sample(&self, ty: &Type) -> Option<&'static str> {
        (*ty == Type::Timestamp).then_some("CAST({0} AS TEXT), typeof({0})")
    }

    fn candidates(&self, found: &FoundColumn, _: &[FoundEnum]) -> Vec<Candidate> {
        pulled::candidates(found)
    }

    fn triggers(&self) -> TriggerSpelling {
        triggers::SPELLING
    }

    fn trigger_json(&self, ty: &Type, form: Option<&Form>, value: &str) -> Option<String> {
        triggers::json(ty, form.is_some(), value)
    }

    fn trigger_image(&self) -> &'static str {
        "{0}"
    }

    fn key_part(&self, ty: &Type) -> Cow<'static, str> {
        kept::key_part(ty).into()
    }

    fn catalogue(&self) -> CatalogueQueries {
        catalogue::QUERIES
    }

    fn change_log(&self) -> ChangeLog {
        // One writer gives out the numbers in the order of its commits: by them lines are found and walked alike.
        let between = "\"seq\" > CAST({0} AS INTEGER) AND ({1} IS NULL OR \"seq\" <= CAST({1} AS INTEGER))";
        ChangeLog {
            position: "CAST(coalesce(max(\"seq\"), 0) AS TEXT) FROM \"_change\"",
            between,
            order: "\"seq\"",
            is_between: between,
            holds: |position, _, seq| Some(seq <= position.parse().ok()?),
            progress: |position| position.parse().ok(),
        }
    }

    fn type_name(&self, ty: &Type) -> Cow<'static, str> {
        match ty {
            Type::Bool | Type::Int | Type::Decimal { .. } | Type::Duration => "INTEGER",
            Type::Float => "REAL",
            Type::Bytes => "BLOB",
            _ => "TEXT",
        }
        .into()
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
    let name = match (op, left, right) {
        (_, Type::Decimal { .. }, _) | (_, _, Type::Decimal { .. }) => {
            return decimal_arithmetic(op, scale_of(left), scale_of(right), scale_of(result)).into();
        }
        (Add, Type::Timestamp, _) => "ms_ts_add",
        (Sub, Type::Timestamp, Type::Timestamp) => "ms_ts_sub",
        (Sub, Type::Timestamp, _) => "ms_ts_back",
        (Add, Type::Date, _) => "ms_date_add",
        (Sub, Type::Date, Type::Date) => "ms_date_sub",
        (Sub, Type::Date, _) => "ms_date_back",
        (Add, _, Type::Timestamp) => return "ms_ts_add({1}, {0})".into(),
        (Add, _, Type::Date) => return "ms_date_add({1}, {0})".into(),
        (Add, _, _) => "ms_add",
        (Sub, _, _) => "ms_sub",
        (Mul, _, _) => "ms_mul",
        (Div, _, _) => "ms_div",
        (Rem, _, _) => "ms_rem",
    };
    format!("{name}({{0}}, {{1}})").into()
}

fn decimal_arithmetic(op: ArithmeticOp, left: u8, right: u8, result: u8) -> String {
    let name = match op {
        ArithmeticOp::Mul => return format!("ms_dec_mul({{0}}, {left}, {{1}}, {right}, {result})"),
        ArithmeticOp::Div => return format!("ms_dec_div({{0}}, {left}, {{1}}, {right}, {result})"),
        ArithmeticOp::Add => "ms_dec_add",
        ArithmeticOp::Sub => "ms_dec_sub",
        ArithmeticOp::Rem => "ms_dec_rem",
    };
    let operand = |index: u8, scale: u8| match scale == result {
        true => format!("{{{index}}}"),
        false => format!("ms_dec_rescale({{{index}}}, {scale}, {result})"),
    };
    format!("{name}({}, {})", operand(0, left), operand(1, right))
}

fn call(function: Function, subject: &Type, result: &Type) -> Cow<'static, str> {
    match function {
        Function::Year => "CAST(substr({0}, 1, 4) AS INTEGER)",
        Function::Month => "CAST(substr({0}, 6, 2) AS INTEGER)",
        Function::Day => "CAST(substr({0}, 9, 2) AS INTEGER)",
        Function::Lower => "ms_lower({0})",
        Function::Upper => "ms_upper({0})",
        Function::Length if matches!(subject, Type::List(_)) => "ms_list_length({0})",
        Function::Length => "ms_length({0})",
        Function::Trim => "ms_trim({0})",
        Function::StartsWith => "ms_starts({0}, {1})",
        Function::EndsWith => "ms_ends({0}, {1})",
        Function::Like => "ms_like({0}, {1})",
        Function::Round => match subject {
            Type::Decimal { scale, .. } => {
                return format!("ms_dec_round({{0}}, {scale}, {{1}}, {})", scale_of(result)).into();
            }
            Type::Float => "ms_round_real({0}, {1})",
            _ => "ms_round_int({0}, {1})",
        },
        Function::Abs => "ms_abs({0})",
        Function::Concat => unreachable!("joining texts is the same everywhere"),
    }
    .into()
}

fn convert(from: &Type, to: &Type) -> Cow<'static, str> {
    match (from, to) {
        (Type::Int, Type::Float) => "CAST({0} AS REAL)".into(),
        (Type::Decimal { scale, .. }, Type::Float) => format!("ms_dec_real({{0}}, {scale})").into(),
        (Type::Int, Type::Decimal { scale, .. }) => format!("ms_dec_rescale({{0}}, 0, {scale})").into(),
        (Type::Decimal { scale: from, .. }, Type::Decimal { scale: to, .. }) if from != to => {
            format!("ms_dec_rescale({{0}}, {from}, {to})").into()
        }
        _ => "{0}".into(),
    }
}
