//! Apps on a database that others made: what they alone may say, and what it means.

use super::listed;
use crate::analyse::analyse;
use crate::schema::{Generated, RelationKind, Schema, Stamp};
use crate::source::Sources;

fn schema(text: &str) -> Schema {
    let mut sources = Sources::default();
    sources.add_platform("<platform>", "table User { email text }");
    sources.add("app.stay", text);
    let analysis = analyse(&sources);
    analysis.schema.unwrap_or_else(|| panic!("{:?}", analysis.diagnostics))
}

#[test]
fn an_existing_database_has_what_it_has() {
    let schema = schema(
        r#"app rental existing
        table Film db "film" {
          id int generated db "film_id"
          length int generated always
          updated timestamp db "last_update"
          without created
          actors Actor[] db "film_actor" ("film_id", "actor_id")
          lines Line[] by film
          allow read
        }
        table Actor { id int, without created, updated, allow read }
        table Line db "Line" { id text(90) of (film, number), film Film, number int, without created, updated, allow read }
        "#,
    );
    assert!(schema.existing);
    assert!(schema.user_table().is_none(), "the platform's tables are not there");
    let film = schema.table_named("Film").unwrap();
    let names: Vec<(&str, &str)> =
        film.columns.iter().map(|column| (column.name.as_str(), column.db_name.as_str())).collect();
    assert_eq!(names, [("id", "film_id"), ("updated", "last_update"), ("length", "length")]);
    assert_eq!((film.created, film.updated), (None, Some(film.columns[1].id)));
    assert_eq!(film.columns[1].stamp, Some(Stamp::Updated));
    assert_eq!(film.columns[0].generated, Some(Generated::ByDefault));
    assert!(film.columns[2].is_managed());
    let RelationKind::Link(link) = &film.relations[0].kind else { panic!("a link") };
    assert_eq!((link.owner_column.as_str(), link.target_column.as_str()), ("film_id", "actor_id"));
    let line = schema.table_named("Line").unwrap();
    let of: Vec<&str> = line.key_of.iter().map(|column| line.column(*column).name.as_str()).collect();
    assert_eq!(of, ["film", "number"]);
    assert!(line.key_of.iter().all(|column| line.column(*column).immutable), "a key never changes");
}

#[test]
fn other_databases_have_what_mainstay_gives_them() {
    for (text, place) in [
        ("table A { n int generated, allow read }", "generated"),
        ("table A { without created\n allow read }", "without created"),
        ("table A { id text(9) of (n), n int, allow read }", "of (n)"),
    ] {
        let found = listed(text).join("\n");
        assert!(found.starts_with(&format!("E existing.only [{place}] ")), "{text}: {found}");
    }
}

#[test]
fn capabilities_with_tables_of_their_own_are_for_other_databases() {
    let table = "table A { id int, without created, updated, allow read }";
    for capability in ["flags", "identity", "jobs", "mail", "presence", "rules"] {
        let found = listed(&format!("app a existing\nuse live, {capability}\n{table}")).join("\n");
        assert!(found.starts_with(&format!("E existing.without [{capability}] ")), "{capability}: {found}");
    }
}

#[test]
fn what_cannot_be_so_is_said() {
    let check = |text: &str, expect: &str| {
        let found = listed(&format!("app a existing\n{text}")).join("\n");
        assert!(found.starts_with(expect), "{text}\n{found}");
    };
    check(
        "table A { id int of (n), n int, without created, updated, allow read }",
        "E type.argument [of (n)] a key",
    );
    check(
        "table A { id text(9) of (n), n float, without created, updated, allow read }",
        "E type.argument [n] a key",
    );
    check(
        "table A { id text(9) of (n), n int?, without created, updated, allow read }",
        "E type.argument [n] a key",
    );
    check(
        "table A { n int of (m), m int, without created, updated, allow read }",
        "E modifier.misplaced [of (m)]",
    );
    check(
        "table A { updated int, without created, allow read }",
        "E type.argument [int] `updated` is the server's own",
    );
    check("table A { without id, allow read }", "E name.unknown [id] a table can be without");
    check(
        "table A { n int db \"n\" (\"x\", \"y\"), without created, updated, allow read }",
        "E modifier.misplaced [db \"n\" (\"x\", \"y\")] `db` does not fit here: only a table between",
    );
    check(
        "table A { bs A[] db \"n\" (\"x\"), without created, updated, allow read }",
        "E type.argument [db \"n\" (\"x\")] a table between two others has two columns",
    );
}
