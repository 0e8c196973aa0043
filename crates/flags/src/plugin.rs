//! The capability: its table, its hooks, its routes, its command.

use mainstay_engine::plugin::{Command, Plugin, Setup};
use mainstay_http::SetupHttp as _;
use mainstay_lang::suggest::nearest;

use crate::held::Flags;
use crate::{command, follow, guard, list, ofrep};

/// The table of the capability.
pub const FLAGS_TABLE: &str = include_str!("flags.stay");

/// The permission to see all values and to change them; of whoever speaks for a tenant, those of that tenant alone.
pub const FLAGS_ADMIN: &str = "flags/admin";

/// How flags and settings are served.
#[derive(Clone, Debug, Default)]
pub struct FlagsOptions {
    /// Names of settings that clients may see, as they see all flags.
    pub shown: Vec<String>,
}

/// The capability.
#[derive(Clone, Debug, Default)]
pub struct FlagsPlugin {
    options: FlagsOptions,
}

impl FlagsPlugin {
    /// Flags and settings that are served so.
    pub fn new(options: FlagsOptions) -> FlagsPlugin {
        FlagsPlugin { options }
    }
}

impl Plugin for FlagsPlugin {
    fn name(&self) -> &str {
        "flags"
    }

    fn schema(&self) -> &str {
        FLAGS_TABLE
    }

    fn build(&self, setup: &mut Setup<'_>) {
        let settings = || setup.schema().settings.iter().map(|setting| setting.name.as_str());
        let unknown = self.options.shown.iter().filter(|name| !settings().any(|known| known == *name));
        let problems: Vec<String> = unknown
            .map(|name| {
                let hint = nearest(name, settings()).map(|name| format!(", did you mean `{name}`?"));
                format!(
                    "flags.shown names `{name}`, and the app declares no such setting{}",
                    hint.unwrap_or_default()
                )
            })
            .collect();
        problems.into_iter().for_each(|words| setup.problem(words));
        let flags = Flags::new(setup.schema(), &self.options.shown);
        setup.table("FlagValue").on_processing(guard::processing).on_create(guard::created);
        setup.table("FlagValue").on_update(guard::updated).on_delete(guard::deleted);
        setup.route_table(list::table(), flags.clone()).route_table(ofrep::table(), flags.clone());
        setup.command(Command::new("flags", "Flags and settings: list, set, unset.", command::run));
        setup.keep(flags.clone());
        setup.on_open(move |engine| follow::begin(engine, flags.clone()));
    }
}
