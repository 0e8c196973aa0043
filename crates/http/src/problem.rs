//! Failures on the wire: RFC 9457 `application/problem+json`.
//!
//! The one place where a kind of failure becomes a status and an error becomes a response. What is internal stays
//! here: a fault of the server is logged once, under the request's id, and its words never leave.

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use mainstay_engine::error::{Error, FieldError, Key, Kind, Warning};
use mainstay_engine::trace::TraceContext;
use serde::Serialize;

/// Where the keys are explained; each problem's `type` is this and its key.
pub(crate) const TYPE_BASE: &str = "/docs/errors#";

/// Every kind of failure with its status: the one mapping.
pub(crate) const STATUSES: &[(Kind, StatusCode)] = &[
    (Kind::Malformed, StatusCode::BAD_REQUEST),
    (Kind::Unauthenticated, StatusCode::UNAUTHORIZED),
    (Kind::Forbidden, StatusCode::FORBIDDEN),
    (Kind::NotFound, StatusCode::NOT_FOUND),
    (Kind::Method, StatusCode::METHOD_NOT_ALLOWED),
    (Kind::Conflict, StatusCode::CONFLICT),
    (Kind::Gone, StatusCode::GONE),
    (Kind::Precondition, StatusCode::PRECONDITION_FAILED),
    (Kind::TooLarge, StatusCode::PAYLOAD_TOO_LARGE),
    (Kind::MediaType, StatusCode::UNSUPPORTED_MEDIA_TYPE),
    (Kind::Invalid, StatusCode::UNPROCESSABLE_ENTITY),
    (Kind::TooMany, StatusCode::TOO_MANY_REQUESTS),
    (Kind::Internal, StatusCode::INTERNAL_SERVER_ERROR),
    (Kind::Unavailable, StatusCode::SERVICE_UNAVAILABLE),
];

/// Seconds to wait before asking again, when the error does not say.
const RETRY_AFTER_S: u32 = 1;

/// The status of a kind of failure.
pub(crate) fn status(kind: Kind) -> StatusCode {
    STATUSES
        .iter()
        .find(|(of, _)| *of == kind)
        .map_or(StatusCode::INTERNAL_SERVER_ERROR, |(_, status)| *status)
}

#[derive(Serialize)]
struct Problem<'a> {
    r#type: String,
    key: &'static str,
    status: u16,
    title: &'static str,
    #[serde(skip_serializing_if = "str::is_empty")]
    detail: &'a str,
    request_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    trace_id: Option<String>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    errors: &'a [FieldError],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    warnings: &'a [Warning],
    #[serde(skip_serializing_if = "Option::is_none")]
    ticket: Option<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    factors: Vec<&'static str>,
}

/// A failure as a JSON document with its status; faults of the server and of what it stands on are logged here.
pub(crate) fn document(
    error: &Error,
    request_id: &str,
    trace: Option<&TraceContext>,
) -> (StatusCode, String) {
    let status = status(error.key.kind());
    if let Some(internal) = &error.internal {
        // Its words say which request it is: the span need not.
        tracing::error!(
            parent: None,
            request_id,
            trace_id = trace.map(|trace| display(trace.id())),
            key = error.key.text(),
            error = internal,
            "request failed"
        );
    }
    let problem = Problem {
        r#type: format!("{TYPE_BASE}{}", error.key.text()),
        key: error.key.text(),
        status: status.as_u16(),
        title: error.key.title(),
        detail: if error.key == Key::Internal { "" } else { &error.detail },
        request_id,
        trace_id: trace.map(|trace| trace.id().to_string()),
        errors: &error.errors,
        warnings: &error.warnings,
        ticket: error.ticket.as_deref().map(|ticket| ticket.0.as_str()),
        factors: error.factors.names(),
    };
    (status, serde_json::to_string(&problem).expect("a problem is strings and numbers"))
}

/// The response for a failure.
pub(crate) fn response(error: &Error, request_id: &str, trace: Option<&TraceContext>) -> Response {
    let kind = error.key.kind();
    let (status, body) = document(error, request_id, trace);
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    match kind {
        Kind::Unauthenticated => {
            let challenge = HeaderValue::from_static("Bearer error=\"invalid_token\"");
            headers.insert(header::WWW_AUTHENTICATE, challenge);
        }
        Kind::TooMany | Kind::Unavailable => {
            let seconds = error.retry_after_s.unwrap_or(RETRY_AFTER_S).max(1);
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        _ => {}
    }
    response
}

#[cfg(test)]
mod tests {
    use mainstay_engine::error::{Error, Key};

    use super::{STATUSES, response, status};

    #[test]
    fn the_page_of_errors_lists_every_key_and_no_other() {
        let page = include_str!("../../../docs/src/errors.md");
        let (_, table) = page.split_once("|---|---|---|---|\n").expect("the page ends with its table");
        let rows = Key::ALL.iter().map(|key| {
            let when = key.docs().split_whitespace().collect::<Vec<_>>().join(" ");
            format!("| `{}` | {} | {} | {when} |", key.text(), status(key.kind()).as_u16(), key.title())
        });
        assert_eq!(table.lines().collect::<Vec<_>>(), rows.collect::<Vec<_>>());
    }

    #[test]
    fn every_key_has_a_status_of_its_own_kind() {
        for key in Key::ALL {
            let of_kind = STATUSES.iter().filter(|(kind, _)| *kind == key.kind()).count();
            assert_eq!(of_kind, 1, "{}", key.text());
        }
    }

    #[tokio::test]
    async fn a_fault_of_the_server_keeps_its_words() {
        let error = Error { detail: "SELECT secret".to_owned(), ..Error::internal("disk on fire") };
        let response = response(&error, "r-1", None);
        assert_eq!(response.status(), status(Key::Internal.kind()));
        let body = axum::body::to_bytes(response.into_body(), 4096).await.unwrap();
        assert_eq!(
            std::str::from_utf8(&body).unwrap(),
            "{\"type\":\"/docs/errors#internal\",\"key\":\"internal\",\"status\":500,\
             \"title\":\"Internal error\",\"request_id\":\"r-1\"}"
        );
    }

    #[test]
    fn who_is_turned_away_is_told_when_to_come_back() {
        let response = response(&Error::new(Key::Overloaded, "full"), "r-1", None);
        assert_eq!(response.headers()["retry-after"], "1");
    }
}
