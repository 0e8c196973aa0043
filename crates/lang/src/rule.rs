//! What one rule is about and under which condition, wherever it stands: in an `allow` line, or beside the app's text, added while
//! the app runs.
//!
//! A rule that is added is resolved and typed as an author's line is, with one difference: secret columns have no names in
//! it. It knows neither who adds it nor what becomes of it.

use crate::check::{Checker, Place};
use crate::diagnostic::{Diagnostic, Severity};
use crate::expr::Expr;
use crate::naming;
use crate::parser;
use crate::resolve::{find_column, with_help};
use crate::schema::{ColumnId, Member, Operation, RelationId, Schema, Table, TableId};
use crate::source::Span;
use crate::syntax::Name;

/// What of a table a rule is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// Its rows.
    Rows,
    /// Some of its columns.
    Columns(Vec<ColumnId>),
    /// Some of its relations to many rows, for `link` and `unlink`.
    Relations(Vec<RelationId>),
}

/// The operation of a name.
pub fn operation(name: &str) -> Option<Operation> {
    OPERATIONS.iter().find(|(known, _)| *known == name).map(|(_, operation)| *operation)
}

/// The operations by name.
const OPERATIONS: [(&str, Operation); 6] = [
    ("create", Operation::Create),
    ("delete", Operation::Delete),
    ("link", Operation::Link),
    ("read", Operation::Read),
    ("unlink", Operation::Unlink),
    ("update", Operation::Update),
];

/// The condition of a rule that is added: an expression over a row of the table, `old` and `new` included where it is about
/// updates. Its places are in the given file.
///
/// # Errors
/// All that is wrong with the text; places are bytes of it.
pub fn compile_condition(
    schema: &Schema,
    (table, operation): (TableId, Operation),
    (file, text): (u32, &str),
) -> Result<Expr, Vec<Diagnostic>> {
    let (tree, problems) = parser::parse_expr(file, text);
    if problems.iter().any(|problem| problem.severity == Severity::Error) {
        return Err(problems);
    }
    let mut problems = Vec::new();
    let place = Place::added_rule(table, operation == Operation::Update);
    let condition = Checker::new(schema, place, &mut problems).condition(&tree);
    condition.filter(|_| problems.is_empty()).ok_or(problems)
}

/// What of a table a rule is about that names these columns or relations; none: the rows. Each problem with the number of its name.
///
/// # Errors
/// All that is wrong with the names, or with the operation itself: then without a number.
pub fn target(
    table: &Table,
    operation: Operation,
    names: &[String],
) -> Result<Target, Vec<(Option<usize>, Diagnostic)>> {
    let span = Span::default();
    let verb = Name { text: name_of(operation).to_owned(), span };
    if table.stream.is_some() && operation != Operation::Read {
        return Err(vec![(None, of_stream(&verb))]);
    }
    if names.is_empty() {
        return Ok(Target::Rows);
    }
    let named = names.iter().enumerate().map(|(place, text)| (place, Name { text: text.clone(), span }));
    match operation {
        Operation::Delete => Err(vec![(Some(0), of_deletion(&verb))]),
        Operation::Link | Operation::Unlink => {
            all(named.map(|(place, name)| (place, linked_relation(table, &name)))).map(Target::Relations)
        }
        Operation::Read | Operation::Create | Operation::Update => {
            all(named.map(|(place, name)| (place, guarded_column(table, &name)))).map(Target::Columns)
        }
    }
}

fn all<T>(
    found: impl Iterator<Item = (usize, Result<T, Diagnostic>)>,
) -> Result<Vec<T>, Vec<(Option<usize>, Diagnostic)>> {
    let (mut good, mut bad) = (Vec::new(), Vec::new());
    for (place, result) in found {
        match result {
            Ok(id) => good.push(id),
            Err(problem) => bad.push((Some(place), problem)),
        }
    }
    if bad.is_empty() { Ok(good) } else { Err(bad) }
}

/// The operation as it is written.
pub fn name_of(operation: Operation) -> &'static str {
    OPERATIONS.iter().find(|(_, known)| *known == operation).map_or("", |(name, _)| name)
}

/// A stream has no such rule.
pub(crate) fn of_stream(verb: &Name) -> Diagnostic {
    let message = format!(
        "a stream changes only by its commands, each with its own `allow`: there is no `{}`",
        verb.text
    );
    Diagnostic::error("stream.rule", verb.span, message)
}

/// Nothing of a row is deleted alone.
pub(crate) fn of_deletion(verb: &Name) -> Diagnostic {
    Diagnostic::error("rule.columns", verb.span, "a row is deleted whole: `delete` names no columns")
}

/// A column that a rule may be about.
#[expect(clippy::result_large_err, reason = "it is reported at once, and an app has few problems")]
pub(crate) fn guarded_column(of: &Table, name: &Name) -> Result<ColumnId, Diagnostic> {
    if let Some(Member::Relation(_)) = of.members.get(&name.text) {
        let message = format!("`{}` is a relation to many rows: the rules of its rows govern it", name.text);
        return Err(Diagnostic::error("rule.columns", name.span, message));
    }
    let column = find_column(of, name)?;
    if column == ColumnId::ID {
        let message = "the id is part of every row: it cannot be guarded by itself";
        return Err(Diagnostic::error("rule.columns", name.span, message));
    }
    Ok(column)
}

/// A relation whose links a rule may be about.
#[expect(clippy::result_large_err, reason = "it is reported at once, and an app has few problems")]
pub(crate) fn linked_relation(of: &Table, name: &Name) -> Result<RelationId, Diagnostic> {
    if let Some(Member::Relation(relation)) = of.members.get(&name.text) {
        return Ok(*relation);
    }
    let message = format!("`{}` has no relation to many rows called `{}`", of.name, name.text);
    let help = naming::did_you_mean(&name.text, of.relations.iter().map(|relation| relation.name.as_str()));
    Err(with_help(Diagnostic::error("name.unknown", name.span, message), help))
}

#[cfg(test)]
mod tests {
    use super::{Target, compile_condition, operation, target};
    use crate::analyse::analyse;
    use crate::schema::{ColumnId, Schema};
    use crate::source::Sources;

    fn schema() -> Schema {
        let mut sources = Sources::default();
        sources.add_platform("<users>", "table User { name text  password text? secret }");
        sources.add(
            "app.stay",
            "table Task { title text  cost int?  pin text? secret  owner User?  seen User[]  log Entry[] by task }
             table Entry { task Task }
             stream Barrel { place text?  event Moved { to text }  command move(to text) { emit Moved { to } }
             on Moved { place = event.to } }",
        );
        let analysis = analyse(&sources);
        analysis.schema.unwrap_or_else(|| panic!("{:?}", analysis.diagnostics))
    }

    #[test]
    fn conditions_are_an_authors_without_secrets() {
        let schema = schema();
        let task = schema.table_named("Task").unwrap().id;
        let check = |operation_name: &str, text: &str, expect: &str| {
            let found = compile_condition(&schema, (task, operation(operation_name).unwrap()), (7, text));
            let told = match found {
                Ok(condition) => {
                    assert_eq!(condition.span.file, 7);
                    "ok".to_owned()
                }
                Err(problems) => problems
                    .iter()
                    .map(|problem| {
                        let help = problem.help.as_deref().unwrap_or("");
                        format!("{} {} {help}", problem.span.start, problem.code)
                    })
                    .collect::<Vec<_>>()
                    .join("; "),
            };
            assert!(told.starts_with(expect), "{text}: {told}");
        };
        check("read", "owner == user and cost > 3", "ok");
        check("read", "owner.name == user.name or seen.any(id == user.id)", "ok");
        check("update", "old.cost < new.cost", "ok");
        check("read", "old.cost < 3", "0 expression.misplaced");
        check("read", "titel == \"x\"", "0 name.unknown did you mean `title`?");
        check("read", "pin == \"x\"", "0 name.unknown");
        check("read", "owner.password == \"x\"", "6 name.unknown");
        check("read", "user.password == \"x\"", "5 name.unknown");
        check("read", "cost == $limit", "8 ");
        check("read", "cost", "0 type.mismatch");
        check("read", "cost == 3 or", "12 syntax");
        check("read", "cost > 1 allow read", "9 syntax");
    }

    #[test]
    fn targets_are_those_of_a_line() {
        let schema = schema();
        let check = |table: &str, operation_name: &str, names: &[&str], expect: &str| {
            let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            let table = schema.table_named(table).unwrap();
            let told = match target(table, operation(operation_name).unwrap(), &names) {
                Ok(Target::Rows) => "rows".to_owned(),
                Ok(Target::Columns(columns)) => {
                    let name = |column: &ColumnId| table.column(*column).name.clone();
                    columns.iter().map(name).collect::<Vec<_>>().join(" ")
                }
                Ok(Target::Relations(relations)) => {
                    relations.iter().map(|of| table.relation(*of).name.clone()).collect::<Vec<_>>().join(" ")
                }
                Err(problems) => problems
                    .iter()
                    .map(|(place, problem)| format!("{place:?} {}", problem.message))
                    .collect::<Vec<_>>()
                    .join("; "),
            };
            assert!(told.starts_with(expect), "{names:?}: {told}");
        };
        check("Task", "read", &[], "rows");
        check("Task", "read", &["cost", "title"], "cost title");
        check("Task", "link", &["seen"], "seen");
        check("Task", "read", &["cost", "seen", "x"], "Some(1) `seen` is a relation to many rows");
        check("Task", "update", &["id"], "Some(0) the id is part of every row");
        check("Task", "link", &["cost"], "Some(0) `Task` has no relation to many rows called `cost`");
        check("Task", "delete", &["cost"], "Some(0) a row is deleted whole");
        check("Barrel", "read", &["place"], "place");
        check("Barrel", "update", &[], "None a stream changes only by its commands");
    }
}
