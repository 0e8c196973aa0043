//! The headers that answers have beside their own, as the settings say.
//!
//! Data has those that keep a browser from taking it for something else; pages have those as well that say what a page may do. A page of
//! the platform's own has a stricter policy of its own, which stands before these.

use std::time::Duration;

use axum::http::{HeaderName, HeaderValue, header};
use mainstay_http::AnswerHeaders;

/// What browsers are told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderOptions {
    /// The policy of pages that say none: `Content-Security-Policy`.
    pub page_policy: String,
    /// `Referrer-Policy`
    pub referrer: String,
    /// `Permissions-Policy` of pages.
    pub permissions: String,
    /// Who may show a page in a frame: `X-Frame-Options`; empty: anybody, unless the page's policy says otherwise.
    pub frames: String,
    /// `Cross-Origin-Opener-Policy` of pages.
    pub opener: String,
    /// `Cross-Origin-Resource-Policy`
    pub resource: String,
    /// For how long browsers come by TLS alone; zero: nothing is said of it.
    pub hsts: Duration,
    /// Whether people come by TLS.
    pub is_tls: bool,
}

/// The defaults of [`HeaderOptions`], which the table of settings has too.
impl Default for HeaderOptions {
    fn default() -> HeaderOptions {
        HeaderOptions {
            page_policy: "object-src 'none'; base-uri 'self'; frame-ancestors 'none'".to_owned(),
            referrer: "no-referrer".to_owned(),
            permissions: "camera=(), geolocation=(), microphone=(), payment=(), usb=()".to_owned(),
            frames: "DENY".to_owned(),
            opener: "same-origin".to_owned(),
            resource: "same-origin".to_owned(),
            hsts: Duration::from_secs(365 * 24 * 3600),
            is_tls: false,
        }
    }
}

/// Data is no page: it loads nothing, and stands in no frame.
const DATA_POLICY: &str = "default-src 'none'; frame-ancestors 'none'";

impl HeaderOptions {
    /// The lists, or which value no header can have.
    ///
    /// # Errors
    /// The name of the header.
    pub(crate) fn lists(&self) -> Result<AnswerHeaders, HeaderName> {
        let hsts = match self.is_tls && !self.hsts.is_zero() {
            true => format!("max-age={}", self.hsts.as_secs()),
            false => String::new(),
        };
        let every = [
            (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
            (header::X_FRAME_OPTIONS, &self.frames),
            (header::REFERRER_POLICY, &self.referrer),
            (HeaderName::from_static("cross-origin-resource-policy"), &self.resource),
            (header::STRICT_TRANSPORT_SECURITY, &hsts),
        ];
        let of_pages = [
            (header::CONTENT_SECURITY_POLICY, self.page_policy.as_str()),
            (HeaderName::from_static("permissions-policy"), &self.permissions),
            (HeaderName::from_static("cross-origin-opener-policy"), &self.opener),
        ];
        let of_data = [(header::CONTENT_SECURITY_POLICY, DATA_POLICY)];
        let list = |own: &[(HeaderName, &str)]| {
            let all = every.iter().chain(own).filter(|(_, value)| !value.is_empty());
            all.map(|(name, value)| match HeaderValue::from_str(value) {
                Ok(value) => Ok((name.clone(), value)),
                Err(_) => Err(name.clone()),
            })
            .collect::<Result<Vec<_>, _>>()
        };
        Ok(AnswerHeaders { data: list(&of_data)?, pages: list(&of_pages)? })
    }
}

#[cfg(test)]
mod tests {
    use super::HeaderOptions;

    #[test]
    fn a_header_without_a_value_is_not_sent_and_one_that_cannot_be_is_named() {
        let names = |options: &HeaderOptions| {
            let lists = options.lists().unwrap();
            lists.pages.iter().map(|(name, _)| name.to_string()).collect::<Vec<_>>()
        };
        let all = names(&HeaderOptions { is_tls: true, ..HeaderOptions::default() });
        assert_eq!(all.len(), 8, "{all:?}");
        let fewer =
            HeaderOptions { frames: String::new(), opener: String::new(), ..HeaderOptions::default() };
        assert_eq!(names(&fewer).len(), 5, "{:?}", names(&fewer));
        let wrong = HeaderOptions { referrer: "no\nreferrer".to_owned(), ..HeaderOptions::default() };
        assert_eq!(wrong.lists().unwrap_err(), "referrer-policy");
    }
}
