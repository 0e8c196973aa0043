//! The reference pages of the book beside the code that they describe: what a page shows is an app without errors, and
//! what it lists is what there is.

use std::fs;
use std::path::Path;

use mainstay_engine::prelude;
use mainstay_lang::analyse::analyse;
use mainstay_lang::capability::CAPABILITIES;
use mainstay_lang::diagnostic::{Severity, render};
use mainstay_lang::format::format;
use mainstay_lang::functions::{FUNCTIONS, Returns};
use mainstay_lang::reserved::{EXPRESSION_WORDS, QUERY_WORDS};
use mainstay_lang::source::Sources;

fn page(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/src").join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The bodies of a page's blocks of a language.
fn blocks(page: &str, language: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        if let Some(info) = line.strip_prefix("```") {
            let body: Vec<&str> = lines.by_ref().take_while(|line| !line.starts_with("```")).collect();
            if info.split_whitespace().next() == Some(language) {
                found.push(body.join("\n") + "\n");
            }
        }
    }
    found
}

#[test]
fn apps_that_pages_show_have_no_errors() {
    for name in ["language.md", "rules.md"] {
        let apps = blocks(&page(name), "stay");
        assert!(!apps.is_empty(), "{name}: no app in it");
        for text in apps {
            format(&text).unwrap_or_else(|_| panic!("{name}: cannot be parsed:\n{text}"));
            let mut sources = prelude::load(Sources::default());
            sources.add(name, text);
            let mut problems = analyse(&sources).diagnostics;
            problems.retain(|problem| problem.severity == Severity::Error);
            assert!(problems.is_empty(), "{}", render(&sources, &problems, false));
        }
    }
}

#[test]
fn the_language_page_lists_every_function_and_no_other() {
    let page = page("language.md");
    let (_, rest) = page.split_once("| function | yields | |\n|---|---|---|\n").unwrap();
    let listed: Vec<&str> = rest.lines().take_while(|line| line.starts_with('|')).collect();
    let rows = FUNCTIONS.iter().map(|function| {
        let returns = match function.returns {
            Returns::Bool => "`bool`",
            Returns::Int => "`int`",
            Returns::Text => "`text`",
            Returns::Timestamp => "`timestamp`",
            Returns::Date => "`date`",
            Returns::First => "as the first",
        };
        format!("| {} | {returns} | {} |", function.usage(), function.docs)
    });
    assert_eq!(listed, rows.collect::<Vec<_>>());
}

#[test]
fn the_language_page_names_every_reserved_word_and_capability() {
    let page = page("language.md").split_whitespace().collect::<Vec<_>>().join(" ");
    for words in [EXPRESSION_WORDS.join(" "), QUERY_WORDS.join(" ")] {
        assert!(page.contains(&format!("`{words}`")), "not as the code has them: {words}");
    }
    for capability in CAPABILITIES {
        assert!(page.contains(&format!("`{}`", capability.name)), "{}", capability.name);
    }
}

/// The text of every source file below a folder.
fn sources(folder: &Path, into: &mut String) {
    for entry in fs::read_dir(folder).expect("a folder of sources") {
        let path = entry.expect("what stands in it").path();
        if path.is_dir() {
            sources(&path, into);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            into.push_str(&fs::read_to_string(path).expect("a source file"));
        }
    }
}

#[test]
fn every_test_that_the_page_of_security_names_is_there() {
    let page = page("security.md");
    let (_, table) = page.split_once("## OWASP ASVS").unwrap();
    let mut text = String::new();
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join(".."), &mut text);
    let mut rows = 0;
    for row in table.lines().filter(|line| line.starts_with("| ") && line.as_bytes()[2].is_ascii_digit()) {
        rows += 1;
        let columns: Vec<&str> = row.trim_matches('|').split(" | ").map(str::trim).collect();
        let [_, level, met, how, test] = columns[..] else { panic!("not five columns: {row}") };
        assert!(
            ["1", "2"].contains(&level) && ["met", "no", "app", "n/a"].contains(&met) && !how.is_empty(),
            "{row}"
        );
        let name = test.trim_matches(['`', ' ', '|']);
        assert!(name.is_empty() || text.contains(&format!("fn {name}()")), "there is no test {name}: {row}");
    }
    assert!(rows > 90, "{rows} rows");
}
