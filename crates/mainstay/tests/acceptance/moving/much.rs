//! A great deal is moved: in no more memory than little, and back to what it was.

use std::process::{Child, Stdio};
use std::time::Duration;

use mainstay_testkit::postgres::Postgres;
use serde_json::Value;

use super::{many, path_of, rows, sqlite};
use crate::support::App;

/// How much memory a process had at most up to now, in MiB; none: it has ended.
fn memory_peak_mib(child: &Child) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: u64 = line.trim().trim_end_matches(" kB").parse().ok()?;
    Some(kib / 1024)
}

/// Moves, and how much memory that took at most, in MiB.
fn moved_measured(app: &App, from: &str, to: &str) -> (Value, u64) {
    let words = ["move", "APP", "--from", from, "--to", to, "--json"];
    let mut child = app.command(&words).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut most = 0;
    while child.try_wait().unwrap().is_none() {
        most = memory_peak_mib(&child).unwrap_or(most);
        // Only how often is looked: what a process had at most is kept for it.
        std::thread::sleep(Duration::from_millis(2));
    }
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{from} {to}: {}", output.status);
    (serde_json::from_slice(&output.stdout).unwrap(), most)
}

/// Sixteen times as many rows, 60 MiB more of them, take no more memory, whichever way they go.
#[cfg(target_os = "linux")]
#[test]
fn memory_does_not_grow_with_the_rows() {
    const MORE_MAX_MIB: u64 = 20;
    let app = App::of(super::MANY);
    let peaks = [500, 8_000].map(|count| {
        let (first, run) = many(&app, 100);
        run(&format!(
            "INSERT INTO \"Row\" SELECT i, now(), now(), repeat(md5(i::text), 250) FROM generate_series(1001, 1000 + {count}) i"
        ));
        let (here, there) = (sqlite(&app, &format!("{count}.db")), Postgres::database());
        let (_, into_sqlite) = moved_measured(&app, &first, &here);
        let (report, out_of_sqlite) = moved_measured(&app, &here, &there);
        assert!(report["rows"].as_u64() >= Some(count), "{report}");
        (into_sqlite, out_of_sqlite)
    });
    let [few, all] = peaks;
    assert!(
        all.0 <= few.0 + MORE_MAX_MIB && all.1 <= few.1 + MORE_MAX_MIB,
        "MiB into SQLite and out of it: {peaks:?}"
    );
}

/// Run with `--release --ignored --nocapture` to see how many rows a second there are.
#[test]
#[ignore = "a measurement"]
fn a_shop_with_a_million_rows_more_comes_back_as_it_was() {
    const LINES: i64 = 1_000_000;
    let app = App::example("chinook");
    let first = sqlite(&app, "first.db");
    app.serve_with(&["--database", &first]).terminate();
    let database = rusqlite::Connection::open(path_of(&first)).unwrap();
    let made = database.execute(
        "WITH RECURSIVE number(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number LIMIT ?1)
         INSERT INTO \"InvoiceLine\" (\"id\", \"created\", \"updated\", \"invoice\", \"track\", \"quantity\", \"unit_price\")
         SELECT 10000 + n, \"created\", \"updated\", 1 + n % 400, 1 + n % 3500, 1 + n % 9, n % 1000
         FROM number, (SELECT \"created\", \"updated\" FROM \"InvoiceLine\" LIMIT 1)",
        [LINES],
    );
    assert_eq!(i64::try_from(made.unwrap()), Ok(LINES));
    drop(database);
    let (there, back) = (Postgres::database(), sqlite(&app, "back.db"));
    let reports = [(&first, &there), (&there, &back)].map(|(from, to)| {
        let (report, memory_mib) = moved_measured(&app, from, to);
        let (count, seconds) = (report["rows"].as_i64().unwrap(), report["seconds"].as_f64().unwrap());
        assert!(count > LINES, "{report}");
        println!(
            "{from} {to}: {count} rows in {seconds:.1} s, {:.0} rows/s, {memory_mib} MiB",
            count as f64 / seconds
        );
        rows(&report)
    });
    assert_eq!(reports[0], reports[1], "the same rows have the same checksums");
}
