//! The benchmark: Mainstay beside handlers written by hand with the same SQL, and beside peers.
//!
//! `cargo xtask bench` builds everything, fetches peers, runs `all` and makes a table of it. Every server gets its own copy of one data set, and
//! wrk loads them in turn, round by round, so that the machine's moods meet all of them alike. Absolute numbers are only for orientation.
//! Parts with numbers of their own: `live` measures subscriptions, `identity` sign-ins, `jobs URL COUNT PENDING` jobs beside
//! graphile-worker, and `move URL ROWS` `mainstay move` beside `psql`. `growth` is what becomes of a request
//! when rows, connections or rules are many, `soak` half an hour of everything.

mod connection;
mod constant;
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
mod suite;
mod wrk;

use anyhow::{Result, bail};

// The server under test uses the same allocator; a comparison should not measure that.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["hand", database, port, secret] => hand::serve(database, port.parse()?, secret),
        ["constant", port] => constant::serve(port.parse()?),
        ["all", to, only @ ..] => suite::run(&suite::FULL, to, only),
        ["quick", to, only @ ..] => suite::run(&suite::QUICK, to, only),
        ["live"] => live::run(live::Part::All),
        ["live", "others"] => live::run(live::Part::Others),
        ["spin"] => identity::spin(),
        ["attempts", words @ ..] => identity::attempts(words),
        ["identity"] => identity::run(&identity::PARTS),
        ["identity", part] if identity::PARTS.contains(part) => identity::run(&[*part]),
        ["growth", options @ ..] => growth::run(options),
        ["soak", options @ ..] => soak::run(options),
        ["move", server, rows] => moving::run(server, rows.parse()?),
        ["jobs", server, count, pending] => jobs::run(server, count.parse()?, pending.parse()?),
        _ => bail!(
            "usage: mainstay-bench all|quick FILE [WORD…] | live [others] | identity [requests|timing|flood|sessions] | move postgres://USER@HOST:PORT ROWS \
             | jobs postgres://USER@HOST:PORT COUNT PENDING | growth [sqlite|postgres|connections|schema|jobs]… [--rows N,N] [--shared-buffers SIZE] | soak [--minutes N] [--on sqlite|postgres]"
        ),
    }
}
