//! Ratios of a run: of each row and each system beside Mainstay the least, the median and the most of all rounds, and whether what was
//! promised is met. Numbers of one round are compared with each other alone, because the machine's moods meet all systems of a round.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The system that the others are held against.
const OURS: &str = "Mainstay";

/// What the benchmark measured, and what follows from it.
#[derive(Serialize, Deserialize)]
pub(super) struct Report {
    #[serde(flatten)]
    pub(super) run: Run,
    #[serde(default)]
    pub(super) comparisons: Vec<Comparison>,
}

#[derive(Serialize, Deserialize)]
pub(super) struct Run {
    pub(super) made: String,
    pub(super) commit: String,
    pub(super) machine: Value,
    pub(super) entries: u64,
    pub(super) rounds: u64,
    pub(super) seconds: u64,
    pub(super) versions: BTreeMap<String, String>,
    pub(super) absent: BTreeMap<String, String>,
    pub(super) rows: Vec<Row>,
}

#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Row {
    pub(super) name: String,
    pub(super) on: String,
    pub(super) connections: Option<u64>,
    pub(super) unit: String,
    pub(super) better: String,
    pub(super) systems: BTreeMap<String, Measured>,
    pub(super) without: BTreeMap<String, String>,
    pub(super) targets: Vec<Target>,
}

#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Measured {
    pub(super) rounds: Vec<f64>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) p99_ms: Vec<f64>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) cpu_us: Vec<f64>,
}

#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Target {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) beside: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) at_least: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) below: Option<f64>,
}

/// One line of the table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Comparison {
    pub(super) row: String,
    pub(super) on: String,
    pub(super) connections: Option<u64>,
    /// Beside whom; without one, Mainstay's number by itself.
    pub(super) beside: Option<String>,
    /// Medians, in the unit of the row.
    pub(super) ours: Option<f64>,
    pub(super) theirs: Option<f64>,
    /// Ours by theirs, so that more is better for more of something.
    pub(super) ratio: Option<Spread>,
    pub(super) target: Option<String>,
    pub(super) met: Option<bool>,
    /// Why there is no number.
    pub(super) why: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Spread {
    pub(super) min: f64,
    pub(super) median: f64,
    pub(super) max: f64,
}

impl Spread {
    pub(super) fn of(values: &[f64]) -> Option<Spread> {
        let mut values: Vec<f64> = values.iter().copied().filter(|value| value.is_finite()).collect();
        values.sort_by(f64::total_cmp);
        let (min, max) = (*values.first()?, *values.last()?);
        let middle = values.len() / 2;
        let median = match values.len() % 2 {
            0 => f64::midpoint(values[middle - 1], values[middle]),
            _ => values[middle],
        };
        Some(Spread { min, median, max })
    }
}

impl Report {
    /// Compares what was measured.
    pub(super) fn of(run: Run) -> Report {
        let comparisons = run.rows.iter().flat_map(|row| compared(row, &run.absent)).collect();
        Report { run, comparisons }
    }

    /// Where it is kept: by its day and commit.
    pub(super) fn path(&self) -> String {
        let day = self.run.made.split('T').next().unwrap_or_default();
        format!("{}/{day}-{}.json", super::RESULTS, self.run.commit)
    }

    /// The table in Markdown.
    pub(super) fn table(&self) -> String {
        let mut table = String::from(
            "| row | on | connections | beside | ours | theirs | ratio (least–most) | target | |\n|---|---|--:|---|--:|--:|--:|--:|---|\n",
        );
        for line in &self.comparisons {
            let verdict = match line.met {
                Some(true) => "met",
                Some(false) => "**missed**",
                None => line.why.as_deref().unwrap_or_default(),
            };
            let connections = line.connections.map(|n| n.to_string()).unwrap_or_default();
            let ratio = line.ratio.map(|Spread { min, median, max }| match min == max {
                true => shown(median),
                false => format!("{} ({}–{})", shown(median), shown(min), shown(max)),
            });
            writeln!(
                table,
                "| {} | {} | {connections} | {} | {} | {} | {} | {} | {verdict} |",
                line.row,
                line.on,
                line.beside.as_deref().unwrap_or_default(),
                line.ours.map(shown).unwrap_or_default(),
                line.theirs.map(shown).unwrap_or_default(),
                ratio.unwrap_or_default(),
                line.target.as_deref().unwrap_or_default(),
            )
            .expect("text takes text");
        }
        table
    }
}

/// Mainstay beside each other system of a row, and by itself where that has a target.
fn compared(row: &Row, absent: &BTreeMap<String, String>) -> Vec<Comparison> {
    let ours = row.systems.get(OURS);
    let line = |beside: Option<&str>| Comparison {
        row: row.name.clone(),
        on: row.on.clone(),
        connections: row.connections,
        beside: beside.map(str::to_owned),
        ours: ours.and_then(|ours| Spread::of(&ours.rounds)).map(|spread| spread.median),
        theirs: None,
        ratio: None,
        target: None,
        met: None,
        why: None,
    };
    let mut lines = Vec::new();
    for target in row.targets.iter().filter(|target| target.beside.is_none()) {
        let mut own = line(None);
        own.target = Some(match (target.at_least, target.below) {
            (Some(least), _) => format!("≥ {} {}", shown(least), row.unit),
            (_, below) => format!("< {} {}", below.map(shown).unwrap_or_default(), row.unit),
        });
        own.met = own.ours.map(|ours| {
            target.at_least.is_none_or(|least| ours >= least) && target.below.is_none_or(|below| ours < below)
        });
        lines.push(own);
    }
    let mut others: Vec<&String> = row.systems.keys().filter(|name| *name != OURS).collect();
    // Those with a target first.
    others.sort_by_key(|name| !row.targets.iter().any(|target| target.beside.as_ref() == Some(name)));
    for name in others {
        let theirs = &row.systems[name];
        let mut other = line(Some(name));
        other.theirs = Spread::of(&theirs.rounds).map(|spread| spread.median);
        if let Some(ours) = ours {
            let rounds: Vec<f64> = ours.rounds.iter().zip(&theirs.rounds).map(|(a, b)| a / b).collect();
            other.ratio = Spread::of(&rounds);
        }
        let target = row.targets.iter().find(|target| target.beside.as_ref() == Some(name));
        if let Some(least) = target.and_then(|target| target.at_least) {
            other.target = Some(format!("≥ {}", shown(least)));
            other.met = other.ratio.map(|ratio| ratio.median >= least);
        }
        lines.push(other);
    }
    for (name, why) in &row.without {
        lines.push(Comparison { why: Some(why.clone()), ..line(Some(name)) });
    }
    // Those that a target names and that are not there at all.
    for target in &row.targets {
        let Some(name) = &target.beside else { continue };
        if let Some(why) = absent.get(name).filter(|_| !row.without.contains_key(name)) {
            lines.push(Comparison { why: Some(format!("ABSENT: {why}")), ..line(Some(name)) });
        }
    }
    lines
}

/// As many digits as are worth something.
pub(super) fn shown(number: f64) -> String {
    match number.abs() {
        size if size >= 100.0 => format!("{number:.0}"),
        size if size >= 10.0 => format!("{number:.1}"),
        _ => format!("{number:.2}"),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    fn measured(rounds: &[f64]) -> Measured {
        Measured { rounds: rounds.to_vec(), p99_ms: Vec::new(), cpu_us: Vec::new() }
    }

    pub(in super::super) fn report() -> Report {
        let target = |beside: &str, least| Target {
            beside: Some(beside.to_owned()),
            at_least: Some(least),
            below: None,
        };
        let row = Row {
            name: "get <by> id".to_owned(),
            on: "SQLite".to_owned(),
            connections: Some(32),
            unit: "requests/s".to_owned(),
            better: "more".to_owned(),
            systems: BTreeMap::from([
                (OURS.to_owned(), measured(&[80.0, 100.0, 90.0])),
                ("by hand".to_owned(), measured(&[100.0, 100.0, 100.0])),
                ("PocketBase".to_owned(), measured(&[20.0, 20.0, 10.0])),
            ]),
            without: BTreeMap::from([("Parse Server".to_owned(), "cannot".to_owned())]),
            targets: vec![target("by hand", 0.85), target("PocketBase", 5.5), target("pg-boss", 2.0)],
        };
        Report::of(Run {
            made: "2026-11-28T03:00:00Z".to_owned(),
            commit: "abc".to_owned(),
            machine: Value::Null,
            entries: 1,
            rounds: 3,
            seconds: 1,
            versions: BTreeMap::new(),
            absent: BTreeMap::from([("pg-boss".to_owned(), "no npm".to_owned())]),
            rows: vec![row],
        })
    }

    #[test]
    fn a_spread_has_the_middle_of_both_middle_values() {
        assert_eq!(Spread::of(&[3.0, 1.0, 2.0]), Some(Spread { min: 1.0, median: 2.0, max: 3.0 }));
        assert_eq!(Spread::of(&[4.0, 1.0]), Some(Spread { min: 1.0, median: 2.5, max: 4.0 }));
        assert_eq!(Spread::of(&[f64::NAN]), None);
    }

    #[test]
    fn ratios_are_of_one_round_each_and_targets_are_of_their_median() {
        let report = report();
        let found = |name: &str| {
            report.comparisons.iter().find(|line| line.beside.as_deref() == Some(name)).expect("a line")
        };
        let hand = found("by hand");
        assert_eq!(hand.ratio, Some(Spread { min: 0.8, median: 0.9, max: 1.0 }));
        assert_eq!((hand.ours, hand.theirs, hand.met), (Some(90.0), Some(100.0), Some(true)));
        // The median of 4, 5 and 9, not the ratio of medians.
        let peer = found("PocketBase");
        assert_eq!((peer.ratio.map(|ratio| ratio.median), peer.met), (Some(5.0), Some(false)));
        assert_eq!(report.path(), "bench/results/2026-11-28-abc.json");
    }

    #[test]
    fn nobody_is_left_out_of_the_table_in_silence() {
        let table = report().table();
        assert!(table.contains("| Parse Server | 90.0 |  |  |  | cannot |"), "{table}");
        assert!(table.contains("| pg-boss | 90.0 |  |  |  | ABSENT: no npm |"), "{table}");
        assert!(table.contains("| 0.90 (0.80–1.00) | ≥ 0.85 | met |"), "{table}");
        assert!(table.contains("| 5.00 (4.00–9.00) | ≥ 5.50 | **missed** |"), "{table}");
    }
}
