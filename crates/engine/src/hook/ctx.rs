//! What a hook knows of the request that called it, and what it may ask of the database.
//!
//! A question goes to the request's own transaction, as the caller unless the hook says otherwise: then it passes the guard
//! like any request. One that is asked when the request is over is refused.

use std::sync::Arc;
use std::time::Instant;

use mainstay_lang::schema::Schema;
use mainstay_lang::value::Timestamp;
use mainstay_sql::Dialect;
use serde::de::DeserializeOwned;
use serde_json::Value as Json;
use tokio::sync::{mpsc, oneshot};

use super::call::{Asked, Question, Reply, Site};
use super::local::Local;
use crate::ctx::{Caller, Ctx};
use crate::document;
use crate::error::{Error, Key};
use crate::part::{Document, Operation, Part};
use crate::planning::Frame;
use crate::plugin::Parts;
use crate::render::render;
use crate::response::Response;
use crate::write::Along;

/// What all hooks of one request share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) ctx: Ctx,
    pub(crate) schema: Arc<Schema>,
    pub(crate) documents: Arc<Vec<Document>>,
    pub(crate) local: Local,
    pub(crate) parts: Arc<Parts>,
    pub(crate) dialect: &'static dyn Dialect,
}

impl Shared {
    pub(crate) fn new(frame: &Frame, ctx: &Ctx, operation: &Operation) -> Shared {
        Shared {
            ctx: ctx.clone(),
            schema: frame.schema().clone(),
            documents: Arc::new(operation.documents.clone()),
            local: Local::default(),
            parts: frame.parts.clone(),
            dialect: frame.dialect,
        }
    }
}

/// Whose eyes a question is asked with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Eyes {
    Caller,
    Admin,
}

/// Whether a question may write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// It may.
    Write,
    /// One that writes is refused.
    Read,
}

/// The request around a hook.
#[derive(Debug)]
pub struct HookCtx {
    pub(crate) shared: Arc<Shared>,
    pub(crate) site: Arc<Site>,
    pub(crate) questions: mpsc::Sender<(Asked, Reply)>,
    pub(crate) deadline: Instant,
}

impl HookCtx {
    /// Who asks, for which tenant, with which clock and deadline.
    pub fn request(&self) -> &Ctx {
        &self.shared.ctx
    }

    /// Who asks.
    pub fn caller(&self) -> &Caller {
        &self.shared.ctx.caller
    }

    /// Whether the caller passes every rule.
    pub fn is_admin(&self) -> bool {
        self.shared.ctx.caller.admin
    }

    /// The request's clock.
    pub fn now(&self) -> Timestamp {
        self.shared.ctx.now
    }

    /// When the hook is left behind.
    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    /// The app's schema.
    pub fn schema(&self) -> &Arc<Schema> {
        &self.shared.schema
    }

    /// The plugin that the hook is of.
    pub fn plugin(&self) -> &str {
        &self.site.plugin
    }

    /// JSON pointer to the part of the request that the hook is called for; of a row that goes by a cascade to the part that
    /// deletes.
    pub fn path(&self) -> &str {
        &self.site.path
    }

    /// The documents of the request as they were asked.
    pub fn documents(&self) -> &[Document] {
        &self.shared.documents
    }

    /// The part of the request that the hook is called for, as it was asked.
    pub fn part(&self) -> Option<&Part> {
        find_part(&self.shared.documents, |path| path == self.site.path)
    }

    /// The part around it; `None`: it stands at the top.
    pub fn parent(&self) -> Option<&Part> {
        let own = &self.site.path;
        let is_around = |path: &str| path.len() < own.len() && own[path.len()..].starts_with('/');
        find_part(&self.shared.documents, |path| is_around(path) && own.starts_with(path))
    }

    /// Values that hooks of the request leave for each other.
    pub fn local(&self) -> &Local {
        &self.shared.local
    }

    /// What the plugin has kept at its set-up.
    ///
    /// # Errors
    /// When there is no such value: a fault of the plugin.
    pub fn kept<T: Send + Sync + 'static>(&self) -> Result<&T, Error> {
        let missing = || Error::internal(format!("no {} was kept at set-up", std::any::type_name::<T>()));
        self.shared.parts.get::<T>().ok_or_else(missing)
    }

    /// What plugins have kept at their set-up, by type.
    pub fn parts(&self) -> &Arc<Parts> {
        &self.shared.parts
    }

    /// An error that refuses the request (422), under a key of the plugin's own.
    pub fn refuse(&self, key: &str, message: impl Into<String>) -> Error {
        Error::at(Key::HookRefused, &self.site.path, key, message)
    }

    /// Asks as the caller, in the request's transaction: a document of the query language in, its answer out.
    ///
    /// # Errors
    /// As any request. When one that writes fails, the whole request does.
    pub async fn query(&self, document: Json) -> Result<Json, Error> {
        self.asker().query(document).await
    }

    /// Questions as the caller.
    pub fn asker(&self) -> Asker<'_> {
        Asker { ctx: self, eyes: Eyes::Caller, access: Access::Write }
    }

    /// Questions past all rules: the plugin answers for what it shows and does.
    pub fn admin(&self) -> Asker<'_> {
        Asker { ctx: self, eyes: Eyes::Admin, access: Access::Write }
    }

    /// Does something of the system's own in the request's transaction, for crates that have tables of theirs: it is kept when the
    /// request is. Behind the end of the request it is done for itself.
    ///
    /// # Errors
    /// Whatever it answers, and then the whole request fails; and where the request only reads.
    pub async fn along(&self, along: Along) -> Result<(), Error> {
        self.asker().ask(Question::Along(along)).await.map(drop)
    }

    /// How the app's database is spoken to.
    pub fn dialect(&self) -> &'static dyn Dialect {
        self.shared.dialect
    }

    /// Questions as the caller that may not write.
    pub fn read_only(&self) -> Asker<'_> {
        Asker { ctx: self, eyes: Eyes::Caller, access: Access::Read }
    }
}

/// A way to ask, with eyes and access.
#[derive(Clone, Copy, Debug)]
pub struct Asker<'c> {
    ctx: &'c HookCtx,
    eyes: Eyes,
    access: Access,
}

impl Asker<'_> {
    /// The same, with this access.
    #[must_use]
    pub fn access(self, access: Access) -> Self {
        Asker { access, ..self }
    }

    /// A document of the query language in, its answer out.
    ///
    /// # Errors
    /// As any request.
    pub async fn query(&self, document: Json) -> Result<Json, Error> {
        let documents = document::parse(document.to_string().as_bytes())?;
        let response = self.run(Operation { documents, ..Operation::default() }).await?;
        serde_json::from_str(&render(&response, document.is_array())).map_err(Error::internal)
    }

    /// The rows of a table that a part finds or makes.
    ///
    /// # Errors
    /// As any request, and when the type cannot hold a row.
    pub async fn rows<T: DeserializeOwned>(&self, table: &str, part: Json) -> Result<Vec<T>, Error> {
        let mut document = serde_json::Map::new();
        document.insert(table.to_owned(), part);
        let mut answer = self.query(Json::Object(document)).await?;
        serde_json::from_value(answer[table].take()).map_err(Error::internal)
    }

    /// Runs an operation.
    ///
    /// # Errors
    /// As any request.
    pub async fn run(&self, operation: Operation) -> Result<Response, Error> {
        self.ask(Question::Operation(operation)).await
    }

    async fn ask(&self, question: Question) -> Result<Response, Error> {
        let (reply, answer) = oneshot::channel();
        let HookCtx { questions, site, .. } = self.ctx;
        let asked = Asked { question, eyes: self.eyes, access: self.access, by: site.clone() };
        let over = || Error::internal(format!("{site} asked something when its request was over"));
        questions.send((asked, reply)).await.map_err(|_| over())?;
        answer.await.map_err(|_| over())?
    }
}

/// The longest part whose path is wanted, wherever it is nested.
fn find_part(documents: &[Document], wanted: impl Fn(&str) -> bool) -> Option<&Part> {
    let mut found: Option<&Part> = None;
    for part in documents.iter().flat_map(|document| &document.entries).flat_map(|entry| &entry.parts) {
        part.visit(&mut |part| {
            if wanted(&part.path) && found.is_none_or(|found| found.path.len() < part.path.len()) {
                found = Some(part);
            }
        });
    }
    found
}
