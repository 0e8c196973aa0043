//! Headers that every answer has beside its own: a list, put on in one place.
//!
//! Which ones is for a plugin to say; without one there are none. What an answer says itself stands before the list, so that a page
//! with a policy of its own keeps it.

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use mainstay_engine::plugin::Setup;

/// The headers of every answer.
#[derive(Clone, Debug, Default)]
pub struct AnswerHeaders {
    /// Those of answers that are data.
    pub data: Vec<(HeaderName, HeaderValue)>,
    /// Those of answers that are pages of HTML.
    pub pages: Vec<(HeaderName, HeaderValue)>,
}

impl AnswerHeaders {
    /// Adds those that an answer does not have.
    pub(crate) fn complete(&self, headers: &mut HeaderMap) {
        let kind = headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes);
        let is_page = kind.is_some_and(|kind| kind.starts_with(b"text/html"));
        let list = if is_page { &self.pages } else { &self.data };
        for (name, value) in list {
            headers.entry(name).or_insert_with(|| value.clone());
        }
    }
}

/// The word that this adds to a plugin's set-up.
pub trait SetupHeaders {
    /// Says which headers answers have beside their own. There can be one list.
    fn answer_headers(&mut self, headers: AnswerHeaders) -> &mut Self;
}

impl SetupHeaders for Setup<'_> {
    fn answer_headers(&mut self, headers: AnswerHeaders) -> &mut Self {
        self.keep(headers)
    }
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderMap, HeaderName, HeaderValue, header};

    use super::AnswerHeaders;

    #[test]
    fn what_an_answer_says_itself_stands_before_the_list() {
        let one = |name: &'static str, value: &'static str| {
            (HeaderName::from_static(name), HeaderValue::from_static(value))
        };
        let list = AnswerHeaders {
            data: vec![one("x-kind", "data")],
            pages: vec![one("x-kind", "page"), one("x-frame-options", "DENY")],
        };
        let mut headers = HeaderMap::new();
        list.complete(&mut headers);
        assert_eq!(headers["x-kind"], "data");
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
        headers.insert("x-frame-options", HeaderValue::from_static("SAMEORIGIN"));
        list.complete(&mut headers);
        assert_eq!(
            (&headers["x-kind"], &headers["x-frame-options"]),
            (&HeaderValue::from_static("page"), &HeaderValue::from_static("SAMEORIGIN"),)
        );
    }
}
