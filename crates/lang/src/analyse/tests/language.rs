//! The examples of the language reference have no problem.

use super::{PRELUDE, analyse};
use crate::schema::{OnDelete, Operation, RelationKind, Schema};
use crate::source::Sources;

fn language() -> Schema {
    let mut sources = Sources::default();
    sources.add(
        "more.stay",
        "
        table Message { alert Alert on delete cascade, text text, allow read if signed_in }
        table Customer { name text, allow read }
        table Product { name text, allow read }
        extend Order { allow read }
        extend OrderLine { allow read }
    ",
    );
    sources.add_platform("<platform>", PRELUDE);
    sources.add("language.stay", include_str!("../../../tests/examples/language.stay"));
    let analysis = analyse(&sources);
    assert_eq!(analysis.diagnostics, []);
    analysis.schema.expect("no diagnostic, so there is a schema")
}

#[test]
fn the_examples_of_the_language_are_understood() {
    let schema = language();
    assert_eq!((schema.app.as_str(), schema.title.as_str()), ("festival", "Festival operations"));
    let names: Vec<&str> = schema.tables.iter().map(|table| table.name.as_str()).collect();
    assert_eq!(
        names,
        [
            "User",
            "Grant",
            "Work",
            "Message",
            "Customer",
            "Product",
            "Team",
            "Alert",
            "Barrel",
            "Order",
            "OrderLine"
        ]
    );
    let alert = schema.table_named("Alert").expect("declared");
    let columns: Vec<&str> = alert.columns.iter().map(|column| column.name.as_str()).collect();
    assert_eq!(columns, ["id", "created", "updated", "title", "severity", "sender", "assignee", "due"]);
    let relations: Vec<&str> = alert.relations.iter().map(|relation| relation.name.as_str()).collect();
    assert_eq!(relations, ["receivers", "messages"]);
    assert_eq!(alert.history, Some(90 * 86_400_000_000));
    let severity = alert.column_named("severity").expect("declared").id;
    assert!(alert.is_guarded(Operation::Update, severity));
    assert!(!alert.is_guarded(Operation::Read, severity));
}

#[test]
fn to_one_relations_have_the_deletion_that_their_null_suggests() {
    let schema = language();
    for (table, column, expected) in [
        ("Alert", "sender", OnDelete::Cascade),
        ("Alert", "assignee", OnDelete::Null),
        ("User", "team", OnDelete::Null),
        ("Order", "customer", OnDelete::Restrict),
        // A stream changes only by its events.
        ("Barrel", "place", OnDelete::Restrict),
    ] {
        let declared = schema.table_named(table).and_then(|of| of.column_named(column)).expect("declared");
        assert_eq!(declared.on_delete, expected, "{table}.{column}");
    }
}

#[test]
fn relations_are_joined_by_column_or_link() {
    let schema = language();
    let team = schema.table_named("Team").expect("declared");
    let user = schema.user_table().expect("declared");
    let members = team.relation_named("members").expect("declared");
    assert_eq!(members.target, user.id);
    let team_of_user = user.column_named("team").expect("added by extend").id;
    assert!(matches!(members.kind, RelationKind::Reverse { column } if column == team_of_user));
    let receivers = schema.table_named("Alert").and_then(|alert| alert.relation_named("receivers"));
    let RelationKind::Link(link) = &receivers.expect("declared").kind else { panic!("many-to-many") };
    assert_eq!(link.db_name, "Alert_receivers");
    assert_eq!(link.target, team.id);
}

#[test]
fn a_stream_has_its_events_commands_and_folds() {
    let schema = language();
    let barrel = schema.table_named("Barrel").and_then(|table| table.stream.as_ref()).expect("a stream");
    let commands: Vec<(&str, bool, usize)> = barrel
        .commands
        .iter()
        .map(|command| (command.name.as_str(), command.creates, command.emits.len()))
        .collect();
    assert_eq!(commands, [("receive", true, 1), ("move", false, 1), ("empty", false, 1)]);
    assert_eq!(barrel.events.len(), 4);
    assert_eq!(barrel.folds.len(), 4);
    assert_eq!(schema.datasets[0].members.len(), 4);
    assert_eq!(schema.flags[0].name, "new_checkout");
    assert_eq!(schema.settings[0].default, crate::value::Value::Int(5));
}
