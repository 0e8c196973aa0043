//! `mainstay new`: a starter app that serves at once and explains itself.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde_json::json;

use crate::output::Output;

const SCHEMA: &str = include_str!("new/app.stay");
const SETTINGS: &str = include_str!("new/mainstay.toml");
const SEED: &str = include_str!("new/01_welcome.json");
const IGNORE: &str = "/data\nmainstay.local.toml\n";

/// Files of a project in Rust, by their paths in it.
const RUST: &[(&str, &str)] = &[
    ("Cargo.toml", include_str!("new/rust/Cargo.toml.txt")),
    ("src/main.rs", include_str!("new/rust/main.rs.txt")),
    ("src/lib.rs", include_str!("new/rust/lib.rs.txt")),
    ("tests/app.rs", include_str!("new/rust/test.rs.txt")),
];

/// What the app is made of.
#[derive(Clone, Debug)]
pub(crate) enum Kind {
    /// A folder of `.stay` files.
    Folder,
    /// A project in Rust around one; where Mainstay's own source is, if it is not the published one.
    Rust(Option<PathBuf>),
}

/// Makes the folder and its files; an existing folder must be empty.
pub(crate) fn run(output: Output, folder: &Path, kind: &Kind) -> Result<()> {
    let Some(name) =
        folder.file_name().and_then(|name| name.to_str()).map(app_name).filter(|name| !name.is_empty())
    else {
        bail!("{}: the last part of the path becomes the app's name and needs a letter", folder.display());
    };
    if std::fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_some()) {
        bail!("{}: is there already and not empty; nothing was changed", folder.display());
    }
    let write = |file: &str, text: &str| {
        let path = folder.join(file);
        let parent = path.parent().unwrap_or(folder);
        std::fs::create_dir_all(parent).with_context(|| format!("making {}", parent.display()))?;
        std::fs::write(&path, text).with_context(|| format!("writing {}", path.display()))
    };
    let app = if let Kind::Rust(_) = kind { "app/" } else { "" };
    write(&format!("{app}{name}.stay"), &SCHEMA.replace("APP_NAME", &name))?;
    write(&format!("{app}mainstay.toml"), SETTINGS)?;
    write(&format!("{app}seed/01_welcome.json"), SEED)?;
    let shown = folder.display();
    match kind {
        Kind::Folder => {
            write(".gitignore", IGNORE)?;
            output.say(format!(
                "made {shown}\n\n  mainstay serve {shown}\n\nThen open http://127.0.0.1:4040/docs, and {shown}/{name}.stay in your editor."
            ));
        }
        Kind::Rust(path) => {
            let mainstay = match path {
                Some(path) => {
                    let path = std::path::absolute(path).with_context(|| format!("{}", path.display()))?;
                    format!("{{ path = {:?} }}", path.display().to_string())
                }
                None => format!("{:?}", env!("CARGO_PKG_VERSION")),
            };
            for (file, text) in RUST {
                write(file, &text.replace("APP_NAME", &name).replace("MAINSTAY", &mainstay))?;
            }
            write(".gitignore", "/target\n/app/data\nmainstay.local.toml\n")?;
            output.say(format!(
                "made {shown}\n\n  cd {shown}\n  cargo test\n  cargo run\n\nIts tables are in app/{name}.stay, what they cannot say in src/lib.rs."
            ));
        }
    }
    if output.json {
        output.line(&json!({"app": name, "folder": folder}).to_string())?;
    }
    Ok(())
}

/// What a folder's name gives for `app NAME`: lower-case letters, digits and `_`, a letter first.
fn app_name(folder: &str) -> String {
    let name: String = folder
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' })
        .collect();
    name.trim_matches(|c: char| !c.is_ascii_lowercase() && !c.is_ascii_digit())
        .trim_start_matches(|c: char| !c.is_ascii_lowercase())
        .to_owned()
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_starter_is_laid_out_canonically() {
        let text = super::SCHEMA.replace("APP_NAME", "shop");
        assert_eq!(mainstay_lang::format::format(&text).unwrap(), text);
    }

    #[test]
    fn names_of_apps() {
        assert_eq!(super::app_name("My Shop-2"), "my_shop_2");
        assert_eq!(super::app_name("2shop"), "shop");
        assert_eq!(super::app_name("--"), "");
    }
}
