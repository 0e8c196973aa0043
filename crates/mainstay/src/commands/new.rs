//! `mainstay new`: a starter app that serves at once and explains itself.

use std::path::Path;

use anyhow::{Context, Result, bail};
use serde_json::json;

use crate::output::Output;

const SCHEMA: &str = include_str!("new/app.stay");
const SETTINGS: &str = include_str!("new/mainstay.toml");
const SEED: &str = include_str!("new/01_welcome.json");
const IGNORE: &str = "/data\nmainstay.local.toml\n";

/// Makes the folder and its files; an existing folder must be empty.
pub(crate) fn run(output: Output, folder: &Path) -> Result<()> {
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
        std::fs::write(&path, text).with_context(|| format!("writing {}", path.display()))
    };
    std::fs::create_dir_all(folder.join("seed")).with_context(|| format!("making {}", folder.display()))?;
    write(&format!("{name}.stay"), &SCHEMA.replace("APP_NAME", &name))?;
    write("mainstay.toml", SETTINGS)?;
    write("seed/01_welcome.json", SEED)?;
    write(".gitignore", IGNORE)?;
    output.say(format!(
        "made {0}\n\n  mainstay serve {0}\n\nThen open http://127.0.0.1:4040/docs, and {0}/{name}.stay in your editor.",
        folder.display()
    ));
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
