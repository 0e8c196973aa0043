//! `mainstay settings`: every setting, its value and where it came from.

use anyhow::Result;
use serde_json::json;

use crate::cli::App;
use crate::output::Output;
use crate::settings::{self, Origin, SETTINGS};

/// Lists the settings of an app under the environment asked for.
pub(crate) fn run(output: Output, app: &App) -> Result<()> {
    let loaded = settings::load(&app.folder, &app.settings)?;
    for warning in &loaded.warnings {
        output.say(format!("warning: {warning}"));
    }
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
    Ok(())
}
