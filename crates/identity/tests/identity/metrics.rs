//! What is counted of sign-ins and sessions, as Prometheus reads it.

use reqwest::Method;
use serde_json::json;

use crate::harness::{App, DatabaseKind, Node, run};

/// The value of a line; 0: there is none.
async fn metric(node: &Node, line: &str) -> f64 {
    let response = node.request(Method::GET, "/metrics").send().await.unwrap().text().await.unwrap();
    let found = response.lines().find_map(|text| text.strip_prefix(line)?.trim().parse().ok());
    found.unwrap_or(0.0)
}

#[test]
fn sign_ins_refreshes_and_hashes_are_counted() {
    run(async {
        let app = App::start(DatabaseKind::Sqlite).await;
        let node = &app.node;
        node.user("ann", &[]).await;
        let login = node.login("ann").await;
        let wrong = json!({"email": "ann@example.com", "password": "a guess at it"});
        for _ in 0..10 {
            node.post("/auth/login", wrong.clone()).await.refused(401, "auth.login");
        }
        node.post("/auth/login", wrong).await.refused(429, "auth.throttled");
        node.post("/auth/refresh", json!({"refresh": login.text("refresh")})).await.expect(200);
        node.post("/auth/refresh", json!({"refresh": "x".repeat(43)})).await.refused(401, "auth.session");
        node.get_as(&login.text("access"), "/auth/me").await.expect(200);
        let sign_ins = "mainstay_identity_sign_ins_total";
        assert_eq!(metric(node, &format!("{sign_ins}{{method=\"password\",outcome=\"ok\"}}")).await, 1.0);
        assert_eq!(
            metric(node, &format!("{sign_ins}{{method=\"password\",outcome=\"refused\"}}")).await,
            10.0
        );
        let refreshes = "mainstay_identity_refreshes_total";
        assert_eq!(metric(node, &format!("{refreshes}{{outcome=\"ok\"}}")).await, 1.0);
        assert_eq!(metric(node, &format!("{refreshes}{{outcome=\"auth.session\"}}")).await, 1.0);
        assert_eq!(metric(node, "mainstay_identity_throttled_total").await, 1.0);
        // One to register, and eleven tests.
        assert_eq!(metric(node, "mainstay_identity_password_seconds_count").await, 12.0);
        assert_eq!(metric(node, "mainstay_identity_password_wait_seconds_count").await, 12.0);
        assert_eq!(metric(node, "mainstay_identity_password_queue").await, 0.0);
        assert!(metric(node, "mainstay_callers").await >= 1.0);
        assert!(metric(node, "mainstay_caller_reads_total").await >= 1.0);
        app.node.stop().await;
    });
}
