//! `cargo xtask mutate`: whether the oracle would notice.
//!
//! Each [`Mutant`] is a patch that breaks one promise of the product: a rule that is not asked, a value that is not
//! hidden, a row that is skipped. They are applied one at a time to a copy of the workspace, never to the workspace, and
//! the oracle's test has to find a difference there. A mutant that survives is a hole in the oracle; one that no longer
//! applies, or no longer compiles, is an error, because it proves nothing any more.

mod live;
mod table;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};

use self::table::MUTANTS;
use crate::machine::run_silently;

/// One way to break the product.
struct Mutant {
    /// What is wrong then, in a few words: `cargo xtask mutate WORD…` picks those that have one.
    what: &'static str,
    /// The file, from the root of the workspace.
    file: &'static str,
    /// What stands there exactly once.
    find: &'static str,
    /// What stands there instead.
    replace: &'static str,
    /// The test that must find a difference.
    test: Test,
}

/// A test of `crates/testkit/tests`.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Test {
    Agreement,
    Reads,
    Writes,
    Rest,
    Live,
}

impl Test {
    const ALL: [Test; 5] = [Test::Agreement, Test::Reads, Test::Writes, Test::Rest, Test::Live];

    fn file(self) -> &'static str {
        match self {
            Test::Agreement => "agreement",
            Test::Reads | Test::Writes => "oracle",
            Test::Rest => "rest",
            Test::Live => "live",
        }
    }

    fn name(self) -> &'static str {
        match self {
            Test::Agreement => "three_evaluators_agree",
            Test::Reads => "reads_answer_what_the_oracle_says",
            Test::Writes => "writes_leave_what_the_oracle_says",
            Test::Rest => "rest_answers_as_the_query_language_does",
            Test::Live => "subscribers_hold_what_their_own_reads_show",
        }
    }

    /// What it writes where it found a difference, and nothing else does.
    fn difference(self) -> &'static str {
        match self {
            Test::Agreement => "\nnaive: ",
            Test::Reads | Test::Writes => "\n--- expected\n",
            Test::Rest => "\n right: ",
            Test::Live => " subscribed to ",
        }
    }
}

/// Requests until a mutant counts as a survivor. It stops at the first difference, so only survivors need all of them.
const CASES: &str = "20000";
/// The copy and what is built of it: kept, so that the next run builds the changed crates alone.
const FOLDER: &str = "target/mutants";

/// Runs the mutants that are about one of the words, or all of them.
pub(crate) fn run(words: &[&str]) -> Result<()> {
    let copy = Copy::make()?;
    let is_wanted =
        |mutant: &&Mutant| words.is_empty() || words.iter().any(|word| mutant.what.contains(word));
    let mutants: Vec<&Mutant> = MUTANTS.iter().chain(live::MUTANTS).filter(is_wanted).collect();
    ensure!(!mutants.is_empty(), "no mutant is about {words:?}");
    for mutant in &mutants {
        copy.mutated(mutant)?;
    }
    for test in Test::ALL.into_iter().filter(|test| mutants.iter().any(|mutant| mutant.test == *test)) {
        copy.build("the workspace as it is", test)?;
        ensure!(!copy.finds_difference(test)?, "{} fails without any mutant", test.name());
    }
    let mut survivors = Vec::new();
    for mutant in mutants {
        let started = Instant::now();
        let found = copy.try_out(mutant)?;
        let verdict = if found { "killed  " } else { "SURVIVED" };
        eprintln!("{verdict} {:>3} s  {}", started.elapsed().as_secs(), mutant.what);
        survivors.extend((!found).then_some(mutant.what));
    }
    ensure!(survivors.is_empty(), "the oracle does not notice: {}", survivors.join("; "));
    Ok(())
}

/// A copy of the workspace.
struct Copy {
    root: PathBuf,
}

impl Copy {
    /// What is tracked or new in the workspace. Files that are the same stay untouched, so that nothing is built twice.
    fn make() -> Result<Copy> {
        let root = Path::new(FOLDER).join("workspace");
        let listed = run_silently("git", &["ls-files", "--cached", "--others", "--exclude-standard"])?;
        let files: Vec<&Path> = listed.lines().map(Path::new).filter(|path| path.is_file()).collect();
        for path in &files {
            let text = fs::read(path).with_context(|| format!("reading {}", path.display()))?;
            write(&root.join(path), &text)?;
        }
        Ok(Copy { root })
    }

    /// The text of a mutant's file with and without it.
    fn mutated(&self, mutant: &Mutant) -> Result<(String, String)> {
        let text = fs::read_to_string(mutant.file).with_context(|| format!("reading {}", mutant.file))?;
        let places = text.matches(mutant.find).count();
        if places != 1 {
            bail!("{}: {} has its text {places} times, not once:\n{}", mutant.what, mutant.file, mutant.find);
        }
        Ok((text.replacen(mutant.find, mutant.replace, 1), text))
    }

    /// Whether the oracle finds a difference in the mutant.
    fn try_out(&self, mutant: &Mutant) -> Result<bool> {
        let (mutated, text) = self.mutated(mutant)?;
        let path = self.root.join(mutant.file);
        write(&path, mutated.as_bytes())?;
        let found = self.build(mutant.what, mutant.test).and_then(|()| self.finds_difference(mutant.test));
        write(&path, text.as_bytes())?;
        found
    }

    fn cargo(&self, test: Test, words: &[&str]) -> Command {
        let mut command = Command::new("cargo");
        // Warnings are the mutant's, not ours. The folder of what is built is the same for all of them.
        command.args(["test", "--quiet", "--package", "mainstay-testkit", "--test", test.file()]).args(words);
        command.current_dir(&self.root).env("CARGO_TARGET_DIR", "../target").stdin(Stdio::null());
        command.env("MAINSTAY_ORACLE_CASES", CASES).env("MAINSTAY_ORACLE_SHRINK", "0");
        command.env("RUSTFLAGS", "--cap-lints=allow");
        command
    }

    fn build(&self, what: &str, test: Test) -> Result<()> {
        let output = self.cargo(test, &["--no-run"]).output().context("starting cargo")?;
        let words = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{what}: does not compile\n{words}");
        Ok(())
    }

    fn finds_difference(&self, test: Test) -> Result<bool> {
        let output = self.cargo(test, &["--", "--exact", test.name()]).output().context("starting cargo")?;
        let text = String::from_utf8_lossy(&output.stdout);
        if output.status.success() {
            ensure!(text.contains("1 passed"), "{} did not run:\n{text}", test.name());
            return Ok(false);
        }
        ensure!(text.contains(test.difference()), "{} fails without a difference:\n{text}", test.name());
        Ok(true)
    }
}

fn write(path: &Path, text: &[u8]) -> Result<()> {
    if fs::read(path).is_ok_and(|held| held == text) {
        return Ok(());
    }
    let place = || format!("writing {}", path.display());
    path.parent().map_or(Ok(()), fs::create_dir_all).with_context(place)?;
    fs::write(path, text).with_context(place)
}
