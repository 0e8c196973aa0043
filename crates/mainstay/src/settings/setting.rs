//! What one setting is: a line of the table, with all that is made of it.

use super::Config;

/// One setting.
#[derive(Clone, Copy)]
pub(crate) struct Setting {
    /// Where it stands in `mainstay.toml`: `http.listen`.
    pub(crate) name: &'static str,
    /// The flag without its dashes; the variable is `MAINSTAY_` and the flag in capitals.
    pub(crate) flag: &'static str,
    /// What stands for the value in the help.
    pub(crate) placeholder: &'static str,
    /// Its value when nobody says otherwise; empty: none, or found out at start.
    pub(crate) default: &'static str,
    /// What it does, in one or two sentences.
    pub(crate) help: &'static str,
    /// Whether its value is hidden from listings.
    pub(crate) secret: bool,
    /// Reads the text into the configuration, or says what was expected.
    pub(crate) apply: fn(&mut Config, &str) -> Result<(), String>,
}

impl Setting {
    /// The environment's variable.
    pub(crate) fn variable(&self) -> String {
        format!("MAINSTAY_{}", self.flag.replace('-', "_").to_uppercase())
    }
}
