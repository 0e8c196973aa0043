//! `/docs`, `/docs/errors`, static files, and what is nowhere.

use reqwest::Method;

use crate::shop::{STAY, Shop};
use mainstay_testkit::app::TestApp;

#[tokio::test]
async fn the_reference_works_offline() {
    let shop = Shop::open().await;
    let page = shop.app.get("/docs").send().await.expect_status(200);
    assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
    let policy = page.header("content-security-policy");
    assert!(policy.starts_with("default-src 'none'; style-src 'sha256-"), "{policy}");
    assert!(!page.text.contains("<script") && !page.text.contains("src="), "the page loads something");
    for words in ["Something to sell.", "/api/Product/{id}/tags/{target}", "curl -X POST", "openapi.json"] {
        assert!(page.text.contains(words), "{words}");
    }
    let tag = page.header("etag").to_owned();
    shop.app.get("/docs").header("if-none-match", &tag).send().await.expect_status(304);
    let errors = shop.app.get("/docs/errors").send().await.expect_status(200);
    assert!(errors.text.contains("id=\"check.failed\""));
}

#[tokio::test]
async fn what_is_nowhere_is_404_with_the_nearest() {
    let shop = Shop::open().await;
    let answer = shop.app.get("/querry").send().await.expect_problem(404, "route.unknown");
    assert!(answer.text.contains("`/query`"), "{}", answer.text);
    shop.app.get("/api").send().await.expect_problem(404, "route.unknown");
    shop.app.get("/api/Product/").send().await.expect_status(404);
    shop.app.request(Method::POST, "/nowhere").send().await.expect_problem(404, "route.unknown");
}

#[tokio::test]
async fn an_unknown_method_is_405_with_those_that_are_known() {
    let shop = Shop::open().await;
    let check = async |method: Method, path: &str, allow: &str| {
        let answer = shop.app.request(method, path).send().await.expect_problem(405, "route.method");
        assert_eq!(answer.header("allow"), allow, "{path}");
    };
    check(Method::GET, "/query", "POST, OPTIONS").await;
    check(Method::PUT, "/api/Product", "GET, POST, HEAD, OPTIONS").await;
    check(Method::TRACE, "/api/Product/x", "GET, PATCH, DELETE, HEAD, OPTIONS").await;
    check(Method::POST, "/docs", "GET, HEAD, OPTIONS").await;
    let options = shop.app.request(Method::OPTIONS, "/query").send().await.expect_status(204);
    assert_eq!(options.header("allow"), "POST, OPTIONS");
}

#[tokio::test]
async fn static_files_are_served_from_their_folder_alone() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("secret.txt"), "not public").unwrap();
    let public = folder.path().join("public");
    std::fs::create_dir(&public).unwrap();
    std::fs::write(public.join("index.html"), "<h1>Shop</h1>").unwrap();
    std::fs::write(public.join("shop.css"), "h1{}").unwrap();
    let app = TestApp::start_with(STAY, |options| options.public = Some(public)).await;
    let index = app.get("/").send().await.expect_status(200);
    assert_eq!((index.text.as_str(), index.header("content-type")), ("<h1>Shop</h1>", "text/html"));
    assert_eq!(app.get("/shop.css").send().await.expect_status(200).text, "h1{}");
    for path in
        ["/..%2Fsecret.txt", "/%2e%2e/secret.txt", "/..\\secret.txt", "//etc/passwd", "/secret.txt", "/%00"]
    {
        let answer = app.get(path).send().await;
        assert_eq!(answer.status, 404, "{path}");
        assert!(!answer.text.contains("not public"), "{path}");
    }
}

#[tokio::test]
async fn without_static_files_the_root_leads_to_the_reference() {
    let shop = Shop::open().await;
    let page = shop.app.get("/").send().await.expect_status(200);
    assert!(page.text.contains("Something to sell."));
}

#[tokio::test]
async fn answers_carry_their_request_id() {
    let shop = Shop::open().await;
    let answer = shop.app.get("/api/Product").header("x-request-id", "my-id-1").send().await;
    assert_eq!(answer.header("x-request-id"), "my-id-1");
    let problem = shop.app.get("/nowhere").send().await;
    assert_eq!(problem.header("x-request-id"), problem.body["request_id"].as_str().unwrap());
}
