//! A table of a thousand, a hundred thousand and ten million rows, and what is asked of it.

use std::path::Path;

use anyhow::{Context, Result};
use serde_json::json;

use super::fill::{self, BOOK, HALL, IN_A_HALL, ON_A_SHELF, OWN, SHELF, id};
use super::subject::{App, Cost, Subject};
use super::verdict::{Bound, Grown};
use crate::connection::{Ask, Connection};
use crate::postgres::server::Postgres;

const APP: &str = r#"app growth "Growth"

table Hall {
  number   int
  name     text(100)
  shelves  Shelf[] by hall

  allow read
}

table Shelf {
  number  int
  name    text(100)
  hall    Hall
  books   Book[] by shelf

  allow read
}

table Book {
  number  int
  title   text(200)
  price   int
  shelf   Shelf
  owner   User

  index (shelf, number)
  index (owner, created)

  allow read
  allow create, update, delete  if owner == user
}
"#;

const SIZES: [u64; 3] = [1_000, 100_000, 10_000_000];
/// Requests of a round: of those that only read, and of those that wait for the disk.
const READS: usize = 500;
const WRITES: usize = 100;
/// Of those that look at the whole table.
const SCANS: usize = 1;

/// One kind of request at one size.
struct Row {
    name: &'static str,
    bound: Option<Bound>,
    cost: Cost,
}

/// Measures all sizes on one database.
pub(super) fn run(on_postgres: bool) -> Result<Vec<Grown>> {
    let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let postgres = if on_postgres { Some(Postgres::start()?) } else { None };
    let mut grown: Vec<Grown> = Vec::new();
    let mut add = |name, unit, bound, size: u64, value| {
        let axes = ("rows in the table", unit);
        let point = (size as f64, value);
        match grown.iter_mut().find(|curve| curve.name == name && curve.axes == axes) {
            Some(curve) => curve.points.push(point),
            None => grown.push(Grown { name, axes, points: vec![point], bound }),
        }
    };
    for size in SIZES {
        let folder = tempfile::tempdir()?;
        let rows = tokio.block_on(one_size(folder.path(), postgres.as_ref(), size))?;
        for row in &rows {
            add(row.name, "µs of processor", row.bound, size, row.cost.cpu_us);
        }
        for row in &rows {
            add(row.name, "µs until answered", None, size, row.cost.p50_us);
        }
    }
    Ok(grown)
}

async fn one_size(folder: &Path, postgres: Option<&Postgres>, size: u64) -> Result<Vec<Row>> {
    let name = format!("rows{size}");
    if let Some(server) = postgres {
        server.psql(&format!("CREATE DATABASE {name}"))?;
    }
    let app = App::new(folder.join("app"), APP, postgres.map(|server| server.url(&name)))?;
    let (user, token) = app.user()?;
    let began = std::time::Instant::now();
    match postgres {
        Some(server) => fill::postgres(server, &name, size, &user)?,
        None => fill::sqlite(&folder.join("app/data/mainstay.db"), size, &user)?,
    }
    eprintln!("{size} rows made in {:.0} s", began.elapsed().as_secs_f64());
    let server = app.serve()?;
    eprintln!("started in {:.0} ms", server.started_in.as_secs_f64() * 1000.0);
    let connection = Connection::open(server.port).await?;
    let postmaster = postgres.map(|server| server.postmaster(&name)).transpose()?;
    let mut subject = Subject { server: &server, connection, token: &token, postmaster };
    let mut rows = reads(&mut subject, size, &user).await?;
    rows.extend(writes(&mut subject, size, &user).await?);
    drop(server);
    if let Some(server) = postgres {
        server.psql(&format!("DROP DATABASE {name} WITH (FORCE)"))?;
    }
    Ok(rows)
}

/// A number below `most` that comes from another one as if by chance.
fn any(number: usize, most: u64) -> u64 {
    (number as u64).wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(31) % most
}

async fn reads(subject: &mut Subject<'_>, size: u64, user: &str) -> Result<Vec<Row>> {
    let shelves = size / ON_A_SHELF;
    let halls = (shelves / IN_A_HALL).max(1);
    let shelf = |number: usize| id(SHELF, any(number, shelves));
    let of_shelf = |number: usize, more: &str| {
        Ask::get(format!(
            "/api/Book?where=shelf%20==%20%22{}%22&order=number&limit=30&get=title,price{more}",
            shelf(number)
        ))
    };
    let deep = cursor(subject, size).await?;
    let mut rows = Vec::new();
    let mut add = |name, bound, cost| rows.push(Row { name, bound, cost });
    let log = Some(Bound::Logarithmic);
    let get = |number: usize| Ask::get(format!("/api/Book/{}", id(BOOK, any(number, size))));
    add("get by id", log, subject.measure(READS, get).await?);
    add("list of 30, filter and order", log, subject.measure(READS, |number| of_shelf(number, "")).await?);
    add(
        "list of 30 with count of 100",
        log,
        subject.measure(READS, |number| of_shelf(number, "&count")).await?,
    );
    let own = format!("/api/Book?where=owner%20==%20%22{user}%22&order=-created&limit=30&get=title");
    add("the newest 30 of 1,000 of a user", log, subject.measure(READS, |_| Ask::get(own.clone())).await?);
    let nested = |number: usize| {
        let shelves = json!({"get": ["name"], "order": ["number"], "limit": 10,
            "books": {"get": ["title"], "order": ["number"], "limit": 10}});
        let hall = json!({"Hall": {"id": id(HALL, any(number, halls)), "get": ["name"], "shelves": shelves}});
        Ask::post("/query", &hall)
    };
    add("nested, 3 levels, 110 rows", log, subject.measure(READS, nested).await?);
    let sum = |number: usize| {
        let sums = json!({"n": "count()", "sum": "sum(price)"});
        Ask::post("/query", &json!({"Book": {"shelf": shelf(number), "aggregate": sums}}))
    };
    add("aggregate of 100", log, subject.measure(READS, sum).await?);
    add("page of 30 in the middle", log, subject.measure(READS, |_| Ask::get(deep.clone())).await?);
    // All rows are looked at, whatever is done about it: no bound, since linear growth between two sizes is hidden at first by what any
    // request costs, and then steeper than linear.
    let all = |_| Ask::get("/api/Book?order=id&limit=30&get=title&count".to_owned());
    add("count of all rows", None, subject.measure(SCANS, all).await?);
    let none = |_| Ask::get("/api/Book?where=price%20==%20-1&order=id&limit=30&get=title".to_owned());
    add("filter without an index", None, subject.measure(SCANS, none).await?);
    Ok(rows)
}

/// The address of a page in the middle of the table, by the order of ids.
async fn cursor(subject: &mut Subject<'_>, size: u64) -> Result<String> {
    let list = "/api/Book?order=id&limit=30&get=title";
    // There by its id, since an offset would be walked, and on from there without the filter: the place is all that a cursor says.
    let from = format!("{list}&where=id%20%3E%20%22{}%22", id(BOOK, size / 2));
    let page = subject.connection.ask(subject.token, &Ask::get(from)).await?.json()?;
    let next = page["next"].as_str().with_context(|| format!("no next page: {page}"))?;
    Ok(format!("{list}&after={}", next.replace('+', "%2B")))
}

async fn writes(subject: &mut Subject<'_>, size: u64, user: &str) -> Result<Vec<Row>> {
    let shelves = size / ON_A_SHELF;
    let log = Some(Bound::Logarithmic);
    let create = |number: usize| {
        let id = id(SHELF, any(number, shelves));
        Ask::post(
            "/api/Book",
            &json!({"number": -1 - (number as i64), "title": "New", "price": 1, "shelf": id, "owner": user}),
        )
    };
    let created = subject.measure(WRITES, create).await?;
    let own = |number: u64| id(BOOK, number % OWN * (size / OWN));
    let update = |number: usize| {
        Ask::patch(format!("/api/Book/{}", own(any(number, OWN))), &json!({"price": number % 1000}))
    };
    let updated = subject.measure(WRITES, update).await?;
    // Each row goes once.
    let delete = |number: usize| Ask::delete(format!("/api/Book/{}", own(number as u64)));
    let deleted = subject.measure(WRITES, delete).await?;
    Ok([("create", created), ("update", updated), ("delete", deleted)]
        .map(|(name, cost)| Row { name, bound: log, cost })
        .into())
}
