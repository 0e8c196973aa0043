//! All rows in turn, round by round, and within a row all systems in turn: the machine's moods meet all of them alike.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Instant;

use anyhow::{Result, ensure};

use super::record::{Better, Measured, Row, Target};
use crate::scenario::Rate;
use crate::servers::Server;

/// A row with those that do the work.
pub(super) struct Work {
    pub(super) name: String,
    pub(super) on: &'static str,
    pub(super) connections: Option<u32>,
    pub(super) unit: &'static str,
    pub(super) sides: Vec<Side>,
    pub(super) without: BTreeMap<&'static str, String>,
    pub(super) targets: Vec<Target>,
    /// How long each load lasts; work that has a length of its own does not ask.
    pub(super) seconds: u32,
}

pub(super) struct Side {
    pub(super) system: &'static str,
    pub(super) work: Box<dyn Rate>,
    /// Whose processor time is counted.
    pub(super) server: Option<Rc<Server>>,
}

/// Measures so many rounds after one that is short and not counted, in which caches fill.
pub(super) fn measure(works: &[Work], rounds: u32) -> Vec<Row> {
    let mut rows: Vec<Row> = works.iter().map(row).collect();
    for round in 0..=rounds {
        let began = Instant::now();
        for (work, row) in works.iter().zip(&mut rows) {
            // Each system is first in turn.
            let mut sides: Vec<&Side> = work.sides.iter().collect();
            if round % 2 == 1 {
                sides.reverse();
            }
            for side in sides {
                let seconds = if round == 0 { 1 } else { work.seconds };
                match once(side, seconds) {
                    // Whoever is slow before caches are full may be well afterwards.
                    _ if round == 0 => {}
                    Ok(measured) => row.systems.entry(side.system).or_default().add(&measured),
                    Err(error) => {
                        eprintln!("{}, {}: {error:#}", work.name, side.system);
                        row.without.insert(side.system, format!("failed: {error:#}"));
                    }
                }
            }
        }
        let name = if round == 0 { "warm-up".to_owned() } else { format!("round {round} of {rounds}") };
        eprintln!("{name}: {:.0} s", began.elapsed().as_secs_f64());
    }
    // A system that failed once has no number that could be compared.
    for row in &mut rows {
        row.systems.retain(|system, _| !row.without.contains_key(system));
    }
    rows
}

fn once(side: &Side, seconds: u32) -> Result<Measured> {
    let cpu = |side: &Side| side.server.as_ref().map(|server| server.cpu_ms()).transpose();
    let (before, began) = (cpu(side)?, Instant::now());
    let loaded = side.work.load(seconds)?;
    ensure!(loaded.per_second > 0.0, "nothing was answered in {seconds} s");
    let answers = loaded.per_second * began.elapsed().as_secs_f64();
    let spent = before.zip(cpu(side)?).map(|(before, after)| (after - before) * 1000.0 / answers);
    Ok(Measured {
        rounds: vec![loaded.per_second],
        p99_ms: loaded.p99_ms.into_iter().collect(),
        cpu_us: spent.into_iter().collect(),
    })
}

fn row(work: &Work) -> Row {
    Row {
        name: work.name.clone(),
        on: work.on,
        connections: work.connections,
        unit: work.unit,
        better: Better::More,
        systems: BTreeMap::new(),
        without: work.without.clone(),
        targets: work.targets.clone(),
    }
}

impl Measured {
    fn add(&mut self, other: &Measured) {
        self.rounds.extend(&other.rounds);
        self.p99_ms.extend(&other.p99_ms);
        self.cpu_us.extend(&other.cpu_us);
    }
}
