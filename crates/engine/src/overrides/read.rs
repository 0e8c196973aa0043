//! From rows to rules: what each says, against the schema that runs.

use std::sync::Arc;

use mainstay_lang::diagnostic::Diagnostic;
use mainstay_lang::expr::{CallerFact, Expr, Node};
use mainstay_lang::rule::{self, Target};
use mainstay_lang::schema::{ColumnId, Operation, Schema, Table};
use mainstay_lang::source::Span;
use mainstay_lang::suggest::nearest;
use mainstay_lang::types::Type;
use mainstay_lang::value::Value;
use sha2::{Digest, Sha256};

use super::{Effect, FILE_FIRST, Override, Overrides, TABLE, text_of};
use crate::resolve::text;

/// The columns of a row that mean something.
pub(crate) struct Row<'r> {
    id: &'r Value,
    pub(super) role: Option<&'r str>,
    table: &'r str,
    operation: &'r str,
    pub(super) columns: Vec<String>,
    effect: &'r str,
    pub(super) condition: Option<&'r str>,
    note: Option<&'r str>,
    is_active: bool,
}

/// What is wrong with one value of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    /// Its column, and the place in its list.
    pub(crate) at: (&'static str, Option<usize>),
    pub(crate) code: &'static str,
    pub(crate) words: String,
}

/// What a row says, as far as it can be read.
struct Said<'s> {
    table: Option<&'s Table>,
    operation: Option<Operation>,
    effect: Effect,
    target: Option<Target>,
    condition: Option<Expr>,
    problems: Vec<Problem>,
}

impl<'r> Row<'r> {
    /// From an image of the table.
    pub(crate) fn of(table: &Table, image: &'r [Value]) -> Row<'r> {
        let value = |name: &str| {
            let column = table.column_named(name).map_or(ColumnId::ID, |column| column.id);
            &image[column.0 as usize]
        };
        let text = |name: &str| match value(name) {
            Value::Text(text) => Some(text.as_str()),
            _ => None,
        };
        let columns = match value("columns") {
            Value::List(names) => names.as_slice(),
            _ => &[],
        };
        let name = |name: &Value| match name {
            Value::Text(name) => Some(name.clone()),
            _ => None,
        };
        Row {
            id: &image[0],
            role: text("role"),
            table: text("table").unwrap_or_default(),
            operation: text("operation").unwrap_or_default(),
            columns: columns.iter().filter_map(name).collect(),
            effect: text("effect").unwrap_or_default(),
            condition: text("condition"),
            note: text("note"),
            is_active: *value("active") == Value::Bool(true),
        }
    }

    /// What is wrong with it where it is to be kept in the place of another one.
    pub(crate) fn refused(&self, before: Option<&Row<'_>>, schema: &Schema) -> Vec<Problem> {
        if !self.is_active && before.is_some_and(|before| before.meaning() == self.meaning()) {
            return Vec::new();
        }
        self.said(schema, FILE_FIRST).problems
    }

    fn meaning(&self) -> impl PartialEq {
        (self.role, self.table, self.operation, self.columns.clone(), self.effect, self.condition)
    }

    /// What it says, with all that is wrong.
    fn said<'s>(&self, schema: &'s Schema, file: u32) -> Said<'s> {
        let mut problems = Vec::new();
        let mut problem = |at, code, words: String| problems.push(Problem { at, code, words });
        let table = self.table(schema).map_err(|words| problem(("table", None), "name.unknown", words)).ok();
        let operation = rule::operation(self.operation);
        if operation.is_none() {
            problem(
                ("operation", None),
                "name.unknown",
                format!("there is no operation `{}`", self.operation),
            );
        }
        if self.role == Some("") {
            problem(
                ("role", None),
                "empty",
                "nobody has a role without a name; leave it out for everybody".into(),
            );
        }
        // Whatever is no `allow` takes away.
        let effect = if self.effect == "allow" { Effect::Allow } else { Effect::Deny };
        let mut said = Said { table, operation, effect, target: None, condition: None, problems: Vec::new() };
        if let (Some(table), Some(operation)) = (table, operation) {
            match rule::target(table, operation, &self.columns) {
                Ok(target) => {
                    if let (Effect::Allow, Target::Columns(columns)) = (effect, &target) {
                        for (place, column) in columns.iter().enumerate() {
                            if !table.is_guarded(operation, *column) {
                                let name = &table.column(*column).name;
                                let words = format!(
                                    "`{name}` has no rule of its own for `{}`: whoever may {} the row may anyway",
                                    self.operation, self.operation
                                );
                                problem(("columns", Some(place)), "rule.columns", words);
                            }
                        }
                    }
                    said.target = Some(target);
                }
                Err(found) => {
                    for (place, found) in found {
                        let at = place.map_or(("operation", None), |place| ("columns", Some(place)));
                        problem(at, found.code, with_help(&found));
                    }
                }
            }
            if let Some(written) = self.condition {
                match rule::compile_condition(schema, (table.id, operation), (file, written)) {
                    Ok(condition) => said.condition = Some(condition),
                    Err(found) => {
                        for found in found {
                            problem(("condition", None), found.code, text::words(written, &found));
                        }
                    }
                }
            }
        }
        said.problems = problems;
        said
    }

    fn table<'s>(&self, schema: &'s Schema) -> Result<&'s Table, String> {
        let Some(table) = schema.table_named(self.table) else {
            let names = schema.tables.iter().map(|table| table.name.as_str());
            let nearest = nearest(self.table, names).map(|name| format!(" (did you mean `{name}`?)"));
            return Err(format!("there is no table `{}`{}", self.table, nearest.unwrap_or_default()));
        };
        if table.platform && table.name == TABLE {
            return Err(format!(
                "who may change the rules is no matter of a row of {TABLE}: extend it in the app"
            ));
        }
        Ok(table)
    }

    fn rule(&self, schema: &Schema, index: usize) -> Result<Override, (Value, String)> {
        let file = FILE_FIRST + u32::try_from(index).unwrap_or(0);
        let said = self.said(schema, file);
        let problems: Vec<String> =
            said.problems.iter().map(|problem| format!("`{}`: {}", problem.at.0, problem.words)).collect();
        let (Some(table), Some(operation)) = (said.table, said.operation) else {
            return Err((self.id.clone(), problems.join("; ")));
        };
        let role = self.role.filter(|role| !role.is_empty()).map(|role| Expr {
            node: Node::Caller(CallerFact::HasRole(role.to_owned())),
            ty: Type::Bool,
            span: Span { file, start: 0, end: 0 },
        });
        let mut conditions: Vec<Expr> = role.into_iter().chain(said.condition).collect();
        let condition = match conditions.len() {
            0 | 1 => conditions.pop(),
            _ => {
                let span = conditions[1].span;
                Some(Expr { node: Node::And(conditions), ty: Type::Bool, span })
            }
        };
        Ok(Override {
            id: self.id.clone(),
            text: text_of(said.effect, operation, self),
            note: self.note.map(str::to_owned),
            problems,
            effect: said.effect,
            table: table.id,
            operation,
            // What columns it means is not known: the whole row.
            target: said.target.unwrap_or(Target::Rows),
            condition: condition.map(Arc::new),
            source: self.condition.unwrap_or_default().to_owned(),
        })
    }
}

impl Overrides {
    /// What rows of the table say, those that are active.
    pub(crate) fn read(schema: &Schema, table: &Table, mut images: Vec<Vec<Value>>) -> Overrides {
        images.sort_by_cached_key(|image| image[0].to_json());
        let mut overrides = Overrides::default();
        let mut hash = Sha256::new();
        for image in &images {
            let row = Row::of(table, image);
            if !row.is_active {
                continue;
            }
            let Row { id, role, table, operation, columns, effect, condition, note, is_active: _ } = &row;
            hash.update(format!(
                "{id:?}{role:?}{table:?}{operation}{columns:?}{effect}{condition:?}{note:?}"
            ));
            match row.rule(schema, overrides.list.len()) {
                Ok(rule) => overrides.list.push(rule),
                Err(lost) => overrides.lost.push(lost),
            }
        }
        if !overrides.list.is_empty() || !overrides.lost.is_empty() {
            overrides.print = hash.finalize().to_vec();
        }
        overrides
    }
}

fn with_help(found: &Diagnostic) -> String {
    let help = found.help.as_ref().map(|help| format!(" ({help})")).unwrap_or_default();
    format!("{}{help}", found.message)
}
