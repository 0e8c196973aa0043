//! One limit on how often a client asks, as a setting says it: `address 20/1m burst 5 POST /auth/*`.
//!
//! By whom requests are counted, how many in how long, how many of them at once, and of which routes: the method and the pattern of
//! the route as OpenAPI has it, or what it begins with and a `*`. Pure.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use axum::http::Method;

/// By whom requests are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Who {
    /// The address that they come from; of IPv6 the /64 that it is in.
    Address,
    /// The user who asks.
    User,
}

/// A limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rate {
    /// By whom requests are counted.
    pub who: Who,
    /// How many.
    pub count: u32,
    /// In how long.
    pub span: Duration,
    /// How many of them at once.
    pub burst: u32,
    /// Of which method; none: of any.
    pub method: Option<Method>,
    /// Of which routes.
    pub routes: Routes,
}

/// Routes by their patterns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Routes {
    /// All.
    All,
    /// One.
    One(String),
    /// Those that begin so.
    Beginning(String),
}

/// A limit that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "limits such as `address 300/1m`, `user 20/1h burst 5 POST /api/{{table}}`, `address 60/1m /auth/*`: {0}"
)]
pub struct RateError(String);

/// Spans that a client's clock cannot tell from never, and counts that are none.
const SPAN_MAX: Duration = Duration::from_secs(24 * 3600);

impl FromStr for Rate {
    type Err = RateError;

    fn from_str(text: &str) -> Result<Rate, RateError> {
        let wrong = |words: String| RateError(format!("{words} in {text:?}"));
        let mut words = text.split_whitespace().peekable();
        let who = match words.next() {
            Some("address") => Who::Address,
            Some("user") => Who::User,
            _ => return Err(wrong("`address` or `user` comes first".to_owned())),
        };
        let (count, span) = words
            .next()
            .and_then(|rate| rate.split_once('/'))
            .and_then(|(count, span)| {
                Some((count.parse::<u32>().ok().filter(|count| *count > 0)?, span_of(span)?))
            })
            .ok_or_else(|| {
                wrong("a count and a span as in `300/1m` (s, m, h, up to 24h) come second".to_owned())
            })?;
        let burst = match words.next_if_eq(&"burst") {
            None => count,
            Some(_) => words
                .next()
                .and_then(|burst| burst.parse().ok())
                .filter(|burst| (1..=count).contains(burst))
                .ok_or_else(|| wrong(format!("`burst` is followed by 1 to {count}")))?,
        };
        let is_method = |word: &&str| word.bytes().all(|byte| byte.is_ascii_uppercase());
        let method = match words.next_if(is_method) {
            None => None,
            Some(word) => Some(Method::from_str(word).map_err(|_| wrong(format!("{word} is no method")))?),
        };
        let routes = match words.next() {
            None => Routes::All,
            Some(path) if !path.starts_with('/') => {
                return Err(wrong(format!("`{path}` is no pattern of a route, which begins with a slash")));
            }
            Some(path) => match path.strip_suffix('*') {
                Some(beginning) => Routes::Beginning(beginning.to_owned()),
                None => Routes::One(path.to_owned()),
            },
        };
        match words.next() {
            None => Ok(Rate { who, count, span, burst, method, routes }),
            Some(word) => Err(wrong(format!("`{word}` is one word too many"))),
        }
    }
}

fn span_of(text: &str) -> Option<Duration> {
    let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit())?);
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        _ => return None,
    };
    let span = Duration::from_secs(number.parse::<u64>().ok()?.checked_mul(seconds)?);
    (Duration::from_secs(1)..=SPAN_MAX).contains(&span).then_some(span)
}

impl Rate {
    /// Whether requests of a method and route are counted.
    pub fn counts(&self, method: &Method, route: &str) -> bool {
        // `HEAD` is answered by whoever answers `GET`.
        let method = if method == Method::HEAD { &Method::GET } else { method };
        self.method.as_ref().is_none_or(|of| of == method)
            && match &self.routes {
                Routes::All => true,
                Routes::One(pattern) => pattern == route,
                Routes::Beginning(beginning) => route.starts_with(beginning.as_str()),
            }
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let who = match self.who {
            Who::Address => "address",
            Who::User => "user",
        };
        write!(f, "{who} {}/{}s", self.count, self.span.as_secs())?;
        if self.burst != self.count {
            write!(f, " burst {}", self.burst)?;
        }
        if let Some(method) = &self.method {
            write!(f, " {method}")?;
        }
        match &self.routes {
            Routes::All => Ok(()),
            Routes::One(pattern) => write!(f, " {pattern}"),
            Routes::Beginning(beginning) => write!(f, " {beginning}*"),
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::http::Method;

    use super::Rate;

    #[test]
    fn limits_are_read_as_they_are_written() {
        let check = |text: &str, again: &str| {
            let rate: Rate = text.parse().unwrap();
            assert_eq!(rate.to_string(), again);
            assert_eq!(again.parse(), Ok(rate));
        };
        check("address 300/1m", "address 300/60s");
        check("  user 20/1h burst 5  POST /api/{table} ", "user 20/3600s burst 5 POST /api/{table}");
        check("address 60/1m burst 60 /auth/*", "address 60/60s /auth/*");
        check("user 5/10s DELETE", "user 5/10s DELETE");
    }

    #[test]
    fn what_cannot_be_meant_is_refused_and_said() {
        let check = |text: &str, words: &str| {
            let error = text.parse::<Rate>().unwrap_err().to_string();
            assert!(error.contains(words), "{text}: {error}");
        };
        check("", "comes first");
        check("300/1m", "comes first");
        check("address", "come second");
        check("address 0/1m", "come second");
        check("address 10/1d", "come second");
        check("address 10/0s", "come second");
        check("address 10/25h", "come second");
        check("address 10/99999999999999999999h", "come second");
        check("address 10/1m burst", "1 to 10");
        check("address 10/1m burst 11", "1 to 10");
        check("address 10/1m auth", "begins with a slash");
        check("address 10/1m /a /b", "one word too many");
    }

    #[test]
    fn routes_are_counted_by_method_and_pattern() {
        let check = |text: &str, method: Method, route: &str, expect: bool| {
            assert_eq!(
                text.parse::<Rate>().unwrap().counts(&method, route),
                expect,
                "{text} {method} {route}"
            );
        };
        check("user 1/1s", Method::GET, "(none)", true);
        check("user 1/1s GET /api/{table}", Method::HEAD, "/api/{table}", true);
        check("user 1/1s GET /api/{table}", Method::POST, "/api/{table}", false);
        check("user 1/1s GET /api/{table}", Method::GET, "/api/{table}/{id}", false);
        check("user 1/1s /auth/*", Method::POST, "/auth/login", true);
        check("user 1/1s /auth/*", Method::POST, "/authors", false);
    }
}
