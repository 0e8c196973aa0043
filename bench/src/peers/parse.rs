//! Parse Server on PostgreSQL with the benchmark's data: public classes, the same indexes; rows go straight to its database.

use std::path::Path;

use anyhow::Result;
use serde_json::{Value, json};

use super::{EMAIL, PASSWORD, script, send};
use crate::postgres::server::Postgres;
use crate::servers::{Server, free_port};
use crate::suite::data::Rows;

/// What every request says.
pub(crate) const APPLICATION: &str = "X-Parse-Application-Id: bench";
/// What aggregation wants.
pub(crate) const MASTER: &str = "X-Parse-Master-Key: bench-master";

/// The program's folder, whose size is what is installed.
pub(crate) const PACKAGE: &str = "parse-server";

/// Starts it, filled; an error says why it is absent.
pub(crate) fn filled(postgres: &Postgres, folder: &Path, rows: &Rows) -> Result<Server> {
    let port = free_port()?;
    let mut command = script("parse.js", PACKAGE)?;
    command.arg(postgres.url("parse")).arg(port.to_string()).current_dir(folder);
    command.stderr(std::process::Stdio::null());
    postgres.psql("CREATE DATABASE parse")?;
    let server = Server::start(command, port)?;
    let headers = format!("{APPLICATION}\r\n{MASTER}\r\n");
    let text = || json!({"type": "String"});
    let number = || json!({"type": "Number"});
    let classes = [
        ("Entry", json!({"title": text(), "done": {"type": "Boolean"}, "kind": number(), "rank": number()})),
        ("Track", json!({"name": text(), "milliseconds": number(), "genre": number()})),
        ("Order", json!({"customer": text(), "number": text()})),
        ("OrderLine", json!({"order": text(), "track": number(), "quantity": number()})),
    ];
    for (name, fields) in classes {
        let class = json!({"className": name, "fields": fields});
        send(port, "POST", &format!("/parse/schemas/{name}"), &headers, &class)?;
    }
    let user = json!({"username": "bench", "email": EMAIL, "password": PASSWORD});
    send(port, "POST", "/parse/users", &headers, &user)?;
    let kinds = rows.kinds();
    postgres.psql_on(
        "parse",
        &format!(
            r#"INSERT INTO "Entry" ("objectId", "createdAt", "updatedAt", title, done, kind, rank)
               SELECT 'e' || lpad(i::text, 9, '0'), now(), now(), 'Entry number ' || i, false, i % {kinds}, i
               FROM generate_series(0, {} - 1) i;
               CREATE INDEX entry_kind ON "Entry" (kind, rank);
               CREATE INDEX line_order ON "OrderLine" ("order");"#,
            rows.entries
        ),
    )?;
    let tracks: Vec<Value> = rows
        .tracks
        .iter()
        .map(|track| json!({"id": track.id, "name": track.name, "ms": track.milliseconds, "genre": track.genre}))
        .collect();
    let tracks = Value::from(tracks).to_string().replace('\'', "''");
    postgres.psql_on(
        "parse",
        &format!(
            r#"INSERT INTO "Track" ("objectId", "createdAt", "updatedAt", name, milliseconds, genre)
               SELECT 't' || id, now(), now(), name, ms, genre
               FROM json_to_recordset('{tracks}') AS t (id text, name text, ms float, genre float)"#
        ),
    )?;
    Ok(server)
}
