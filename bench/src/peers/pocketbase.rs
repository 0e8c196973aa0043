//! PocketBase with the benchmark's data: public collections, the same indexes, batches allowed; rows go straight to its database.

use std::path::Path;

use anyhow::{Context as _, Result};
use rusqlite::Connection;
use serde_json::{Value, json};

use super::{EMAIL, PASSWORD, bearer, send, serve_pocketbase, start_pocketbase};
use crate::servers::Server;
use crate::suite::data::{Rows, Track};

/// Starts it, filled; `None` when it is not installed.
pub(crate) fn filled(folder: &Path, rows: &Rows) -> Result<Option<Server>> {
    let Some(made) = start_pocketbase(folder)? else { return Ok(None) };
    let (port, token) = (made.server.port, bearer(&made.token));
    let mut artists = Value::Null;
    let mut albums = Value::Null;
    for collection in collections() {
        let mut collection = collection;
        // A relation names the collection by its id.
        for field in collection["fields"].as_array_mut().context("fields")? {
            match field["collectionId"].as_str() {
                Some("artists") => field["collectionId"] = artists.clone(),
                Some("albums") => field["collectionId"] = albums.clone(),
                _ => {}
            }
        }
        let answer = send(port, "POST", "/api/collections", &token, &collection)?;
        match collection["name"].as_str() {
            Some("artists") => artists = answer["id"].clone(),
            Some("albums") => albums = answer["id"].clone(),
            _ => {}
        }
    }
    let view = json!({"name": "genres", "type": "view", "listRule": "", "viewRule": "",
        "viewQuery": "SELECT CAST(genre AS TEXT) AS id, count(*) AS n, sum(milliseconds) AS ms FROM tracks GROUP BY genre"});
    send(port, "POST", "/api/collections", &token, &view)?;
    let batch = json!({"batch": {"enabled": true, "maxRequests": 50, "timeout": 10}});
    send(port, "PATCH", "/api/settings", &token, &batch)?;
    let user = json!({"email": EMAIL, "password": PASSWORD, "passwordConfirm": PASSWORD, "verified": true});
    send(port, "POST", "/api/collections/users/records", &token, &user)?;
    drop(made);
    let folder = folder.join("pocketbase");
    fill(&folder, rows)?;
    serve_pocketbase(&folder).map(Some)
}

fn collections() -> [Value; 6] {
    let text = |name: &str| json!({"name": name, "type": "text"});
    let number = |name: &str| json!({"name": name, "type": "number"});
    let to = |name: &str, other: &str| json!({"name": name, "type": "relation", "collectionId": other, "maxSelect": 1});
    let made = || json!({"name": "created", "type": "autodate", "onCreate": true});
    let changed = || json!({"name": "updated", "type": "autodate", "onCreate": true, "onUpdate": true});
    let public = |name: &str, fields: Vec<Value>, indexes: &[&str]| {
        let fields: Vec<Value> = fields.into_iter().chain([made(), changed()]).collect();
        json!({"name": name, "type": "base", "listRule": "", "viewRule": "", "createRule": "", "updateRule": "",
            "fields": fields, "indexes": indexes})
    };
    let done = json!({"name": "done", "type": "bool"});
    [
        public("artists", vec![text("name")], &[]),
        public(
            "albums",
            vec![text("title"), to("artist", "artists")],
            &["CREATE INDEX albums_artist ON albums (artist)"],
        ),
        public(
            "tracks",
            vec![text("name"), to("album", "albums"), number("milliseconds"), number("genre")],
            &["CREATE INDEX tracks_album ON tracks (album)"],
        ),
        public(
            "entries",
            vec![text("title"), done, number("kind"), number("rank")],
            &["CREATE INDEX entries_kind ON entries (kind, rank)"],
        ),
        public("orders", vec![text("customer")], &[]),
        public(
            "lines",
            vec![text("order"), number("track"), number("quantity")],
            &["CREATE INDEX lines_order ON lines (\"order\")"],
        ),
    ]
}

fn fill(folder: &Path, rows: &Rows) -> Result<()> {
    let mut database = Connection::open(folder.join("data.db"))?;
    let all = database.transaction()?;
    const AT: &str = "2026-01-01 00:00:00.000Z";
    all.execute(
        "WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < ?1 - 1)
         INSERT INTO entries (id, title, done, kind, rank, created, updated)
         SELECT printf('e%014d', i), 'Entry number ' || i, 0, i % ?2, i, ?3, ?3 FROM n",
        (rows.entries, rows.kinds(), AT),
    )?;
    let key = |id: &str| format!("{id:0>15}");
    for (id, name) in &rows.artists {
        all.prepare_cached("INSERT INTO artists (id, name, created, updated) VALUES (?1, ?2, ?3, ?3)")?
            .execute((key(id), name, AT))?;
    }
    for (id, artist, title) in &rows.albums {
        all.prepare_cached(
            "INSERT INTO albums (id, artist, title, created, updated) VALUES (?1, ?2, ?3, ?4, ?4)",
        )?
        .execute((key(id), key(artist), title, AT))?;
    }
    for Track { id, album, name, milliseconds, genre } in &rows.tracks {
        all.prepare_cached(
            "INSERT INTO tracks (id, album, name, milliseconds, genre, created, updated)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?6)",
        )?
        .execute((key(id), key(album), name, milliseconds, genre, AT))?;
    }
    Ok(all.commit()?)
}
