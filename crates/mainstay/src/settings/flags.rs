//! The flags of every command that takes an app, made from the table of settings.

use clap::{Arg, ArgMatches, Args, Command, FromArgMatches};

use super::table::SETTINGS;

/// What the command line says about settings.
#[derive(Clone, Debug, Default)]
pub(crate) struct SettingFlags {
    environment: Option<String>,
    values: Vec<Option<String>>,
}

impl SettingFlags {
    /// `--env`
    pub(crate) fn environment(&self) -> Option<&str> {
        self.environment.as_deref()
    }

    /// The flag of a setting, by its index in the table.
    pub(crate) fn value(&self, index: usize) -> Option<&str> {
        self.values.get(index)?.as_deref()
    }
}

/// Flags that everybody needs are shown; the rest is listed by `mainstay settings`.
const SHOWN: &[&str] = &["data", "database", "listen"];

impl Args for SettingFlags {
    fn augment_args(command: Command) -> Command {
        let environment = Arg::new("env")
            .long("env")
            .value_name("NAME")
            .help("development, production or a name of your own [default: development]")
            .help_heading("Settings");
        SETTINGS.iter().fold(command.arg(environment), |command, setting| {
            let shown = SHOWN.contains(&setting.flag);
            command.arg(
                Arg::new(setting.name)
                    .long(setting.flag)
                    .value_name(setting.placeholder)
                    .help(setting.help)
                    .help_heading("Settings")
                    .hide_short_help(!shown),
            )
        })
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for SettingFlags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let text = |id: &str| matches.get_one::<String>(id).cloned();
        Ok(SettingFlags {
            environment: text("env"),
            values: SETTINGS.iter().map(|setting| text(setting.name)).collect(),
        })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

/// Flags as a test or another command would give them.
#[cfg(test)]
pub(crate) fn from_words(words: &[&str]) -> SettingFlags {
    let words = std::iter::once("test").chain(words.iter().copied());
    let matches = SettingFlags::augment_args(Command::new("test")).get_matches_from(words);
    SettingFlags::from_arg_matches(&matches).expect("the flags of the table are read by the table")
}
