//! Hooks: code of plugins that is called while a request is carried out.
//!
//! A hook runs on a thread of its own, beside the transaction and never inside its thread: what it asks of the database
//! ([`HookCtx::query`]) is carried out by the request that called it, between its statements, and one that hangs is left behind
//! when its time is over. Which hooks there are is known when the app is opened; where none is registered for the tables of
//! a request nothing here is touched.

mod around;
mod call;
mod ctx;
mod local;
mod request;
mod result;
mod row;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use mainstay_lang::schema::{Schema, TableId};

pub(crate) use call::{Answer, Answers, Asked, Hooking, Question, Site};
pub use ctx::{Access, Asker, HookCtx};
pub(crate) use ctx::{Eyes, Shared};
pub use local::Local;
pub(crate) use request::Touched;
pub use result::{ResultRow, Results};
pub use row::{Changing, Deleted, Linking, ListUpdated, Processing, Row, RowType, Update, Updated, typed};

use crate::ctx::Ctx;
use crate::error::Error;
use crate::part::Part;
use crate::response::Response;

/// Hooks that call each other are cut off at this depth.
pub(crate) const DEPTH_MAX: usize = 8;

/// A future of a hook.
pub type HookFuture<'a> = Pin<Box<dyn Future<Output = Result<(), Error>> + Send + 'a>>;

/// What can be called as a hook: an async function, an async closure that captures nothing (what it needs it finds by
/// [`HookCtx::kept`]), or a closure that answers a [`HookFuture`]. All of them name the types of their arguments.
pub trait Hook<'a, A>: Send + Sync {
    /// What it does.
    type Future: Future<Output = Result<(), Error>> + Send + 'a;

    /// Calls it.
    fn call(&self, ctx: &'a HookCtx, argument: A) -> Self::Future;
}

impl<'a, A, F, Fut> Hook<'a, A> for F
where
    F: Fn(&'a HookCtx, A) -> Fut + Send + Sync,
    Fut: Future<Output = Result<(), Error>> + Send + 'a,
{
    type Future = Fut;

    fn call(&self, ctx: &'a HookCtx, argument: A) -> Fut {
        self(ctx, argument)
    }
}

/// A hook as it is kept.
type Kept<T> = dyn for<'a> Fn(&'a HookCtx, &'a mut T) -> HookFuture<'a> + Send + Sync;

/// A hook with the plugin that it is of.
pub(crate) struct Named<T> {
    pub(crate) plugin: Arc<str>,
    pub(crate) call: Arc<Kept<T>>,
}

impl<T> Clone for Named<T> {
    fn clone(&self) -> Named<T> {
        Named { plugin: self.plugin.clone(), call: self.call.clone() }
    }
}

impl<T> std::fmt::Debug for Named<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.plugin)
    }
}

/// A hook that may change what it is given.
pub(crate) fn changing<T, F>(plugin: &Arc<str>, hook: F) -> Named<T>
where
    T: 'static,
    F: for<'a> Hook<'a, &'a mut T> + 'static,
{
    Named { plugin: plugin.clone(), call: Arc::new(move |ctx, argument| Box::pin(hook.call(ctx, argument))) }
}

/// A hook that looks at what it is given.
pub(crate) fn looking<T, F>(plugin: &Arc<str>, hook: F) -> Named<T>
where
    T: Sync + 'static,
    F: for<'a> Hook<'a, &'a T> + 'static,
{
    Named { plugin: plugin.clone(), call: Arc::new(move |ctx, argument| Box::pin(hook.call(ctx, argument))) }
}

/// The hooks of one table.
#[derive(Debug, Default)]
pub(crate) struct TableHooks {
    pub(crate) on_request: Vec<Named<Part>>,
    pub(crate) on_processing: Vec<Named<Processing>>,
    pub(crate) on_create: Vec<Named<Row>>,
    pub(crate) on_update: Vec<Named<Updated>>,
    pub(crate) on_list_update: Vec<Named<ListUpdated>>,
    pub(crate) on_delete: Vec<Named<Deleted>>,
    pub(crate) on_result: Vec<Named<Results>>,
    pub(crate) may_create: Vec<Named<Changing>>,
    pub(crate) may_update: Vec<Named<Changing>>,
    pub(crate) may_delete: Vec<Named<Changing>>,
    pub(crate) may_link: Vec<Named<Changing>>,
    pub(crate) may_unlink: Vec<Named<Changing>>,
}

impl TableHooks {
    /// Whether there are hooks that are called when rows of the table are written.
    pub(crate) fn sees_writes(&self) -> bool {
        !(self.on_processing.is_empty()
            && self.on_create.is_empty()
            && self.on_update.is_empty()
            && self.on_list_update.is_empty()
            && self.on_delete.is_empty()
            && self.may_create.is_empty()
            && self.may_update.is_empty()
            && self.may_delete.is_empty()
            && self.may_link.is_empty()
            && self.may_unlink.is_empty())
    }
}

/// Gives an error the form in which callers are told of it.
pub(crate) type ErrorHandler = Arc<dyn Fn(&Ctx, Error) -> Error + Send + Sync>;

/// The hooks that are called once for each request.
#[derive(Default)]
pub(crate) struct RequestHooks {
    pub(crate) on_response: Vec<Named<Response>>,
    pub(crate) on_success: Vec<Named<Response>>,
    pub(crate) on_error: Vec<Named<Error>>,
    pub(crate) error_handlers: Vec<ErrorHandler>,
}

impl RequestHooks {
    fn is_empty(&self) -> bool {
        self.on_response.is_empty()
            && self.on_success.is_empty()
            && self.on_error.is_empty()
            && self.error_handlers.is_empty()
    }
}

/// All hooks of an app.
pub(crate) struct Hooks {
    tables: Vec<TableHooks>,
    pub(crate) request: RequestHooks,
}

impl std::fmt::Debug for Hooks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hooks").field("tables", &self.tables).finish_non_exhaustive()
    }
}

impl Hooks {
    /// None yet.
    pub(crate) fn new(schema: &Schema) -> Hooks {
        let tables = schema.tables.iter().map(|_| TableHooks::default()).collect();
        Hooks { tables, request: RequestHooks::default() }
    }

    /// The hooks of a table.
    pub(crate) fn table(&self, table: TableId) -> &TableHooks {
        &self.tables[table.0 as usize]
    }

    /// To add to them.
    pub(crate) fn table_mut(&mut self, table: TableId) -> &mut TableHooks {
        &mut self.tables[table.0 as usize]
    }

    /// Whether there are none at all.
    pub(crate) fn is_empty(&self) -> bool {
        self.request.is_empty()
            && self.tables.iter().all(|table| {
                table.on_request.is_empty() && table.on_result.is_empty() && !table.sees_writes()
            })
    }
}
