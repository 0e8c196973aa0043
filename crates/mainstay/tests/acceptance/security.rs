//! What stands between an app and the network, through the binary: settings become headers, limits and certificates; what weakens
//! an app is told; what protects nothing is refused.

use std::process::Command;
use std::time::Duration;

use rcgen::{CertificateParams, KeyPair};
use serde_json::json;

use crate::support::{App, Ran, until};

const APP: &str = "table Task { title text, allow read, allow create if signed_in }";
const SECRET: &str = "hG7!kd93Lq0-zXw2vBn5_mRt8YpQs4Ue";

/// A certificate for `app.test` and its key, as files of the app.
fn certificate(app: &App) -> (String, String) {
    let key = KeyPair::generate().unwrap();
    let cert = CertificateParams::new(vec!["app.test".to_owned()]).unwrap().self_signed(&key).unwrap();
    (app.write("cert.pem", cert.pem()), app.write("key.pem", key.serialize_pem()))
}

/// Asks by TLS, believing one certificate alone.
fn by_tls(cert: &str, address: &str) -> Ran {
    let port = address.rsplit_once(':').unwrap().1;
    let mut command = Command::new("curl");
    command.args(["-s", "--cacert", cert, "--resolve", &format!("app.test:{port}:127.0.0.1")]);
    Ran::of(command.arg(format!("https://app.test:{port}/health/live")))
}

#[test]
fn a_server_with_a_certificate_speaks_tls_and_takes_another_one() {
    let app = App::of(APP);
    let (cert, key) = certificate(&app);
    let server = app.serve_with(&["--tls-cert", &cert, "--tls-key", &key, "--http-redirect", "127.0.0.1:0"]);
    assert!(server.said().contains("leading to TLS from http://127.0.0.1:"), "{}", server.said());
    assert_eq!(by_tls(&cert, server.address()).succeeded().stdout, "{\"status\":\"live\"}");
    // The new one is known to nobody who has the old one alone.
    let old = app.write("old.pem", app.read("cert.pem"));
    certificate(&app);
    Ran::of(Command::new("kill").args(["-HUP", &server.id().to_string()])).succeeded();
    until(Duration::from_secs(60), || (by_tls(&cert, server.address()).code == 0).then_some(()));
    assert_eq!(by_tls(&old, server.address()).code, 60, "curl: the certificate is not known");
}

#[test]
fn the_doctor_tells_when_a_certificate_ends() {
    let app = App::of(APP);
    let (cert, key) = certificate(&app);
    let flags = ["doctor", "APP", "--json", "--tls-cert", &cert, "--tls-key", &key];
    let words = |ran: &Ran| {
        let findings = ran.json()["findings"].as_array().unwrap().clone();
        let of = findings.into_iter().find(|finding| finding["subject"] == "certificate").unwrap();
        of["words"].as_str().unwrap().to_owned()
    };
    assert!(words(&app.run(&flags).succeeded()).starts_with("good for "));
    let mut params = CertificateParams::new(vec!["app.test".to_owned()]).unwrap();
    params.not_after = rcgen::date_time_ymd(2001, 1, 1);
    params.not_before = rcgen::date_time_ymd(2000, 1, 1);
    let own = KeyPair::generate().unwrap();
    app.write("cert.pem", params.self_signed(&own).unwrap().pem());
    assert!(words(&app.run(&flags).ended(1)).contains("cannot be used"), "the key is another one's");
    app.write("key.pem", own.serialize_pem());
    assert_eq!(words(&app.run(&flags).ended(1)), "it has ended, or ends within a day");
}

#[test]
fn what_does_not_fit_together_is_refused_with_the_setting() {
    let app = App::of(APP);
    let (cert, _) = certificate(&app);
    let check = |flags: &[&str], words: &str| {
        let ran = app.run(&[&["serve", "APP", "--listen", "127.0.0.1:0"], flags].concat());
        assert!(ran.code != 0 && ran.stderr.contains(words), "{flags:?}: {ran:?}");
    };
    check(&["--tls-cert", &cert], "http.tls.key: the key");
    check(&["--tls-cert", &cert, "--tls-key", &cert], "http.tls: the key is none");
    check(&["--http-redirect", "127.0.0.1:0"], "http.redirect: TLS is spoken where");
    check(&["--acme-domains", "app.example"], "write `use security` in the app");
    check(&["--acme-domains", "app"], "http.acme.domains (--acme-domains): expected names such as");
    check(
        &["--http-rate-limits", "address 5"],
        "http.rate_limits (--http-rate-limits): expected limits such as",
    );
    check(
        &["--env", "production", "--auth-secret", &"ab".repeat(20)],
        "auth.secret: it has only 2 different characters",
    );
}

#[test]
fn limits_and_headers_are_those_that_are_set() {
    let app = App::of(APP);
    let limits =
        ["--http-rate-limits", "address 1/1h /api/*", "--http-rate-free", "", "--http-frames", "same"];
    let server = app.serve_with(&limits);
    let first = server.get("", "/api/Task");
    first.expect(200);
    assert_eq!(first.header("x-frame-options"), "SAMEORIGIN");
    assert_eq!(first.header("ratelimit-policy"), "\"limit-1\";q=1;w=3600");
    assert_eq!(server.get("", "/api/Task").expect(429)["key"], "rate.limited");
    server.query("", &json!({"Task": {}})).ok();
    drop(server);
    // Whoever comes from the machine itself is not counted unless that is said.
    let server = app.serve_with(&limits[..2]);
    (0..3).for_each(|_| drop(server.get("", "/api/Task").expect(200)));
}

#[test]
fn the_doctor_warns_of_what_weakens_an_app_and_is_strict_when_asked() {
    let app = App::of(APP);
    let doctor = |words: &[&str]| app.run(&[&["doctor", "APP"], words].concat());
    let own = doctor(&["--json", "--strict"]).succeeded().json();
    assert_eq!(own["warnings"], json!([]), "in development nothing counts");
    let production = ["--env", "production", "--auth-secret", SECRET, "--log-level", "debug"];
    let warned = doctor(&[&production[..], &["--json"]].concat()).succeeded().json();
    let names: Vec<&str> =
        warned["warnings"].as_array().unwrap().iter().map(|of| of["name"].as_str().unwrap()).collect();
    assert_eq!((names, &warned["well"]), (vec!["log.debug", "limits.data", "backups.off"], &json!(true)));
    let strict = doctor(&[&production[..], &["--strict"]].concat()).ended(1);
    assert!(strict.stdout.contains("warn log.debug: "), "{strict:?}");
    assert!(strict.stderr.contains("3 settings weaken the app"), "{strict:?}");
}
