//! An anonymous user turns out to be somebody: what is theirs becomes that user's.
//!
//! Every reference to the anonymous user in any table of the app is pointed at the real one, in one transaction and by way of the engine, so that the
//! change log, subscriptions and hooks see it. Where that would make two rows alike of which there may be one, the real user's row stands and
//! the other one is kept as it is: nothing is lost, and the answer says what did not move. What proves who somebody is, or gives rights,
//! never moves: a session of nobody in particular must not become one of somebody.
//!
//! The anonymous user is gone afterwards; when something is kept that still refers to it, it stays, blocked.

use std::collections::BTreeMap;

use axum::http::{HeaderMap, header};
use mainstay_engine::error::{Error, Key};
use mainstay_engine::hook::Row;
use mainstay_lang::schema::{Column, ColumnId, RelationKind, Schema, Table};
use mainstay_lang::value::Value;
use serde_json::{Value as Json, json};

use crate::cookies::Cookie;
use crate::desk::{Desk, event, is_race, operation, wire};
use crate::identity::Identity;
use crate::session::{Place, ending};

/// What proves who somebody is, gives rights, or tells what they did.
const STAYS: [&str; 11] = [
    "ExternalLogin",
    "Grant",
    "Membership",
    "OneTimeToken",
    "PasswordLogin",
    "RecoveryCode",
    "RoleHolder",
    "SecurityEvent",
    "Session",
    "SessionToken",
    "TotpLogin",
];

/// Rows that one document names: a statement has so many places, and a list so many rows. What a transaction may write in all is the
/// app's own limit.
const BATCH: usize = 500;

/// How often it is tried beside others who write the same.
const TRIES: usize = 4;

/// What became of the rows of an anonymous user: tables and numbers of rows, or their keys.
#[derive(Debug, Default)]
pub(crate) struct Merged {
    pub(crate) moved: BTreeMap<String, usize>,
    pub(crate) kept: BTreeMap<String, Vec<Json>>,
}

impl Merged {
    pub(crate) fn to_json(&self) -> Json {
        json!({"moved": self.moved, "kept": self.kept})
    }
}

/// What is to be written.
#[derive(Default)]
struct Moves {
    documents: Vec<Json>,
    /// For each document the table that it counts for.
    tables: Vec<String>,
    kept: BTreeMap<String, Vec<Json>>,
}

impl Moves {
    fn push(&mut self, table: &Table, part: Json) {
        self.documents.push(json!({table.name.as_str(): part}));
        self.tables.push(table.name.clone());
    }
}

/// An anonymous user and the real one.
struct Pair<'a> {
    from: &'a Value,
    into: &'a Value,
}

impl Identity {
    /// The anonymous user that a request comes from, by a token or cookie that is good.
    pub(crate) async fn anonymous_by(
        &self,
        desk: &Desk,
        headers: &HeaderMap,
    ) -> Result<Option<Value>, Error> {
        let bearer = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let bearer = bearer.and_then(|value| value.strip_prefix("Bearer "));
        // Browsers send their cookies along from pages of ours alone (`SameSite`), so nobody else gives somebody's rows away.
        let Some(token) = bearer.or_else(|| self.cookie(headers, Cookie::Access)) else { return Ok(None) };
        let Some(session) = self.session_by(desk, token.trim()).await? else { return Ok(None) };
        let filter = "id == $id and ended == null and method == anonymous and owner.anonymous and owner.blocked == null";
        let row = desk.row("Session", filter, &[("id", session)]).await?;
        row.map(|row| row.value("owner").cloned()).transpose()
    }

    /// Moves what is an anonymous user's to a real one.
    ///
    /// # Errors
    /// When `from` is no anonymous user or `into` no other one, a check of the app refuses it, or the database fails.
    pub(crate) async fn merge(
        &self,
        desk: &Desk,
        (from, into): (&Value, &Value),
        place: &Place,
    ) -> Result<Merged, Error> {
        let pair = Pair { from, into };
        let mut tries = 0;
        loop {
            tries += 1;
            let (user, real) = (row_of(desk, from).await?, row_of(desk, into).await?);
            let is_anonymous =
                |row: &Option<Row>| row.as_ref().map(|row| row.get::<bool>("anonymous")).transpose();
            if is_anonymous(&user)? != Some(true) || is_anonymous(&real)? != Some(false) {
                return Err(Error::new(Key::Request, "An anonymous user is merged into one who is not."));
            }
            let moves = self.moves(desk, &pair).await?;
            let is_left = !moves.kept.is_empty();
            match self.moved(desk, &pair, moves, place, is_left).await {
                Err(error) if is_race(&error) && tries < TRIES => {}
                // Something that does not move keeps the user: events of streams, what an app restricts.
                Err(error) if error.key == Key::DeleteRestricted && !is_left => {
                    let moves = self.moves(desk, &pair).await?;
                    return self.moved(desk, &pair, moves, place, true).await;
                }
                done => return done,
            }
        }
    }

    /// What has to be written, by the app's tables and what stands in them now.
    async fn moves(&self, desk: &Desk, pair: &Pair<'_>) -> Result<Moves, Error> {
        let schema = desk.engine.schema().clone();
        let mut moves = Moves::default();
        let Some(users) = schema.user_table() else { return Ok(moves) };
        for table in schema.own_tables().filter(|table| !STAYS.contains(&table.name.as_str())) {
            if table.stream.is_none() {
                references(desk, (table, users), pair, &mut moves).await?;
            }
            links(desk, &schema, (table, users), pair, &mut moves).await?;
        }
        Ok(moves)
    }

    async fn moved(
        &self,
        desk: &Desk,
        pair: &Pair<'_>,
        moves: Moves,
        place: &Place,
        is_left: bool,
    ) -> Result<Merged, Error> {
        let Moves { mut documents, tables, kept } = moves;
        let from = wire(pair.from);
        documents.push(ending(&json!({"owner": from}), desk.now(), "replaced"));
        documents.push(match is_left {
            true => json!({"User": {"id": from, "set": {"blocked": desk.now().to_string()}}}),
            false => json!({"User": {"id": from, "delete": true}}),
        });
        let detail = json!({"from": from, "kept": kept});
        documents.push(event("user.merged", Some(pair.into), place.address.as_deref(), detail));
        let answers = desk.run(&operation(&Json::Array(documents))?.handing_over()).await?;
        let mut moved = BTreeMap::new();
        for (name, answer) in tables.into_iter().zip(&answers) {
            let rows = answer[&name].as_array().map_or(0, Vec::len);
            if rows > 0 {
                *moved.entry(name).or_insert(0) += rows;
            }
        }
        Ok(Merged { moved, kept })
    }
}

async fn row_of(desk: &Desk, user: &Value) -> Result<Option<Row>, Error> {
    desk.row("User", "id == $id", &[("id", user.clone())]).await
}

/// Notes what a table's columns that refer to users come to.
async fn references(
    desk: &Desk,
    (table, users): (&Table, &Table),
    pair: &Pair<'_>,
    moves: &mut Moves,
) -> Result<(), Error> {
    let columns: Vec<&Column> =
        table.columns.iter().filter(|column| column.target() == Some(users.id)).collect();
    let refers = |id: &ColumnId| columns.iter().any(|column| column.id == *id);
    let uniques: Vec<Vec<ColumnId>> = table
        .uniques
        .iter()
        .filter(|unique| unique.columns.iter().any(refers))
        .map(|unique| unique.columns.iter().copied().chain(table.tenant).collect())
        .collect();
    let (from, into) = (wire(pair.from), wire(pair.into));
    if uniques.is_empty() {
        for column in &columns {
            let mut part = json!({"get": [], "set": {column.name.as_str(): into}});
            part[column.name.as_str()] = from.clone();
            if table.id == users.id {
                part["id"] = json!({"not": from});
            }
            moves.push(table, part);
        }
        return Ok(());
    }
    let filter: Vec<String> = columns.iter().map(|column| format!("{} == $user", column.name)).collect();
    let filter = filter.join(" or ");
    let theirs = rows(desk, table, &filter, pair.from).await?;
    let mut taken: Vec<Vec<Value>> =
        rows(desk, table, &filter, pair.into).await?.iter().map(|row| row.values().to_vec()).collect();
    // Rows of which the same columns change go together.
    let mut alike: BTreeMap<Vec<&str>, Vec<Json>> = BTreeMap::new();
    for row in &theirs {
        if row.key() == pair.from && table.id == users.id {
            continue;
        }
        let mut values = row.values().to_vec();
        let mut changed = Vec::new();
        for column in &columns {
            let value = &mut values[column.id.0 as usize];
            if value == pair.from {
                *value = pair.into.clone();
                changed.push(column.name.as_str());
            }
        }
        let clashes = |other: &Vec<Value>| {
            other[0] != values[0]
                && uniques.iter().any(|unique| {
                    unique.iter().all(|id| {
                        let place = id.0 as usize;
                        !values[place].is_null() && values[place] == other[place]
                    })
                })
        };
        if taken.iter().any(clashes) {
            moves.kept.entry(table.name.clone()).or_default().push(wire(row.key()));
            continue;
        }
        alike.entry(changed).or_default().push(wire(row.key()));
        taken.push(values);
    }
    for (changed, keys) in alike {
        let set: serde_json::Map<String, Json> =
            changed.iter().map(|name| ((*name).to_owned(), into.clone())).collect();
        for keys in keys.chunks(BATCH) {
            moves.push(table, json!({"id": keys, "get": [], "set": set}));
        }
    }
    Ok(())
}

/// Notes what a table's lists of users, or a user's lists of its rows, come to.
async fn links(
    desk: &Desk,
    schema: &Schema,
    (table, users): (&Table, &Table),
    pair: &Pair<'_>,
    moves: &mut Moves,
) -> Result<(), Error> {
    let (from, into) = (wire(pair.from), wire(pair.into));
    for relation in table.relations.iter().filter(|relation| matches!(relation.kind, RelationKind::Link(_))) {
        let name = relation.name.as_str();
        if relation.target == users.id {
            let mut part = json!({
                "where": format!("{name}.any(id == $from) and id != $from_row and id != $into_row"),
                "params": {"from": from, "from_row": from, "into_row": into},
                "get": [],
            });
            if table.id != users.id {
                part["where"] = json!(format!("{name}.any(id == $from)"));
                part["params"] = json!({"from": from});
            }
            part[name] = json!({"add": [{"id": into}], "remove": {"id": from}, "get": []});
            moves.push(table, part);
        }
        if table.id == users.id {
            let is_other =
                |key: &Json| schema.table(relation.target).id != users.id || (*key != from && *key != into);
            let keys = listed(desk, &from, name).await?;
            let keys: Vec<Json> = keys.into_iter().filter(is_other).map(|id| json!({"id": id})).collect();
            for keys in keys.chunks(BATCH) {
                let add = json!({"id": into, "get": [], name: {"add": keys, "get": []}});
                moves.documents.push(json!({"User": add}));
                // The user itself does not move.
                moves.tables.push(String::new());
            }
        }
    }
    Ok(())
}

/// The keys of the rows in a list of a user's.
async fn listed(desk: &Desk, user: &Json, name: &str) -> Result<Vec<Json>, Error> {
    let mut keys = Vec::new();
    loop {
        let page = json!({"get": [], "order": ["id"], "limit": BATCH, "offset": keys.len()});
        let answers = desk.ask(vec![json!({"User": {"id": user, "get": [], name: page}})]).await?;
        let found = answers.first().and_then(|answer| answer["User"][0][name].as_array().cloned());
        let found = found.unwrap_or_default();
        keys.extend(found.iter().map(|row| row["id"].clone()));
        if found.len() < BATCH {
            return Ok(keys);
        }
    }
}

/// The rows of a table that belong to a user, all of them.
async fn rows(desk: &Desk, table: &Table, filter: &str, user: &Value) -> Result<Vec<Row>, Error> {
    let lookup = desk.engine.lookup_all(&table.name, filter)?;
    desk.engine.look_up(&lookup, desk.deadline(), &[("user", user.clone())]).await
}
