//! Paths that no route takes: the app's static files, else 404 with the nearest route.
//!
//! `public/` is the app's own front end: its files are served to anybody, as they are. Directories are not listed and
//! nothing outside the folder is reached.

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::Response;
use mainstay_engine::error::{Error, Key};
use tower::ServiceExt;
use tower_http::services::ServeDir;

use crate::admit::Admission;
use crate::app::App;
use crate::client;
use crate::router::{NO_ROUTE, ROUTES};
use mainstay_lang::suggest::nearest;

/// The file, the way to the reference from `/`, or 404.
pub(crate) async fn serve(app: &App, admission: &Admission, request: Request) -> Result<Response, Error> {
    let client = || client::address(&app.options.trusted_proxies, request.extensions(), request.headers());
    app.admit_address(admission, (request.method(), NO_ROUTE), client)?;
    let path = request.uri().path().to_owned();
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return Err(unknown(&path));
    }
    if let Some(public) = &app.options.public {
        let files = ServeDir::new(public);
        let Ok(response) = files.oneshot(request).await;
        // Anything else than a file in whole, in part, or known to the client is not there.
        let status = response.status();
        if status.is_success() || status.is_redirection() || status == StatusCode::RANGE_NOT_SATISFIABLE {
            return Ok(response.map(Body::new));
        }
        if status.is_server_error() {
            return Err(Error::internal(format!("static file {path}: {status}")));
        }
    }
    if path == "/" { Ok(to_docs()) } else { Err(unknown(&path)) }
}

fn to_docs() -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::TEMPORARY_REDIRECT;
    response.headers_mut().insert(header::LOCATION, HeaderValue::from_static("/docs"));
    response
}

fn unknown(path: &str) -> Error {
    let words = match nearest(path, ROUTES.iter().map(|route| route.path)) {
        Some(near) => format!("There is nothing at `{path}`; did you mean `{near}`?"),
        None => format!("There is nothing at `{path}`; `/docs` lists what there is."),
    };
    Error::new(Key::RouteUnknown, words)
}
