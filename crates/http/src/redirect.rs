//! Plain HTTP beside TLS: whoever comes is told to come by TLS.
//!
//! Reads are led there. Whatever would change something is refused: what it carried has been seen by all on its way, and whoever wrote
//! the client is to learn of that at once.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::Response;
use hyper::Request;
use hyper::body::Incoming;

/// Where plain HTTP is listened for, and where TLS is spoken.
#[derive(Clone, Debug)]
pub struct Redirect {
    /// Where to listen.
    pub listen: SocketAddr,
    /// Where people come by TLS, as `https://app.example.com`; none: the host that they have asked for.
    pub origin: Option<String>,
}

/// Answers one request.
pub(crate) fn answer(origin: &Option<Arc<str>>, request: &Request<Incoming>) -> Result<Response, Infallible> {
    let to = target(origin.as_deref(), request.method(), request.uri(), request.headers());
    let mut response = Response::new(Body::empty());
    match to {
        Some(to) => {
            *response.status_mut() = StatusCode::PERMANENT_REDIRECT;
            response.headers_mut().insert(header::LOCATION, to);
        }
        None => {
            *response.status_mut() = StatusCode::BAD_REQUEST;
            *response.body_mut() = Body::from("Come by TLS: https://\n");
        }
    }
    // One request is enough to learn it.
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    Ok(response)
}

fn target(origin: Option<&str>, method: &Method, uri: &Uri, headers: &HeaderMap) -> Option<HeaderValue> {
    if !matches!(*method, Method::GET | Method::HEAD) {
        return None;
    }
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    if let Some(origin) = origin {
        return HeaderValue::try_from(format!("{origin}{path}")).ok();
    }
    let host = headers.get(header::HOST)?.to_str().ok()?;
    // The port is that of plain HTTP.
    let name = host.rsplit_once(':').filter(|(_, port)| port.bytes().all(|byte| byte.is_ascii_digit()));
    let name = name.map_or(host, |(name, _)| name);
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-[]:".contains(&byte);
    let is_name = !name.is_empty() && name.bytes().all(is_plain);
    is_name.then(|| HeaderValue::try_from(format!("https://{name}{path}")).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderMap, HeaderValue, Method, header};

    use super::target;

    #[test]
    fn reads_are_led_to_the_same_place_by_tls() {
        let check =
            |origin: Option<&str>, method: Method, path: &str, host: &'static str, expect: Option<&str>| {
                let mut headers = HeaderMap::new();
                headers.insert(header::HOST, HeaderValue::from_static(host));
                let to = target(origin, &method, &path.parse().unwrap(), &headers);
                assert_eq!(to.as_ref().map(|to| to.to_str().unwrap()), expect, "{host} {path}");
            };
        check(None, Method::GET, "/a?b=c", "app.example", Some("https://app.example/a?b=c"));
        check(None, Method::HEAD, "/", "app.example:80", Some("https://app.example/"));
        check(None, Method::GET, "/", "[2001:db8::1]:80", Some("https://[2001:db8::1]/"));
        check(None, Method::GET, "/", "evil.example/x@y", None);
        check(None, Method::GET, "/", "", None);
        check(None, Method::POST, "/auth/login", "app.example", None);
        let origin = Some("https://app.example:8443");
        check(origin, Method::GET, "/a", "evil.example", Some("https://app.example:8443/a"));
    }
}
