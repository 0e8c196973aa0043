//! What came out: a line each minute, numbers and curves in `results/`, and whether anything grew.

use std::path::Path;

use anyhow::{Result, bail};
use serde_json::json;

use super::listeners;
use super::tally::{Counts, Tally};
use crate::curve::{Chart, Curve, Scale};
use crate::fit::{self, quantile};

/// Seconds that are averaged before anything is fitted.
const BLOCK: usize = 30;
/// What grows by more than this, and not by chance, has a leak: ten bytes for each request.
const FLAT_MIB_PER_HOUR: f64 = 8.0;
/// A slope that is known less well than this says nothing.
const KNOWN_MIB_PER_HOUR: f64 = 16.0;
/// Standard errors to either side within which the truth lies nineteen times of twenty.
const ERRORS_95: f64 = 2.0;
/// How much slower the slowest requests may be in the last third than in the first.
const SLOWER: f64 = 1.5;

/// The server at one second.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sample {
    pub(super) second: f64,
    /// Resident memory, pages of files among it.
    pub(super) all_mib: f64,
    /// What the server has made itself.
    pub(super) own_mib: f64,
    pub(super) cpu_ms: f64,
}

/// Says how it stands.
pub(super) fn minute(samples: &[Sample], tally: &Tally) {
    let (counts, Some(last)) = (tally.end(), samples.last()) else { return };
    let p99 = Counts::by_minute(&counts.took_ms, 0.99);
    println!(
        "minute {:>2}: {:>6.1} MiB, {:>6.1} of its own; p99 {:>6.2} ms; {} errors",
        samples.len() / 60,
        last.all_mib,
        last.own_mib,
        p99.get(samples.len() / 60 - 1).copied().unwrap_or(f64::NAN),
        counts.errors
    );
}

/// What there is when it is over.
pub(super) struct End<'e> {
    /// What the files are called.
    pub(super) name: &'static str,
    pub(super) samples: &'e [Sample],
    pub(super) counts: &'e Counts,
    pub(super) database_bytes: u64,
}

/// Writes everything, prints what matters, and fails where something grew.
pub(super) fn write(end: &End<'_>) -> Result<()> {
    let End { name, samples, counts, database_bytes } = *end;
    let blocks: Vec<f64> = samples
        .chunks_exact(BLOCK)
        .map(|block| block.iter().map(|sample| sample.own_mib).sum::<f64>() / BLOCK as f64)
        .collect();
    let warm = &samples[fit::warm_up(&blocks) * BLOCK..];
    let warm_up_minutes = warm.first().map_or(f64::NAN, |sample| sample.second / 60.0);
    let slope = |of: fn(&Sample) -> f64| {
        let points: Vec<(f64, f64)> =
            warm.iter().map(|sample| (sample.second / 3600.0, of(sample))).collect();
        fit::line(&points, BLOCK).unwrap_or(fit::Line { slope: f64::NAN, error: f64::NAN })
    };
    let (all, own) = (slope(|sample| sample.all_mib), slope(|sample| sample.own_mib));
    let p50 = Counts::by_minute(&counts.took_ms, 0.5);
    let p99 = Counts::by_minute(&counts.took_ms, 0.99);
    let told = Counts::by_minute(&counts.told_ms, 0.99);
    let requests: usize = counts.took_ms.iter().map(Vec::len).sum();
    let third = p99.len() / 3;
    let slower = quantile(&mut p99[p99.len() - third.max(1)..].to_vec(), 0.5)
        / quantile(&mut p99[..third.max(1)].to_vec(), 0.5);
    let cpu_us =
        samples.last().map_or(f64::NAN, |last| (last.cpu_ms - samples[0].cpu_ms) * 1000.0) / requests as f64;

    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("results");
    std::fs::create_dir_all(&folder)?;
    let document = json!({
        "seconds": samples.last().map(|sample| sample.second), "requests": requests, "done": counts.done,
        "errors": counts.errors, "errors_shown": counts.errors_shown, "cpu_us_per_request": cpu_us,
        "database_bytes": database_bytes, "warm_up_minutes": warm_up_minutes,
        "slope_mib_per_hour": {"all": all.slope, "all_error": all.error, "own": own.slope, "own_error": own.error},
        "p50_ms_by_minute": p50, "p99_ms_by_minute": p99, "told_p99_ms_by_minute": told, "p99_last_beside_first": slower,
        "memory": samples.iter().map(|sample| json!([sample.second.round(), sample.all_mib, sample.own_mib])).collect::<Vec<_>>(),
    });
    std::fs::write(folder.join(format!("{name}.json")), serde_json::to_string_pretty(&document)?)?;
    let memory = |name: &str, of: fn(&Sample) -> f64| Curve {
        name: name.to_owned(),
        points: samples.iter().step_by(10).map(|sample| (sample.second / 60.0, of(sample))).collect(),
    };
    let chart = Chart {
        title: "Memory under mixed load",
        x: ("minutes", Scale::Linear),
        y: ("MiB", Scale::Linear),
        curves: vec![
            memory("resident", |sample| sample.all_mib),
            memory("without pages of files", |sample| sample.own_mib),
        ],
    };
    std::fs::write(folder.join(format!("{name}-memory.svg")), chart.svg())?;
    let by_minute = |name: &str, values: &[f64]| Curve {
        name: name.to_owned(),
        points: values.iter().enumerate().map(|(minute, ms)| (minute as f64 + 1.0, *ms)).collect(),
    };
    let chart = Chart {
        title: "Times under mixed load",
        x: ("minutes", Scale::Linear),
        y: ("ms", Scale::Log),
        curves: vec![
            by_minute("requests, p99", &p99),
            by_minute("requests, median", &p50),
            by_minute("change told, p99", &told),
        ],
    };
    std::fs::write(folder.join(format!("{name}-times.svg")), chart.svg())?;

    println!(
        "{requests} requests, {cpu_us:.0} µs of processor time each with all that goes on beside; {:?}",
        counts.done
    );
    println!("errors                                {:>8}  (target 0)", counts.errors);
    println!(
        "warm-up, by its own memory            {warm_up_minutes:>8.1} min of {:.1}",
        samples.len() as f64 / 60.0
    );
    println!(
        "memory, pages of files among it       {:>+8.2} ± {:.2} MiB/h",
        all.slope,
        ERRORS_95 * all.error
    );
    println!(
        "memory of its own                     {:>+8.2} ± {:.2} MiB/h  (target < {FLAT_MIB_PER_HOUR})",
        own.slope,
        ERRORS_95 * own.error
    );
    println!("p99 of the last third beside the first {slower:>7.2}  (target < {SLOWER})");
    let mut failed = Vec::new();
    if counts.errors > 0 {
        failed.push("there were errors".to_owned());
    }
    for what in listeners::EXPECTED {
        if !counts.done.contains_key(what) {
            failed.push(format!("no subscriber {what}"));
        }
    }
    // What chance alone could do is no leak, and what chance could hide is not known.
    let chance = ERRORS_95 * own.error;
    if own.slope.is_nan() || chance > KNOWN_MIB_PER_HOUR {
        failed.push("it was too short to tell whether memory grows".to_owned());
    } else if own.slope - chance > FLAT_MIB_PER_HOUR {
        failed.push("memory grows".to_owned());
    }
    if slower > SLOWER {
        failed.push("requests get slower".to_owned());
    }
    if failed.is_empty() { Ok(()) } else { bail!("{}", failed.join(", ")) }
}
