//! Rows by the million, made by the database itself in the tables that the server has made.
//!
//! Indexes are dropped before and made after, as they were. No change is logged: the rows are such as have been there for longer than
//! their history. Ids follow from numbers, so that whoever asks can ask for any row.

use std::path::Path;

use anyhow::Result;

use crate::postgres::server::Postgres;

/// Rows on a shelf, spread over all of the table, and shelves in a hall.
pub(super) const ON_A_SHELF: u64 = 100;
pub(super) const IN_A_HALL: u64 = 10;
/// Rows that the user has who asks; the others are a colleague's.
pub(super) const OWN: u64 = 1_000;

/// The id of a row, by its table and number: of version 7, and ascending.
pub(super) fn id(table: u8, number: u64) -> String {
    format!("0190000{table}-0000-7000-8000-{number:012x}")
}

pub(super) const HALL: u8 = 1;
pub(super) const SHELF: u8 = 2;
pub(super) const BOOK: u8 = 3;

/// Fills the tables of an embedded database.
pub(super) fn sqlite(database: &Path, rows: u64, owner: &str) -> Result<()> {
    let connection = rusqlite::Connection::open(database)?;
    connection.execute_batch(
        "PRAGMA synchronous = OFF; PRAGMA cache_size = -1000000; PRAGMA wal_autocheckpoint = 100000; PRAGMA foreign_keys = OFF;",
    )?;
    let mut indexes = connection.prepare(
        "SELECT \"name\", \"sql\" FROM sqlite_master WHERE \"type\" = 'index' AND \"sql\" IS NOT NULL AND \"tbl_name\" = 'Book'",
    )?;
    let indexes: Vec<(String, String)> =
        indexes.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<rusqlite::Result<_>>()?;
    for (name, _) in &indexes {
        connection.execute_batch(&format!("DROP INDEX \"{name}\""))?;
    }
    let id = |table: u8, number: &str| format!("printf('0190000{table}-0000-7000-8000-%012x', {number})");
    let at = "strftime('%Y-%m-%dT%H:%M:%S.000000Z', 1700000000 + n, 'unixepoch')";
    let series = |count: u64| {
        format!("WITH RECURSIVE s(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM s WHERE n + 1 < {count})")
    };
    let statements = statements(rows, owner, &id, at, &series);
    connection.execute_batch(&format!("BEGIN; {statements} COMMIT;"))?;
    for (_, sql) in &indexes {
        connection.execute_batch(sql)?;
    }
    connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)")?;
    Ok(())
}

/// Fills the tables of a database on PostgreSQL, and looks at them as its autovacuum would in time.
pub(super) fn postgres(server: &Postgres, database: &str, rows: u64, owner: &str) -> Result<()> {
    let id = |table: u8, number: &str| {
        format!("('0190000{table}-0000-7000-8000-' || lpad(to_hex({number}), 12, '0'))::uuid")
    };
    let at = "to_timestamp(1700000000 + n)";
    // The numbers as a table of their own, whose name is the same on both databases.
    let series = |count: u64| format!("WITH s AS (SELECT n FROM generate_series(0::bigint, {count} - 1) n)");
    let statements = statements(rows, owner, &id, at, &series);
    let sql = format!(
        r#"SET session_replication_role = replica; SET maintenance_work_mem = '512MB';
        CREATE TEMP TABLE "kept" AS SELECT indexname, indexdef FROM pg_indexes WHERE tablename = 'Book' AND indexname NOT IN (SELECT conname FROM pg_constraint);
        DO $$ DECLARE i record; BEGIN FOR i IN SELECT * FROM "kept" LOOP EXECUTE format('DROP INDEX %I', i.indexname); END LOOP; END $$;
        {statements}
        DO $$ DECLARE i record; BEGIN FOR i IN SELECT * FROM "kept" LOOP EXECUTE i.indexdef; END LOOP; END $$;"#
    );
    server.psql_on(database, &sql)?;
    server.psql_on(database, "VACUUM ANALYZE")
}

/// What both databases are told, with their own words for an id, a time and a series of numbers `n` in `s`.
fn statements(
    rows: u64,
    owner: &str,
    id: &dyn Fn(u8, &str) -> String,
    at: &str,
    series: &dyn Fn(u64) -> String,
) -> String {
    let shelves = rows / ON_A_SHELF;
    let halls = (shelves / IN_A_HALL).max(1);
    let (own, shelf) = (rows / OWN, format!("n % {shelves}"));
    let other = id(9, "0");
    let (hall_id, shelf_id, book_id) = (id(HALL, "n"), id(SHELF, "n"), id(BOOK, "n"));
    let (of_hall, of_shelf) = (id(HALL, &format!("n % {halls}")), id(SHELF, &shelf));
    format!(
        r#"INSERT INTO "User" ("id", "created", "updated", "email", "name")
             SELECT {other}, "created", "updated", 'colleague@example.com', 'Colleague' FROM "User";
        {} INSERT INTO "Hall" ("id", "created", "updated", "number", "name") SELECT {hall_id}, {at}, {at}, n, 'Hall ' || n FROM s;
        {} INSERT INTO "Shelf" ("id", "created", "updated", "number", "name", "hall")
             SELECT {shelf_id}, {at}, {at}, n, 'Shelf ' || n, {of_hall} FROM s;
        {} INSERT INTO "Book" ("id", "created", "updated", "number", "title", "price", "shelf", "owner")
             SELECT {book_id}, {at}, {at}, n, 'Book number ' || n, n % 997, {of_shelf},
               CASE WHEN n % {own} = 0 THEN (SELECT "id" FROM "User" WHERE "id" = '{owner}') ELSE {other} END FROM s;
        "#,
        series(halls),
        series(shelves),
        series(rows)
    )
}
