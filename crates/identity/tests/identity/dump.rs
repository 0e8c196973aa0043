//! A copy of the database signs nobody in.

use std::collections::BTreeSet;

use serde_json::json;

use crate::harness::{App, DatabaseKind, PASSWORD, on_each};

/// All that the database holds, as text.
fn dump(app: &App, kind: DatabaseKind) -> String {
    let url = app.place.options.url.to_string();
    match kind {
        DatabaseKind::Sqlite => {
            let file = rusqlite::Connection::open(url.strip_prefix("sqlite:").unwrap()).unwrap();
            let names = "SELECT name FROM sqlite_schema WHERE type = 'table'";
            let mut names = file.prepare(names).unwrap();
            let names = names.query_map([], |row| row.get::<_, String>(0)).unwrap();
            names.map(|name| table(&file, &name.unwrap())).collect()
        }
        DatabaseKind::Postgres => {
            let dumped = std::process::Command::new("pg_dump").args(["--inserts", &url]).output().unwrap();
            assert!(dumped.status.success(), "{}", String::from_utf8_lossy(&dumped.stderr));
            String::from_utf8(dumped.stdout).unwrap()
        }
    }
}

/// The values of a table.
fn table(file: &rusqlite::Connection, name: &str) -> String {
    let mut rows = file.prepare(&format!("SELECT * FROM \"{name}\"")).unwrap();
    let columns = rows.column_count();
    let mut text = String::new();
    let mut rows = rows.query([]).unwrap();
    while let Some(row) = rows.next().unwrap() {
        for column in 0..columns {
            text.push('\n');
            match row.get_ref(column).unwrap() {
                rusqlite::types::ValueRef::Text(bytes) | rusqlite::types::ValueRef::Blob(bytes) => {
                    text.push_str(&String::from_utf8_lossy(bytes));
                }
                other => text.push_str(&format!("{other:?}")),
            }
        }
    }
    text
}

#[test]
fn nothing_in_a_copy_of_the_database_lets_anybody_in() {
    on_each(async |kind| {
        let app = App::start(kind).await;
        let node = &app.node;
        node.user("ann", &[]).await;
        let login = node.login("ann").await;
        let access = login.text("access");
        let key = node.post_as(&access, "/auth/keys", json!({"name": "ci"})).await.expect(201).text("key");
        let made = node.post_as(&access, "/auth/totp/setup", json!({})).await.expect(200);
        let factor = made.text("secret");
        // Mail is captured while an app is being built, links and all; elsewhere it is not kept.
        for (path, body) in [
            ("/auth/magic/request", json!({"email": "ann@example.com"})),
            ("/auth/password/forgot", json!({"email": "ann@example.com"})),
        ] {
            node.post(path, body).await.expect(202);
        }
        let magic = node.letter("identity-magic", "ann@example.com").await;
        let reset = node.letter("identity-reset", "ann@example.com").await;
        node.quiet().await;
        let blank = json!({"html": null, "body": null, "source": null});
        node.query(json!({"Mail": {"all": true, "set": blank}})).await;
        let log = "DELETE FROM \"_change\" WHERE \"table\" = 'Mail'".to_owned();
        node.engine.store().execute_script(vec![log]).await.unwrap();
        let dump = dump(&app, kind);
        let secrets = [&key, &access, &login.text("refresh"), &factor, &magic, &reset, &PASSWORD.to_owned()];
        for (place, secret) in secrets.iter().enumerate() {
            assert!(!dump.contains(secret.as_str()), "secret {place} stands in the database");
        }
        // Whatever looks like a token is tried as each kind of one.
        let words: BTreeSet<&str> = dump
            .split(|c: char| !(c.is_ascii_alphanumeric() || "-_".contains(c)))
            .filter(|word| word.len() >= 43)
            .flat_map(|word| [&word[..43], &word[word.len() - 43..]])
            .collect();
        assert!(words.len() > 5, "nothing to try: {}", words.len());
        for word in words {
            let refused = [
                node.post("/auth/refresh", json!({"refresh": word})).await,
                node.post("/auth/magic/redeem", json!({"token": word})).await,
                node.post(
                    "/auth/password/reset",
                    json!({"token": word, "password": "another boat that sings"}),
                )
                .await,
                node.post("/auth/totp/verify", json!({"ticket": word, "code": "000000"})).await,
                node.post("/auth/login", json!({"provider": "x", "code": word, "verifier": word})).await,
                node.get_as(word, "/auth/me").await,
                node.get_as(&format!("mk_{word}"), "/auth/me").await,
            ];
            for answer in refused {
                assert!(matches!(answer.status, 401 | 422 | 429), "{word}: {answer:?}");
            }
        }
        app.node.stop().await;
    });
}
