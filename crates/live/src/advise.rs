//! What `mainstay check` says of rules that subscriptions will meet, in an app that says `use live`: those that no key can find the
//! subscribers of, and those whose next change nobody can foretell.

use mainstay_lang::diagnostic::Diagnostic;
use mainstay_lang::expr::{Expr, Node};
use mainstay_lang::schema::{Operation, Schema, Table};
use mainstay_lang::value::Value;

use crate::clause::routes;
use crate::clock;
use crate::view::is_fixed;

/// Warnings about the rules for reading; none for an app that does not count on subscriptions.
pub fn advise(schema: &Schema) -> Vec<Diagnostic> {
    let mut problems = Vec::new();
    if schema.uses.iter().any(|name| name == "live") {
        for table in schema.tables.iter().filter(|table| !table.platform) {
            look_at(schema, table, &mut problems);
        }
    }
    problems
}

fn look_at(schema: &Schema, table: &Table, problems: &mut Vec<Diagnostic>) {
    for rule in table.rules.iter().filter(|rule| rule.operations.contains(&Operation::Read)) {
        let Some(condition) = &rule.condition else { continue };
        if clock::is_foretold(schema, table.id, condition).is_err() {
            let message =
                format!("`{}` cannot be subscribed to: nobody knows when this changes by itself", table.name);
            problems.push(
                Diagnostic::warning("live.time", condition.span, message)
                    .help("compare `now()` or `today()` with one column, with or without a constant added"),
            );
        }
        if !rule.columns.is_empty() {
            continue;
        }
        let alternatives = match &condition.node {
            Node::Or(items) => items.as_slice(),
            _ => std::slice::from_ref(&**condition),
        };
        // What the caller alone decides concerns every row anyway.
        for alternative in alternatives.iter().filter(|alternative| !alternative.is_row_free()) {
            if is_unrouted(alternative) {
                let message = "every change is asked of each subscriber whom this may let see it";
                problems.push(Diagnostic::warning("live.unrouted", alternative.span, message).help(format!(
                    "where `==` compares a column of `{}` as it is with something of the caller, a change finds its \
                     subscribers by that",
                    table.name
                )));
            }
        }
    }
}

/// Whether a condition leaves no key, whoever the caller is.
fn is_unrouted(condition: &Expr) -> bool {
    // Any value does: which one it is decides nothing here.
    let value_of = |of: &Expr| is_fixed(of).then_some(Value::Bool(true));
    routes(std::slice::from_ref(condition), &value_of).iter().any(|route| route.by.is_everything())
}

#[cfg(test)]
mod tests {
    use mainstay_testkit::database::schema_of;

    use super::advise;

    const TABLES: &str = "
table Team { name text allow all }
extend User { team Team? }
table Task {
  team   Team
  due    timestamp?
  public bool
  seen   User[]
  RULES
}
";

    fn check(rules: &str, expect: &[&str]) {
        for (using, expect) in [("use live", expect), ("", &[][..])] {
            let text = format!("app x\n{using}\n{}", TABLES.replace("RULES", rules));
            let found = advise(&schema_of(&text).unwrap());
            let codes: Vec<&str> = found.iter().map(|problem| problem.code).collect();
            assert_eq!(codes, expect, "{rules}");
        }
    }

    #[test]
    fn rules_that_leave_no_key_are_named() {
        check("allow read if team == user.team", &[]);
        check("allow read if team == user.team or public or user.can(\"x\")", &[]);
        check("allow read if team == user.team and seen.any(id == user.id)", &[]);
        check("allow read", &[]);
        check("allow read if seen.any(id == user.id)", &[]);
        check("allow read if seen.none(id == user.id)", &["live.unrouted"]);
        check("allow read if seen.any(name > user.name)", &["live.unrouted"]);
        check("allow read if team == user.team or due != null", &["live.unrouted"]);
        check("allow read if team.name == user.name", &[]);
        check("allow read if team.name != user.name", &["live.unrouted"]);
    }

    #[test]
    fn rules_whose_change_nobody_can_foretell_are_named() {
        check("allow read if public and due > now()", &[]);
        check("allow read if public and due + 1 day > now() - 2 hours", &[]);
        check("allow read if public and (due ?? created) > now()", &["live.time"]);
        check("allow read if public and year(now()) > 2020", &["live.time"]);
        check("allow read if public\n  allow read(due) if day(today()) == 1", &["live.time"]);
    }
}
