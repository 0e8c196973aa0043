//! `/health/live`, `/health/ready`, `/metrics`.

use crate::shop::Shop;

#[tokio::test]
async fn a_served_app_lives_and_is_ready() {
    let shop = Shop::open().await;
    for (path, status) in [("/health/live", "live"), ("/health/ready", "ready")] {
        let answer = shop.app.get(path).send().await.expect_status(200);
        assert_eq!(answer.body["status"], status);
    }
    shop.app.get("/health/live?x=1").send().await.expect_problem(400, "name.unknown");
}

#[tokio::test]
async fn requests_are_counted_by_route_and_status() {
    let shop = Shop::open().await;
    shop.app.get("/api/Product/018f0000-0000-7000-8000-000000000000").send().await.expect_status(404);
    shop.app.get("/nowhere/in/particular").send().await.expect_status(404);
    let text = shop.app.get("/metrics").send().await.expect_status(200).text;
    let counted = |route: &str, status: &str| {
        text.lines().any(|line| {
            line.starts_with("mainstay_http_requests_total{")
                && line.contains(&format!("route=\"{route}\""))
                && line.contains(&format!("status=\"{status}\""))
        })
    };
    assert!(counted("/api/{table}/{id}", "404"), "{text}");
    assert!(counted("(none)", "404"), "{text}");
    assert!(!text.contains("particular"), "a client invented a label: {text}");
    assert!(text.contains("mainstay_http_request_duration_seconds_bucket"), "{text}");
    assert!(text.contains("mainstay_store_commits_total"), "{text}");
}
