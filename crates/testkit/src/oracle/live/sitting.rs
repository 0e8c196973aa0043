//! Sessions, in the random apps: rows that say when their owners have last shown who they are, and when a second factor.
//!
//! A subscriber comes with one. What it says grows old by itself, a moment from now or long ago, and writes make it new: rules that ask
//! for `user.confirmed(…)` are true for a while, and what is told has to follow.

use mainstay_engine::plugin::{CallerPart, Plugin, Plugins, Setup};
use mainstay_lang::schema::{Schema, Table};
use mainstay_lang::value::{Timestamp, Value};
use mainstay_live::Who;
use serde_json::{Value as Json, json};

use super::now;
use crate::dice::Dice;
use crate::naive::World;
use crate::oracle::case::json_of;

pub(super) const TABLE: &str = "Sitting";

pub(super) const LINES: [&str; 4] = [
    "owner User on delete cascade immutable",
    "scopes text[]?",
    "confirmed timestamp",
    "confirmed_twice timestamp?",
];

/// For how long rules take what was shown: what the author of apps writes.
const GOOD_FOR_US: i64 = 5 * 60 * 1_000_000;

/// Says that callers are read from such rows.
struct Sittings;

impl Plugin for Sittings {
    fn name(&self) -> &str {
        "sittings"
    }

    fn build(&self, setup: &mut Setup<'_>) {
        let read = (TABLE, "scopes, confirmed, confirmed_twice", "id == $session and owner == $user");
        setup.caller(CallerPart::Session, read);
    }
}

pub(super) fn plugins() -> Plugins {
    let mut plugins = Plugins::default();
    plugins.add(Sittings);
    plugins
}

fn table(schema: &Schema) -> &Table {
    schema.table_named(TABLE).expect("the app has sessions")
}

/// Lets somebody come with a session of theirs, where there is one.
pub(super) fn sit(dice: &mut Dice, schema: &Schema, world: &World, who: &mut Who) {
    let table = table(schema);
    let owner = table.column_named("owner").expect("it has one").id.0 as usize;
    let own: Vec<&Vec<Value>> =
        world.rows(table.id).iter().filter(|row| Some(&row[owner]) == who.user.as_ref()).collect();
    if !own.is_empty() && !dice.one_in(6) {
        who.session = Some(dice.pick(&own)[0].clone());
    }
}

/// Somebody shows who they are, or it was so long ago that it is soon too long.
pub(super) fn shown(dice: &mut Dice, schema: &Schema, world: &World) -> Option<Json> {
    let rows = world.rows(table(schema).id);
    if rows.is_empty() {
        return None;
    }
    let id = json_of(&dice.pick(rows)[0]);
    let mut at = || {
        let left_us = match dice.below(4) {
            0 => GOOD_FOR_US,
            1 => -1_000_000,
            // In a moment, which is waited for.
            _ => 100_000 * i64::try_from(1 + dice.below(10)).expect("a small number"),
        };
        Timestamp(now().0 - GOOD_FOR_US + left_us).to_string()
    };
    let set = json!({"confirmed": at(), "confirmed_twice": at(), "scopes": null});
    Some(json!({TABLE: {"id": id, "set": set}}))
}
