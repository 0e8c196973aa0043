//! A condition taken apart, to be asked of one row in one statement.

use mainstay_lang::expr::{CallerFact, Expr, Node, Root, RowPath};
use mainstay_lang::schema::{ColumnId, Operation, Schema, Table, TableId};
use mainstay_lang::source::Span;
use mainstay_lang::types::Type;
use mainstay_lang::value::Value;

use super::{Clause, Line, Read, place_of};
use crate::expression::map_children;
use crate::overrides::{Effect, Override, Texts};

/// Lines to be asked about a row, and the expressions that this takes.
pub(crate) struct Probe {
    table: TableId,
    lines: Vec<ProbeLine>,
    /// Of rules that take away.
    denials: Vec<ProbeLine>,
    exprs: Vec<Expr>,
}

struct ProbeLine {
    place: String,
    text: String,
    /// Index of the whole condition; `None`: always true.
    condition: Option<usize>,
    clauses: Vec<ProbeClause>,
}

struct ProbeClause {
    text: String,
    result: usize,
    reads: Vec<(String, usize)>,
}

impl Probe {
    /// Nothing yet about the rows of a table.
    pub(crate) fn new(table: TableId) -> Probe {
        Probe { table, lines: Vec::new(), denials: Vec::new(), exprs: Vec::new() }
    }

    /// The lines that allow an operation on a table's rows, or on one column of them, and those that are kept in data.
    pub(crate) fn of_rules(
        schema: &Schema,
        texts: Texts<'_>,
        table: &Table,
        operation: Operation,
        column: Option<ColumnId>,
    ) -> Probe {
        let mut probe = Probe::new(table.id);
        for rule in table.rules_of(operation, column) {
            probe.line(schema, texts, rule.span, rule.condition.as_deref());
        }
        for of in texts.overrides.about(table.id, operation, column) {
            let line = probe.added(schema, texts, of);
            match of.effect {
                Effect::Allow => probe.lines.push(line),
                Effect::Deny => probe.denials.push(line),
            }
        }
        probe
    }

    /// Adds a line.
    pub(crate) fn line(&mut self, schema: &Schema, texts: Texts<'_>, span: Span, condition: Option<&Expr>) {
        let text = texts.slice(span).split_whitespace().collect::<Vec<_>>().join(" ");
        let place = place_of(texts.sources, span);
        let line = self.asked(schema, texts, (place, text), condition);
        self.lines.push(line);
    }

    /// A rule that is kept in data.
    fn added(&mut self, schema: &Schema, texts: Texts<'_>, of: &Override) -> ProbeLine {
        let id = of.id.to_json();
        let place = format!("RuleOverride {}", id.trim_matches('"'));
        let note = of.note.as_ref().map(|note| format!("  // {note}")).unwrap_or_default();
        let problems = match of.problems.as_slice() {
            [] => String::new(),
            problems => format!("  // cannot be read: {}", problems.join("; ")),
        };
        let text = format!("{}{note}{problems}", of.text);
        self.asked(schema, texts, (place, text), of.condition.as_deref())
    }

    fn asked(
        &mut self,
        schema: &Schema,
        texts: Texts<'_>,
        (place, text): (String, String),
        condition: Option<&Expr>,
    ) -> ProbeLine {
        let mut clauses = Vec::new();
        let condition = condition.map(|condition| {
            let index = self.expr(schema, condition);
            let mut leaves = Vec::new();
            take_apart(condition, &mut leaves);
            for leaf in leaves {
                clauses.push(self.clause(schema, texts, leaf));
            }
            index
        });
        ProbeLine { place, text, condition, clauses }
    }

    /// Adds a condition of a request, which has words instead of a place.
    pub(crate) fn words(&mut self, schema: &Schema, words: String, condition: &Expr) {
        let condition = Some(self.expr(schema, condition));
        self.lines.push(ProbeLine { place: String::new(), text: words, condition, clauses: Vec::new() });
    }

    fn clause(&mut self, schema: &Schema, texts: Texts<'_>, leaf: &Expr) -> ProbeClause {
        let result = self.expr(schema, leaf);
        let mut reads = Vec::new();
        read_values(schema, self.table, leaf, 0, &mut reads);
        let mut known: Vec<(String, usize)> = Vec::new();
        for (path, expr) in reads {
            if !known.iter().any(|(name, _)| *name == path) {
                let index = self.expr(schema, &expr);
                known.push((path, index));
            }
        }
        let text = texts.slice(leaf.span).split_whitespace().collect::<Vec<_>>().join(" ");
        let text = match (&leaf.node, known.as_slice()) {
            // A path's place is that of its last name alone.
            (Node::Column { .. }, [(path, _)]) => path.clone(),
            // That of a rule in data is a value of its row.
            (Node::Caller(CallerFact::HasRole(role)), _) if text.is_empty() => {
                format!("user.has_role({role:?})")
            }
            _ => text,
        };
        ProbeClause { text, result, reads: known }
    }

    fn expr(&mut self, schema: &Schema, expr: &Expr) -> usize {
        let ty = schema.storage_type(&expr.ty).clone();
        self.exprs.push(Expr { ty, ..expr.clone() });
        self.exprs.len() - 1
    }

    /// What is to be asked of the row, in the order in which [`Probe::lines`] takes the answers.
    pub(crate) fn exprs(&self) -> &[Expr] {
        &self.exprs
    }

    /// The lines with the answers, those that allow and those that deny.
    pub(crate) fn lines(&self, answers: &[Value]) -> (Vec<Line>, Vec<Line>) {
        let truth = |index: usize| match answers.get(index) {
            Some(Value::Bool(value)) => Some(*value),
            _ => None,
        };
        let value = |index: usize| {
            let json = answers.get(index).unwrap_or(&Value::Null).to_json();
            serde_json::from_str(&json).unwrap_or(serde_json::Value::Null)
        };
        let clause = |clause: &ProbeClause| Clause {
            text: clause.text.clone(),
            result: truth(clause.result),
            values: clause
                .reads
                .iter()
                .map(|(path, index)| Read { path: path.clone(), value: value(*index) })
                .collect(),
        };
        let line = |line: &ProbeLine| Line {
            place: line.place.clone(),
            text: line.text.clone(),
            result: line.condition.map_or(Some(true), truth),
            clauses: line.clauses.iter().map(clause).collect(),
        };
        (self.lines.iter().map(line).collect(), self.denials.iter().map(line).collect())
    }
}

/// The parts of a condition that are no `and`, `or` or `not`.
fn take_apart<'e>(of: &'e Expr, leaves: &mut Vec<&'e Expr>) {
    match &of.node {
        Node::And(items) | Node::Or(items) => items.iter().for_each(|item| take_apart(item, leaves)),
        Node::Not(inner) => take_apart(inner, leaves),
        _ => leaves.push(of),
    }
}

/// What an expression reads of the row and of the caller; `depth` is the number of relations entered.
fn read_values(schema: &Schema, home: TableId, of: &Expr, depth: u8, reads: &mut Vec<(String, Expr)>) {
    match &of.node {
        Node::Column { row, column, .. } => {
            let is_outside = row.root == Root::User
                || (depth == 0 && matches!(row.root, Root::Scope(0) | Root::Old | Root::New));
            if is_outside {
                reads.push((path_of(schema, home, row, *column), of.clone()));
            }
        }
        Node::Caller(fact) if of.ty != Type::Bool => {
            let name = match fact {
                CallerFact::User => "user",
                CallerFact::Tenant => "tenant",
                _ => "session",
            };
            reads.push((name.to_owned(), of.clone()));
        }
        _ => {
            map_children(of, &mut |child, entered| {
                read_values(schema, home, child, depth + u8::from(entered), reads);
                child.clone()
            });
        }
    }
}

/// A path from a row of `home`, as it would be written.
fn path_of(schema: &Schema, home: TableId, row: &RowPath, column: ColumnId) -> String {
    let (start, mut table) = match row.root {
        Root::Scope(_) => ("", schema.table(home)),
        Root::Old => ("old.", schema.table(home)),
        Root::New => ("new.", schema.table(home)),
        Root::User => ("user.", schema.user_table().expect("checked: paths from `user` need the table")),
    };
    let mut path = start.to_owned();
    for hop in &row.hops {
        path.push_str(&table.column(hop.column).name);
        path.push('.');
        table = schema.table(hop.target);
    }
    path.push_str(&table.column(column).name);
    path
}
