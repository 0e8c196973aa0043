//! What is asked of providers over HTTP: with limits, because a provider that is slow, large or turned is not to take the server along.
//!
//! Every request has a time, every answer a size, and nobody is followed elsewhere: a redirect could lead into the server's own network, with
//! the app's secret in the request.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::http::StatusCode;
use mainstay_engine::error::{Error, Key};
use reqwest::{Client, RequestBuilder, redirect};

/// For so long one answer is waited for.
const PATIENCE: Duration = Duration::from_secs(10);
const CONNECT_PATIENCE: Duration = Duration::from_secs(5);

/// Bytes of an answer at most.
const ANSWER_BYTES_MAX: usize = 1 << 20;

/// What asks providers: made when the first one is asked, for most apps have none.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outbound(Arc<OnceLock<Client>>);

/// An answer, read whole.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) body: Vec<u8>,
}

impl Outbound {
    /// # Errors
    /// When the system has no certificates to trust.
    pub(crate) fn get(&self, url: &str) -> Result<RequestBuilder, Error> {
        Ok(self.client()?.get(url))
    }

    /// # Errors
    /// As for [`Outbound::get`].
    pub(crate) fn post(&self, url: &str) -> Result<RequestBuilder, Error> {
        Ok(self.client()?.post(url))
    }

    fn client(&self) -> Result<&Client, Error> {
        if let Some(client) = self.0.get() {
            return Ok(client);
        }
        let client = Client::builder()
            .redirect(redirect::Policy::none())
            .connect_timeout(CONNECT_PATIENCE)
            .timeout(PATIENCE)
            .user_agent(concat!("mainstay/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(Error::internal)?;
        Ok(self.0.get_or_init(|| client))
    }
}

/// Sends a request, and reads its answer as far as an answer may go.
///
/// # Errors
/// [`Key::AuthProviderAway`] when there is none, in time and of a size that is read.
pub(crate) async fn answer(provider: &str, request: RequestBuilder) -> Result<Answer, Error> {
    let mut response = request.send().await.map_err(|error| away(provider, error))?;
    let status = response.status();
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| away(provider, error))? {
        if body.len() + chunk.len() > ANSWER_BYTES_MAX {
            return Err(away(provider, format!("its answer has more than {ANSWER_BYTES_MAX} bytes")));
        }
        body.extend_from_slice(&chunk);
    }
    if status.is_server_error() || status.is_redirection() {
        return Err(away(provider, format!("it answers {status}")));
    }
    Ok(Answer { status, body })
}

/// A provider is not there, or not as one should be: the log has why.
pub(crate) fn away(provider: &str, why: impl std::fmt::Display) -> Error {
    tracing::warn!(provider, error = %why, "a provider of identities does not answer as it should");
    Error::new(
        Key::AuthProviderAway,
        "The provider cannot be reached, or does not answer as it should. Try again later.",
    )
}
