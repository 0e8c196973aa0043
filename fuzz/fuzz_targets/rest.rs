//! Any bytes are taken as a REST request, the first line as the rest of its target, the others as its body: the
//! answer is never a fault of the server, and a refusal is always a problem document.

#![no_main]

use axum::body::Body;
use axum::http::{Method, Request, header};
use libfuzzer_sys::fuzz_target;
use mainstay_fuzz::World;
use tower::ServiceExt as _;

thread_local! {
    static WORLD: World = World::open();
}

fuzz_target!(|bytes: &[u8]| {
    let Some((kind, bytes)) = bytes.split_first() else { return };
    let (target, body) = match bytes.iter().position(|byte| *byte == b'\n') {
        Some(end) => (&bytes[..end], &bytes[end + 1..]),
        None => (bytes, &[][..]),
    };
    let Ok(target) = std::str::from_utf8(target) else { return };
    let (method, prefix) = match kind % 6 {
        0 => (Method::GET, "/api/Task?"),
        1 => (Method::GET, "/api/Task/"),
        2 => (Method::POST, "/api/Task?"),
        3 => (Method::PATCH, "/api/Person/"),
        4 => (Method::GET, "/"),
        _ => (Method::PUT, "/api/Task/"),
    };
    // Targets that are no URI never reach the routes.
    let request = Request::builder()
        .method(method)
        .uri(format!("{prefix}{target}"))
        .header(header::HOST, "localhost")
        .header(header::CONTENT_TYPE, "application/json")
        .body(Body::from(body.to_vec()));
    let Ok(request) = request else { return };
    WORLD.with(|world| {
        let answer = world.block_on(world.routes().oneshot(request)).expect("routes do not fail");
        let status = answer.status();
        assert!(!status.is_server_error(), "{status}");
        if status.is_client_error() {
            let kind = answer.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
            assert_eq!(kind, Some("application/problem+json"), "{status}");
        }
    });
});
