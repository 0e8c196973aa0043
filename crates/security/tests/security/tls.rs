//! TLS with certificates from files: both versions of HTTP, sockets, another certificate while connections are there.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::http::{StatusCode, Version};
use futures_util::{SinkExt as _, StreamExt as _};
use mainstay_http::Redirect;
use mainstay_security::{SecurityOptions, ServerCertificate, TlsOptions};
use mainstay_testkit::database::{DatabaseKind, Place};
use rcgen::{CertificateParams, KeyPair};
use reqwest::redirect::Policy;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};
use tokio_tungstenite::client_async;
use tokio_tungstenite::tungstenite::Message;

use crate::harness::{Node, node_with, run};

pub(crate) const NAME: &str = "app.test";

/// A certificate and its key in two files; the certificate.
fn write_pair(folder: &Path) -> String {
    let key = KeyPair::generate().unwrap();
    let cert = CertificateParams::new(vec![NAME.to_owned()]).unwrap().self_signed(&key).unwrap().pem();
    std::fs::write(folder.join("key.pem"), key.serialize_pem()).unwrap();
    std::fs::write(folder.join("cert.pem"), &cert).unwrap();
    cert
}

fn files(folder: &Path) -> SecurityOptions {
    let file = |name: &str| -> PathBuf { folder.join(name) };
    let tls = TlsOptions::Files { cert: file("cert.pem"), key: file("key.pem") };
    SecurityOptions { tls: Some(tls), ..SecurityOptions::default() }
}

/// A client that knows nobody but who is named in a certificate, and finds the name at the server.
fn client(node: &Node, trusted: &str) -> reqwest::ClientBuilder {
    let trusted = reqwest::Certificate::from_pem(trusted.as_bytes()).unwrap();
    let builder = reqwest::Client::builder().timeout(Duration::from_secs(30)).tls_certs_only([trusted]);
    builder.resolve(NAME, node.address).redirect(Policy::none())
}

fn url(node: &Node, path: &str) -> String {
    format!("https://{NAME}:{}{path}", node.address.port())
}

/// A connection of one's own.
pub(crate) async fn connect(address: SocketAddr, trusted: &str) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(trusted.as_bytes()).unwrap()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(
        tokio_rustls::rustls::crypto::aws_lc_rs::default_provider(),
    ));
    let config = config.with_safe_default_protocol_versions().unwrap();
    let config = config.with_root_certificates(roots).with_no_client_auth();
    let stream = TcpStream::connect(address).await.unwrap();
    TlsConnector::from(Arc::new(config)).connect(ServerName::try_from(NAME).unwrap(), stream).await
}

/// Asks on a connection that stays.
async fn ask(stream: &mut TlsStream<TcpStream>) -> String {
    stream.write_all(b"GET /health/live HTTP/1.1\r\nHost: app.test\r\n\r\n").await.unwrap();
    let mut read = Vec::new();
    while !read.ends_with(b"{\"status\":\"live\"}") {
        let mut piece = [0; 1024];
        let count = stream.read(&mut piece).await.unwrap();
        assert!(count > 0, "the connection was ended");
        read.extend_from_slice(&piece[..count]);
    }
    String::from_utf8(read).unwrap()
}

#[test]
fn both_versions_of_http_and_sockets_are_spoken_over_tls() {
    run(async {
        let (place, folder) = (Place::new(DatabaseKind::Sqlite).unwrap(), tempfile::tempdir().unwrap());
        let cert = write_pair(folder.path());
        let node = node_with(&place, files(folder.path()), |_| {}).await;
        let second = client(&node, &cert).build().unwrap();
        let answer = second.get(url(&node, "/api/Note")).send().await.unwrap();
        assert_eq!((answer.status(), answer.version()), (StatusCode::OK, Version::HTTP_2));
        // Who a page belongs to is told by its host, which the second version has elsewhere.
        let origin = format!("https://{NAME}:{}", node.address.port());
        let listens = second.get(url(&node, "/api/Note")).header("accept", "text/event-stream");
        assert_eq!(listens.header("origin", origin).send().await.unwrap().status(), StatusCode::OK);
        let listens = second.get(url(&node, "/api/Note")).header("accept", "text/event-stream");
        let refused = listens.header("origin", "https://evil.example").send().await.unwrap();
        assert_eq!(refused.status(), StatusCode::FORBIDDEN);
        let first = client(&node, &cert).http1_only().build().unwrap();
        let answer = first.get(url(&node, "/api/Note")).send().await.unwrap();
        assert_eq!((answer.status(), answer.version()), (StatusCode::OK, Version::HTTP_11));
        let stream = connect(node.address, &cert).await.unwrap();
        let (mut socket, _) = client_async(format!("wss://{NAME}/live"), stream).await.unwrap();
        socket.send(Message::Text(r#"{"id":1,"request":{"path":"/api/Note"}}"#.into())).await.unwrap();
        let heard = socket.next().await.unwrap().unwrap().into_text().unwrap();
        assert!(heard.contains("\"status\":200"), "{heard}");
        drop((socket, first, second));
        // Whoever does not speak TLS is not understood.
        let plain = reqwest::get(format!("http://{}/health/live", node.address)).await;
        assert!(plain.is_err(), "{plain:?}");
        node.stop().await;
    });
}

#[test]
fn another_certificate_is_shown_at_once_and_cuts_nobody_off() {
    run(async {
        let (place, folder) = (Place::new(DatabaseKind::Sqlite).unwrap(), tempfile::tempdir().unwrap());
        let old = write_pair(folder.path());
        let node = node_with(&place, files(folder.path()), |_| {}).await;
        let certificate = ServerCertificate::of(&node.engine).unwrap();
        let mut there = connect(node.address, &old).await.unwrap();
        ask(&mut there).await;
        // A certificate whose key has not come yet is none.
        let key = std::fs::read(folder.path().join("key.pem")).unwrap();
        let new = write_pair(folder.path());
        let new_key = std::fs::read(folder.path().join("key.pem")).unwrap();
        std::fs::write(folder.path().join("key.pem"), key).unwrap();
        certificate.reload();
        assert!(connect(node.address, &old).await.is_ok());
        std::fs::write(folder.path().join("key.pem"), new_key).unwrap();
        certificate.reload();
        let shown = async {
            while connect(node.address, &new).await.is_err() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), shown).await.expect("the new certificate is shown");
        assert!(connect(node.address, &old).await.is_err(), "the old one is still shown");
        ask(&mut there).await;
        drop(there);
        node.stop().await;
    });
}

#[test]
fn whoever_comes_without_tls_is_led_to_it() {
    run(async {
        let (place, folder) = (Place::new(DatabaseKind::Sqlite).unwrap(), tempfile::tempdir().unwrap());
        write_pair(folder.path());
        let to = Redirect {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            origin: Some("https://app.test".to_owned()),
        };
        let node = node_with(&place, files(folder.path()), |options| options.redirect = Some(to)).await;
        let client = reqwest::Client::builder().redirect(Policy::none()).build().unwrap();
        let plain = format!("http://{}/docs?a=b", node.redirect.unwrap());
        let led = client.get(&plain).send().await.unwrap();
        assert_eq!(
            (led.status(), &led.headers()["location"]),
            (
                StatusCode::PERMANENT_REDIRECT,
                &reqwest::header::HeaderValue::from_static("https://app.test/docs?a=b"),
            )
        );
        let refused = client.post(&plain).body("secret").send().await.unwrap();
        assert_eq!(refused.status(), StatusCode::BAD_REQUEST);
        node.stop().await;
    });
}

#[test]
fn a_client_that_never_agrees_on_tls_loses_its_place() {
    run(async {
        let (place, folder) = (Place::new(DatabaseKind::Sqlite).unwrap(), tempfile::tempdir().unwrap());
        let cert = write_pair(folder.path());
        let node = node_with(&place, files(folder.path()), |options| {
            options.limits.header_timeout = Duration::from_millis(300);
            options.limits.connections_max = 1;
        })
        .await;
        let mut silent = TcpStream::connect(node.address).await.unwrap();
        // The one place is taken: the next one waits until it is free.
        assert!(connect(node.address, &cert).await.is_ok());
        assert_eq!(silent.read(&mut [0; 16]).await.unwrap_or(0), 0);
        node.stop().await;
    });
}

#[test]
fn a_server_without_a_usable_certificate_does_not_begin() {
    run(async {
        let folder = tempfile::tempdir().unwrap();
        let place = Place::new(DatabaseKind::Sqlite).unwrap();
        write_pair(folder.path());
        std::fs::write(folder.path().join("key.pem"), "no key").unwrap();
        let begun =
            tokio::spawn(async move { node_with(&place, files(folder.path()), |_| {}).await.stop().await });
        assert!(begun.await.is_err_and(|error| error.is_panic()));
    });
}
