//! Pages to sign in, register, verify and set a password by: plain forms, rendered by the server, without a script.
//!
//! A page decides nothing: its form becomes the body of the very request that a program would make, asked with `?cookies`, and what that
//! answers is shown in words. A link in mail leads to a page with a button, so that programs that look at links use none up.

use std::sync::{Arc, LazyLock};

use aws_lc_rs::digest::{SHA256, digest};
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::response::{Html, IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mainstay_engine::error::{Error, Key};
use mainstay_http::Refusal;
use minijinja::{Environment, context};
use serde::Serialize;
use serde_json::json;

use super::{Answered, Open, SignedIn, account, password, roles, second};
use crate::identity::Identity;

/// A page.
#[derive(Debug, Serialize)]
struct Page {
    name: &'static str,
    title: &'static str,
    intro: &'static str,
    button: &'static str,
    #[serde(skip)]
    fields: &'static [Field],
    #[serde(skip)]
    links: &'static [&'static str],
    /// What is said when it is done; none: the app is shown.
    #[serde(skip)]
    done: Option<&'static str>,
}

/// A value that a page asks for.
#[derive(Clone, Copy, Debug)]
struct Field {
    name: &'static str,
    label: &'static str,
    kind: &'static str,
    fill: &'static str,
}

const fn field(name: &'static str, label: &'static str, kind: &'static str, fill: &'static str) -> Field {
    Field { name, label, kind, fill }
}

const EMAIL: Field = field("email", "E-mail", "email", "username");
const PASSWORD: Field = field("password", "Password", "password", "current-password");
const NEW_PASSWORD: Field = field("password", "New password", "password", "new-password");
const TOKEN: Field = field("token", "", "hidden", "off");

const PAGES: &[Page] = &[
    Page {
        name: "login",
        title: "Sign in",
        intro: "",
        button: "Sign in",
        fields: &[EMAIL, PASSWORD],
        links: &["register", "forgot", "magic-request"],
        done: None,
    },
    Page {
        name: "code",
        title: "Second factor",
        intro: "Enter the code of your app, or one of your recovery codes.",
        button: "Go on",
        fields: &[field("code", "Code", "text", "one-time-code"), field("ticket", "", "hidden", "off")],
        links: &["login"],
        done: None,
    },
    Page {
        name: "register",
        title: "Make an account",
        intro: "",
        button: "Make an account",
        fields: &[field("name", "Name", "text", "name"), EMAIL, NEW_PASSWORD],
        links: &["login"],
        done: Some("We have sent you a mail. Use the link in it to confirm your address."),
    },
    Page {
        name: "verify",
        title: "Confirm your address",
        intro: "",
        button: "Confirm",
        fields: &[TOKEN],
        links: &["login"],
        done: Some("Your address is confirmed. You can sign in now."),
    },
    Page {
        name: "change",
        title: "Confirm your new address",
        intro: "",
        button: "Confirm",
        fields: &[TOKEN],
        links: &["login"],
        done: Some("Your new address is confirmed."),
    },
    Page {
        name: "forgot",
        title: "Forgotten password",
        intro: "We send you a link to choose a new one.",
        button: "Send the link",
        fields: &[EMAIL],
        links: &["login"],
        done: Some("If there is an account with this address, a mail is on its way."),
    },
    Page {
        name: "reset",
        title: "Choose a new password",
        intro: "",
        button: "Set the password",
        fields: &[NEW_PASSWORD, TOKEN],
        links: &["login"],
        done: Some("Your password is set, and every device was signed out. You can sign in now."),
    },
    Page {
        name: "magic-request",
        title: "Sign in by mail",
        intro: "We send you a link to sign in by.",
        button: "Send the link",
        fields: &[EMAIL],
        links: &["login"],
        done: Some("If there is an account with this address, a mail is on its way."),
    },
    Page {
        name: "magic",
        title: "Sign in",
        intro: "",
        button: "Sign in",
        fields: &[TOKEN],
        links: &["login"],
        done: None,
    },
    Page {
        name: "invitation",
        title: "Accept the invitation",
        intro: "",
        button: "Accept",
        fields: &[TOKEN],
        links: &["login"],
        done: Some("You have joined."),
    },
];

/// Nothing but the page itself, and a style of the app's: no script, no frame, no form to elsewhere.
static POLICY: LazyLock<HeaderValue> = LazyLock::new(|| {
    let style =
        include_str!("page.html").split_once("<style>").and_then(|(_, rest)| rest.split_once("</style>"));
    let (style, _) = style.expect("the page has a style of its own");
    let style = STANDARD.encode(digest(&SHA256, style.as_bytes()));
    let policy = format!(
        "default-src 'none'; style-src 'self' 'sha256-{style}'; img-src 'self'; form-action 'self'; \
         base-uri 'none'; frame-ancestors 'none'"
    );
    HeaderValue::from_str(&policy).expect("the policy is ASCII")
});

fn page_of(name: &str) -> Result<&'static Page, Error> {
    PAGES.iter().find(|page| page.name == name).ok_or_else(|| Error::new(Key::RouteUnknown, ""))
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
        let is_offered = |name: &&&str| **name != "register" || self.options.registration;
        let links: Vec<minijinja::Value> = page
            .links
            .iter()
            .filter(is_offered)
            .filter_map(|name| PAGES.iter().find(|page| page.name == *name))
            .map(|page| context! { name => page.name, title => page.title })
            .collect();
        let shown = context! {
            page => minijinja::Value::from(minijinja::value::Serde(page)),
            app,
            fields,
            links,
            style => self.options.style.as_deref(),
            problem => said.problem,
            problem_key => said.key,
            providers => minijinja::Value::from(minijinja::value::Serde(&said.providers)),
            done => said.done,
            show_form => said.done.is_none(),
        };
        rendered("page.html", shown)
    }
}

/// A page, with what browsers have to know of it.
pub(super) fn rendered(template: &str, shown: minijinja::Value) -> Result<Response, Error> {
    static TEMPLATES: LazyLock<Environment<'static>> = LazyLock::new(|| {
        let mut environment = Environment::new();
        for (name, text) in
            [("page.html", include_str!("page.html")), ("links.html", include_str!("links.html"))]
        {
            environment
                .add_template(name, text)
                .expect("the template is part of the program, and tests render it");
        }
        environment
    });
    let rendered = TEMPLATES.get_template(template).and_then(|template| template.render(shown));
    let mut response = Html(rendered.map_err(Error::internal)?).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::CONTENT_SECURITY_POLICY, POLICY.clone());
    // Without a referrer browsers would not say either that a form is one of ours.
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    Ok(response)
}

pub(super) async fn show(
    State(identity): State<Arc<Identity>>,
    open: Open,
    Path(name): Path<String>,
    uri: Uri,
) -> Answered {
    let given = pairs(uri.query().unwrap_or_default());
    let app = &open.request.engine.schema().app;
    let page = page_of(&name)?;
    let providers = match page.name {
        "login" | "register" => {
            let desk = identity.desk(&open.request);
            let within = identity.named_tenant(&desk, &open.headers).await?;
            identity.providers_shown(&desk, within).await?
        }
        _ => Vec::new(),
    };
    Ok(identity.page(app, page, &given, &Said { providers, ..Said::default() })?)
}

pub(super) async fn send(
    State(identity): State<Arc<Identity>>,
    mut open: Open,
    by: Result<SignedIn, Refusal>,
    Path(name): Path<String>,
    body: Bytes,
) -> Answered {
    let page = page_of(&name)?;
    is_own_page(&open.headers)?;
    let given = pairs(std::str::from_utf8(&body).unwrap_or_default());
    let app = open.request.engine.schema().app.clone();
    let members: serde_json::Map<String, serde_json::Value> =
        page.fields.iter().map(|field| (field.name.to_owned(), json!(value(&given, field.name)))).collect();
    let body = Bytes::from(serde_json::Value::Object(members).to_string());
    open.wants_cookies = true;
    let to = State(identity.clone());
    let answered = match page.name {
        "login" => account::login(to, open, body).await,
        "code" => second::verify(to, open, by, body).await,
        "register" => account::register(to, open, body).await,
        "verify" | "change" => account::email_verify(to, open, body).await,
        "forgot" => password::forgot(to, open, body).await,
        "reset" => password::reset(to, open, body).await,
        "magic-request" => account::magic_request(to, open, body).await,
        "magic" => account::magic_redeem(to, open, body).await,
        "invitation" => match by {
            Ok(by) => roles::join(to, by, body).await,
            Err(refusal) => Err(refusal),
        },
        _ => return Err(Error::new(Key::RouteUnknown, "").into()),
    };
    match (answered, page.done) {
        (Ok(response), _) if response.headers().contains_key(header::SET_COOKIE) => Ok(to_app(response)),
        (Ok(_), Some(done)) => {
            Ok(identity.page(&app, page, &given, &Said { done: Some(done), ..Said::default() })?)
        }
        (Ok(response), None) => Ok(to_app(response)),
        (Err(Refusal(error)), _) => refused(&identity, &app, page.name, &given, error),
    }
}

/// Says on a page why it is not as was wanted, or asks there for the second factor.
pub(super) fn refused(
    identity: &Identity,
    app: &str,
    name: &str,
    given: &[(String, String)],
    error: Error,
) -> Answered {
    if let Some(ticket) = error.ticket {
        return Ok(identity.page(
            app,
            page_of("code")?,
            &[("ticket".to_owned(), ticket.0)],
            &Said::default(),
        )?);
    }
    let words = match error.detail.as_str() {
        "" => error.key.title(),
        words => words,
    };
    let said = Said { problem: Some(words), key: Some(error.key.text()), ..Said::default() };
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

/// Shows the app, with the cookies of an answer.
fn to_app(answered: Response) -> Response {
    let mut response = StatusCode::SEE_OTHER.into_response();
    response.headers_mut().insert(header::LOCATION, HeaderValue::from_static("/"));
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
            assert!(policy.contains("'sha256-") && !policy.contains("unsafe"), "{policy}");
            let body = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
            let html = String::from_utf8(body.to_vec()).unwrap();
            // The policy knows the one style as it is sent.
            let style =
                html.split_once("<style>").and_then(|(_, rest)| rest.split_once("</style>")).unwrap().0;
            assert!(
                policy.contains(&super::STANDARD.encode(super::digest(&super::SHA256, style.as_bytes())))
            );
            assert!(
                !html.contains("style=") && !html.contains("<script") && !html.contains("<b>"),
                "{}: {html}",
                page.name
            );
            assert!(!html.contains("typed"), "{}: a password is shown", page.name);
            for field in page.fields {
                assert!(html.contains(&format!("name=\"{}\"", field.name)), "{}", page.name);
            }
        }
    }
}
