//! Columns that are called like words of rules: they are served under names that leave the words what they are.

use serde_json::json;

use super::Rental;

/// What both databases understand. Whoever has signed in by the table is not whom a rule calls `signed_in`.
const TABLE: &str = "CREATE TABLE author (id INTEGER PRIMARY KEY, name VARCHAR(20) NOT NULL);
CREATE TABLE visit (id INTEGER PRIMARY KEY, \"user\" VARCHAR(20) NOT NULL, tenant VARCHAR(20), session VARCHAR(20),
  signed_in BOOLEAN NOT NULL, old INTEGER, \"new\" INTEGER, this INTEGER,
  user_id INTEGER REFERENCES author (id), session_id INTEGER);
INSERT INTO author VALUES (7, 'Ann');
INSERT INTO visit VALUES (1, 'ann', 't', 's', TRUE, 2, 3, 4, 7, 5);";

/// Names of the language and those of the database.
const NAMES: [(&str, &str); 7] = [
    ("user_", "user"),
    ("tenant_", "tenant"),
    ("session_", "session"),
    ("signed_in_", "signed_in"),
    ("old_", "old"),
    ("new_", "new"),
    ("this_", "this"),
];

#[test]
fn columns_called_like_words_of_rules_are_served() {
    for rental in [Rental::sqlite_of(TABLE), Rental::postgres_of(TABLE)] {
        let stay = rental.stay();
        for (name, db_name) in NAMES {
            let declared = stay.lines().find(|line| line.trim_start().starts_with(&format!("{name} ")));
            assert!(
                declared.is_some_and(|line| line.ends_with(&format!("db \"{db_name}\""))),
                "{name}\n{stay}"
            );
        }
        assert!(!stay.contains("  user_id ") || !stay.contains("user_id  Author  db"), "{stay}");
        let head = stay.find("table Visit").unwrap();
        let end = head + stay[head..].find("\n}").unwrap();
        let rules = "\n\n  allow read if signed_in and (old_ == 2 or session_ != null)\n  allow update if old.old_ < new.old_";
        let (before, behind) = stay.split_at(end);
        rental.app.write("../rental/rental.stay", format!("{before}{rules}{behind}"));
        rental.app.run(&["check", "rental"]).succeeded();

        let server = rental.serve();
        let visit = json!({"Visit": {"get": ["*"]}});
        assert_eq!(server.query("", &visit).ok()["Visit"], json!([]), "the caller has not signed in");
        let token = rental.token();
        let row = server.query(&token, &visit).ok()["Visit"][0].clone();
        let expected = json!({"id": 1, "user_": "ann", "tenant_": "t", "session_": "s", "signed_in_": true, "old_": 2,
            "new_": 3, "this_": 4, "user_id": 7, "session_id": 5});
        assert_eq!(row, expected);
        let set = json!({"Visit": {"id": 1, "set": {"user_": "bob", "this_": 9}}});
        server.query(&token, &set).ok();
        assert_eq!(rental.sql("SELECT \"user\", this FROM visit").replace('|', ","), "bob,9");
    }
}
