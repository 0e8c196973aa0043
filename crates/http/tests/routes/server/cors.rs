//! Other origins: closed unless they are set.

use reqwest::Method;

use crate::shop::Shop;

#[tokio::test]
async fn no_origin_is_let_in_unless_it_is_set() {
    let shop = Shop::open().await;
    let answer = shop.app.get("/api/Product").header("origin", "https://shop.example").send().await;
    assert_eq!(answer.expect_status(200).header("access-control-allow-origin"), "");
}

#[tokio::test]
async fn origins_that_are_set_are_let_in_and_others_not() {
    let origins = vec!["https://shop.example".to_owned()];
    let shop = Shop::open_with(|options| options.origins = origins).await;
    let check = async |origin: &str, allowed: &str| {
        let request = shop.app.request(Method::OPTIONS, "/api/Product").header("origin", origin);
        let request = request.header("access-control-request-method", "POST");
        let answer = request
            .header("access-control-request-headers", "authorization,content-type,if-match")
            .send()
            .await;
        assert_eq!(answer.header("access-control-allow-origin"), allowed, "{origin}");
        assert_eq!(answer.header("access-control-allow-credentials"), "");
        let answer = shop.app.get("/nowhere").header("origin", origin).send().await;
        assert_eq!(answer.header("access-control-allow-origin"), allowed, "{origin}");
    };
    check("https://shop.example", "https://shop.example").await;
    check("https://evil.example", "").await;
}
