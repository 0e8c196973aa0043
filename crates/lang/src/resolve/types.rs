//! Types as written become [`Type`]s: their names, their arguments, and what to say about a name from elsewhere.

use super::{Resolver, with_help};
use crate::diagnostic::Diagnostic;
use crate::naming;
use crate::schema::TableId;
use crate::source::Span;
use crate::syntax::{TypeArg, TypeExpr};
use crate::types::{EnumType, Type};
use std::sync::Arc;

/// What other languages call these types.
const ALIASES: [(&str, &str); 19] = [
    ("string", "text"),
    ("str", "text"),
    ("varchar", "text"),
    ("char", "text"),
    ("integer", "int"),
    ("bigint", "int"),
    ("number", "int"),
    ("i64", "int"),
    ("boolean", "bool"),
    ("double", "float"),
    ("real", "float"),
    ("f64", "float"),
    ("numeric", "decimal"),
    ("money", "decimal"),
    ("datetime", "timestamp"),
    ("instant", "timestamp"),
    ("interval", "duration"),
    ("blob", "bytes"),
    ("jsonb", "json"),
];

/// The most digits that a decimal has.
const PRECISION_MAX: i64 = 18;

impl Resolver<'_> {
    /// The type of a column, field, parameter or setting: a scalar, a list of scalars, or a row of a table.
    pub(super) fn value_type(&mut self, ty: &TypeExpr) -> Option<Type> {
        if let Some(table) = self.schema.table_names.get(&ty.name.text).copied() {
            self.no_arguments(ty);
            if ty.list {
                let message = "many rows of a table stand only in a table, as a relation";
                self.error("type.argument", ty.span, message);
                return None;
            }
            return Some(Type::Ref(table));
        }
        if let Some(by) = &ty.by {
            self.error("type.argument", by.span, "`by` belongs to many rows of a table: `Table[] by column`");
        }
        let item = self.scalar(ty)?;
        if !ty.list {
            return Some(item);
        }
        if matches!(item, Type::Json | Type::Bytes) {
            let message = format!("there are no lists of {item}");
            self.report(
                Diagnostic::error("type.argument", ty.span, message)
                    .help("a json value can hold a list itself"),
            );
            return None;
        }
        Some(Type::List(Arc::new(item)))
    }

    /// The table of a type that names one.
    pub(super) fn type_table(&self, ty: &TypeExpr) -> Option<TableId> {
        self.schema.table_names.get(&ty.name.text).copied()
    }

    fn scalar(&mut self, ty: &TypeExpr) -> Option<Type> {
        let scalar = match ty.name.text.as_str() {
            "bool" => Type::Bool,
            "int" => Type::Int,
            "float" => Type::Float,
            "uuid" => Type::Uuid,
            "date" => Type::Date,
            "time" => Type::Time,
            "timestamp" => Type::Timestamp,
            "duration" => Type::Duration,
            "json" => Type::Json,
            "bytes" => Type::Bytes,
            "file" => Type::File,
            "text" => return self.text_type(ty),
            "decimal" => return self.decimal_type(ty),
            "enum" => return self.enum_type(ty),
            _ => {
                self.unknown_type(ty);
                return None;
            }
        };
        self.no_arguments(ty);
        Some(scalar)
    }

    fn unknown_type(&mut self, ty: &TypeExpr) {
        let name = &ty.name;
        if name.text.is_empty() {
            // Missing, which the parser has said.
            return;
        }
        let alias = ALIASES.iter().find(|(alias, _)| alias.eq_ignore_ascii_case(&name.text));
        let tables = self.table_names();
        let help = match alias {
            Some((_, meant)) => Some(format!("did you mean `{meant}`?")),
            None => naming::did_you_mean(
                &name.text,
                tables.iter().map(String::as_str).chain(crate::types::SCALARS),
            ),
        };
        let message = format!("there is no type or table `{}`", name.text);
        self.report(with_help(Diagnostic::error("type.unknown", name.span, message), help));
    }

    fn no_arguments(&mut self, ty: &TypeExpr) {
        if !ty.args.is_empty() {
            let message = format!("`{}` takes no arguments", ty.name.text);
            self.error("type.argument", ty.span, message);
        }
    }

    fn text_type(&mut self, ty: &TypeExpr) -> Option<Type> {
        match ty.args.as_slice() {
            [] => Some(Type::Text { max: None }),
            [TypeArg::Number(max, span)] => match u32::try_from(*max) {
                Ok(max) if max > 0 => Some(Type::Text { max: Some(max) }),
                _ => self.bad_argument(*span, "the length of a text is a number from 1 on"),
            },
            _ => self.bad_argument(ty.span, "`text` takes its longest length, such as text(100), or nothing"),
        }
    }

    fn decimal_type(&mut self, ty: &TypeExpr) -> Option<Type> {
        let [TypeArg::Number(precision, at), TypeArg::Number(scale, scale_at)] = ty.args.as_slice() else {
            let words = "`decimal` takes all its digits and those behind the point, such as decimal(10, 2)";
            return self.bad_argument(ty.span, words);
        };
        if !(1..=PRECISION_MAX).contains(precision) {
            return self.bad_argument(*at, "a decimal has 1 to 18 digits");
        }
        if !(0..=*precision).contains(scale) {
            return self.bad_argument(*scale_at, "a decimal has no more digits behind the point than in all");
        }
        let digits = |value: i64| u8::try_from(value).expect("both were just found to be at most 18");
        Some(Type::Decimal { precision: digits(*precision), scale: digits(*scale) })
    }

    fn enum_type(&mut self, ty: &TypeExpr) -> Option<Type> {
        let mut values: Vec<String> = Vec::new();
        for arg in &ty.args {
            match arg {
                TypeArg::Name(name) if values.contains(&name.text) => {
                    self.error(
                        "name.duplicate",
                        name.span,
                        format!("`{}` stands twice in this enum", name.text),
                    );
                }
                TypeArg::Name(name) => values.push(name.text.clone()),
                TypeArg::Number(_, span) => {
                    self.error("type.argument", *span, "the values of an enum are names");
                }
            }
        }
        if values.is_empty() {
            return self.bad_argument(ty.span, "an enum lists its values, such as enum(low, high)");
        }
        Some(Type::Enum(Arc::new(EnumType { values })))
    }

    fn bad_argument(&mut self, span: Span, message: &str) -> Option<Type> {
        self.error("type.argument", span, message);
        None
    }
}
