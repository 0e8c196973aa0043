//! How SQLite finds the rows of every statement that a write runs: never by looking at a whole table.
//!
//! Deletions look for referring rows by each to-one column and for links from both sides, checks walk relations backwards,
//! rules follow them forwards: one of these without an index, and a table that grows makes every write slower.

use mainstay_lang::schema::{RelationKind, Schema, Table, TableId};
use mainstay_lang::types::Type;
use mainstay_sql::SQLITE;
use mainstay_sql::plan::Images;
use mainstay_sql::statement::Statement;
use mainstay_sql::system::job::{self, PickQueue};
use mainstay_sql::system::{self, LoggedTables};

use crate::harness::{Db, param};

/// Keys of every type, references that are unique, in a unique pair, tenants' rows, links to itself, rules over relations.
const APP: &str = r#"
table Team {
  name text(100) unique
  members User[] by team
  places Place[] by team
  allow read if members.any(id == user.id)
  allow create, update, delete if members.any(id == user.id) or places.any(lead == user)
}
extend User { team Team? }
table Place {
  id   text(20)
  team Team on delete cascade
  lead User? unique
  code int
  unique (team, code)
  near Place[]
  nearby Place[] by near
  jobs Job[] by place
  allow all if team.members.any(id == user.id)
  check jobs.count() < 100  "Too many jobs."
}
table Job {
  id int
  place Place on delete cascade
  behind Job?
  later Job[] by behind
  state enum(open, done) = open
  order -created
  allow read, update if place.lead == user or later.any(state == open)
  allow create, delete if place.near.any(lead == user)
  check behind.place == place or behind == null  "Another place."
}
table Bill (tenant) {
  number int auto per (year(created))
  code text(10) unique
  job Job?
  lines Line[] by bill
  allow all if lines.any(bill.job.place.lead == user)
}
table Line (tenant) { bill Bill on delete cascade, job Job?, label text(10) unique, allow all if bill.job.place.lead == user }
"#;

#[track_caller]
fn check(db: &Db, name: &str, statement: &Statement) {
    let plan = db.plan(statement);
    // A row that is given instead of read is the whole of its "table".
    let is_given = statement.sql.contains("FROM (SELECT ?");
    // So are rows that are given as JSON; and an index that holds nothing but what is looked for is read whole.
    let is_whole = |line: &str| line.starts_with("SCAN json_each") || line.contains(" INDEX _job.");
    let is_scan = |line: &&str| {
        line.starts_with("SCAN")
            && !is_whole(line)
            && !(is_given && matches!(*line, "SCAN t1" | "SCAN CONSTANT ROW"))
    };
    let scans: Vec<&str> = plan.lines().filter(is_scan).collect();
    assert!(scans.is_empty(), "{name}: {}\n{plan}", statement.sql);
}

fn by_column(schema: &Schema, table: &Table, column: usize) -> Statement {
    let name = &table.columns[column].name;
    let condition = mainstay_lang::filter::compile_filter(schema, table.id, &format!("{name} == $value"));
    let filter = vec![condition.unwrap_or_else(|problems| panic!("{problems:#?}")).condition];
    let images = Images {
        table: table.id,
        filter,
        limit: Some(param(1, &Type::Int)),
        lock: Some(mainstay_sql::dialect::Lock::Write),
    };
    mainstay_sql::images(schema, SQLITE, &images)
}

#[test]
fn rows_are_found_by_key_and_by_every_reference() {
    let db = Db::new(APP);
    let schema = &db.schema;
    for table in &schema.tables {
        let name = &table.name;
        check(&db, name, &mainstay_sql::insert(schema, SQLITE, table.id));
        check(&db, name, &mainstay_sql::delete(schema, SQLITE, table.id));
        let columns: Vec<_> = table.columns.iter().skip(1).map(|column| column.id).collect();
        check(&db, name, &mainstay_sql::update(schema, SQLITE, table.id, &columns));
        if table.columns[0].ty == Type::Int {
            check(&db, name, &mainstay_sql::last_key(schema, SQLITE, table.id));
        }
        check(&db, name, &by_column(schema, table, 0));
        for column in table.columns.iter().filter(|column| column.target().is_some()) {
            let found = by_column(schema, table, column.id.0 as usize);
            check(&db, &format!("{name}.{}", column.name), &found);
            let plan = db.plan(&found);
            assert!(plan.contains(&format!("({}=?)", column.db_name)), "{name}.{}: {plan}", column.name);
        }
    }
}

#[test]
fn links_are_found_from_both_sides() {
    let db = Db::new(APP);
    let mut seen = 0;
    for relation in db.schema.tables.iter().flat_map(|table| &table.relations) {
        let RelationKind::Link(link) = &relation.kind else { continue };
        seen += 1;
        check(&db, &relation.name, &mainstay_sql::link(&db.schema, SQLITE, link));
        check(&db, &relation.name, &mainstay_sql::unlink(&db.schema, SQLITE, link));
        check(&db, &relation.name, &mainstay_sql::linked(&db.schema, SQLITE, link, true));
        check(&db, &relation.name, &mainstay_sql::linked(&db.schema, SQLITE, link, false));
    }
    assert_eq!(seen, 1);
}

#[test]
fn rules_and_checks_about_one_row_start_from_it() {
    let db = Db::new(APP);
    let schema = &db.schema;
    let mut asked = 0;
    let mut ask = |table: TableId, condition: &mainstay_lang::expr::Expr| {
        let conditions = std::slice::from_ref(condition);
        let name = &schema.table(table).name;
        check(&db, name, &mainstay_sql::test(schema, SQLITE, table, conditions));
        check(&db, name, &mainstay_sql::test_given(schema, SQLITE, table, conditions));
        asked += 1;
    };
    for table in &schema.tables {
        table.rules.iter().filter_map(|rule| rule.condition.as_deref()).for_each(|rule| ask(table.id, rule));
        table.checks.iter().for_each(|check| ask(table.id, &check.condition));
    }
    assert!(asked >= 9, "{asked}");
}

#[test]
fn the_systems_own_statements_use_their_indexes() {
    let db = Db::new(APP);
    let schema = &db.schema;
    let others = LoggedTables::Others(vec!["Note".to_owned()]);
    let statements = [
        ("change_insert", system::change_insert(schema, SQLITE, system::Count::One)),
        ("change_position", system::change_position(schema, SQLITE)),
        ("change_tail", system::change_tail(schema, SQLITE)),
        ("change_tail_next", system::change_tail_next(schema, SQLITE)),
        ("change_history", system::change_history(schema, SQLITE)),
        ("change_oldest", system::change_oldest(schema, SQLITE)),
        ("change_purge", system::change_purge(schema, SQLITE, &others)),
        ("counter_next", system::counter_next(schema, SQLITE)),
        ("counter_begin", system::counter_begin(schema, SQLITE)),
        ("counter_raise", system::counter_raise(schema, SQLITE)),
        ("idempotency_find", system::idempotency_find(schema, SQLITE)),
        ("idempotency_insert", system::idempotency_insert(schema, SQLITE)),
        ("idempotency_delete", system::idempotency_delete(schema, SQLITE)),
        ("idempotency_purge", system::idempotency_purge(schema, SQLITE)),
        ("meta_get", system::meta_get(schema, SQLITE)),
        ("meta_put", system::meta_put(schema, SQLITE)),
        ("job insert", job::insert(schema, SQLITE, job::Conflict::Replace)),
        ("job find_unique", job::find_unique(schema, SQLITE)),
        ("job promote", job::promote(schema, SQLITE)),
        ("job next_due", job::next_due(schema, SQLITE)),
        ("job mark", job::mark(schema, SQLITE)),
        ("job park", job::park(schema, SQLITE)),
        ("job running_of_key", job::running_of_key(schema, SQLITE)),
        ("job running_of_queue", job::running_of_queue(schema, SQLITE)),
        ("job release", job::release(schema, SQLITE)),
        ("job release_batches", job::release_batches(schema, SQLITE)),
        ("job renew", job::renew(schema, SQLITE)),
        ("job settle", job::settle(schema, SQLITE)),
        ("job rescue", job::rescue(schema, SQLITE)),
        ("job cancel", job::cancel(schema, SQLITE)),
        ("job retry", job::retry(schema, SQLITE)),
        ("job progress", job::progress(schema, SQLITE)),
        ("job prune", job::prune(schema, SQLITE)),
        ("job images", job::images(schema, SQLITE)),
    ];
    for (name, statement) in &statements {
        check(&db, name, statement);
    }
    let queues = [("a", true), ("b", false)]
        .map(|(name, limited)| PickQueue { names: vec![name.to_owned(), format!("{name}2")], limited });
    let pick = db.plan(&job::pick(schema, SQLITE, &queues));
    let by_name = "SEARCH _job USING COVERING INDEX _job.ready (name=?)";
    assert_eq!(pick.matches(by_name).count(), 4, "{pick}");
    assert!(!pick.contains("SCAN _job"), "{pick}");
    let history = db.plan(&system::change_history(schema, SQLITE));
    assert_eq!(history, "SEARCH _change USING INDEX _change.row.table (row=? AND table=? AND seq<?)");
    let purge = db.plan(&system::change_purge(schema, SQLITE, &others));
    assert_eq!(purge, "SEARCH _change USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)");
}
