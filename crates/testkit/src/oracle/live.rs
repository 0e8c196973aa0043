//! Live beside fresh reads: random apps, subscribers and writes, and after each write the set that every subscriber holds.
//!
//! What a read must answer is foretold elsewhere ([`super::predict`]); here the caller's own read is the measure, taken when the
//! write was answered. A subscriber has to come to hold exactly that, and on its way there no event may tell it of a row that
//! this read does not show, or tell it the same thing twice.

mod presence;
mod sitting;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use mainstay_engine::ctx::{Caller, Claims, Ctx};
use mainstay_engine::error::Key;
use mainstay_engine::part::Operation;
use mainstay_engine::plugin::Plugins;
use mainstay_engine::{Engine, document, render};
use mainstay_lang::filter::compile_filter;
use mainstay_lang::schema::{Column, Member, Schema, Table};
use mainstay_lang::value::Timestamp;
use mainstay_live::{ChangeOf, Connection, EventKind, Live, Request, SealKey, Who};
use parking_lot::Mutex;
use serde_json::{Value as Json, json};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use uuid::Uuid;

use super::case::json_of;
use super::generate;
use super::model::Doc;
use super::overrides::{self, Broken, Kept};
use super::request::Requests;
use crate::cases::{cases, first_seed};
use crate::database::{Database, DatabaseKind};
use crate::dice::Dice;
use crate::naive::{Asker, World};
use crate::rows::{self, key};

/// Writes on one database.
const WRITES: usize = 40;
/// Subscribers, and subscriptions of each.
const CLIENTS: usize = 5;
const SUBSCRIPTIONS: usize = 4;
/// How long a subscriber may take to hold what it should.
const PATIENCE: Duration = Duration::from_secs(20);

/// What came of a run.
#[derive(Debug, Default)]
pub struct Report {
    /// Sets that were compared and were equal.
    pub agreed: usize,
    /// Rows in them.
    pub rows: usize,
    /// Those of them that tell who is connected.
    pub presences: usize,
    /// Writes that were kept, and that were refused.
    pub kept: usize,
    /// See `kept`.
    pub refused: usize,
    /// Events by kind.
    pub events: BTreeMap<&'static str, usize>,
    /// Subscriptions that were refused or ended, by key.
    pub ended: BTreeMap<&'static str, usize>,
    /// Reconnections that were told the changes since, and that were told all rows.
    pub resumed: usize,
    /// See `resumed`.
    pub reread: usize,
    /// Rules in data.
    pub rules: Kept,
    /// Differences.
    pub failures: Vec<String>,
}

/// Rows by key.
type Rows = BTreeMap<String, Json>;

/// What one subscription was told.
#[derive(Debug, Default)]
struct Told {
    rows: Option<Rows>,
    seq: String,
    ended: Option<Key>,
    /// Events since the last comparison: what they say of a row must be so by then.
    fresh: Vec<(ChangeOf, String)>,
    faults: Vec<String>,
    counts: BTreeMap<&'static str, usize>,
}

/// One subscription.
#[derive(Clone, Debug)]
struct Subscribed {
    tag: Arc<str>,
    table: String,
    part: Json,
}

/// One subscriber.
struct Client {
    who: Who,
    /// What it calls itself: no other has the name.
    device: Arc<str>,
    connection: Arc<Connection>,
    told: Arc<Mutex<HashMap<Arc<str>, Told>>>,
    news: Arc<Notify>,
    is_closed: Arc<Mutex<bool>>,
    subs: Vec<Subscribed>,
    pump: JoinHandle<()>,
}

impl Drop for Client {
    fn drop(&mut self) {
        self.pump.abort();
    }
}

/// Compares at least `MAINSTAY_ORACLE_CASES` sets, or `usual`, from `MAINSTAY_ORACLE_SEED` on.
///
/// # Errors
/// When a database cannot be made or used.
pub async fn run(on: DatabaseKind, usual: usize) -> anyhow::Result<Report> {
    let count = cases(usual);
    let mut report = Report::default();
    let mut seed = first_seed();
    while report.agreed < count && report.failures.is_empty() {
        one_app(on, seed, &mut report).await?;
        seed += 1;
    }
    Ok(report)
}

async fn one_app(on: DatabaseKind, seed: u64, report: &mut Report) -> anyhow::Result<()> {
    let mut dice = Dice::new(seed);
    // Who is connected is written a moment later, and waited for each time.
    let has_presence = dice.one_in(3);
    let (mut app, mut schema) = match has_presence {
        true => generate::app_with_presence(&mut dice),
        false => generate::app(&mut dice, false),
    };
    // By the seed and not by the dice, which make the same app of it as without.
    let has_sittings = seed % 2 == 1;
    if seed % 3 == 2 {
        app.keeps_rules = true;
        schema = generate::settle(&mut app);
    }
    if has_sittings {
        schema = generate::with_table(&mut app, sitting::TABLE, &sitting::LINES);
    }
    let users = 2 + dice.below(3);
    let made = rows::world(&schema, &mut dice, users, 6, false);
    let plugins = if has_sittings { sitting::plugins() } else { Plugins::default() };
    let database = Database::open_with(on, schema.clone(), &plugins).await?;
    database.fill(&made).await?;
    let live = Live::start(database.engine.clone(), SealKey::derive(&[9; 32]), presence::limits());
    let mut world = database.world().await?;
    let mut clients = Vec::new();
    let mut asked: Vec<(String, Json)> = Vec::new();
    for _ in 0..CLIENTS {
        let mut client = Client::open(&live, who(&mut dice, (&schema, &world), users)).await;
        if has_presence {
            world = presence::settled(&database, clients.iter().chain([&client])).await?;
        }
        for number in 0..SUBSCRIPTIONS {
            // What others with other rights ask for as well is decided together where that makes no difference.
            if !asked.is_empty() && dice.one_in(2) {
                let (table, mut part) = dice.pick(&asked).clone();
                ask_otherwise(&mut dice, &schema, &world, &table, &mut part);
                client.subscribe(Subscribed { tag: format!("{number}").into(), table, part }, None).await;
                continue;
            }
            if has_presence && dice.one_in(3) {
                let (table, mut part) = (presence::TABLE.to_owned(), presence::part(&mut dice));
                look_elsewhere(&mut dice, &schema, &world, &table, &mut part);
                look_inside(&mut dice, &schema, &world, &table, &mut part);
                asked.push((table.clone(), part.clone()));
                client.subscribe(Subscribed { tag: format!("{number}").into(), table, part }, None).await;
                continue;
            }
            let mut requests = Requests { schema: &schema, world: &world, dice: &mut dice, extremes: false };
            let request = requests.read();
            if let Some((table, mut part)) = subscription(&schema, &request) {
                // Many constraints at a time leave nothing to see.
                if dice.one_in(2) {
                    let is_kept = |name: &str| name == "get" || number > 1 && name == "where";
                    part.as_object_mut().expect("a part").retain(|name, _| is_kept(name));
                }
                look_elsewhere(&mut dice, &schema, &world, &table, &mut part);
                look_inside(&mut dice, &schema, &world, &table, &mut part);
                asked.push((table.clone(), part.clone()));
                client.subscribe(Subscribed { tag: format!("{number}").into(), table, part }, None).await;
            }
        }
        clients.push(client);
    }
    let failed = |what: String| format!("seed {seed} on {on:?}: {what}\n{}", app.text().0);
    for write in 0..=WRITES {
        if write > 0 && app.keeps_rules && dice.one_in(4) {
            overrides::change(&database, &mut dice, Broken::LeftOut, &mut report.rules).await?;
            world = database.world().await?;
        } else if write > 0 {
            let pointed = pointed_change(&mut dice, &schema, &world, &asked).filter(|_| dice.one_in(2));
            let (asker, request) = match pointed {
                Some(request) => (Asker { admin: true, ..Asker::default() }, request),
                None => some_write(&mut dice, &schema, &world, users),
            };
            if presence::is_touched(&request) {
                continue;
            }
            match write_now(&database, &asker, &request).await? {
                Ok(()) => report.kept += 1,
                Err(_) => report.refused += 1,
            }
            world = database.world().await?;
        }
        for client in &mut clients {
            if let Err(words) = client.settle(&database.engine, report).await {
                report.failures.push(failed(format!("after write {write}: {words}")));
                return Ok(());
            }
        }
        let at = dice.below(clients.len());
        match dice.below(12) {
            // A connection whose user is gone is over.
            0 if !*clients[at].is_closed.lock() => {
                clients[at].identify(who(&mut dice, (&schema, &world), users)).await;
            }
            1 => {
                // Away during a few writes, then back from where it was.
                let left = clients.swap_remove(at);
                left.pump.abort();
                let kept: Vec<(Subscribed, Rows, String)> = left.kept();
                let of = left.who.clone();
                drop(left);
                for _ in 0..dice.below(4) {
                    let (asker, request) = some_write(&mut dice, &schema, &world, users);
                    if presence::is_touched(&request) {
                        continue;
                    }
                    write_now(&database, &asker, &request).await?.ok();
                }
                world = database.world().await?;
                let mut back = Client::open(&live, of).await;
                for (sub, rows, seq) in kept {
                    let told = Told { rows: Some(rows), seq: seq.clone(), ..Told::default() };
                    back.told.lock().insert(sub.tag.clone(), told);
                    back.subscribe(sub, Some(seq)).await;
                }
                clients.push(back);
            }
            _ => continue,
        }
        if has_presence {
            world = presence::settled(&database, &clients).await?;
        }
    }
    for client in &clients {
        for told in client.told.lock().values() {
            for (name, count) in &told.counts {
                *report.events.entry(name).or_default() += count;
            }
            if let Some(key) = told.ended {
                *report.ended.entry(key.text()).or_default() += 1;
            }
        }
    }
    report.resumed += clients.iter().map(|client| client.counted("resumed")).sum::<usize>();
    report.reread += clients.iter().map(|client| client.counted("reread")).sum::<usize>();
    Ok(())
}

/// Writes as at this moment: what is old is forgotten, so the log's times have to be those of now.
async fn write_now(database: &Database, asker: &Asker, request: &Json) -> anyhow::Result<Result<(), Key>> {
    let ctx = Ctx { now: now(), ..database.context(asker).await? };
    let documents = match document::parse(request.to_string().as_bytes()) {
        Ok(documents) => documents,
        Err(error) => return Ok(Err(error.key)),
    };
    let operation = Operation { documents, ..Operation::default() };
    Ok(database.engine.execute(&ctx, &operation).await.map(drop).map_err(|error| error.key))
}

fn now() -> Timestamp {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since_epoch.as_micros()).expect("the clock is right"))
}

/// Somebody who listens.
fn who(dice: &mut Dice, (schema, world): (&Schema, &World), users: usize) -> Who {
    let mut who = Who::default();
    if !dice.one_in(4) {
        who.tenant = Some(rows::tenant(dice.below(rows::TENANTS)));
    }
    match dice.below(8) {
        0 => {}
        1 => who.admin = true,
        _ => who.user = Some(key(dice.below(users) + 1)),
    }
    if schema.table_named(sitting::TABLE).is_some() {
        sitting::sit(dice, schema, world, &mut who);
    }
    who
}

/// A write: most by anybody, some by an administrator to what callers are made of.
fn some_write(dice: &mut Dice, schema: &Arc<Schema>, world: &World, users: usize) -> (Asker, Json) {
    let admin = Asker { admin: true, ..Asker::default() };
    if schema.table_named(sitting::TABLE).is_some()
        && dice.one_in(3)
        && let Some(request) = sitting::shown(dice, schema, world)
    {
        return (admin, request);
    }
    if dice.one_in(4) {
        let user = json_of(&key(dice.below(users) + 1));
        let permission = *dice.pick(&["a", "b"]);
        let request = match dice.below(3) {
            0 => json!({"Grant": {"create": true, "user": user, "permission": permission}}),
            1 => json!({"Grant": {"user": user, "permission": permission, "delete": true}}),
            _ => user_change(dice, schema, &user),
        };
        return (admin, request);
    }
    if dice.one_in(2)
        && let Some(request) = plain_change(dice, schema, world)
    {
        return (admin, request);
    }
    let mut asker = admin;
    match dice.below(3) {
        0 => {}
        1 => asker.tenant = Some(rows::tenant(dice.below(rows::TENANTS))),
        _ => {
            asker.admin = false;
            asker.user = Some(key(dice.below(users) + 1));
            asker.tenant = Some(rows::tenant(dice.below(rows::TENANTS)));
            asker.permissions = ["a".to_owned(), "b".to_owned()].into();
        }
    }
    let mut requests = Requests { schema, world, dice, extremes: false };
    (asker, requests.write().json())
}

/// Another value for some column of a user.
fn user_change(dice: &mut Dice, schema: &Schema, user: &Json) -> Json {
    let table = schema.user_table().expect("there are users");
    let columns: Vec<_> = table
        .columns
        .iter()
        .filter(|column| {
            !column.is_managed() && !column.immutable && !column.secret && column.name != "email"
        })
        .filter(|column| column.id.0 > 2 && column.target().is_none())
        .collect();
    let column = *dice.pick(&columns);
    let value = json_of(&rows::scalar(dice, &column.ty, false));
    json!({"User": {"id": user, "set": {column.name.clone(): value}}})
}

/// A plain change of one row that is there, or of one of its links: what rows elsewhere depend on.
fn plain_change(dice: &mut Dice, schema: &Schema, world: &World) -> Option<Json> {
    let tables: Vec<&Table> = schema.tables.iter().filter(|table| !world.rows(table.id).is_empty()).collect();
    if tables.is_empty() {
        return None;
    }
    let table = *dice.pick(&tables);
    let row = json_of(&dice.pick(world.rows(table.id))[0]);
    let name = table.name.clone();
    if !table.relations.is_empty() && dice.one_in(2) {
        let relation = dice.pick(&table.relations);
        let targets = world.rows(relation.target);
        if targets.is_empty() {
            return None;
        }
        let target = json!({"id": json_of(&dice.pick(targets)[0])});
        let verb = *dice.pick(&["add", "remove"]);
        return Some(json!({name: {"id": row, relation.name.clone(): {verb: target}}}));
    }
    if dice.one_in(12) && !table.platform {
        return Some(json!({name: {"id": row, "delete": true}}));
    }
    let is_free = |column: &&Column| {
        let is_own = !column.is_managed() && !column.immutable && presence::may_change(table, column);
        is_own && column.id.0 > 2 && Some(column.id) != table.tenant
    };
    let columns: Vec<&Column> =
        table.columns.iter().filter(is_free).filter(|column| column.name != "email").collect();
    if columns.is_empty() {
        return None;
    }
    let column = *dice.pick(&columns);
    let value = match column.target() {
        Some(target) => match world.rows(target) {
            [] => return None,
            rows => json_of(&dice.pick(rows)[0]),
        },
        None => json_of(&rows::scalar(dice, &column.ty, false)),
    };
    Some(json!({name: {"id": row, "set": {column.name.clone(): value}}}))
}

/// A change of what somebody's condition compares, in a row that may be seen by it.
fn pointed_change(dice: &mut Dice, schema: &Schema, world: &World, asked: &[(String, Json)]) -> Option<Json> {
    let compares = |(table, part): &(String, Json)| {
        let table = schema.table_named(table)?;
        let (name, _) = part["where"].as_str()?.split_once(' ')?;
        let column = table.column_named(name)?;
        let is_own = !column.is_managed() && !column.immutable && presence::may_change(table, column);
        (is_own && !world.rows(table.id).is_empty()).then_some((table, column))
    };
    let known: Vec<(&Table, &Column)> = asked.iter().filter_map(compares).collect();
    if known.is_empty() {
        return None;
    }
    let (table, column) = *dice.pick(&known);
    let row = json_of(&dice.pick(world.rows(table.id))[0]);
    let value = json_of(&rows::scalar(dice, &column.ty, false));
    Some(json!({table.name.clone(): {"id": row, "set": {column.name.clone(): value}}}))
}

/// Lets a part depend on other rows: by what it shows of one, and by a condition on one or many.
fn look_elsewhere(dice: &mut Dice, schema: &Schema, world: &World, table: &str, part: &mut Json) {
    let table = schema.table_named(table).expect("it was read");
    let members = part.as_object_mut().expect("a part");
    let ones: Vec<&Column> = table.columns.iter().filter(|column| column.target().is_some()).collect();
    if !ones.is_empty() && dice.one_in(3) {
        let shown = json!({"get": ["*"]});
        let column = *dice.pick(&ones);
        if let Some(get) = members.get_mut("get").and_then(Json::as_array_mut) {
            get.retain(|name| *name != *column.name);
        }
        members.insert(column.name.clone(), shown);
    }
    if members.contains_key("where") || !dice.one_in(3) {
        return;
    }
    let (way, target) = match (ones.is_empty(), table.relations.is_empty()) {
        (_, false) if ones.is_empty() || dice.one_in(2) => {
            let relation = dice.pick(&table.relations);
            let ask = *dice.pick(&["any", "any", "none", "all"]);
            (format!("{}.{ask}(COLUMN == $v)", relation.name), relation.target)
        }
        (false, _) => {
            let column = *dice.pick(&ones);
            (format!("{}.COLUMN == $v", column.name), column.target().expect("a relation"))
        }
        _ => return,
    };
    let is_plain = |column: &&Column| !column.secret && column.target().is_none() && column.id.0 > 2;
    let columns: Vec<&Column> = schema.table(target).columns.iter().filter(is_plain).collect();
    if columns.is_empty() || world.rows(target).is_empty() {
        return;
    }
    let column = *dice.pick(&columns);
    let value = dice.pick(world.rows(target))[column.id.0 as usize].clone();
    let text = way.replace("COLUMN", &column.name);
    if !value.is_null() && compile_filter(schema, table.id, &text).is_ok() {
        members.insert("where".to_owned(), json!(text));
        members.insert("params".to_owned(), json!({"v": json_of(&value)}));
    }
}

/// Lets a part compare a column with a value, or with what the caller has: by what no key tells apart, so that many are
/// found by one row and not all of them may see it.
fn look_inside(dice: &mut Dice, schema: &Schema, world: &World, table: &str, part: &mut Json) {
    let (table, users) = (schema.table_named(table).expect("it was read"), schema.user_table());
    let members = part.as_object_mut().expect("a part");
    if members.contains_key("where") || world.rows(table.id).is_empty() || !dice.one_in(2) {
        return;
    }
    let is_plain = |column: &&Column| !column.secret && column.target().is_none() && column.id.0 > 2;
    let columns: Vec<&Column> = table.columns.iter().filter(is_plain).collect();
    if columns.is_empty() {
        return;
    }
    let column = *dice.pick(&columns);
    let op = *dice.pick(&["<=", ">", "!="]);
    let compiles = |text: &str| compile_filter(schema, table.id, text).is_ok();
    let of_users = users.into_iter().flat_map(|users| users.columns.iter().filter(is_plain));
    let of_users = of_users.map(|other| format!("{} {op} user.{}", column.name, other.name));
    let of_users: Vec<String> = of_users.filter(|text| compiles(text)).collect();
    let text = match of_users.is_empty() || dice.one_in(3) {
        true => format!("{} {op} $v", column.name),
        false => dice.pick(&of_users).clone(),
    };
    if compiles(&text) {
        members.insert("where".to_owned(), json!(text));
        ask_otherwise(dice, schema, world, &table.name, part);
    }
}

/// The same text with another value.
fn ask_otherwise(dice: &mut Dice, schema: &Schema, world: &World, table: &str, part: &mut Json) {
    let table = schema.table_named(table).expect("it was read");
    let text = part["where"].as_str().unwrap_or_default();
    let Some((name, _)) = text.split_once(' ').filter(|(_, rest)| rest.ends_with(" $v")) else { return };
    let (Some(column), false) = (table.column_named(name), world.rows(table.id).is_empty()) else { return };
    let value = dice.pick(world.rows(table.id))[column.id.0 as usize].clone();
    if !value.is_null() {
        part["params"] = json!({"v": json_of(&value)});
    }
}

/// What of a read can be subscribed to.
fn subscription(schema: &Schema, request: &Doc) -> Option<(String, Json)> {
    let request = request.json();
    let (name, part) = request.as_object()?.iter().next()?;
    let table = schema.table_named(name)?;
    Some((name.clone(), watchable(schema, table, part)))
}

fn watchable(schema: &Schema, table: &Table, part: &Json) -> Json {
    const PAGING: [&str; 7] = ["order", "limit", "offset", "after", "count", "aggregate", "group"];
    let is_many = |name: &str| matches!(table.members.get(name), Some(Member::Relation(_)));
    let members = part.as_object().into_iter().flatten();
    let members = members.filter(|(name, _)| !PAGING.contains(&name.as_str()) && !is_many(name));
    let members = members.map(|(name, member)| {
        let target = table.column_named(name).and_then(|column| column.target());
        let member = match (name.as_str(), target, member) {
            ("get", _, Json::Array(names)) => {
                names.iter().filter(|name| !name.as_str().is_some_and(is_many)).cloned().collect()
            }
            (_, Some(target), Json::Object(_)) => watchable(schema, schema.table(target), member),
            _ => member.clone(),
        };
        (name.clone(), member)
    });
    members.collect()
}

impl Client {
    async fn open(live: &Live, who: Who) -> Client {
        let device: Arc<str> = Uuid::new_v4().to_string().into();
        let connection = Arc::new(live.connect(who.clone(), Some(device.clone())).await);
        let told: Arc<Mutex<HashMap<Arc<str>, Told>>> = Arc::default();
        let (news, is_closed) = (Arc::new(Notify::new()), Arc::new(Mutex::new(false)));
        let pump = tokio::spawn(pump(connection.clone(), told.clone(), news.clone(), is_closed.clone()));
        Client { who, device, connection, told, news, is_closed, subs: Vec::new(), pump }
    }

    async fn subscribe(&mut self, sub: Subscribed, since: Option<String>) {
        self.told.lock().entry(sub.tag.clone()).or_default();
        let request = request_of(&sub);
        self.connection.subscribe(sub.tag.clone(), request, since).await;
        self.subs.push(sub);
    }

    async fn identify(&mut self, who: Who) {
        self.who = who.clone();
        self.connection.identify(who).await;
    }

    /// What it would come back with.
    fn kept(&self) -> Vec<(Subscribed, Rows, String)> {
        let told = self.told.lock();
        let kept = self.subs.iter().filter_map(|sub| {
            let told = told.get(&sub.tag)?;
            Some((sub.clone(), told.rows.clone()?, told.seq.clone())).filter(|_| told.ended.is_none())
        });
        kept.collect()
    }

    fn counted(&self, name: &str) -> usize {
        self.told.lock().values().filter_map(|told| told.counts.get(name)).sum()
    }

    /// Waits until it holds what its own reads show.
    async fn settle(&mut self, engine: &Engine, report: &mut Report) -> Result<(), String> {
        let caller = match (&self.who.user, self.who.admin) {
            (_, true) => Some(Arc::new(Caller::administrator())),
            (None, _) => Some(Arc::new(Caller::anonymous())),
            (Some(user), _) => {
                let planning = engine.planning().await.map_err(|error| error.to_string())?;
                let claims = Claims { session: self.who.session.clone(), ..Claims::user(user.clone()) };
                engine.caller_now(&planning, &claims).await.map_err(|error| error.to_string())?
            }
        };
        let until = Instant::now() + PATIENCE;
        for sub in self.subs.clone() {
            loop {
                // Each time anew: what somebody has shown grows old meanwhile.
                let expected = match &caller {
                    Some(caller) => read(engine, &self.who, caller, &sub).await,
                    None => Err(Key::Credentials),
                };
                let heard = self.news.notified();
                match self.compare(engine.schema(), &sub, &expected) {
                    Ok(rows) => {
                        report.agreed += 1;
                        report.rows += rows;
                        report.presences += if sub.table == presence::TABLE { rows } else { 0 };
                        break;
                    }
                    Err(words) if Instant::now() > until => {
                        return Err(format!(
                            "{:?} subscribed to {} {}: {words}",
                            self.who, sub.table, sub.part
                        ));
                    }
                    Err(_) => {
                        // A look now and then, should the news have come before.
                        tokio::time::timeout(Duration::from_millis(50), heard).await.ok();
                    }
                }
            }
        }
        Ok(())
    }

    fn compare(
        &self,
        schema: &Schema,
        sub: &Subscribed,
        expected: &Result<Rows, Key>,
    ) -> Result<usize, String> {
        let mut told = self.told.lock();
        let told = told.get_mut(&sub.tag).expect("it was subscribed to");
        if let Some(fault) = told.faults.first() {
            return Err(fault.clone());
        }
        let is_closed = *self.is_closed.lock();
        match (expected, told.ended) {
            // It ends, or is told that all of it has left, without any change of a row.
            (Err(Key::AuthRecent), None)
                if !is_closed && told.rows.as_ref().is_some_and(|rows| !rows.is_empty()) =>
            {
                Err("goes on with what asks for somebody who has just shown who they are".to_owned())
            }
            // Whether it has ended, or meets the fault at the next change only, is all the same.
            (Err(_), _) => Ok(0),
            (Ok(_), Some(Key::LiveTime | Key::Arithmetic)) => Ok(0),
            // It ended when that was too long ago; whoever has shown it since asks anew.
            (Ok(_), Some(Key::AuthRecent)) if self.who.user.is_some() => Ok(0),
            (Ok(_), Some(key)) => Err(format!("ended with {}", key.text())),
            (Ok(_), None) if is_closed => Err("was closed".to_owned()),
            (Ok(expected), None) => {
                let mut expected = expected.clone();
                let table = schema.table_named(&sub.table).expect("it was read");
                expected.values_mut().for_each(|row| without_hidden(schema, table, row));
                if told.rows.as_ref() != Some(&expected) {
                    return Err(format!("holds {:#?}\ninstead of {expected:#?}", told.rows));
                }
                for (change, key) in told.fresh.drain(..) {
                    if expected.contains_key(&key) != (change != ChangeOf::Leave) {
                        return Err(format!("was told {} of {key} on the way", change.name()));
                    }
                }
                Ok(expected.len())
            }
        }
    }
}

fn request_of(sub: &Subscribed) -> Request {
    let document = json!({sub.table.clone(): sub.part.clone()});
    Request::read(&document.to_string()).expect("it is a request")
}

/// Takes what is told, and whatever cannot be so.
async fn pump(
    connection: Arc<Connection>,
    told: Arc<Mutex<HashMap<Arc<str>, Told>>>,
    news: Arc<Notify>,
    is_closed: Arc<Mutex<bool>>,
) {
    while let Ok(event) = connection.next().await {
        let mut told = told.lock();
        let told = told.entry(event.tag).or_default();
        match event.kind {
            EventKind::Ready { seq, rows: Some(rows) } => {
                let count = if told.rows.is_some() { "reread" } else { "ready" };
                *told.counts.entry(count).or_default() += 1;
                told.seq = seq.text();
                let rows: Vec<Json> = serde_json::from_str(&format!("[{rows}]")).expect("rows are JSON");
                told.rows = Some(rows.into_iter().map(|row| (key_of(&row), row)).collect());
            }
            EventKind::Ready { seq, rows: None } => {
                *told.counts.entry("resumed").or_default() += 1;
                told.seq = seq.text();
            }
            EventKind::Change { change, seq, row, .. } => {
                *told.counts.entry(change.name()).or_default() += 1;
                told.seq = seq.text();
                let row: Json = serde_json::from_str(&row).expect("a row is JSON");
                let key = key_of(&row);
                told.fresh.retain(|(_, known)| *known != key);
                told.fresh.push((change, key.clone()));
                let rows = told.rows.get_or_insert_default();
                let is_fault = match change {
                    ChangeOf::Enter => rows.insert(key.clone(), row).is_some(),
                    ChangeOf::Update => rows.insert(key.clone(), row.clone()).is_none_or(|old| old == row),
                    ChangeOf::Leave => rows.remove(&key).is_none(),
                };
                if is_fault {
                    told.faults.push(format!("was told {} of {key} out of turn", change.name()));
                }
            }
            EventKind::Lagged { .. } => told.faults.push("lagged".to_owned()),
            EventKind::Ended(error) => told.ended = Some(error.key),
        }
        news.notify_one();
    }
    *is_closed.lock() = true;
    news.notify_one();
}

fn key_of(row: &Json) -> String {
    row["id"].to_string()
}

/// What its caller reads now.
async fn read(engine: &Engine, who: &Who, caller: &Arc<Caller>, sub: &Subscribed) -> Result<Rows, Key> {
    let ctx = Ctx {
        caller: caller.clone(),
        tenant: who.tenant.clone(),
        session: who.session.clone(),
        now: now(),
        deadline: Instant::now() + PATIENCE,
        request_id: "test".into(),
        trace: None,
    };
    let mut part = sub.part.clone();
    part["limit"] = json!(1000);
    let document = json!({sub.table.clone(): part}).to_string();
    let documents = document::parse(document.as_bytes()).map_err(|error| error.key)?;
    let operation = Operation { documents, ..Operation::default() };
    let response = engine.execute(&ctx, &operation).await.map_err(|error| error.key)?;
    let answer: Json = serde_json::from_str(&render(&response, false)).expect("an answer is JSON");
    let rows = answer[&sub.table].as_array().cloned().unwrap_or_default();
    Ok(rows.into_iter().map(|row| (key_of(&row), row)).collect())
}

/// A row as live frames show it.
fn without_hidden(schema: &Schema, table: &Table, row: &mut Json) {
    let Some(members) = row.as_object_mut() else { return };
    members.retain(|name, _| table.column_named(name).is_none_or(|column| !column.hidden));
    for (name, member) in members {
        if let Some(target) = table.column_named(name).and_then(|column| column.target()) {
            without_hidden(schema, schema.table(target), member);
        }
    }
}
