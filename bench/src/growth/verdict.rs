//! How fast something may grow, whether it does, and the table and the curves that tell it.

use std::path::Path;

use anyhow::Result;
use serde_json::json;

use crate::curve::{Chart, Curve, Scale};
use crate::fit;

/// What may become of a curve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bound {
    /// For all that a request is not about.
    Flat,
    /// Where an index finds the rows.
    Logarithmic,
    /// The same where the rows lie scattered over the table.
    Scattered,
    /// Where everything has to be looked at.
    Linear,
}

impl Bound {
    /// The steepest power that passes, with what a measurement varies by. A logarithm's own is 0.14 at most from a thousand on. Rows that
    /// lie scattered cost a page each: once the database is larger than what memory has of it, that page is asked of the system, and a
    /// hundred of them cost three times as much from one size to one ten times as large, which is 0.48. That step comes once; what looks
    /// at all rows grows ten times.
    fn power_max(self) -> f64 {
        match self {
            Bound::Flat => 0.2,
            Bound::Logarithmic => 0.35,
            Bound::Scattered => 0.5,
            Bound::Linear => 1.15,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Bound::Flat => "flat",
            Bound::Logarithmic => "logarithmic",
            Bound::Scattered => "logarithmic, and a page for each row",
            Bound::Linear => "linear",
        }
    }
}

/// A measured curve.
#[derive(Clone, Debug)]
pub(crate) struct Grown {
    pub(crate) name: &'static str,
    /// What x counts, and what y does.
    pub(crate) axes: (&'static str, &'static str),
    pub(crate) points: Vec<(f64, f64)>,
    /// None where it is told for orientation.
    pub(crate) bound: Option<Bound>,
}

impl Grown {
    fn is_too_fast(&self) -> bool {
        self.bound.is_some_and(|bound| fit::power(&self.points) > bound.power_max())
    }

    /// What is wrong with it, if anything.
    pub(crate) fn complaint(&self) -> Option<String> {
        let bound = self.bound.filter(|_| self.is_too_fast())?;
        let power = fit::power(&self.points);
        let values: Vec<String> = self.points.iter().map(|(x, y)| format!("{y:.1} at {x}")).collect();
        Some(format!(
            "{} ({}) grows with the power {power:.2} of {}, at most {} is {}: {}",
            self.name,
            self.axes.1,
            self.axes.0,
            bound.power_max(),
            bound.name(),
            values.join(", ")
        ))
    }
}

/// Prints a part's table and writes its numbers and curves.
pub(super) fn write(part: &str, grown: &[Grown]) -> Result<()> {
    for curve in grown {
        let values: Vec<String> =
            curve.points.iter().map(|(x, y)| format!("{:>10.1} at {x:<9}", y)).collect();
        let verdict = match curve.bound {
            None => String::new(),
            Some(bound) if curve.is_too_fast() => format!("FASTER than {}", bound.name()),
            Some(bound) => format!("{} or better", bound.name()),
        };
        println!(
            "{:11} {:34} {:14} {} power {:>5.2}  {verdict}",
            part,
            curve.name,
            curve.axes.1,
            values.join(" "),
            fit::power(&curve.points)
        );
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("results");
    std::fs::create_dir_all(&folder)?;
    let rows: Vec<serde_json::Value> = grown
        .iter()
        .map(|curve| {
            json!({"name": curve.name, "x": curve.axes.0, "y": curve.axes.1, "points": curve.points,
                "power": fit::power(&curve.points), "bound": curve.bound.map(Bound::name)})
        })
        .collect();
    std::fs::write(folder.join(format!("growth-{part}.json")), serde_json::to_string_pretty(&rows)?)?;
    // A chart for each unit; the first, processor time, is the part's own.
    let mut units: Vec<(&str, &str)> = Vec::new();
    for curve in grown.iter().filter(|curve| !units.contains(&curve.axes)).collect::<Vec<_>>() {
        if !units.contains(&curve.axes) {
            units.push(curve.axes);
        }
    }
    for (index, axes) in units.into_iter().enumerate() {
        let of_unit = grown.iter().filter(|curve| curve.axes == axes);
        let curves = of_unit
            .map(|curve| Curve { name: curve.name.to_owned(), points: curve.points.clone() })
            .collect();
        let title = format!("{part}: {} by {}", axes.1, axes.0);
        let chart = Chart { title: &title, x: (axes.0, Scale::Log), y: (axes.1, Scale::Log), curves };
        let ending = if index == 0 { String::new() } else { format!("-{index}") };
        std::fs::write(folder.join(format!("growth-{part}{ending}.svg")), chart.svg())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grown(bound: Option<Bound>, points: &[(f64, f64)]) -> Grown {
        Grown { name: "get", axes: ("rows", "µs"), points: points.to_vec(), bound }
    }

    #[test]
    fn a_scan_behind_an_index_is_complained_about_by_its_numbers() {
        let slow = grown(Some(Bound::Logarithmic), &[(1e3, 50.0), (1e5, 55.0), (1e7, 600.0)]);
        assert_eq!(
            slow.complaint().unwrap(),
            "get (µs) grows with the power 0.52 of rows, at most 0.35 is logarithmic: 50.0 at 1000, 55.0 at 100000, 600.0 at 10000000"
        );
        let fine = grown(Some(Bound::Logarithmic), &[(1e3, 50.0), (1e5, 70.0), (1e7, 100.0)]);
        assert_eq!(fine.complaint(), None);
        assert_eq!(grown(None, &slow.points).complaint(), None, "for orientation");
    }

    #[test]
    fn what_looks_at_everything_may_be_linear_and_no_more() {
        let points = |power: f64| [1e3_f64, 1e5, 1e7].map(|x| (x, x.powf(power)));
        assert_eq!(grown(Some(Bound::Linear), &points(1.0)).complaint(), None);
        assert!(grown(Some(Bound::Linear), &points(2.0)).complaint().is_some());
    }
}
