//! The reference for people, at `/docs`: the OpenAPI document rendered as one page of HTML, and the table of error keys.
//!
//! No script and nothing from elsewhere: the page works offline and its policy forbids everything but its own style.
//! It knows the OpenAPI document alone, so that it cannot say anything else than that does.

use std::sync::OnceLock;

use axum::http::{HeaderValue, header};
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mainstay_engine::error::{Error, Key};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::call::Call;
use crate::problem::status;

mod html;
mod operation;
mod shape;

use html::{escape, paragraphs};

const STYLE: &str = include_str!("docs/style.css");

/// `GET /docs`.
pub(crate) async fn serve_reference(call: Call) -> Result<Response, Error> {
    call.parameters(&[])?;
    Ok(page(call.cached(&call.app.docs, "text/html; charset=utf-8")))
}

/// `GET /docs/errors`.
pub(crate) async fn serve_errors(call: Call) -> Result<Response, Error> {
    call.parameters(&[])?;
    Ok(page(call.cached(&call.app.docs_errors, "text/html; charset=utf-8")))
}

fn page(mut response: Response) -> Response {
    static POLICY: OnceLock<HeaderValue> = OnceLock::new();
    let policy = POLICY.get_or_init(|| {
        let style = STANDARD.encode(Sha256::digest(STYLE));
        let policy = format!(
            "default-src 'none'; style-src 'sha256-{style}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        );
        HeaderValue::from_str(&policy).expect("the policy is ASCII")
    });
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy.clone());
    response
}

/// The reference of an app, from its OpenAPI document.
pub(crate) fn reference(document: &Value) -> String {
    let title = text(document, "/info/title");
    let mut navigation = String::new();
    let mut sections = String::new();
    for tag in document["tags"].as_array().into_iter().flatten() {
        let name = text(tag, "/name");
        let id = escape(name);
        navigation.push_str(&format!("<li><a href=\"#{id}\">{id}</a></li>"));
        sections.push_str(&format!("<section id=\"{id}\"><h2>{id}</h2>"));
        sections.push_str(&paragraphs(text(tag, "/description")));
        if let Some(row) = document.pointer(&format!("/components/schemas/{name}")) {
            sections.push_str(&shape::table(document, name, row));
        }
        sections.push_str(&operation::all_of(document, name));
        sections.push_str("</section>");
    }
    let intro = paragraphs(text(document, "/info/description"));
    let body = format!(
        "<nav><strong>{title}</strong><ul>{navigation}</ul>\
         <p><a href=\"/docs/errors\">Errors</a></p><p><a href=\"/openapi.json\">openapi.json</a></p></nav>\
         <main><h1>{title}</h1>{intro}{sections}</main>",
        title = escape(title),
    );
    wrap(title, &body)
}

/// What each error key means.
pub(crate) fn errors(app: &str) -> String {
    let rows: String = Key::ALL
        .iter()
        .map(|key| {
            let name = escape(key.text());
            format!(
                "<tr id=\"{name}\"><td><a href=\"#{name}\"><code>{name}</code></a></td><td>{}</td><td>{}</td></tr>",
                status(key.kind()).as_u16(),
                escape(key.docs().trim()),
            )
        })
        .collect();
    let body = format!(
        "<nav><strong>{app}</strong><p><a href=\"/docs\">Reference</a></p></nav><main><h1>Errors</h1>\
         <p>A failure is <code>application/problem+json</code> (RFC 9457). Its <code>key</code> is stable.</p>\
         <table><thead><tr><th>key</th><th>status</th><th>meaning</th></tr></thead><tbody>{rows}</tbody></table></main>",
        app = escape(app),
    );
    wrap("Errors", &body)
}

fn wrap(title: &str, body: &str) -> String {
    format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\
         <meta name=\"color-scheme\" content=\"light dark\"><title>{}</title><style>{STYLE}</style></head>\
         <body>{body}</body></html>",
        escape(title),
    )
}

/// The text at a pointer, or nothing.
fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// Follows a reference to a component, if it is one.
fn resolve<'a>(document: &'a Value, value: &'a Value) -> &'a Value {
    let target =
        value.get("$ref").and_then(Value::as_str).and_then(|to| document.pointer(to.trim_start_matches('#')));
    target.unwrap_or(value)
}
