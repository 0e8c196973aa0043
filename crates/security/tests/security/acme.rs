//! A certificate from an authority: Pebble, the one that Let's Encrypt gives to those who write clients. It looks at the name by way of
//! a server of names of its own, comes to the port of TLS and checks the proof, as a real one does.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use mainstay_jobs::{Jobs, Worker, WorkerOptions};
use mainstay_security::{AcmeOptions, SecurityOptions, ServerCertificate, TlsOptions};
use mainstay_testkit::database::{DatabaseKind, Place};
use rcgen::{CertificateParams, KeyPair};
use serde_json::json;

use crate::harness::{Node, node_with, run};
use crate::tls::{NAME, connect};

/// A program that ends with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

fn free_port() -> u16 {
    TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port()
}

struct Authority {
    directory: String,
    management: u16,
    _programs: [Running; 2],
}

/// An authority that comes to `tls_port` of this machine for every name.
fn authority(folder: &Path, tls_port: u16) -> Authority {
    let key = KeyPair::generate().unwrap();
    let cert = CertificateParams::new(vec!["localhost".to_owned()]).unwrap().self_signed(&key).unwrap();
    std::fs::write(folder.join("pebble.pem"), cert.pem()).unwrap();
    std::fs::write(folder.join("pebble.key"), key.serialize_pem()).unwrap();
    let (listen, management, names) = (free_port(), free_port(), free_port());
    let config = json!({"pebble": {
        "listenAddress": format!("127.0.0.1:{listen}"),
        "managementListenAddress": format!("127.0.0.1:{management}"),
        "certificate": folder.join("pebble.pem"),
        "privateKey": folder.join("pebble.key"),
        "httpPort": free_port(),
        "tlsPort": tls_port,
        "ocspResponderURL": "",
        "externalAccountBindingRequired": false,
    }});
    std::fs::write(folder.join("pebble.json"), config.to_string()).unwrap();
    let start = |program: &str, args: &[&str]| {
        let mut command = Command::new(program);
        let log = std::fs::File::create(folder.join(format!("{program}.log"))).unwrap();
        command.args(args).env("PEBBLE_VA_NOSLEEP", "1").stdin(Stdio::null());
        command.stdout(log.try_clone().unwrap()).stderr(log);
        Running(command.spawn().unwrap_or_else(|error| panic!("{program} (Debian: pebble): {error}")))
    };
    let dns = format!("127.0.0.1:{names}");
    let own = format!("127.0.0.1:{}", free_port());
    let of_names = ["-dns01", &dns, "-management", &own, "-defaultIPv4", "127.0.0.1", "-defaultIPv6", ""];
    let others = ["-http01", "", "-https01", "", "-tlsalpn01", ""];
    let config = folder.join("pebble.json").display().to_string();
    let programs = [
        start("pebble-challtestsrv", &[&of_names[..], &others[..]].concat()),
        start("pebble", &["-config", &config, "-dnsserver", &dns]),
    ];
    Authority { directory: format!("https://localhost:{listen}/dir"), management, _programs: programs }
}

async fn node(place: &Place, options: &AcmeOptions, port: u16) -> Node {
    let options = SecurityOptions {
        tls: Some(TlsOptions::Acme(options.clone())),
        is_shared: true,
        ..SecurityOptions::default()
    };
    node_with(place, options, |options| options.listen = SocketAddr::from(([127, 0, 0, 1], port))).await
}

async fn has_certificate(node: &Node) {
    let certificate = ServerCertificate::of(&node.engine).unwrap();
    while certificate.ends().is_none() {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// The certificate that the authority signs by, once it listens.
async fn root(authority: &Authority, folder: &Path) -> String {
    let trusted = std::fs::read(folder.join("pebble.pem")).unwrap();
    let trusted = reqwest::Certificate::from_pem(&trusted).unwrap();
    let client = reqwest::Client::builder().tls_certs_only([trusted]).build().unwrap();
    loop {
        let asked = client.get(format!("https://localhost:{}/roots/0", authority.management)).send().await;
        match asked {
            Ok(answer) => return answer.text().await.unwrap(),
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

#[test]
fn an_authority_gives_a_certificate_that_all_servers_show() {
    run(async {
        for kind in DatabaseKind::ALL {
            let (place, folder) = (Place::new(*kind).unwrap(), tempfile::tempdir().unwrap());
            let port = free_port();
            let authority = authority(folder.path(), port);
            let root = root(&authority, folder.path()).await;
            let options = AcmeOptions {
                domains: vec![NAME.to_owned()],
                contact: Some("ann@app.test".to_owned()),
                directory: authority.directory.clone(),
                authority: Some(folder.path().join("pebble.pem")),
                secret: vec![7; 32],
            };
            // The authority comes to this one, and another one asks for the certificate: it does the work, too.
            let shown = node(&place, &options, port).await;
            let other = match kind {
                DatabaseKind::Sqlite => None,
                DatabaseKind::Postgres => Some(node(&place, &options, 0).await),
            };
            assert!(connect(shown.address, &root).await.is_err(), "there is no certificate yet");
            let engine = other.as_ref().map_or(&shown.engine, |other| &other.engine);
            let options = WorkerOptions { poll: Duration::from_millis(20), ..WorkerOptions::default() };
            let worker = Worker::new(Jobs::of_app(engine.clone()), options);
            let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
            let working = tokio::spawn(worker.run(async move { drop(stopped.await) }));
            let waited = async {
                for node in [Some(&shown), other.as_ref()].into_iter().flatten() {
                    has_certificate(node).await;
                    connect(node.address, &root).await.expect("the authority's certificate is shown");
                }
            };
            if tokio::time::timeout(Duration::from_secs(60), waited).await.is_err() {
                let log = std::fs::read_to_string(folder.path().join("pebble.log")).unwrap_or_default();
                let list = Jobs::of_app(engine.clone()).list(None, None, 10).await;
                panic!("no certificate in time: {list:?}; the authority says:\n{log}");
            }
            // What was to be proved is forgotten, and the keys are sealed.
            let rows = async |table: &str, filter: &str| {
                let lookup = shown.engine.lookup(table, filter).unwrap();
                let deadline = std::time::Instant::now() + Duration::from_secs(10);
                shown.engine.look_up(&lookup, deadline, &[]).await.unwrap()
            };
            for (table, column) in [("ServerCertificate", "key"), ("AcmeAccount", "credentials")] {
                let rows = rows(table, "id != \"\"").await;
                assert_eq!(rows.len(), 1, "{table}");
                let kept = format!("{:?}", rows[0].value(column).unwrap());
                assert!(!kept.contains("PRIVATE KEY") && !kept.contains("pkcs8"), "{table}: {kept}");
            }
            drop(stop);
            working.await.unwrap();
            assert!(
                rows("AcmeChallenge", "id != \"\"").await.is_empty(),
                "proofs are kept for longer than needed"
            );
            shown.stop().await;
            if let Some(other) = other {
                other.stop().await;
            }
        }
    });
}
