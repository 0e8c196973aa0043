//! `mainstay settings`: every setting, its value and where it came from.

use anyhow::Result;
use serde_json::json;

use crate::cli::App;
use crate::output::Output;
use crate::settings::{self, NAMED, Origin, SETTINGS};

/// Lists the settings of an app under the environment asked for.
pub(crate) fn run(output: Output, app: &App) -> Result<()> {
    let loaded = settings::load(&app.folder, &app.settings)?;
    for warning in &loaded.warnings {
        output.say(format!("warning: {warning}"));
    }
    // What the app names itself has no flag.
    let named = loaded.named.iter().map(|value| {
        let text = if value.secret { "(hidden)" } else { &value.text };
        (value.name.as_str(), text, value.origin.to_string(), value.help)
    });
    let shown = |secret: bool, value: &str, origin: &Origin| match origin {
        Origin::Default if value.is_empty() => "(unset)".to_owned(),
        _ if secret => "(hidden)".to_owned(),
        _ => value.to_owned(),
    };
    if output.json {
        let list: Vec<_> = SETTINGS
            .iter()
            .zip(&loaded.values)
            .map(|(setting, (value, origin))| {
                json!({
                    "name": setting.name, "value": shown(setting.secret, value, origin), "origin": origin.to_string(),
                    "flag": format!("--{}", setting.flag), "variable": setting.variable(), "help": setting.help,
                })
            })
            .chain(named.map(|(name, value, origin, help)| {
                json!({"name": name, "value": value, "origin": origin, "help": help})
            }))
            .collect();
        return output.line(&json!({"environment": loaded.config.environment, "settings": list}).to_string());
    }
    for (setting, (value, origin)) in SETTINGS.iter().zip(&loaded.values) {
        output.line(&format!(
            "{} = {}   [{origin}]\n    {}\n    --{} {}   {}\n",
            setting.name,
            shown(setting.secret, value, origin),
            setting.help,
            setting.flag,
            setting.placeholder,
            setting.variable(),
        ))?;
    }
    for (name, value, origin, help) in named {
        output.line(&format!("{name} = {value}   [{origin}]\n    {help}\n"))?;
    }
    // Those that could be said, of things that the app names.
    for setting in NAMED {
        let default = if setting.default.is_empty() { "(unset)" } else { setting.default };
        output.line(&format!(
            "{} = {default}   [for each NAME]\n    {}\n    {}   {}\n",
            setting.name,
            setting.help,
            setting.placeholder,
            setting.variable("NAME"),
        ))?;
    }
    Ok(())
}
