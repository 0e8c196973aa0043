//! An app put together in Rust, then run like any other.
//!
//! What is said here becomes one more plugin behind those that were added, so nothing is possible here that a plugin could
//! not do. Nothing is opened before a command runs: a wrong name is told then, with the names that there are.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use axum::Router;
use axum::routing::MethodRouter;
use clap::CommandFactory as _;
use mainstay_engine::error::Error;
use mainstay_engine::hook::{
    Changing, Deleted, Hook, HookCtx, HookFuture, ListUpdated, Processing, Row, RowType, Update, Updated,
    typed,
};
use mainstay_engine::plugin::{Command, Plugin, Plugins, Setup};
use mainstay_http::{RouteDocs, SetupHttp as _};
use mainstay_jobs::{Definition, JobSetup as _};

use crate::cli::Cli;

/// The folder is no app.
#[derive(Debug, thiserror::Error)]
#[error("{}: no such folder; an app is a folder with .stay files", .0.display())]
pub struct OpenError(PathBuf);

/// An app: a folder of `.stay` files, and what is added to it in Rust.
///
/// ```no_run
/// use mainstay::prelude::*;
///
/// async fn hello() -> &'static str {
///     "hello"
/// }
///
/// fn main() -> Result<std::process::ExitCode, mainstay::OpenError> {
///     Ok(App::open("examples/chinook")?.route("/hello", mainstay::axum::routing::get(hello)).run())
/// }
/// ```
pub struct App {
    pub(crate) folder: PathBuf,
    plugins: Plugins,
    own: Own,
}

/// One thing that the app says at set-up.
type Say = Arc<dyn Fn(&mut Setup<'_>) + Send + Sync>;

/// What the app says itself.
#[derive(Clone, Default)]
struct Own(Vec<Say>);

impl Plugin for Own {
    fn name(&self) -> &str {
        "app"
    }

    fn build(&self, setup: &mut Setup<'_>) {
        self.0.iter().for_each(|say| say(setup));
    }
}

/// Gives a closure the signature of a hook that is boxed.
fn boxed<T, F>(hook: F) -> F
where
    F: for<'a> Fn(&'a HookCtx, &'a mut T) -> HookFuture<'a>,
{
    hook
}

/// The same for one that looks.
fn looking<T, F>(hook: F) -> F
where
    F: for<'a> Fn(&'a HookCtx, &'a T) -> HookFuture<'a>,
{
    hook
}

impl App {
    /// The app in a folder.
    ///
    /// # Errors
    /// When there is no such folder.
    pub fn open(folder: impl AsRef<Path>) -> Result<App, OpenError> {
        let folder = folder.as_ref().to_owned();
        if !folder.is_dir() {
            return Err(OpenError(folder));
        }
        Ok(App { folder, plugins: Plugins::default(), own: Own::default() })
    }

    /// Adds a plugin behind those that are there.
    #[must_use]
    pub fn plugin(mut self, plugin: impl Plugin) -> App {
        self.plugins.add(plugin);
        self
    }

    /// Says something at set-up that has no word of its own here.
    #[must_use]
    pub fn setup(mut self, say: impl Fn(&mut Setup<'_>) + Send + Sync + 'static) -> App {
        self.own.0.push(Arc::new(say));
        self
    }

    /// Called with each new row of a table; what it sets is written.
    #[must_use]
    pub fn on_create<T: RowType + Sync>(self, hook: impl for<'a> Hook<'a, &'a mut T> + 'static) -> App {
        let hook = Arc::new(hook);
        self.setup(move |setup| {
            let hook = hook.clone();
            setup.rows_of::<T>().on_create(boxed(move |ctx, row: &mut Row| {
                let hook = hook.clone();
                Box::pin(async move {
                    let mut typed = row.read::<T>()?;
                    hook.call(ctx, &mut typed).await?;
                    typed.write(row)
                })
            }));
        })
    }

    /// Called with each row of a table that is about to be written, complete with its defaults; what it sets is written.
    #[must_use]
    pub fn on_processing<T: RowType>(
        self,
        hook: impl for<'a> Hook<'a, &'a mut typed::Processing<T>> + 'static,
    ) -> App {
        let hook = Arc::new(hook);
        self.setup(move |setup| {
            let hook = hook.clone();
            setup.rows_of::<T>().on_processing(boxed(move |ctx, it: &mut Processing| {
                let hook = hook.clone();
                Box::pin(async move {
                    let old = it.old.as_ref().map(Row::read).transpose()?;
                    let mut processing = typed::Processing { old, row: it.row.read::<T>()? };
                    hook.call(ctx, &mut processing).await?;
                    processing.row.write(&mut it.row)
                })
            }));
        })
    }

    /// Called with the rows of a table that one part of a request has changed, before and now.
    #[must_use]
    pub fn on_update<T: RowType + Sync>(
        self,
        hook: impl for<'a> Hook<'a, &'a [typed::Update<T>]> + 'static,
    ) -> App {
        let hook = Arc::new(hook);
        self.setup(move |setup| {
            let hook = hook.clone();
            setup.rows_of::<T>().on_update(looking(move |ctx, it: &Updated| {
                let hook = hook.clone();
                Box::pin(async move {
                    let typed = |it: &Update| Ok(typed::Update { old: it.old.read()?, new: it.new.read()? });
                    let rows = it.rows.iter().map(typed).collect::<Result<Vec<_>, Error>>()?;
                    hook.call(ctx, &rows).await
                })
            }));
        })
    }

    /// Called with the links of a row of a table that were made or ended.
    #[must_use]
    pub fn on_list_update<T: RowType>(self, hook: impl for<'a> Hook<'a, &'a ListUpdated> + 'static) -> App {
        let hook = Arc::new(hook);
        self.setup(move |setup| {
            let hook = hook.clone();
            setup.rows_of::<T>().on_list_update(looking(move |ctx, it: &ListUpdated| {
                let hook = hook.clone();
                Box::pin(async move { hook.call(ctx, it).await })
            }));
        })
    }

    /// Called with the rows of a table that are about to go.
    #[must_use]
    pub fn on_delete<T: RowType + Sync>(self, hook: impl for<'a> Hook<'a, &'a [T]> + 'static) -> App {
        let hook = Arc::new(hook);
        self.setup(move |setup| {
            let hook = hook.clone();
            setup.rows_of::<T>().on_delete(looking(move |ctx, it: &Deleted| {
                let hook = hook.clone();
                Box::pin(async move {
                    let rows = it.rows.iter().map(Row::read).collect::<Result<Vec<T>, Error>>()?;
                    hook.call(ctx, &rows).await
                })
            }));
        })
    }

    /// Jobs of a name, and who does them.
    #[must_use]
    pub fn job(self, definition: Definition) -> App {
        self.setup(move |setup| {
            setup.job(definition.clone());
        })
    }

    /// How many jobs of a queue run at a time, on all workers together.
    #[must_use]
    pub fn queue_limit(self, queue: &str, limit: u32) -> App {
        let queue = queue.to_owned();
        self.setup(move |setup| {
            setup.queue_limit(&queue, limit);
        })
    }

    /// A rule in Rust by its name: `Table.create`, `.update`, `.delete`, `.link`, `.unlink`.
    #[must_use]
    pub fn rule(self, name: &str, rule: impl for<'a> Hook<'a, &'a Changing> + 'static) -> App {
        let (name, rule) = (name.to_owned(), Arc::new(rule));
        self.setup(move |setup| {
            let rule = rule.clone();
            let call = looking(move |ctx, it: &Changing| {
                let rule = rule.clone();
                Box::pin(async move { rule.call(ctx, it).await })
            });
            setup.rule(&name, call);
        })
    }

    /// A path and what answers there.
    #[must_use]
    pub fn route(self, path: &str, methods: MethodRouter) -> App {
        self.routes(Router::new().route(path, methods))
    }

    /// Several paths.
    #[must_use]
    pub fn routes(self, router: Router) -> App {
        self.setup(move |setup| {
            setup.routes(router.clone());
        })
    }

    /// What a route is, for the app's OpenAPI document.
    #[must_use]
    pub fn describe(self, method: &str, path: &str, docs: RouteDocs) -> App {
        let (method, path) = (method.to_owned(), path.to_owned());
        self.setup(move |setup| {
            setup.describe(&method, &path, docs.clone());
        })
    }

    /// A command of the command line.
    #[must_use]
    pub fn command(self, command: Command) -> App {
        self.setup(move |setup| {
            setup.command(command.clone());
        })
    }

    /// The plugins with what the app says itself, in the order of their hooks.
    pub(crate) fn into_parts(self) -> (PathBuf, Plugins) {
        let App { folder, mut plugins, own } = self;
        if !own.0.is_empty() {
            plugins.add(own);
        }
        (folder, plugins)
    }

    /// The command line of the app: the commands of `mainstay`, without its folder; `serve` when there is none.
    pub fn run(self) -> ExitCode {
        let (folder, plugins) = self.into_parts();
        let args: Vec<OsString> = std::env::args_os().collect();
        let known = Cli::command();
        if let Some((word, rest)) = args.get(1..).and_then(<[OsString]>::split_first) {
            let word = word.to_string_lossy();
            // `help` is a command that the parser makes when it runs.
            if !word.starts_with('-') && word != "help" && known.find_subcommand(&*word).is_none() {
                let rest = rest.iter().map(|word| word.to_string_lossy().into_owned()).collect();
                return crate::plugin_command(&folder, &plugins, &word, rest);
            }
        }
        crate::command_line_with(with_folder(args, &folder), &plugins)
    }
}

/// Puts the folder where a command has its app.
fn with_folder(mut args: Vec<OsString>, folder: &Path) -> Vec<OsString> {
    if args.len() <= 1 {
        args.push("serve".into());
    }
    let mut command = Cli::command();
    let mut place = 1;
    while let Some(found) =
        args.get(place).and_then(|word| command.find_subcommand(word.to_string_lossy().as_ref())).cloned()
    {
        command = found;
        place += 1;
    }
    if place > 1 && command.get_arguments().any(|argument| argument.get_id() == "folder") {
        args.insert(place, folder.into());
    }
    args
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folder_stands_where_commands_have_it() {
        let check = |given: &[&str], expected: &[&str]| {
            let given = std::iter::once("app").chain(given.iter().copied()).map(OsString::from).collect();
            let found = with_folder(given, Path::new("x"));
            assert_eq!(found[1..], expected.iter().map(OsString::from).collect::<Vec<_>>());
        };
        check(&[], &["serve", "x"]);
        check(&["check"], &["check", "x"]);
        check(&["migrate", "plan", "--help"], &["migrate", "plan", "x", "--help"]);
        check(&["query", "{}"], &["query", "x", "{}"]);
        check(&["completions", "bash"], &["completions", "bash"]);
        check(&["nonsense"], &["nonsense"]);
    }
}
