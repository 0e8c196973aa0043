//! What a plugin says when an app is set up.
//!
//! Names are looked up at once; what is not there is collected, so that a plugin's author sees all of it. Crates above add
//! words by traits on [`Setup`], which put what they are told into [`Parts`].

use std::future::Future;
use std::sync::Arc;

use mainstay_lang::schema::{Schema, TableId};
use mainstay_lang::suggest::nearest;

use super::command::Command;
use super::opened::OnOpen;
use super::parts::Parts;
use crate::caller::{CallerPart, CallerSource, Sources};
use crate::ctx::Ctx;
use crate::engine::Engine;
use crate::error::Error;
use crate::hook::{
    Changing, Deleted, Hook, Hooks, ListUpdated, Processing, Results, Row, RowType, Updated, changing,
    looking,
};
use crate::part::Part;
use crate::response::Response;

/// The app while its plugins are built: a plugin says here what it does.
pub struct Setup<'s> {
    plugin: Arc<str>,
    schema: &'s Arc<Schema>,
    hooks: &'s mut Hooks,
    parts: &'s mut Parts,
    problems: Vec<String>,
}

impl<'s> Setup<'s> {
    pub(super) fn new(
        plugin: &str,
        schema: &'s Arc<Schema>,
        hooks: &'s mut Hooks,
        parts: &'s mut Parts,
    ) -> Setup<'s> {
        Setup { plugin: plugin.into(), schema, hooks, parts, problems: Vec::new() }
    }

    pub(super) fn into_problems(self) -> Vec<String> {
        self.problems
    }

    /// The name of the plugin that is built.
    pub fn plugin(&self) -> &str {
        &self.plugin
    }

    /// The app's schema, the tables of all plugins included.
    pub fn schema(&self) -> &'s Arc<Schema> {
        self.schema
    }

    /// The hooks of a table.
    pub fn table(&mut self, name: &str) -> TableSetup<'_, 's> {
        let table = self.schema.table_named(name).map(|table| table.id);
        if table.is_none() {
            let names = self.schema.tables.iter().map(|table| table.name.as_str());
            let nearest = nearest(name, names).map(|name| format!(", did you mean `{name}`?"));
            self.problems.push(format!("there is no table `{name}`{}", nearest.unwrap_or_default()));
        }
        TableSetup { setup: self, table }
    }

    /// The hooks of a table by the type of its rows.
    pub fn rows_of<T: RowType>(&mut self) -> TableSetup<'_, 's> {
        self.table(T::TABLE)
    }

    /// Called with the whole answer, while the request can still be refused and undone.
    pub fn on_response<F>(&mut self, hook: F) -> &mut Self
    where
        F: for<'a> Hook<'a, &'a mut Response> + 'static,
    {
        self.hooks.request.on_response.push(changing(&self.plugin, hook));
        self
    }

    /// Called once the request is committed: the place for what must not happen when it is not.
    pub fn on_success<F>(&mut self, hook: F) -> &mut Self
    where
        F: for<'a> Hook<'a, &'a Response> + 'static,
    {
        self.hooks.request.on_success.push(looking(&self.plugin, hook));
        self
    }

    /// Called once a request has failed and is undone.
    pub fn on_error<F>(&mut self, hook: F) -> &mut Self
    where
        F: for<'a> Hook<'a, &'a Error> + 'static,
    {
        self.hooks.request.on_error.push(looking(&self.plugin, hook));
        self
    }

    /// What callers are told of an error; each handler is given what the one before it made of it.
    pub fn error_handler(
        &mut self,
        handler: impl Fn(&Ctx, Error) -> Error + Send + Sync + 'static,
    ) -> &mut Self {
        self.hooks.request.error_handlers.push(Arc::new(handler));
        self
    }

    /// A rule in Rust by the name that it goes by: `Table.create`, `Table.update` or `Table.delete` for rows, `Table.link` or
    /// `Table.unlink` for the links that the table declares. It is asked behind the declared rules and may refuse what they allow; it
    /// allows nothing that they do not. What may be read is decided by the database, and declared.
    pub fn rule<F>(&mut self, name: &str, rule: F) -> &mut Self
    where
        F: for<'a> Hook<'a, &'a Changing> + 'static,
    {
        let (table, operation) = name.split_once('.').unwrap_or((name, ""));
        let hook = looking(&self.plugin, rule);
        let Some(table) = self.table(table).table else { return self };
        let hooks = self.hooks.table_mut(table);
        match operation {
            "create" => hooks.may_create.push(hook),
            "update" => hooks.may_update.push(hook),
            "delete" => hooks.may_delete.push(hook),
            "link" => hooks.may_link.push(hook),
            "unlink" => hooks.may_unlink.push(hook),
            _ => self.problems.push(format!(
                "a rule is named `Table.create`, `.update`, `.delete`, `.link` or `.unlink`, not `{name}`"
            )),
        }
        self
    }

    /// Where something of callers is read from, beside their rows and grants: rows of `table` for which `filter` is true, a condition of
    /// the language that may name `$user`, `$tenant` and `$session`, and the column that counts. It looks past all rules.
    pub fn caller(&mut self, part: CallerPart, (table, column, filter): (&str, &str, &str)) -> &mut Self {
        match CallerSource::compile(self.schema, part, (table, column, filter)) {
            Ok(source) => self.parts.of::<Sources>().read.push(source),
            Err(words) => self.problems.push(words),
        }
        self
    }

    /// A table whose rows say of credentials what they mean: see [`Engine::callers_version`](crate::Engine::callers_version).
    pub fn caller_table(&mut self, name: &str) -> &mut Self {
        match self.schema.table_named(name) {
            Some(table) => self.parts.of::<Sources>().beside.push(table.id),
            None => self.problems.push(format!("there is no table `{name}`")),
        }
        self
    }

    /// Called once the app is open, before anything is asked of it: the place to read what the plugin keeps in memory, and to begin
    /// to follow what changes it. Whoever holds on to the engine keeps it open; a task that goes on holds it by a `Weak`.
    pub fn on_open<F, Fut>(&mut self, run: F) -> &mut Self
    where
        F: Fn(Arc<Engine>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), Error>> + Send + 'static,
    {
        self.parts.of::<OnOpen>().add(&self.plugin, run);
        self
    }

    /// Adds a command to the command line.
    pub fn command(&mut self, command: Command) -> &mut Self {
        self.parts.of::<Vec<Command>>().push(command);
        self
    }

    /// What another crate collects from plugins, or what this plugin keeps for its hooks.
    pub fn part<T: Default + Send + Sync + 'static>(&mut self) -> &mut T {
        self.parts.of()
    }

    /// Keeps a value for the plugin's hooks, which find it by its type.
    pub fn keep<T: Send + Sync + 'static>(&mut self, value: T) -> &mut Self {
        self.parts.insert(value);
        self
    }

    /// Something is wrong with the app or the plugin's own settings: it is not opened, and says so.
    pub fn problem(&mut self, words: impl Into<String>) {
        self.problems.push(words.into());
    }
}

/// The hooks of one table. In which order they are called stands in the book, on the page of plugins.
pub struct TableSetup<'t, 's> {
    setup: &'t mut Setup<'s>,
    table: Option<TableId>,
}

macro_rules! table_hooks {
    ($($(#[doc = $doc:literal])+ $name:ident: $way:ident($argument:ty);)+) => {
        impl TableSetup<'_, '_> {
            $(
                $(#[doc = $doc])+
                pub fn $name<F>(self, hook: F) -> Self
                where
                    F: for<'a> Hook<'a, $argument> + 'static,
                {
                    if let Some(table) = self.table {
                        let hook = $way(&self.setup.plugin, hook);
                        self.setup.hooks.table_mut(table).$name.push(hook);
                    }
                    self
                }
            )+
        }
    };
}

table_hooks! {
    /// A part of a request names the table: before names are looked up, parents before what is nested in them. It may change
    /// what is asked, or refuse it.
    on_request: changing(&'a mut Part);
    /// A row is about to be written, complete with its defaults; what is set here is validated and asked of the rules
    /// like what the caller gave.
    on_processing: changing(&'a mut Processing);
    /// A row was made. What is set here is written in the same transaction, validated, and part of what the rule for creating is
    /// asked about.
    on_create: changing(&'a mut Row);
    /// Rows of one part were changed, each of them in at least one column.
    on_update: looking(&'a Updated);
    /// Links of a row were made or ended.
    on_list_update: looking(&'a ListUpdated);
    /// Rows are about to be deleted, those that go by a cascade included. They are still there.
    on_delete: looking(&'a Deleted);
    /// Rows of the table stand in the answer.
    on_result: changing(&'a mut Results);
}
