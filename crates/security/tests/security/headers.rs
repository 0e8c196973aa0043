//! What browsers are told, with every kind of answer.

use mainstay_security::{HeaderOptions, SecurityOptions};
use mainstay_testkit::database::{DatabaseKind, Place};

use crate::harness::{client, node, node_with, run};

#[test]
fn every_answer_says_that_it_is_no_page_and_pages_say_what_they_may() {
    run(async {
        let place = Place::new(DatabaseKind::Sqlite).unwrap();
        let public = tempfile::tempdir().unwrap();
        std::fs::write(public.path().join("index.html"), "<p>Hello").unwrap();
        let headers = HeaderOptions { is_tls: true, ..HeaderOptions::default() };
        let options = SecurityOptions { headers, ..SecurityOptions::default() };
        let folder = public.path().to_owned();
        let node = node_with(&place, options, |options| options.public = Some(folder)).await;
        let every = [
            ("x-content-type-options", "nosniff"),
            ("x-frame-options", "DENY"),
            ("referrer-policy", "no-referrer"),
            ("cross-origin-resource-policy", "same-origin"),
            ("strict-transport-security", "max-age=31536000"),
        ];
        // A list, a problem, what no route takes, a method that is unknown, what is open to all, a file.
        for path in ["/api/Note", "/api/Nothing", "/nowhere", "/health/live", "/openapi.json", "/index.html"]
        {
            let answer = client().get(format!("{}{path}", node.url)).send().await.unwrap();
            for (name, value) in every {
                assert_eq!(answer.headers().get(name).unwrap(), value, "{path}");
            }
            let policy = answer.headers()["content-security-policy"].to_str().unwrap();
            let is_page = path == "/index.html";
            assert_eq!(policy.contains("default-src 'none'"), !is_page, "{path}: {policy}");
            assert!(policy.contains("frame-ancestors 'none'"), "{path}: {policy}");
            assert_eq!(answer.headers().contains_key("permissions-policy"), is_page, "{path}");
            assert_eq!(answer.headers().contains_key("cross-origin-opener-policy"), is_page, "{path}");
        }
        let refused = client().delete(format!("{}/api/Note", node.url)).send().await.unwrap();
        assert_eq!(
            (refused.status().as_u16(), &refused.headers()["x-content-type-options"] == "nosniff"),
            (405, true)
        );
        // A page of the platform's own keeps its stricter policy.
        let page = client().get(format!("{}/docs", node.url)).send().await.unwrap();
        let policy = page.headers()["content-security-policy"].to_str().unwrap();
        assert!(policy.contains("default-src 'none'") && policy.contains("'sha256-"), "{policy}");
        node.stop().await;
    });
}

#[test]
fn what_is_set_stands_in_the_place_of_the_defaults() {
    run(async {
        let place = Place::new(DatabaseKind::Sqlite).unwrap();
        let headers = HeaderOptions {
            frames: String::new(),
            resource: "cross-origin".to_owned(),
            ..HeaderOptions::default()
        };
        let node = node(&place, SecurityOptions { headers, ..SecurityOptions::default() }).await;
        let answer = client().get(format!("{}/health/live", node.url)).send().await.unwrap();
        assert!(!answer.headers().contains_key("x-frame-options"));
        assert_eq!(answer.headers()["cross-origin-resource-policy"], "cross-origin");
        assert!(!answer.headers().contains_key("strict-transport-security"), "nobody comes by TLS here");
        node.stop().await;
    });
}
