//! A provider that says whatever a test wants, signed with keys of its own.

use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use axum::body::Bytes;
use axum::extract::State;
use axum::response::IntoResponse as _;
use axum::routing::{get, post};
use axum::{Json as Body, Router};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use parking_lot::Mutex;
use serde_json::{Value as Json, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// A key with its name.
#[derive(Clone)]
pub(crate) struct SigningKey {
    pub(crate) kid: String,
    private: Vec<u8>,
    pub(crate) public: String,
}

impl SigningKey {
    pub(crate) fn new(kid: &str) -> SigningKey {
        let random = aws_lc_rs::rand::SystemRandom::new();
        let private = Ed25519KeyPair::generate_pkcs8(&random).unwrap();
        let pair = Ed25519KeyPair::from_pkcs8(private.as_ref()).unwrap();
        let public = URL_SAFE_NO_PAD.encode(pair.public_key().as_ref());
        SigningKey { kid: kid.to_owned(), private: private.as_ref().to_vec(), public }
    }

    fn published(&self) -> Json {
        json!({"kty": "OKP", "crv": "Ed25519", "use": "sig", "kid": self.kid, "x": self.public})
    }

    pub(crate) fn sign(&self, claims: &Json) -> String {
        let header = Header { kid: Some(self.kid.clone()), ..Header::new(Algorithm::EdDSA) };
        encode(&header, claims, &EncodingKey::from_ed_der(&self.private)).unwrap()
    }
}

/// What it says.
pub(crate) struct Says {
    /// Added to what it publishes of itself.
    pub(crate) metadata: Json,
    pub(crate) published: Vec<SigningKey>,
    pub(crate) token: Json,
    pub(crate) userinfo: Json,
    /// What the app has asked last for a code.
    pub(crate) asked: Vec<(String, String)>,
    pub(crate) secret: String,
}

pub(crate) struct Hostile {
    pub(crate) url: String,
    pub(crate) key: SigningKey,
    pub(crate) says: Arc<Mutex<Says>>,
    task: JoinHandle<()>,
}

impl Drop for Hostile {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// What the routes know.
#[derive(Clone)]
struct Here {
    url: String,
    says: Arc<Mutex<Says>>,
}

impl Hostile {
    pub(crate) async fn start() -> Hostile {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let key = SigningKey::new("first");
        let says = Arc::new(Mutex::new(Says {
            metadata: json!({}),
            published: vec![key.clone()],
            token: json!({}),
            userinfo: json!({}),
            asked: Vec::new(),
            secret: String::new(),
        }));
        let here = Here { url: url.clone(), says: says.clone() };
        let router = Router::new()
            .route("/.well-known/openid-configuration", get(metadata))
            .route("/jwks", get(keys))
            .route("/token", post(token))
            .route("/userinfo", get(userinfo))
            .with_state(here);
        let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Hostile { url, key, says, task }
    }

    /// What is true of somebody, for a nonce.
    pub(crate) fn claims(&self, subject: &str, nonce: &str) -> Json {
        json!({
            "iss": self.url,
            "aud": "shop",
            "sub": subject,
            "nonce": nonce,
            "iat": now_s(),
            "exp": now_s() + 300,
            "name": subject,
            "email": format!("{subject}@example.com"),
            "email_verified": true,
        })
    }

    /// Answers the next code with a statement.
    pub(crate) fn say(&self, statement: &str) {
        self.says.lock().token = json!({"id_token": statement, "access_token": "opaque", "token_type": "Bearer", "expires_in": 300});
    }

    /// Whether the app has shown the secret whose hash it sent along.
    pub(crate) fn has_seen_verifier_of(&self, challenge: &str) -> bool {
        let says = self.says.lock();
        let verifier = says.asked.iter().find(|(name, _)| name == "code_verifier").unwrap();
        URL_SAFE_NO_PAD.encode(digest(&SHA256, verifier.1.as_bytes())) == challenge
    }
}

pub(crate) fn now_s() -> i64 {
    mainstay_jobs::Clock::default().now().0 / 1_000_000
}

async fn metadata(State(here): State<Here>) -> Body<Json> {
    let url = &here.url;
    let mut said = json!({
        "issuer": url,
        "authorization_endpoint": format!("{url}/authorize"),
        "token_endpoint": format!("{url}/token"),
        "userinfo_endpoint": format!("{url}/userinfo"),
        "jwks_uri": format!("{url}/jwks"),
    });
    for (name, value) in here.says.lock().metadata.as_object().unwrap() {
        said[name] = value.clone();
    }
    Body(said)
}

async fn keys(State(here): State<Here>) -> Body<Json> {
    let keys: Vec<Json> = here.says.lock().published.iter().map(SigningKey::published).collect();
    Body(json!({"keys": keys}))
}

async fn token(
    State(here): State<Here>,
    headers: axum::http::HeaderMap,
    asked: Bytes,
) -> axum::response::Response {
    let mut says = here.says.lock();
    says.asked = form_urlencoded::parse(&asked).into_owned().collect();
    says.secret = headers.get("authorization").map_or("", |value| value.to_str().unwrap()).to_owned();
    match says.token["error"].is_null() {
        true => Body(says.token.clone()).into_response(),
        false => (axum::http::StatusCode::BAD_REQUEST, Body(says.token.clone())).into_response(),
    }
}

async fn userinfo(State(here): State<Here>) -> Body<Json> {
    Body(here.says.lock().userinfo.clone())
}
