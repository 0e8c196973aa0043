//! Mail that comes back: a mail service says so at a route, minutes or days after it took the mail.
//!
//! Services sign in ways of their own, but all of them can be given an address with a name and a password in it; the password is the
//! secret. What is told is by message ids, and may be told again: services do until they are answered.

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::routing::post;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mainstay_engine::Engine;
use mainstay_engine::ctx::{Caller, Ctx};
use mainstay_engine::error::{Error, Key};
use mainstay_http::{OpenCtx, Refusal, RouteDocs, RouteTable};
use serde::Deserialize;
use serde_json::json;

use crate::send::operation;

/// Mails that one call tells of at most.
const TOGETHER: usize = 1000;

/// A mail that came back.
#[derive(Debug, Deserialize)]
struct Bounce {
    message_id: String,
    #[serde(default)]
    reason: String,
}

/// One, or several.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Told {
    Several(Vec<Bounce>),
    One(Bounce),
}

/// The route.
pub(crate) fn table() -> RouteTable<String> {
    let bounce = json!({
        "type": "object",
        "required": ["message_id"],
        "properties": {"message_id": {"type": "string"}, "reason": {"type": "string"}},
    });
    let several = json!({"type": "array", "maxItems": TOGETHER, "items": bounce});
    let docs = RouteDocs::new("mailBounces", "Mail that has come back")
        .about("Asks for `mail.bounce_secret` as a token or a password.")
        .open()
        .any_media()
        .body(
            json!({"anyOf": [bounce, several]}),
            json!({"message_id": "<1@example.com>", "reason": "no such mailbox"}),
        )
        .answers_empty(204, "It is noted.")
        .refuses(&[Key::Credentials, Key::Request, Key::Limit]);
    vec![("POST", "/mail/bounces", post(bounced), docs)]
}

async fn bounced(
    State(secret): State<String>,
    headers: HeaderMap,
    OpenCtx(request): OpenCtx,
    body: Bytes,
) -> Result<StatusCode, Refusal> {
    if !is_known(&headers, &secret) {
        let words = "the password is not mail.bounce_secret";
        return Err(Error::new(Key::Credentials, words).into());
    }
    let told = serde_json::from_slice(&body).map_err(|_| {
        let words = "expected {\"message_id\": \"<…>\", \"reason\": \"…\"}, or a list of those";
        Error::new(Key::Request, words)
    })?;
    let all = match told {
        Told::One(bounce) => vec![bounce],
        Told::Several(all) => all,
    };
    if all.len() > TOGETHER {
        return Err(Error::new(Key::Limit, format!("{TOGETHER} mails are told of at a time")).into());
    }
    let ctx = Ctx { caller: std::sync::Arc::new(Caller::administrator()), ..request.ctx };
    for Bounce { message_id, reason } in &all {
        match mail_bounced(&request.engine, &ctx, message_id, reason).await {
            // It may be of another system that sends by the same service, which would tell it again for ever.
            Err(error) if error.key == Key::NotFound => {
                tracing::warn!(message_id, "a mail came back that nobody here has sent");
            }
            done => done?,
        }
    }
    Ok(StatusCode::NO_CONTENT)
}

/// Whether the secret is the password or the token of a request.
fn is_known(headers: &HeaderMap, secret: &str) -> bool {
    let Some(given) = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()) else {
        return false;
    };
    let password = match given.split_once(' ') {
        Some((way, token)) if way.eq_ignore_ascii_case("bearer") => token.as_bytes().to_vec(),
        Some((way, basic)) if way.eq_ignore_ascii_case("basic") => {
            let decoded = STANDARD.decode(basic.trim()).unwrap_or_default();
            let behind =
                decoded.iter().position(|byte| *byte == b':').map_or(decoded.len(), |colon| colon + 1);
            decoded[behind..].to_vec()
        }
        _ => return false,
    };
    // As long for a wrong one as for the right one, so that it cannot be found letter by letter.
    password.len() == secret.len()
        && password.iter().zip(secret.as_bytes()).fold(0, |differ, (a, b)| differ | (a ^ b)) == 0
}

/// Notes that a mail has come back, as its receiver's server tells later: by its message id, with or without its angle brackets.
///
/// # Errors
/// When there is no such mail, or the database fails.
pub async fn mail_bounced(engine: &Engine, ctx: &Ctx, message_id: &str, words: &str) -> Result<(), Error> {
    let message_id = format!("<{}>", message_id.trim().trim_start_matches('<').trim_end_matches('>'));
    let words = if words.trim().is_empty() { "it came back" } else { words.trim() };
    let set = json!({"Mail": {"message_id": message_id, "set": {"state": "bounced", "problem": words}}});
    let response = engine.execute(ctx, &operation(&set)?).await?;
    let entries = response.documents.iter().flat_map(|document| &document.entries);
    if entries.map(|entry| entry.row_count).sum::<u64>() > 0 {
        return Ok(());
    }
    Err(Error::new(Key::NotFound, format!("no mail has the message id {message_id}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_secret_is_a_password_or_a_token_and_nothing_else() {
        let check = |given: &str, expected: bool| {
            let mut headers = HeaderMap::new();
            headers.insert(header::AUTHORIZATION, given.parse().unwrap());
            assert_eq!(is_known(&headers, "s3cret"), expected, "{given}");
        };
        check("Bearer s3cret", true);
        check("bearer s3cre", false);
        check("Bearer s3crets", false);
        check(&format!("Basic {}", STANDARD.encode("bounce:s3cret")), true);
        check(&format!("Basic {}", STANDARD.encode("s3cret:")), false);
        check("Digest s3cret", false);
        assert!(!is_known(&HeaderMap::new(), "s3cret"));
    }
}
