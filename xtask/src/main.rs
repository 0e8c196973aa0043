//! `cargo xtask test`: everything that has to hold, on a machine that has nothing but Rust.
//!
//! It installs what is missing and says so, then runs the steps in order of their price, so that a misplaced comma
//! fails in seconds. `.ci/run` calls the same command.

mod bench;
mod instructions;
mod machine;
mod mutate;
mod steps;
mod tidy;

use std::process::ExitCode;

use anyhow::{Result, bail};

use crate::instructions::Below;
use crate::steps::{Fuzzing, Pooled};

const USAGE: &str = "\
cargo xtask test            everything: format, lints, tests, some by way of PgBouncer, documents, instruction counts, fuzzing in short, the API's document
cargo xtask test --quick    format, lints, tests
cargo xtask instructions [--lower]  instructions per request beside their budget; lowers it to what was counted
cargo xtask tidy            the house rules that no lint knows
cargo xtask pooled          all tests of engine and server on PostgreSQL by way of PgBouncer
cargo xtask fuzz [SECONDS]  every fuzz target for so long (60)
cargo xtask oracle [CASES]  the random tests, so many cases each (1000000), optimised
cargo xtask mutate [WORD…]  whether the oracle notices when a rule is not asked: every mutant, or those about a word
cargo xtask bench [WORD…]   Mainstay beside others: ratios, kept and shown in the book; with words only rows that have one, shown here
cargo xtask bench --quick   the same in three minutes, shown here
cargo xtask bench page FILE the book's table and picture, made again of a document that is kept
cargo xtask api             the server's answers against its own OpenAPI document (Schemathesis, every check)
";

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match run(&words) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(words: &[&str]) -> Result<()> {
    match words {
        ["test"] => {
            quick()?;
            steps::pooled_tests(&Pooled::Server)?;
            steps::doc_tests()?;
            instructions::check(Below::Told)?;
            steps::fuzz(&Fuzzing::Runs(2000))?;
            steps::api(steps::CONFORMANCE)
        }
        ["test", "--quick"] => quick(),
        ["pooled"] => steps::pooled_tests(&Pooled::All),
        ["instructions"] => instructions::check(Below::Told),
        ["instructions", "--lower"] => instructions::check(Below::Kept),
        ["tidy"] => tidy::run(),
        ["fuzz"] => steps::fuzz(&Fuzzing::Seconds(60)),
        ["fuzz", seconds] => steps::fuzz(&Fuzzing::Seconds(seconds.parse()?)),
        ["oracle"] => steps::oracle("1000000"),
        ["oracle", cases] => steps::oracle(cases),
        ["mutate", words @ ..] => mutate::run(words),
        ["bench", "page", path] => bench::page(path),
        ["bench", "--quick", words @ ..] => bench::measure(bench::Length::Quick, words),
        ["bench", words @ ..] => bench::measure(bench::Length::Whole, words),
        ["api"] => steps::api("all"),
        _ => bail!("unknown command\n{USAGE}"),
    }
}

fn quick() -> Result<()> {
    machine::prepare()?;
    tidy::run()?;
    steps::format()?;
    steps::lints()?;
    steps::tests()
}
