//! Plugins: what an app is built of beyond its own `.stay` files.
//!
//! A plugin brings tables, looks whether the app has what it needs, and says at set-up what it does: hooks, rules, commands,
//! and whatever other crates take from [`Parts`] (routes and layers of the wire, jobs). Nothing is called that was not
//! registered, so that a plan knows beforehand which hooks a request can meet, and a request that meets none pays nothing.
//! Knows neither HTTP nor queues: their crates add words to [`Setup`] by traits of their own.

mod command;
mod opened;
mod parts;
mod setup;

use std::sync::Arc;

use mainstay_lang::schema::Schema;
use mainstay_lang::source::Sources;

pub use crate::caller::CallerPart;
pub use command::{Command, CommandCall};
pub use parts::Parts;
pub use setup::{Setup, TableSetup};

use crate::hook::Hooks;
use crate::open::OpenError;
use crate::prelude;

/// A part of an app that is written in Rust, the platform's own capabilities included.
///
/// ```
/// use mainstay_engine::error::Error;
/// use mainstay_engine::hook::{HookCtx, Processing};
/// use mainstay_engine::plugin::{Plugin, Setup};
///
/// struct Slugs;
///
/// impl Plugin for Slugs {
///     fn name(&self) -> &str {
///         "slugs"
///     }
///
///     fn build(&self, setup: &mut Setup<'_>) {
///         setup.table("Post").on_processing(async |_: &HookCtx, post: &mut Processing| -> Result<(), Error> {
///             let slug = post.row.text("title").unwrap_or_default().to_lowercase().replace(' ', "-");
///             post.row.set("slug", slug)
///         });
///     }
/// }
/// ```
pub trait Plugin: Send + Sync + 'static {
    /// Its name in messages, logs and the order of hooks: short, in lower case, unique in an app.
    fn name(&self) -> &str;

    /// The tables that it brings, as `.stay` text. An app may extend them.
    fn schema(&self) -> &str {
        ""
    }

    /// Whether the app has what the plugin needs: tables, columns, relations. Asked once the schemas are composed.
    ///
    /// # Errors
    /// What is missing, and what to write; the app is not opened then.
    fn prerequisite(&self, schema: &Schema) -> Result<(), String> {
        let _ = schema;
        Ok(())
    }

    /// Says what it does: hooks, rules, commands, and what other crates take.
    fn build(&self, setup: &mut Setup<'_>);
}

/// The plugins of an app, in the order in which their hooks are called.
#[derive(Clone, Default)]
pub struct Plugins(Vec<Arc<dyn Plugin>>);

impl std::fmt::Debug for Plugins {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.0.iter().map(|plugin| plugin.name())).finish()
    }
}

impl Plugins {
    /// Adds one behind those that are there.
    pub fn add(&mut self, plugin: impl Plugin) -> &mut Plugins {
        self.0.push(Arc::new(plugin));
        self
    }

    /// Adds those of others behind.
    pub fn append(&mut self, others: &Plugins) -> &mut Plugins {
        self.0.extend(others.0.iter().cloned());
        self
    }

    /// Their names, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|plugin| plugin.name())
    }

    /// The platform's own tables and the plugins', to which an app adds its files.
    pub fn sources(&self) -> Sources {
        let mut sources = prelude::load(Sources::default());
        for plugin in self.0.iter().filter(|plugin| !plugin.schema().trim().is_empty()) {
            sources.add_platform(format!("<{}>", plugin.name()), plugin.schema());
        }
        sources
    }

    /// Lets each look at the composed schema and say what it does.
    ///
    /// # Errors
    /// When a plugin lacks something or names what is not there.
    pub(crate) fn build(&self, schema: &Arc<Schema>) -> Result<(Hooks, Parts), OpenError> {
        let mut hooks = Hooks::new(schema);
        let mut parts = Parts::default();
        for (place, plugin) in self.0.iter().enumerate() {
            let name = plugin.name();
            let refuse = |words: String| OpenError::Plugin { plugin: name.to_owned(), problems: vec![words] };
            if self.0[..place].iter().any(|other| other.name() == name) {
                return Err(refuse("another plugin of the app has the same name".to_owned()));
            }
            if schema.existing && !plugin.schema().trim().is_empty() {
                let words = "it brings tables, and a database that others made (`app NAME existing`) has none but theirs";
                return Err(refuse(words.to_owned()));
            }
            plugin.prerequisite(schema).map_err(refuse)?;
            let mut setup = Setup::new(name, schema, &mut hooks, &mut parts);
            plugin.build(&mut setup);
            let problems = setup.into_problems();
            if !problems.is_empty() {
                return Err(OpenError::Plugin { plugin: name.to_owned(), problems });
            }
        }
        Ok((hooks, parts))
    }
}
