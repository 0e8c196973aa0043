//! Who is connected, in the random apps that know it: rows that nobody has asked for, and that come and go with subscribers.
//!
//! They are written a moment after somebody comes or goes. A set is compared with a read, and both have to be of the same
//! rows, so what the server still has to write is waited for here. Nobody else writes what tells whose a row is.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use anyhow::bail;
use mainstay_lang::schema::{Column, Table};
use mainstay_lang::value::Value;
use mainstay_live::Limits;
use serde_json::{Value as Json, json};
use tokio::time::sleep;

use super::{Client, PATIENCE};
use crate::database::Database;
use crate::dice::Dice;
use crate::naive::World;

pub(super) const TABLE: &str = "Presence";

/// A node that beats but once: it writes what is new without looking back at what others did to its rows.
pub(super) fn limits() -> Limits {
    Limits { presence_lease: Duration::from_secs(24 * 3600), ..Limits::default() }
}

/// What to ask of those who are connected.
pub(super) fn part(dice: &mut Dice) -> Json {
    let get = *dice.pick(&[&["*"][..], &["who", "device"], &["acted"], &["device", "since"]]);
    json!({"get": get})
}

/// Whether a write of another may name a column.
pub(super) fn may_change(table: &Table, column: &Column) -> bool {
    table.name != TABLE || matches!(column.name.as_str(), "acted" | "since")
}

/// Whether a request may change by way of a user who is connected.
pub(super) fn is_touched(request: &Json) -> bool {
    request.to_string().contains("\"online\"")
}

/// The rows when all who are connected have theirs, and nobody else has one.
pub(super) async fn settled<'c>(
    database: &Database,
    clients: impl IntoIterator<Item = &'c Client>,
) -> anyhow::Result<World> {
    let schema = database.engine.schema();
    let users = schema.user_table().expect("there are users").id;
    let table = schema.table_named(TABLE).expect("the app knows who is connected");
    let at = |name: &str| table.column_named(name).expect("it has such a column").id.0 as usize;
    let (who, device) = (at("who"), at("device"));
    let text = |value: &Value| value.to_json();
    let asked: Vec<(String, Option<String>)> = clients
        .into_iter()
        .map(|client| (json!(&*client.device).to_string(), client.who.user.as_ref().map(text)))
        .collect();
    let until = Instant::now() + PATIENCE;
    loop {
        let world = database.world().await?;
        let known: BTreeSet<String> = world.rows(users).iter().map(|row| text(&row[0])).collect();
        let expected = asked.iter().filter_map(|(device, user)| {
            user.clone().filter(|user| known.contains(user)).map(|user| (device.clone(), user))
        });
        let expected: BTreeMap<String, String> = expected.collect();
        let rows = world.rows(table.id);
        let found: BTreeMap<String, String> =
            rows.iter().map(|row| (text(&row[device]), text(&row[who]))).collect();
        if found == expected && rows.len() == expected.len() {
            return Ok(world);
        }
        if Instant::now() > until {
            bail!("the rows of those who are connected are {found:?} instead of {expected:?}");
        }
        sleep(Duration::from_millis(10)).await;
    }
}
