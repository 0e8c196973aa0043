//! A push service on 127.0.0.1, and a browser that reads what it is sent with its own private key: RFC 8291 from the other end.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_lc_rs::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::agreement::{ECDH_P256, PrivateKey, UnparsedPublicKey, agree};
use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Salt};
use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use parking_lot::Mutex;
use serde_json::{Value as Json, json};

/// What the service was sent.
#[derive(Clone, Debug)]
pub(crate) struct Received {
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Received {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

#[derive(Default)]
struct Kept {
    received: Mutex<Vec<Received>>,
    /// What the next requests are answered: a status, and perhaps a pause.
    answers: Mutex<VecDeque<(u16, Option<&'static str>)>>,
}

/// The service.
pub(crate) struct Service {
    pub(crate) url: String,
    kept: Arc<Kept>,
}

impl Service {
    pub(crate) async fn start() -> Service {
        let kept = Arc::new(Kept::default());
        let router = Router::new().route("/push/{name}", post(receive)).with_state(kept.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Service { url, kept }
    }

    /// What is answered next, in the place of 201.
    pub(crate) fn answer(&self, status: u16, retry_after: Option<&'static str>) {
        self.kept.answers.lock().push_back((status, retry_after));
    }

    /// Waits until so many messages have come.
    pub(crate) async fn received(&self, count: usize) -> Vec<Received> {
        let begun = Instant::now();
        loop {
            let received = self.kept.received.lock().clone();
            if received.len() >= count {
                return received;
            }
            assert!(begun.elapsed() < Duration::from_secs(60), "{received:?}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

async fn receive(
    State(kept): State<Arc<Kept>>,
    Path(name): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> (StatusCode, HeaderMap) {
    kept.received.lock().push(Received { path: name, headers, body: body.to_vec() });
    let (status, pause) = kept.answers.lock().pop_front().unwrap_or((201, None));
    let mut answer = HeaderMap::new();
    answer.extend(pause.map(|pause| (axum::http::header::RETRY_AFTER, pause.parse().unwrap())));
    (StatusCode::from_u16(status).unwrap(), answer)
}

/// A browser with a subscription.
pub(crate) struct Browser {
    private: PrivateKey,
    auth: [u8; 16],
    endpoint: String,
}

struct Length(usize);

impl KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

fn hkdf<const N: usize>(salt: &[u8], input: &[u8], info: &[u8]) -> [u8; N] {
    let mut out = [0; N];
    Salt::new(HKDF_SHA256, salt).extract(input).expand(&[info], Length(N)).unwrap().fill(&mut out).unwrap();
    out
}

impl Browser {
    pub(crate) fn new(service: &Service, name: &str) -> Browser {
        let mut auth = [0; 16];
        aws_lc_rs::rand::fill(&mut auth).unwrap();
        let private = PrivateKey::generate(&ECDH_P256).unwrap();
        Browser { private, auth, endpoint: format!("{}/push/{name}", service.url) }
    }

    fn public(&self) -> Vec<u8> {
        self.private.compute_public_key().unwrap().as_ref().to_vec()
    }

    /// What `PushSubscription.toJSON()` says.
    pub(crate) fn subscription(&self) -> Json {
        let keys = json!({
            "p256dh": URL_SAFE_NO_PAD.encode(self.public()),
            "auth": URL_SAFE_NO_PAD.encode(self.auth),
        });
        json!({"endpoint": self.endpoint, "expirationTime": null, "keys": keys})
    }

    /// What a service worker is given of a message; none: it is for another browser.
    pub(crate) fn open(&self, received: &Received) -> Option<Json> {
        let (salt, rest) = received.body.split_at(16);
        let (size, rest) = rest.split_at(4);
        assert!(received.body.len() <= 4096 && size == 4096_u32.to_be_bytes());
        let (length, rest) = rest.split_at(1);
        let (sender, sealed) = rest.split_at(usize::from(length[0]));
        let info = [b"WebPush: info\0".as_slice(), &self.public(), sender].concat();
        let input: [u8; 32] =
            agree(&self.private, UnparsedPublicKey::new(&ECDH_P256, sender), (), |shared| {
                Ok(hkdf(&self.auth, shared, &info))
            })
            .ok()?;
        let key: [u8; 16] = hkdf(salt, &input, b"Content-Encoding: aes128gcm\0");
        let nonce: [u8; 12] = hkdf(salt, &input, b"Content-Encoding: nonce\0");
        let key = LessSafeKey::new(UnboundKey::new(&AES_128_GCM, &key).unwrap());
        let mut sealed = sealed.to_vec();
        let opened =
            key.open_in_place(Nonce::assume_unique_for_key(nonce), Aad::empty(), &mut sealed).ok()?;
        let (last, text) = opened.split_last().unwrap();
        assert_eq!(*last, 2, "the last record");
        Some(serde_json::from_slice(text).unwrap())
    }
}
