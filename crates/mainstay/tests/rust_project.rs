//! A project that `mainstay new --rust` makes: it builds against this source, passes its own test, and an error in its `.stay`
//! file is the compiler's, at its place.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed, and says where")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Where this test was built: what the project depends on is built there already.
fn target() -> PathBuf {
    Path::new(env!("CARGO_BIN_EXE_mainstay")).ancestors().nth(2).unwrap().to_owned()
}

fn cargo(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO"))
        .args(arguments)
        .arg("--offline")
        .current_dir(folder)
        .env("CARGO_TARGET_DIR", target())
        .env("CARGO_TERM_COLOR", "never")
        .output()
        .unwrap()
}

fn words(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[test]
fn a_new_project_passes_its_own_test() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = tempfile::tempdir().unwrap();
    let project = folder.path().join("shop");
    let made = Command::new(env!("CARGO_BIN_EXE_mainstay"))
        .args(["new", "--rust", "shop", "--mainstay"])
        .arg(here)
        .current_dir(folder.path())
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", words(&made));
    // The versions that are here, without asking a registry.
    fs::copy(here.join("../../Cargo.lock"), project.join("Cargo.lock")).unwrap();
    // Built as everything here is, so that what it depends on is not built once more.
    let workspace = fs::read_to_string(here.join("../../Cargo.toml")).unwrap();
    let (_, profile) = workspace.split_once("[profile.dev]").unwrap();
    let (profile, _) = profile.split_once("[profile.release]").unwrap();
    let manifest = project.join("Cargo.toml");
    let own = fs::read_to_string(&manifest).unwrap();
    fs::write(&manifest, format!("{own}\n[profile.dev]{profile}")).unwrap();
    let tested = cargo(&project, &["test"]);
    assert!(tested.status.success(), "{}", words(&tested));
    assert!(words(&tested).contains("test a_task_is_its_owners ... ok"), "{}", words(&tested));
    // What is wrong with a .stay file is told where it stands.
    let stay = project.join("app/shop.stay");
    let text = fs::read_to_string(&stay).unwrap().replace("due    date?", "due    dat?");
    let line = text.lines().position(|line| line.contains("due    dat?")).unwrap() + 1;
    fs::write(&stay, text).unwrap();
    let checked = cargo(&project, &["build"]);
    let words = words(&checked);
    assert!(!checked.status.success() && words.contains(&format!("app/shop.stay:{line}:")), "{words}");
    assert!(words.contains("due    dat?") && words.contains("date"), "{words}");
}

#[test]
fn without_a_path_the_published_version_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let made = Command::new(env!("CARGO_BIN_EXE_mainstay"))
        .args(["new", "--rust", "shop"])
        .current_dir(folder.path())
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", words(&made));
    let manifest = fs::read_to_string(folder.path().join("shop/Cargo.toml")).unwrap();
    assert!(manifest.contains(&format!("mainstay = \"{}\"", env!("CARGO_PKG_VERSION"))), "{manifest}");
}
