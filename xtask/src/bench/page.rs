//! The page that shows a run: what stands between its two marks is made of a document that is kept, and so is its picture.

use std::collections::BTreeMap;
use std::fs;

use anyhow::{Context as _, Result};

use super::{plot, report::Report};

const PAGE: &str = "docs/src/performance.md";
const PLOT: &str = "docs/src/performance.svg";
const BEGIN: &str = "<!-- made by cargo xtask bench of ";
const END: &str = "<!-- end of what is made -->";

/// Puts a kept document's table and picture in their places.
pub(super) fn write(document: &str, report: &Report) -> Result<()> {
    let page = fs::read_to_string(PAGE).with_context(|| format!("reading {PAGE}"))?;
    fs::write(PAGE, renewed(&page, document, report)?)?;
    fs::write(PLOT, plot::svg(report)).with_context(|| format!("writing {PLOT}"))
}

/// The page with what is made of a document in the place of what was made before.
fn renewed(page: &str, document: &str, report: &Report) -> Result<String> {
    let (before, rest) = page.split_once(BEGIN).with_context(|| format!("{PAGE} has no line {BEGIN}…"))?;
    let (_, after) = rest.split_once(END).with_context(|| format!("{PAGE} has no line {END}"))?;
    Ok(format!("{before}{BEGIN}{document} -->\n\n{}\n{END}{after}", made(report)))
}

fn made(report: &Report) -> String {
    let run = &report.run;
    let listed = |named: &BTreeMap<String, String>| {
        named.iter().map(|(name, what)| format!("{name} {what}")).collect::<Vec<_>>().join(", ")
    };
    let machine = |name: &str| match &run.machine[name] {
        serde_json::Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let met = |wanted| report.comparisons.iter().filter(|line| line.met == Some(wanted)).count();
    let absent = match run.absent.is_empty() {
        true => "none".to_owned(),
        false => run.absent.iter().map(|(name, why)| format!("{name}: {why}")).collect::<Vec<_>>().join("; "),
    };
    format!(
        "Measured {} at commit `{}` on {}, {} cores, {} GiB, {}; {} rows in the large table, {} rounds of {} s. {}. Absent: {absent}.\n\n\
         {} targets met, {} missed.\n\n![Ratios](performance.svg)\n\n{}",
        run.made.split('T').next().unwrap_or_default(),
        run.commit,
        machine("processor"),
        machine("cores"),
        machine("memory_gib"),
        machine("kernel"),
        run.entries,
        run.rounds,
        run.seconds,
        listed(&run.versions),
        met(true),
        met(false),
        report.table(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::{compared, report::tests::report};

    #[test]
    fn only_what_is_between_the_marks_is_made_anew() {
        let page = format!("above\n{BEGIN}old.json -->\nold\n{END}\nbelow\n");
        let renewed = renewed(&page, "new.json", &report()).expect("both marks");
        assert!(renewed.starts_with("above\n") && renewed.ends_with("\nbelow\n") && !renewed.contains("old"));
        let again = super::renewed(&renewed, "new.json", &report()).expect("both marks");
        assert_eq!(again, renewed);
    }

    /// What the book tells of speed came from a run whose document is kept.
    #[test]
    fn the_page_shows_the_document_that_it_names() {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let page = fs::read_to_string(root.join(PAGE)).expect("the page");
        let named = page.split_once(BEGIN).and_then(|(_, rest)| rest.split_once(" -->")).expect("a name").0;
        let report = compared(&root.join(named).display().to_string()).expect("the document that it names");
        assert_eq!(
            renewed(&page, named, &report).expect("both marks"),
            page,
            "cargo xtask bench page {named}"
        );
        let plot = fs::read_to_string(root.join(PLOT)).expect("the picture");
        assert_eq!(plot, plot::svg(&report), "cargo xtask bench page {named}");
        let summary = fs::read_to_string(root.join("docs/src/SUMMARY.md")).expect("the summary");
        assert!(summary.contains("(performance.md)"));
    }
}
