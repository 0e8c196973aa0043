//! One connection, ten, a hundred, a thousand, each asking as fast as it is answered.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::json;

use super::subject::App;
use super::verdict::{Bound, Grown};
use crate::connection::{Ask, Connection};
use crate::servers::Server;

const APP: &str =
    "app growth\n\ntable Item {\n  title text(200)\n  rank int = 0\n  allow read, create if signed_in\n}\n";
const CONNECTIONS: [u32; 4] = [1, 10, 100, 1_000];
const SECONDS: u32 = 4;

/// What wrk reports.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Report {
    per_second: f64,
    p50_ms: f64,
    p99_ms: f64,
}

/// Measures reads and writes.
pub(super) fn run() -> Result<Vec<Grown>> {
    let folder = tempfile::tempdir()?;
    let app = App::new(folder.path().join("app"), APP, None)?;
    let (_, token) = app.user()?;
    let server = app.serve()?;
    let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let item = json!({"title": "Item", "rank": 1}).to_string();
    let made = tokio.block_on(async {
        let ask = Ask { body: item.clone(), method: "POST", ..Ask::get("/api/Item".to_owned()) };
        Connection::open(server.port).await?.ask(&token, &ask).await?.json()
    })?;
    let url = server.url(&format!("/api/Item/{}", made["id"].as_str().context("an id")?));
    let mut grown = Vec::new();
    load(&server, &url, &token, None, CONNECTIONS[1])?;
    for (kind, url, body) in [("get", url, None), ("create", server.url("/api/Item"), Some(item.as_str()))] {
        let names: [&'static str; 5] = match kind {
            "get" => ["get", "get a second", "get p50", "get p99", "memory, get"],
            _ => ["create", "create a second", "create p50", "create p99", "memory, create"],
        };
        let units = ["µs of processor", "a second", "ms", "ms", "MiB"];
        let mut points: [Vec<(f64, f64)>; 5] = Default::default();
        for connections in CONNECTIONS {
            let before = server.cpu_ms()?;
            let report = load(&server, &url, &token, body, connections)?;
            let requests = report.per_second * f64::from(SECONDS);
            let cpu_us = (server.cpu_ms()? - before) * 1000.0 / requests;
            let values = [cpu_us, report.per_second, report.p50_ms, report.p99_ms, server.memory_mib()?];
            for (points, value) in points.iter_mut().zip(values) {
                points.push((f64::from(connections), value));
            }
        }
        for (index, points) in points.into_iter().enumerate() {
            let bound = (index == 0).then_some(Bound::Flat);
            grown.push(Grown { name: names[index], axes: ("connections", units[index]), points, bound });
        }
    }
    // Processor time first: it is what is judged.
    grown.sort_by_key(|curve| curve.bound.is_none());
    Ok(grown)
}

fn load(server: &Server, url: &str, token: &str, body: Option<&str>, connections: u32) -> Result<Report> {
    debug_assert!(url.starts_with(&server.url("")), "of this server");
    let mut command = Command::new("wrk");
    command.args(["-t1", "--latency", "--timeout", "10s"]).arg(format!("-c{connections}"));
    command.arg(format!("-d{SECONDS}s")).args(["-H", &format!("Authorization: Bearer {token}")]);
    if body.is_some() {
        command.arg("-s").arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("wrk/post.lua"));
    }
    command.arg(url);
    if let Some(body) = body {
        command.args(["--", body]);
    }
    let output = command.output().context("starting wrk (apt-get install wrk)")?;
    read(&String::from_utf8_lossy(&output.stdout))
}

/// Reads what wrk says.
fn read(text: &str) -> Result<Report> {
    if let Some(line) = text.lines().find(|line| line.contains("Non-2xx") || line.contains("Socket errors")) {
        bail!("{}", line.trim());
    }
    let of = |name: &str| {
        let line = text.lines().find_map(|line| line.trim().strip_prefix(name));
        line.map(str::trim).with_context(|| format!("wrk said:\n{text}"))
    };
    Ok(Report {
        per_second: of("Requests/sec:")?.parse()?,
        p50_ms: milliseconds(of("50%")?)?,
        p99_ms: milliseconds(of("99%")?)?,
    })
}

fn milliseconds(text: &str) -> Result<f64> {
    let unit = text.trim_start_matches(|letter: char| letter.is_ascii_digit() || letter == '.');
    let number: f64 = text[..text.len() - unit.len()].parse()?;
    Ok(number
        * match unit {
            "us" => 0.001,
            "ms" => 1.0,
            "s" => 1000.0,
            "m" => 60_000.0,
            other => bail!("{other} is no unit of time"),
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_wrk_says_is_read_and_its_errors_are_errors() {
        let said = "  Latency Distribution\n     50%  512.00us\n     75%    1.00ms\n     99%    1.25s \n\
                    Requests/sec:  12345.60\n";
        assert_eq!(read(said).unwrap(), Report { per_second: 12345.6, p50_ms: 0.512, p99_ms: 1250.0 });
        assert!(read("  Non-2xx or 3xx responses: 3\n").is_err());
        assert!(milliseconds("1.0h").is_err());
    }
}
