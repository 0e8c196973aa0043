//! The rows that every system gets: the music of Chinook, and entries by the million, which each database makes of the same formula.

use std::path::Path;

use anyhow::{Context as _, Result};
use rusqlite::Connection;

use crate::data::{Data, fields};
use crate::postgres::server::Postgres;

/// Rows of a kind: as many as a list counts.
const OF_A_KIND: u32 = 1_000;
/// Paths that a load asks for in turn; LuaJIT keeps them all in memory.
const ASKED: u32 = 50_000;

pub(crate) struct Track {
    pub(crate) id: String,
    pub(crate) album: String,
    pub(crate) name: String,
    pub(crate) milliseconds: i64,
    pub(crate) genre: i64,
}

pub(crate) struct Rows {
    pub(crate) entries: u32,
    /// Id and name.
    pub(crate) artists: Vec<(String, String)>,
    /// Id, artist, title.
    pub(crate) albums: Vec<(String, String, String)>,
    pub(crate) tracks: Vec<Track>,
}

impl Rows {
    pub(crate) fn read(entries: u32) -> Result<Rows> {
        let artists = csv("03_Artist.csv", ["id", "name"])?;
        let albums = csv("04_Album.csv", ["id", "artist", "title"])?;
        let tracks = csv("05_Track.csv", ["id", "album", "name", "milliseconds", "genre"])?;
        let track = |[id, album, name, milliseconds, genre]: [String; 5]| {
            anyhow::Ok(Track { id, album, name, milliseconds: milliseconds.parse()?, genre: genre.parse()? })
        };
        Ok(Rows {
            entries,
            artists: artists.into_iter().map(|[id, name]| (id, name)).collect(),
            albums: albums.into_iter().map(|[id, artist, title]| (id, artist, title)).collect(),
            tracks: tracks.into_iter().map(track).collect::<Result<_>>()?,
        })
    }

    /// How many kinds of entries there are.
    pub(crate) fn kinds(&self) -> u32 {
        (self.entries / OF_A_KIND).max(1)
    }

    /// Entries all over the table, in an order that jumps; each as a peer names it.
    pub(crate) fn asked(&self, name: impl Fn(u32) -> String) -> Vec<String> {
        let count = ASKED.min(self.entries);
        // A prime that divides no number of entries visits all places.
        (0..count).map(|n| name((u64::from(n) * 611_953 % u64::from(self.entries)) as u32)).collect()
    }
}

/// The id of an entry of Mainstay's.
pub(crate) fn entry_id(number: u32) -> String {
    format!("01900000-0000-7000-8000-{number:012x}")
}

/// Fills the embedded database while no server has it.
pub(crate) fn fill_sqlite(data: &Data, rows: &Rows) -> Result<()> {
    let database = Connection::open(data.app.join("data/mainstay.db"))?;
    // Nothing of it has to survive; a server that opens it says for itself how commits wait.
    database.execute_batch("PRAGMA synchronous = OFF")?;
    database.execute(
        r#"WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < ?1 - 1)
           INSERT INTO "Entry" ("id", "created", "updated", "title", "done", "kind", "rank")
           SELECT printf('01900000-0000-7000-8000-%012x', i), '2026-01-01T00:00:00.000000Z', '2026-01-01T00:00:00.000000Z',
             'Entry number ' || i, 0, i % ?2, i FROM n"#,
        (rows.entries, rows.kinds()),
    )?;
    Ok(())
}

/// The same on PostgreSQL.
pub(crate) fn fill_postgres(postgres: &Postgres, database: &str, rows: &Rows) -> Result<()> {
    let (entries, kinds) = (rows.entries, rows.kinds());
    postgres.psql_on(
        database,
        &format!(
            r#"INSERT INTO "Entry" ("id", "created", "updated", "title", "done", "kind", "rank")
               SELECT ('01900000-0000-7000-8000-' || lpad(to_hex(i), 12, '0'))::uuid, '2026-01-01Z', '2026-01-01Z',
                 'Entry number ' || i, false, i % {kinds}, i FROM generate_series(0, {entries} - 1) i;"#
        ),
    )
}

/// Some columns of a file of Chinook.
fn csv<const N: usize>(file: &str, keep: [&str; N]) -> Result<Vec<[String; N]>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/chinook/seed").join(file);
    let text = std::fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
    let mut lines = text.lines();
    let head = fields(lines.next().context("a head line")?);
    let place = |name: &str| head.iter().position(|column| column == name).context("a column");
    let places: Vec<usize> = keep.iter().map(|name| place(name)).collect::<Result<_>>()?;
    let kept = lines.map(|line| {
        let values = fields(line);
        std::array::from_fn(|at| values.get(places[at]).cloned().unwrap_or_default())
    });
    Ok(kept.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_is_there_and_jumps() {
        let rows = Rows { entries: 1_000_000, artists: Vec::new(), albums: Vec::new(), tracks: Vec::new() };
        let asked = rows.asked(|number| number.to_string());
        let numbers: std::collections::BTreeSet<u32> = asked.iter().flat_map(|text| text.parse()).collect();
        assert_eq!(numbers.len(), 50_000);
        assert!(numbers.last().is_some_and(|last| *last > 900_000));
        assert_eq!(rows.kinds(), 1_000);
    }
}
