//! A table of a thousand up to ten million rows, and what is asked of it: what that takes, and that an index is used for it.

use std::path::Path;

use anyhow::{Context, Result};
use serde_json::json;

use super::fill::{self, BOOK, HALL, IN_A_HALL, ON_A_SHELF, OWN, SHELF, id};
use super::plan;
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

/// Rows of a table in which looking at all of them may be the best way.
const SMALL: u64 = 1_000;
/// The number of a request that is explained, and by then done: none of those that are measured.
const EXPLAINED: usize = 999;
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
    /// How the database did it.
    steps: Vec<String>,
}

/// Measures all sizes on an embedded database, or on PostgreSQL with so much memory for pages.
pub(super) fn run(sizes: &[u64], shared_buffers: Option<&str>) -> Result<Vec<Grown>> {
    let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let postgres = shared_buffers.map(Postgres::start_with).transpose()?;
    let mut grown: Vec<Grown> = Vec::new();
    let mut add = |name, unit, bound, size: u64, value| {
        let axes = ("rows in the table", unit);
        let point = (size as f64, value);
        match grown.iter_mut().find(|curve| curve.name == name && curve.axes == axes) {
            Some(curve) => curve.points.push(point),
            None => grown.push(Grown { name, axes, points: vec![point], bound }),
        }
    };
    for &size in sizes {
        let folder = tempfile::tempdir()?;
        let rows = tokio.block_on(one_size(folder.path(), postgres.as_ref(), size))?;
        for row in &rows {
            add(row.name, "µs of processor", row.bound, size, row.cost.cpu_us);
            eprintln!(
                "{size} rows, {}: {:.0} µs\n    {}",
                row.name,
                row.cost.cpu_us,
                row.steps.join("\n    ")
            );
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
    let admin = app.run(&["user", "token", app.path()?, "--admin", "--ttl", "1d"])?;
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
    let deep = cursor(&mut subject, size).await?;
    let mut rows = Vec::new();
    for Kind { name, bound, count, ask } in kinds(size, &user, &deep) {
        let steps = plan::steps(&mut subject.connection, &admin, &ask(EXPLAINED)).await?;
        if bound.is_some() && size > SMALL {
            plan::check("Book", &steps).with_context(|| format!("{name}, of {size} rows"))?;
        }
        rows.push(Row { name, bound, cost: subject.measure(count, ask).await?, steps });
    }
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

/// A kind of request.
struct Kind<'k> {
    name: &'static str,
    /// None: all rows are looked at, whatever is done about it; and linear growth between two sizes is hidden at first by what any
    /// request costs, and then steeper than linear.
    bound: Option<Bound>,
    count: usize,
    ask: Box<dyn Fn(usize) -> Ask + 'k>,
}

/// Everything that is asked, in its order; the number of a request makes it one of its own.
fn kinds<'k>(size: u64, user: &'k str, deep: &'k str) -> Vec<Kind<'k>> {
    let shelves = size / ON_A_SHELF;
    let halls = (shelves / IN_A_HALL).max(1);
    let shelf = move |number: usize| id(SHELF, any(number, shelves));
    let of_shelf = move |number: usize, more: &str| {
        Ask::get(format!(
            "/api/Book?where=shelf%20==%20%22{}%22&order=number&limit=30&get=title,price{more}",
            shelf(number)
        ))
    };
    let newest = format!("/api/Book?where=owner%20==%20%22{user}%22&order=-created&limit=30&get=title");
    let nested = move |number: usize| {
        let shelves = json!({"get": ["name"], "order": ["number"], "limit": 10,
            "books": {"get": ["title"], "order": ["number"], "limit": 10}});
        let hall = json!({"Hall": {"id": id(HALL, any(number, halls)), "get": ["name"], "shelves": shelves}});
        Ask::post("/query", &hall)
    };
    let sum = move |number: usize| {
        let sums = json!({"n": "count()", "sum": "sum(price)"});
        Ask::post("/query", &json!({"Book": {"shelf": shelf(number), "aggregate": sums}}))
    };
    let create = move |number: usize| {
        let row = json!({"number": -1 - (number as i64), "title": "New", "price": 1, "shelf": shelf(number), "owner": user});
        Ask::post("/api/Book", &row)
    };
    let own = move |number: u64| id(BOOK, number % OWN * (size / OWN));
    let update = move |number: usize| {
        Ask::patch(format!("/api/Book/{}", own(any(number, OWN))), &json!({"price": number % 1000}))
    };
    let indexed = |name, count, ask| Kind { name, bound: Some(Bound::Logarithmic), count, ask };
    let scattered = |name, ask| Kind { name, bound: Some(Bound::Scattered), count: READS, ask };
    let walked = |name, path: &'static str| Kind {
        name,
        bound: None,
        count: SCANS,
        ask: Box::new(move |_| Ask::get(path.to_owned())),
    };
    vec![
        indexed(
            "get by id",
            READS,
            Box::new(move |n| Ask::get(format!("/api/Book/{}", id(BOOK, any(n, size))))),
        ),
        scattered("list of 30, filter and order", Box::new(move |n| of_shelf(n, ""))),
        scattered("list of 30 with count of 100", Box::new(move |n| of_shelf(n, "&count"))),
        indexed("the newest 30 of 1,000 of a user", READS, Box::new(move |_| Ask::get(newest.clone()))),
        scattered("nested, 3 levels, 110 rows", Box::new(nested)),
        scattered("aggregate of 100", Box::new(sum)),
        indexed("page of 30 in the middle", READS, Box::new(move |_| Ask::get(deep.to_owned()))),
        walked("count of all rows", "/api/Book?order=id&limit=30&get=title&count"),
        walked("filter without an index", "/api/Book?where=price%20==%20-1&order=id&limit=30&get=title"),
        indexed("create", WRITES, Box::new(create)),
        indexed("update", WRITES, Box::new(update)),
        // Each row goes once.
        indexed("delete", WRITES, Box::new(move |n| Ask::delete(format!("/api/Book/{}", own(n as u64))))),
    ]
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
