//! The inbox page of captured mail, as HTML: a list, and one mail with its HTML, its text and its source.
//!
//! For whoever builds an app: it is mounted where mail is captured, and nowhere else; whoever reaches the server may look. A mail's own HTML is shown in a frame without scripts and without the
//! page's origin, where links open in a new window.

use std::sync::Arc;

use axum::extract::Path;
use axum::response::Html;
use axum::routing::get;
use mainstay_engine::Engine;
use mainstay_engine::ctx::{Caller, Ctx};
use mainstay_engine::document;
use mainstay_engine::error::{Error, Key};
use mainstay_engine::part::Operation;
use mainstay_http::{Refusal, RequestCtx, RouteDocs, RouteTable};
use minijinja::value::Serde;
use minijinja::{Environment, Value, context};
use serde_json::{Value as Json, json};

const PAGE: &str = include_str!("inbox.html");

/// The page's paths.
pub(crate) fn table() -> RouteTable<()> {
    let page = |id: &str, what: &str| {
        RouteDocs::new(id, what).about("Only where mail is captured.").answers_as(
            200,
            "The page.",
            "text/html",
            json!({}),
        )
    };
    vec![
        ("GET", "/_dev/mail", get(list), page("inbox", "Mail that was captured, as a page")),
        (
            "GET",
            "/_dev/mail/{id}",
            get(show),
            page("inboxMail", "One mail that was captured, as a page").refuses(&[Key::Invalid]),
        ),
    ]
}

async fn list(request: RequestCtx) -> Result<Html<String>, Refusal> {
    let RequestCtx { engine, ctx, .. } = request;
    Ok(Html(inbox_list(&engine, &Ctx { caller: Arc::new(Caller::administrator()), ..ctx }).await?))
}

async fn show(request: RequestCtx, Path(id): Path<String>) -> Result<Html<String>, Refusal> {
    let RequestCtx { engine, ctx, .. } = request;
    Ok(Html(inbox_show(&engine, &Ctx { caller: Arc::new(Caller::administrator()), ..ctx }, &id).await?))
}

/// Mails that the list shows.
const SHOWN: u32 = 200;

async fn rows(engine: &Engine, ctx: &Ctx, part: Json) -> Result<Vec<Json>, Error> {
    let documents = document::parse(json!({"Mail": part}).to_string().as_bytes())?;
    let operation = Operation { documents, ..Operation::default() };
    let response = engine.execute(ctx, &operation).await?;
    let entries = response.documents.iter().flat_map(|document| &document.entries);
    let text = entries.map(|entry| entry.rows.as_str()).collect::<Vec<_>>().join(",");
    serde_json::from_str(&format!("[{text}]")).map_err(Error::internal)
}

fn page(mails: &[Json], mail: Option<&Json>) -> Result<String, Error> {
    let mut environment = Environment::new();
    environment.add_template("inbox.html", PAGE).map_err(Error::internal)?;
    let template = environment.get_template("inbox.html").map_err(Error::internal)?;
    template
        .render(context! { mails => Value::from(Serde(mails)), mail => Value::from(Serde(mail)) })
        .map_err(Error::internal)
}

/// The list of mails, the newest first.
///
/// # Errors
/// When the database fails.
pub async fn inbox_list(engine: &Engine, ctx: &Ctx) -> Result<String, Error> {
    let get = ["id", "created", "recipient", "subject", "state", "problem"];
    let mails = rows(engine, ctx, json!({"get": get, "limit": SHOWN})).await?;
    page(&mails, None)
}

/// One mail.
///
/// # Errors
/// When it is not there, or the database fails.
pub async fn inbox_show(engine: &Engine, ctx: &Ctx, id: &str) -> Result<String, Error> {
    let get = ["id", "created", "recipient", "subject", "state", "problem", "html", "body", "source"];
    let mail = rows(engine, ctx, json!({"id": id, "get": get})).await?.pop();
    let mail = mail.ok_or_else(|| Error::new(Key::NotFound, "there is no such mail"))?;
    page(&[], Some(&mail))
}
