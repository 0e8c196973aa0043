//! The steps of a full test, each a command or a few.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::machine::{has, run, run_silently};

/// One layout for all code.
pub(crate) fn format() -> Result<()> {
    run("cargo", &["fmt", "--all", "--check"])?;
    // A workspace of its own.
    run("cargo", &["fmt", "--manifest-path", "bench/Cargo.toml", "--check"])
}

/// No warning is let through.
pub(crate) fn lints() -> Result<()> {
    run("cargo", &["clippy", "--workspace", "--all-targets", "--quiet", "--", "-D", "warnings"])
}

/// The mail server that tests send to.
fn mail_server() -> Result<()> {
    const PYTHON: &str = "target/aiosmtpd/bin/python";
    if !Path::new(PYTHON).exists() {
        run("python3", &["-m", "venv", "target/aiosmtpd"])?;
        run(PYTHON, &["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "aiosmtpd==1.4.*"])?;
    }
    Ok(())
}

/// Clients of OpenFeature, for the protocol that flags are evaluated by.
fn openfeature() -> Result<()> {
    npm_packages(
        "target/openfeature",
        &[
            "@openfeature/ofrep-provider@0.1.3",
            "@openfeature/server-sdk@1.23.0",
            "@openfeature/ofrep-web-provider@0.4.3",
            "@openfeature/web-sdk@1.10.0",
        ],
    )
}

/// A provider to sign in by, for `OpenID` Connect.
fn oidc_provider() -> Result<()> {
    npm_packages("target/oidc-provider", &["oidc-provider@9.13.3"])
}

/// Installs packages of npm where tests look for them, once.
pub(crate) fn npm_packages(folder: &str, packages: &[&str]) -> Result<()> {
    if !Path::new(folder).join("node_modules").exists() {
        std::fs::create_dir_all(folder)?;
        std::fs::write(Path::new(folder).join("package.json"), "{\"private\": true}\n")?;
        let install =
            ["install", "--prefix", folder, "--ignore-scripts", "--no-audit", "--no-fund", "--silent"];
        run("npm", &[&install[..], packages].concat())?;
    }
    Ok(())
}

/// An identity provider that speaks SAML, and one that has artifacts.
fn saml() -> Result<()> {
    npm_packages("target/saml", &["samlp@8.0.0", "express@5.3.0"])?;
    const PYTHON: &str = "target/pysaml2/bin/python";
    if !Path::new(PYTHON).exists() {
        run("python3", &["-m", "venv", "target/pysaml2"])?;
        run(PYTHON, &["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "pysaml2==7.5.*"])?;
    }
    Ok(())
}

/// Every test of every crate; nextest runs each in a process of its own where it is installed.
pub(crate) fn tests() -> Result<()> {
    mail_server()?;
    openfeature()?;
    oidc_provider()?;
    saml()?;
    if has("cargo-nextest") {
        run("cargo", &["nextest", "run", "--workspace", "--no-fail-fast"])
    } else {
        run("cargo", &["test", "--workspace", "--all-targets", "--no-fail-fast"])
    }
}

/// How much is tried by way of the pooler.
pub(crate) enum Pooled {
    /// What the server promises, in less than a minute.
    Server,
    /// The engine's tests too, and those that take long.
    All,
}

/// Tests on PostgreSQL once more, by way of `PgBouncer` in transaction mode.
pub(crate) fn pooled_tests(tried: &Pooled) -> Result<()> {
    let has_nextest = has("cargo-nextest");
    let mut words = vec!["MAINSTAY_TEST_POOLER=yes", "cargo"];
    words.extend(if has_nextest {
        &["nextest", "run", "--no-fail-fast"][..]
    } else {
        &["test", "--no-fail-fast"]
    });
    words.extend(["--package", "mainstay", "--test", "acceptance_postgres"]);
    match (tried, has_nextest) {
        (Pooled::All, _) => {
            words.extend([
                "--package",
                "mainstay-engine",
                "--test",
                "read_postgres",
                "--test",
                "write_postgres",
            ]);
        }
        (Pooled::Server, true) => words.extend(["-E", "not test(/^(import_export|bad_input)::/)"]),
        (Pooled::Server, false) => words.extend(["--", "--skip", "import_export", "--skip", "bad_input"]),
    }
    run("env", &words)
}

/// The examples in the code's documentation.
pub(crate) fn doc_tests() -> Result<()> {
    run("cargo", &["test", "--workspace", "--doc", "--quiet"])
}

/// The tests that make random cases, with so many of them that a rare one comes up.
pub(crate) fn oracle(cases: &str) -> Result<()> {
    let cases = format!("MAINSTAY_ORACLE_CASES={cases}");
    let cargo = ["cargo", "test", "--release", "--package", "mainstay-testkit", "--tests"];
    let words: Vec<&str> = [cases.as_str()].into_iter().chain(cargo).chain(["--", "--nocapture"]).collect();
    run("env", &words)
}

/// How long a fuzz target runs.
pub(crate) enum Fuzzing {
    /// So many inputs, the same each time: for a test.
    Runs(u32),
    /// So long, other inputs each time: for a search.
    Seconds(u32),
}

/// Every fuzz target, from its kept corpus on.
pub(crate) fn fuzz(fuzzing: &Fuzzing) -> Result<()> {
    if !run_silently("rustup", &["toolchain", "list"])?.contains("nightly") {
        bail!("fuzzing needs a nightly toolchain: rustup toolchain install nightly");
    }
    if !has("cargo-fuzz") {
        run("cargo", &["install", "--locked", "--quiet", "cargo-fuzz"])?;
    }
    let listed = run_silently("cargo", &["+nightly", "fuzz", "list"])?;
    let (length, seed) = match fuzzing {
        Fuzzing::Runs(runs) => (format!("-runs={runs}"), "-seed=1"),
        Fuzzing::Seconds(seconds) => (format!("-max_total_time={seconds}"), "-seed=0"),
    };
    for target in listed.lines().filter(|line| !line.is_empty()) {
        // New inputs go to a folder beside, so that the kept corpus changes only when somebody means it.
        let found = format!("fuzz/target/found/{target}");
        let kept = format!("fuzz/corpus/{target}");
        fs::create_dir_all(&found).with_context(|| format!("making {found}"))?;
        let words = [
            "+nightly",
            "fuzz",
            "run",
            target,
            &found,
            &kept,
            "--",
            &length,
            seed,
            "-timeout=10",
            "-rss_limit_mb=4096",
        ];
        run("cargo", &words)?;
    }
    Ok(())
}

/// No answer is a fault of the server, and each is described by the document. What may be refused beyond the document
/// is left to `cargo xtask api`, whose findings need a person's judgement when rules or rows of the example change.
pub(crate) const CONFORMANCE: &str = "not_a_server_error,status_code_conformance,content_type_conformance,\
     response_headers_conformance,response_schema_conformance,unsupported_method";

/// The server's answers against its own OpenAPI document.
pub(crate) fn api(checks: &str) -> Result<()> {
    const PYTHON: &str = "target/schemathesis/bin/python";
    if !Path::new(PYTHON).exists() {
        run("python3", &["-m", "venv", "target/schemathesis"])?;
    }
    run(PYTHON, &["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "schemathesis==4.*"])?;
    run("cargo", &["build", "--quiet", "--package", "mainstay"])?;
    run(PYTHON, &["xtask/src/api.py", checks])
}
