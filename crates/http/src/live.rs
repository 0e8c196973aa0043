//! Live on the wire: a socket that takes requests and subscriptions, and streams of events for any read.
//!
//! What is sent is decided in `mainstay-live`; here it is given the form that the protocol says. A request over a socket takes
//! the same way in as any other.

mod frame;
pub(crate) mod socket;
pub(crate) mod stream;
mod websocket;

use std::sync::Arc;

use mainstay_engine::ctx::Ctx;
use mainstay_live::Who;

/// Who listens, of a request's context: what that one may see is read anew while listening.
fn who(ctx: &Ctx) -> Who {
    Who {
        user: ctx.caller.user.clone(),
        admin: ctx.caller.admin,
        tenant: ctx.tenant.clone(),
        session: ctx.session.clone(),
    }
}

/// Longer names of devices are cut.
const DEVICE_CHARS_MAX: usize = 200;

/// From where somebody listens: as was said, or by the name of the program.
fn device(said: Option<&str>, headers: &axum::http::HeaderMap) -> Option<Arc<str>> {
    let agent = || headers.get("user-agent").and_then(|value| value.to_str().ok());
    let name: String =
        said.or_else(agent)?.chars().filter(|c| !c.is_control()).take(DEVICE_CHARS_MAX).collect();
    (!name.trim().is_empty()).then(|| name.into())
}

/// Whether the page that asks was served from here, or from where pages may ask from. Programs say nothing of a page.
///
/// A browser asks nobody before it opens a socket to another site, so this has to be looked at here.
fn is_welcome(headers: &axum::http::HeaderMap, origins: &[String]) -> bool {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    if !headers.contains_key("origin") {
        return true;
    }
    let Some(origin) = text("origin") else { return false };
    let host = origin.split_once("://").map(|(_, host)| host);
    let is_own = host.is_some_and(|host| text("host").is_some_and(|own| own.eq_ignore_ascii_case(host)));
    is_own || origins.iter().any(|allowed| allowed == "*" || allowed.eq_ignore_ascii_case(origin))
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderMap, HeaderValue};

    use super::is_welcome;

    #[test]
    fn pages_of_other_sites_are_welcome_only_where_they_are_named() {
        let check = |origin: &'static str, origins: &[&str], expect: bool| {
            let mut headers = HeaderMap::new();
            headers.insert("host", HeaderValue::from_static("app.example:4040"));
            headers.insert("origin", HeaderValue::from_static(origin));
            let origins: Vec<String> = origins.iter().map(|origin| (*origin).to_owned()).collect();
            assert_eq!(is_welcome(&headers, &origins), expect, "{origin}");
        };
        check("http://app.example:4040", &[], true);
        check("https://APP.example:4040", &[], true);
        check("http://app.example", &[], false);
        check("https://evil.example", &[], false);
        check("null", &[], false);
        check("https://friend.example", &["https://friend.example"], true);
        check("https://evil.example", &["*"], true);
        assert!(is_welcome(&HeaderMap::new(), &[]));
    }
}
