//! Pages to sign in, register, verify and set a password by: plain forms, rendered by the server. They work without a script; the one that
//! there is adds buttons for passkeys.
//!
//! A page decides nothing: its form becomes the body of the very request that a program would make, asked with `?cookies`, and what that
//! answers is shown in words. A link in mail leads to a page with a button, so that programs that look at links use none up. What a
//! form of somebody who has signed in changes comes with the proof that the page is ours, as a field: no form can send a header.

mod account;
mod qr;
mod table;

use std::sync::{Arc, LazyLock};

use aws_lc_rs::digest::{SHA256, digest};
use axum::body::{Body, Bytes};
use axum::extract::{FromRequest as _, FromRequestParts as _, Path, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::response::{Html, IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use mainstay_engine::error::{Error, Key};
use mainstay_engine::factors::Factors;
use mainstay_http::Refusal;
use minijinja::{Environment, context};
use serde::Serialize;
use serde_json::json;

use self::table::{PAGES, Page, page_of};
use super::providers::redirect;
use super::{Answered, Open, SignedIn, account as coming, mail_code, password, roles, second};
use crate::cookies;
use crate::identity::Identity;
use crate::provider::started::back;
use crate::token::random;

/// Nothing but the page itself, and a style of the app's: no frame, no form to elsewhere, no script but the one that has the number
/// of this very answer, no style in the page but the one that every page has.
fn policy(nonce: Option<&str>) -> String {
    static STYLE: LazyLock<String> = LazyLock::new(|| {
        let page = include_str!("pages/layout.html");
        let style = page.split_once("<style>").and_then(|(_, rest)| rest.split_once("</style>"));
        let (style, _) = style.expect("the pages have a style of their own");
        STANDARD.encode(digest(&SHA256, style.as_bytes()))
    });
    let scripts = nonce.map(|nonce| format!(" script-src 'nonce-{nonce}'; connect-src 'self';"));
    format!(
        "default-src 'none'; style-src 'self' 'sha256-{}'; img-src 'self';{} form-action 'self'; base-uri 'none'; \
         frame-ancestors 'none'",
        *STYLE,
        scripts.unwrap_or_default()
    )
}

/// The field of a page to come back to, and that page where there is none.
pub(super) const RETURN: &str = "return";
const APP: &str = "/";

/// What the button for a passkey does.
#[derive(Debug, Serialize)]
pub(super) struct PasskeyButton<'a> {
    kind: &'static str,
    button: &'static str,
    ticket: &'a str,
    /// Where to go then.
    to: &'a str,
}

pub(super) fn pairs(text: &str) -> Vec<(String, String)> {
    form_urlencoded::parse(text.as_bytes()).into_owned().collect()
}

pub(super) fn value<'p>(pairs: &'p [(String, String)], name: &str) -> &'p str {
    pairs.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
}

/// What a page says above its form.
#[derive(Default)]
struct Said<'a> {
    problem: Option<&'a str>,
    /// The key of the problem, for whoever looks at the page with a program.
    key: Option<&'static str>,
    /// By whom else somebody can sign in.
    providers: Vec<serde_json::Value>,
    done: Option<&'a str>,
    /// The proof that the page is ours, for somebody who has signed in.
    csrf: Option<&'a str>,
    /// What would do as a second factor; none: that is not known any more.
    factors: Factors,
}

impl Identity {
    fn page(
        &self,
        app: &str,
        page: &Page,
        given: &[(String, String)],
        said: &Said<'_>,
    ) -> Result<Response, Error> {
        let fields: Vec<minijinja::Value> = page
            .fields
            .iter()
            .map(|field| {
                // A password is typed again.
                let value = if field.kind == "password" { "" } else { value(given, field.name) };
                context! { name => field.name, label => field.label, kind => field.kind, fill => field.fill, value }
            })
            .collect();
        let mut fields = fields;
        if let Some(csrf) = said.csrf {
            fields.push(context! { name => "csrf", kind => "hidden", value => csrf });
        }
        let ticket = value(given, "ticket");
        // The page that somebody was on the way to stays with them from form to form.
        let to = app_page(given);
        if to != APP {
            fields.push(context! { name => RETURN, kind => "hidden", value => to.as_str() });
        }
        let may_show_key = said.factors.is_empty() || said.factors.has(Factors::PASSKEY);
        let passkey = match page.name {
            "login" => Some(("login", "Sign in with a passkey", to.as_str())),
            "code" if may_show_key => Some(("login", "Show a passkey", to.as_str())),
            "confirm" => Some(("confirm", "Show a passkey", "/auth/pages/account")),
            _ => None,
        };
        let passkey = passkey.map(|(kind, button, to)| PasskeyButton { kind, button, ticket, to });
        let is_offered = |name: &&&str| match **name {
            "register" => self.options.registration,
            "magic-request" => self.options.magic,
            _ => true,
        };
        let links: Vec<minijinja::Value> = page
            .links
            .iter()
            .filter(is_offered)
            .filter_map(|name| PAGES.iter().find(|page| page.name == *name))
            .map(|page| context! { name => page.name, title => page.title })
            .collect();
        let shown = context! {
            page => minijinja::Value::from(minijinja::value::Serde(page)),
            title => page.title,
            app,
            fields,
            links,
            problem => said.problem,
            problem_key => said.key,
            back => (to != APP).then_some(to.as_str()),
            providers => minijinja::Value::from(minijinja::value::Serde(&said.providers)),
            done => said.done,
            show_form => said.done.is_none(),
        };
        self.rendered("page.html", shown, passkey)
    }

    /// A page of a template, with the button for a passkey if it has one.
    pub(super) fn rendered(
        &self,
        template: &str,
        shown: minijinja::Value,
        passkey: Option<PasskeyButton<'_>>,
    ) -> Result<Response, Error> {
        static PAGES: LazyLock<Environment<'static>> = LazyLock::new(|| {
            let mut environment = Environment::new();
            for (name, text) in [
                ("layout.html", include_str!("pages/layout.html")),
                ("page.html", include_str!("pages/page.html")),
                ("account.html", include_str!("pages/account.html")),
                ("links.html", include_str!("pages/links.html")),
            ] {
                environment
                    .add_template(name, text)
                    .expect("the templates are part of the program, and tests render them");
            }
            environment
        });
        let nonce = match &passkey {
            Some(_) => Some(URL_SAFE_NO_PAD.encode(random::<16>()?)),
            None => None,
        };
        let around = context! {
            style => self.options.style.as_deref(),
            passkey => passkey.as_ref().map(minijinja::value::Serde),
            nonce => nonce.as_deref(),
            script => include_str!("pages/passkey.js"),
            ..shown
        };
        let rendered = PAGES.get_template(template).and_then(|template| template.render(around));
        let mut response = Html(rendered.map_err(Error::internal)?).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        let policy = HeaderValue::from_str(&policy(nonce.as_deref())).map_err(Error::internal)?;
        headers.insert(header::CONTENT_SECURITY_POLICY, policy);
        // Without a referrer browsers would not say either that a form is one of ours.
        headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("same-origin"));
        Ok(response)
    }
}

/// The proof that a page of somebody who has signed in is ours.
fn csrf_of(identity: &Identity, by: &SignedIn) -> Option<String> {
    by.session.as_ref().map(|session| cookies::csrf(&identity.csrf_key, session))
}

pub(super) async fn show(
    State(identity): State<Arc<Identity>>,
    open: Open,
    by: Result<SignedIn, Refusal>,
    Path(name): Path<String>,
    uri: Uri,
) -> Answered {
    if name == account::NAME {
        return match by {
            Ok(by) => account::show(&identity, &by, account::More::default()).await,
            Err(_) => Ok(see("/auth/pages/login")),
        };
    }
    let given = pairs(uri.query().unwrap_or_default());
    let app = &open.request.engine.schema().app;
    let csrf = by.ok().and_then(|by| csrf_of(&identity, &by));
    let page = page_of(&name)?;
    let providers = match page.name {
        "login" | "register" => {
            let desk = identity.desk(&open.request);
            let within = identity.named_tenant(&desk, &open.headers).await?;
            identity.providers_shown(&desk, within).await?
        }
        _ => Vec::new(),
    };
    let said = Said { csrf: csrf.as_deref(), providers, ..Said::default() };
    Ok(identity.page(app, page, &given, &said)?)
}

pub(super) async fn send(
    State(identity): State<Arc<Identity>>,
    Path(name): Path<String>,
    request: Request,
) -> Answered {
    is_own_page(request.headers())?;
    let (mut parts, body) = request.into_parts();
    let form = Request::from_parts(parts.clone(), body);
    let form = Bytes::from_request(form, &())
        .await
        .map_err(|_| Error::new(Key::Request, "The form is too large."))?;
    let given = pairs(std::str::from_utf8(&form).unwrap_or_default());
    if let Ok(proof) = HeaderValue::from_str(value(&given, "csrf"))
        && !proof.is_empty()
    {
        parts.headers.insert(cookies::CSRF_HEADER, proof);
    }
    let mut open = Open::from_request_parts(&mut parts, &()).await?;
    let by = SignedIn::from_request_parts(&mut parts, &()).await;
    open.wants_cookies = true;
    if account::is_action(&name) {
        return account::send(&identity, by, &name, &given).await;
    }
    let page = page_of(&name)?;
    let app = open.request.engine.schema().app.clone();
    let csrf = by.as_ref().ok().and_then(|by| csrf_of(&identity, by));
    let body = json_of(page.fields.iter().map(|field| (field.name, value(&given, field.name))));
    let to = State(identity.clone());
    let again = open.clone();
    let answered = match page.name {
        "login" => coming::login(to, open, body).await,
        "code" | "confirm-code" => second::verify(to, open, by, body).await,
        "mail-code" => mail_code::verify(to, open, by, body).await,
        "register" => coming::register(to, open, body).await,
        "verify" | "change" => coming::email_verify(to, open, body).await,
        "renew" => password::renew(to, open, body).await,
        "forgot" => password::forgot(to, open, body).await,
        "reset" => password::reset(to, open, body).await,
        "magic-request" => coming::magic_request(to, open, body).await,
        "magic" => coming::magic_redeem(to, open, body).await,
        "confirm" => match by {
            Ok(by) => password::confirm(to, by, body).await,
            Err(refusal) => Err(refusal),
        },
        "invitation" => match by {
            Ok(by) => roles::join(to, by, body).await,
            Err(refusal) => Err(refusal),
        },
        _ => return Err(Error::new(Key::RouteUnknown, "").into()),
    };
    match (answered, page.done) {
        (Ok(response), _) if response.headers().contains_key(header::SET_COOKIE) => {
            Ok(to_app(&response, &given)?)
        }
        (Ok(_), Some(done)) => {
            Ok(identity.page(&app, page, &given, &Said { done: Some(done), ..Said::default() })?)
        }
        (Ok(_), None) if page.name.starts_with("confirm") => Ok(see("/auth/pages/account")),
        (Ok(response), None) => Ok(to_app(&response, &given)?),
        (Err(Refusal(error)), _) => {
            refused(&identity, &again, page.name, (&given, csrf.as_deref()), error).await
        }
    }
}

/// Says on a page why it is not as was wanted, or asks there for what is still missing.
pub(super) async fn refused(
    identity: &Arc<Identity>,
    open: &Open,
    name: &str,
    (given, csrf): (&[(String, String)], Option<&str>),
    error: Error,
) -> Answered {
    let app = &open.request.engine.schema().app;
    if let Some(ticket) = error.ticket {
        let factors = error.factors;
        let by_mail = factors == Factors::MAIL;
        if by_mail {
            let body = json_of([("ticket", ticket.0.as_str())].into_iter());
            mail_code::request(State(identity.clone()), open.clone(), Err(no_session()), body).await?;
        }
        let page = page_of(match error.key {
            Key::AuthPasswordExpired => "renew",
            _ if by_mail => "mail-code",
            _ => "code",
        })?;
        let said = Said { factors, ..Said::default() };
        let given = [("ticket".to_owned(), ticket.0), (RETURN.to_owned(), app_page(given))];
        return Ok(identity.page(app, page, &given, &said)?);
    }
    let words = match error.detail.as_str() {
        "" => error.key.title(),
        words => words,
    };
    let said = Said { problem: Some(words), key: Some(error.key.text()), csrf, ..Said::default() };
    let mut response = identity.page(app, page_of(name)?, given, &said)?;
    let status = match error.key {
        // A fault is told as one, by the way that all of them are.
        Key::Internal => return Err(Refusal(error)),
        Key::AuthThrottled => StatusCode::TOO_MANY_REQUESTS,
        _ => StatusCode::UNPROCESSABLE_ENTITY,
    };
    *response.status_mut() = status;
    Ok(response)
}

/// The fields of a form as the body of a request; what was left empty is not in it.
fn json_of<'v>(fields: impl Iterator<Item = (&'v str, &'v str)>) -> Bytes {
    let members: serde_json::Map<String, serde_json::Value> =
        fields.map(|(name, value)| (name.to_owned(), json!(value))).collect();
    Bytes::from(serde_json::Value::Object(members).to_string())
}

fn no_session() -> Refusal {
    Error::new(Key::Credentials, "Sign in first.").into()
}

/// Leads elsewhere.
fn see(path: &'static str) -> Response {
    let mut response = (StatusCode::SEE_OTHER, Body::empty()).into_response();
    response.headers_mut().insert(header::LOCATION, HeaderValue::from_static(path));
    response
}

/// Shows the page of the app that somebody was on the way to, with the cookies of an answer.
fn to_app(answered: &Response, given: &[(String, String)]) -> Result<Response, Error> {
    Ok(with_cookies(redirect(&app_page(given))?, answered))
}

/// The page of the app that somebody was on the way to; its first where they have named none, or one that is elsewhere.
fn app_page(given: &[(String, String)]) -> String {
    let named = value(given, RETURN);
    back(Some(named)).unwrap_or_else(|_| APP.to_owned())
}

/// A response with the cookies of an answer.
pub(super) fn with_cookies(mut response: Response, answered: &Response) -> Response {
    for cookie in answered.headers().get_all(header::SET_COOKIE) {
        response.headers_mut().append(header::SET_COOKIE, cookie.clone());
    }
    response
}

/// A form of another site would sign somebody in as somebody else.
pub(super) fn is_own_page(headers: &HeaderMap) -> Result<(), Error> {
    let text = |name: header::HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let Some(origin) = text(header::ORIGIN) else { return Ok(()) };
    let host = origin.split_once("://").map(|(_, host)| host);
    match host.is_some() && host == text(header::HOST) {
        true => Ok(()),
        false => Err(Error::new(Key::AuthCsrf, "This form was not on a page of ours.")),
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;

    use super::{PAGES, pairs, value};
    use crate::identity::Identity;
    use crate::options::{IdentityOptions, PasswordOptions};

    #[tokio::test]
    async fn every_page_is_rendered_and_shows_what_was_given_as_text() {
        let options = IdentityOptions {
            password: PasswordOptions { memory_kib: 64, threads: 1, ..PasswordOptions::default() },
            ..IdentityOptions::new([7; 32], "http://localhost")
        };
        let identity = Identity::new(options).unwrap();
        let given = pairs("email=%22%3E%3Cscript%3E&token=a%22b&ticket=t&password=typed");
        assert_eq!(value(&given, "token"), "a\"b");
        for page in PAGES {
            let said = super::Said { problem: Some("<b>"), ..super::Said::default() };
            let response = identity.page("shop", page, &given, &said).unwrap();
            let policy = response.headers()["content-security-policy"].to_str().unwrap().to_owned();
            assert!(!policy.contains("unsafe"), "{policy}");
            let body = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
            let html = String::from_utf8(body.to_vec()).unwrap();
            // The policy knows the one style as it is sent.
            let style =
                html.split_once("<style>").and_then(|(_, rest)| rest.split_once("</style>")).unwrap().0;
            let digest = super::digest(&super::SHA256, style.as_bytes());
            assert!(policy.contains(&super::STANDARD.encode(digest)), "{policy}");
            assert!(!html.contains("style="), "{}: {html}", page.name);
            assert!(!html.contains("><script>") && !html.contains("<b>"), "{}: {html}", page.name);
            assert!(!html.contains("typed"), "{}: a password is shown", page.name);
            for field in page.fields {
                assert!(html.contains(&format!("name=\"{}\"", field.name)), "{}", page.name);
            }
        }
    }
}
