//! The benchmark: Mainstay beside a hand-written handler with the same SQL, and beside PocketBase where it is installed.
//!
//! `cargo run --release` in this folder builds the server, makes one data set, starts every server on its own copy, and
//! lets wrk load them in turn, round by round, so that the machine's moods meet all of them alike. What it prints are
//! medians and their ratios; absolute numbers are only for orientation. `cargo run --release -- postgres` does the same on
//! a private PostgreSQL, `cargo run --release -- live` measures subscriptions, `-- identity` sign-ins, `cargo run --release -- jobs URL COUNT PENDING`
//! jobs beside graphile-worker, and `cargo run --release -- move URL ROWS` `mainstay move` beside `psql`. `-- growth` is what becomes of a request
//! when rows, connections or rules are many, `-- soak` half an hour of everything.

mod connection;
mod curve;
mod data;
mod fit;
mod growth;
mod hand;
mod identity;
mod jobs;
mod live;
mod moving;
mod peers;
mod postgres;
mod scenario;
mod servers;
mod soak;
mod wrk;

use anyhow::{Result, bail};

// The server under test uses the same allocator; a comparison should not measure that.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words[..] {
        ["hand", database, port, secret] => hand::serve(database, port.parse()?, secret),
        [] => scenario::run(3, 5),
        ["--rounds", rounds, "--seconds", seconds] => scenario::run(rounds.parse()?, seconds.parse()?),
        ["postgres"] => postgres::run(3, 5),
        ["postgres", "--rounds", rounds, "--seconds", seconds] => {
            postgres::run(rounds.parse()?, seconds.parse()?)
        }
        ["live"] => live::run(live::Part::All),
        ["live", "others"] => live::run(live::Part::Others),
        ["identity"] => identity::run(&identity::PARTS),
        ["identity", part] if identity::PARTS.contains(&part) => identity::run(&[part]),
        ["growth"] => growth::run(&growth::PARTS),
        ["growth", ref parts @ ..] => growth::run(parts),
        ["soak"] => soak::run(30.0),
        ["soak", "--minutes", minutes] => soak::run(minutes.parse()?),
        ["move", server, rows] => moving::run(server, rows.parse()?),
        ["jobs", server, count, pending] => jobs::run(server, count.parse()?, pending.parse()?),
        _ => bail!(
            "usage: mainstay-bench [postgres] [--rounds N --seconds N] | live [others] | identity [requests|timing|flood|sessions] | move postgres://USER@HOST:PORT ROWS \
             | jobs postgres://USER@HOST:PORT COUNT PENDING | growth [sqlite|postgres|connections|schema]… | soak [--minutes N]"
        ),
    }
}
