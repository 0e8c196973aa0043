//! `allow`, `check` and `warn` lines.
//!
//! An `allow` line becomes one [`Rule`] for its whole-row operations and one for each that names columns or relations;
//! they share the condition. `write` and `all` are written out.

use super::Resolver;
use crate::check::{Checker, Place};
use crate::rule;
use crate::schema::{Check, ColumnId, Operation, RelationId, Rule, TableId};
use crate::syntax::{self, Member as Line, Name};
use std::sync::Arc;

/// What may stand behind `allow`.
const OPERATIONS: [(&str, &[Operation]); 8] = [
    ("read", &[Operation::Read]),
    ("create", &[Operation::Create]),
    ("update", &[Operation::Update]),
    ("delete", &[Operation::Delete]),
    ("link", &[Operation::Link]),
    ("unlink", &[Operation::Unlink]),
    ("write", &[Operation::Create, Operation::Update, Operation::Delete]),
    (
        "all",
        &[
            Operation::Read,
            Operation::Create,
            Operation::Update,
            Operation::Delete,
            Operation::Link,
            Operation::Unlink,
        ],
    ),
];

/// One operation of a line with what it names.
struct Part {
    operations: Vec<Operation>,
    columns: Vec<ColumnId>,
    relations: Vec<RelationId>,
}

impl Resolver<'_> {
    pub(super) fn rules(&mut self) {
        for (table, members) in self.tables() {
            for line in members {
                match line {
                    Line::Allow(allow) => self.allow(table, allow),
                    Line::Check(check) => {
                        if let Some(check) = self.check(table, check) {
                            self.schema.tables[table.0 as usize].checks.push(check);
                        }
                    }
                    Line::Warn(check) => {
                        if let Some(check) = self.check(table, check) {
                            self.schema.tables[table.0 as usize].warns.push(check);
                        }
                    }
                    _ => {}
                }
            }
        }
    }

    fn check(&mut self, table: TableId, check: &syntax::Check) -> Option<Check> {
        let mut checker = Checker::new(&self.schema, Place::check(table), &mut self.problems);
        let condition = Arc::new(checker.condition(&check.condition)?);
        Some(Check { condition, message: check.message.text.clone(), span: check.span })
    }

    fn allow(&mut self, table: TableId, allow: &syntax::Allow) {
        let parts: Vec<Part> =
            allow.operations.iter().filter_map(|(name, named)| self.part(table, name, named)).collect();
        let images = parts.iter().any(|part| part.operations.contains(&Operation::Update));
        let condition = match &allow.condition {
            None => None,
            Some(expr) => {
                let mut checker = Checker::new(&self.schema, Place::rule(table, images), &mut self.problems);
                let Some(condition) = checker.condition(expr) else { return };
                Some(Arc::new(condition))
            }
        };
        let (whole, named): (Vec<Part>, Vec<Part>) =
            parts.into_iter().partition(|part| part.columns.is_empty() && part.relations.is_empty());
        let mut operations: Vec<Operation> = Vec::new();
        for operation in whole.into_iter().flat_map(|part| part.operations) {
            if !operations.contains(&operation) {
                operations.push(operation);
            }
        }
        let rules = &mut self.schema.tables[table.0 as usize].rules;
        if !operations.is_empty() {
            let (columns, relations) = (Vec::new(), Vec::new());
            rules.push(Rule {
                operations,
                columns,
                relations,
                condition: condition.clone(),
                span: allow.span,
            });
        }
        for Part { operations, columns, relations } in named {
            rules.push(Rule {
                operations,
                columns,
                relations,
                condition: condition.clone(),
                span: allow.span,
            });
        }
    }

    fn part(&mut self, table: TableId, name: &Name, named: &[Name]) -> Option<Part> {
        let Some((_, operations)) = OPERATIONS.iter().find(|(known, _)| *known == name.text) else {
            let message = format!("`{}` is nothing that a rule can allow", name.text);
            self.unknown(name, message, OPERATIONS.iter().map(|(known, _)| *known));
            return None;
        };
        if self.drafts[table.0 as usize].is_stream && operations.iter().any(|op| *op != Operation::Read) {
            self.report(rule::of_stream(name));
            return None;
        }
        if named.is_empty() {
            return Some(Part {
                operations: operations.to_vec(),
                columns: Vec::new(),
                relations: Vec::new(),
            });
        }
        let links = matches!(operations, [Operation::Link | Operation::Unlink]);
        if *operations == [Operation::Delete] {
            self.report(rule::of_deletion(name));
            return None;
        }
        let mut part = Part { operations: Vec::new(), columns: Vec::new(), relations: Vec::new() };
        for member in named {
            if links {
                part.relations.push(self.relation_of(table, member)?);
            } else {
                part.columns.push(self.guarded_column(table, member)?);
            }
        }
        part.operations = operations
            .iter()
            .copied()
            .filter(|op| links || matches!(op, Operation::Read | Operation::Create | Operation::Update))
            .collect();
        Some(part)
    }

    fn guarded_column(&mut self, table: TableId, name: &Name) -> Option<ColumnId> {
        rule::guarded_column(self.schema.table(table), name).map_err(|problem| self.report(problem)).ok()
    }

    fn relation_of(&mut self, table: TableId, name: &Name) -> Option<RelationId> {
        rule::linked_relation(self.schema.table(table), name).map_err(|problem| self.report(problem)).ok()
    }
}
