//! The way to an authority: the platform's one HTTP client.

use std::pin::Pin;
use std::time::Duration;

use axum::body::Bytes;
use axum::http::{Request, Response};
use http_body_util::BodyExt as _;
use instant_acme::{BodyWrapper, BytesResponse, Error, HttpClient};
use reqwest::Certificate;

use super::{AcmeOptions, HadError};

const TIMEOUT: Duration = Duration::from_secs(30);

#[derive(Clone)]
pub(super) struct Client(reqwest::Client);

impl Client {
    pub(super) fn new(options: &AcmeOptions) -> Result<Client, HadError> {
        let wrong = |error: &dyn std::fmt::Display| HadError::Authority(error.to_string());
        let mut builder = reqwest::Client::builder().https_only(true).timeout(TIMEOUT);
        if let Some(path) = &options.authority {
            let pem = std::fs::read(path).map_err(|error| wrong(&error))?;
            builder = builder.tls_certs_merge([Certificate::from_pem(&pem).map_err(|error| wrong(&error))?]);
        }
        Ok(Client(builder.build().map_err(|error| wrong(&error))?))
    }
}

impl HttpClient for Client {
    fn request(
        &self,
        request: Request<BodyWrapper<Bytes>>,
    ) -> Pin<Box<dyn Future<Output = Result<BytesResponse, Error>> + Send>> {
        let client = self.0.clone();
        Box::pin(async move {
            let (parts, body) = request.into_parts();
            let body = match body.collect().await {
                Ok(body) => body.to_bytes(),
                Err(never) => match never {},
            };
            let request =
                client.request(parts.method, parts.uri.to_string()).headers(parts.headers).body(body);
            let response = request.send().await.map_err(|error| Error::Other(Box::new(error)))?;
            Ok(BytesResponse::from(Response::from(response)))
        })
    }
}
