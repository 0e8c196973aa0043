//! Devices that are registered: what is taken, known again, moved, and forgotten.

use serde_json::{Value as Json, json};

use crate::harness::{App, on_each, options};
use crate::service::{Browser, Service};
use mainstay_testkit::database::Place;

#[test]
fn a_browser_is_known_again_and_goes_with_whoever_has_it_in_hands() {
    on_each(async |kind| {
        let app = App::start(kind).await;
        let service = Service::start().await;
        let ((ann_key, ann), (bob_key, bob)) = (app.user("ann").await, app.user("bob").await);
        let browser = Browser::new(&service, "one");
        let first = app.register(&ann, &browser.subscription()).await;
        assert_eq!(app.register(&ann, &browser.subscription()).await, first, "it is the same device");
        // Written as other browsers write it.
        let mut padded = browser.subscription();
        padded["keys"]["auth"] = json!(format!("{}==", padded["keys"]["auth"].as_str().unwrap()));
        assert_eq!(app.register(&ann, &padded).await, first);
        let owner = |device: &Json| match &device["owner"] {
            Json::Object(row) => row["id"].clone(),
            key => key.clone(),
        };
        let owners = async || app.devices().await.iter().map(owner).collect::<Vec<Json>>();
        assert_eq!(owners().await, [json!(ann_key)]);
        // Another key at the same address is another device: knowing the address alone takes nothing away.
        let mut guessed = Browser::new(&service, "one").subscription();
        guessed["endpoint"] = browser.subscription()["endpoint"].clone();
        app.register(&bob, &guessed).await;
        assert_eq!(owners().await, [json!(ann_key), json!(bob_key)]);
        // Somebody else signs in in the same browser.
        app.register(&bob, &browser.subscription()).await;
        assert_eq!(owners().await, [json!(bob_key), json!(bob_key)]);
    });
}

#[test]
fn what_is_no_subscription_is_told_where_it_is_wrong() {
    on_each(async |kind| {
        let public = mainstay_push::PushOptions { public_only: true, ..options() };
        let app = App::start_with(Place::new(kind).unwrap(), public, |_| {}).await;
        let service = Service::start().await;
        let (_, ann) = app.user("ann").await;
        let good = {
            let mut good = Browser::new(&service, "one").subscription();
            good["endpoint"] = json!("https://push.example.com/1");
            json!({"subscription": good})
        };
        let ask = async |body: Json| app.ask("POST", "/push/devices", Some(&ann), &body).await;
        ask(good.clone()).await.expect(201);
        let with = |pointer: &str, value: Json| {
            let mut body = good.clone();
            *body.pointer_mut(pointer).unwrap() = value;
            body
        };
        for (body, path) in [
            (
                with("/subscription/endpoint", json!(format!("{}/push/one", service.url))),
                "/subscription/endpoint",
            ),
            (
                with("/subscription/endpoint", json!("https://169.254.169.254/latest")),
                "/subscription/endpoint",
            ),
            (with("/subscription/endpoint", json!("https://[::1]/x")), "/subscription/endpoint"),
            (with("/subscription/endpoint", json!("file:///etc/passwd")), "/subscription/endpoint"),
            (with("/subscription/keys/p256dh", json!("AAAA")), "/subscription/keys/p256dh"),
            (with("/subscription/keys/auth", json!("AAAA")), "/subscription/keys/auth"),
            (json!({"token": "x"}), "/subscription"),
            (json!({"platform": "ios", "token": "x"}), "/platform"),
        ] {
            let answer = ask(body.clone()).await;
            assert_eq!(answer.body["errors"][0]["path"], path, "{body}: {answer:?}");
            assert_eq!(answer.status, 422);
        }
        assert_eq!(ask(json!({"nonsense": 1})).await.status, 422);
        assert_eq!(app.devices().await.len(), 1);
    });
}

#[test]
fn of_too_many_devices_the_one_goes_that_was_not_seen_for_longest() {
    on_each(async |kind| {
        let app = App::start(kind).await;
        let service = Service::start().await;
        let (_, ann) = app.user("ann").await;
        let browsers: Vec<Browser> =
            (0..51).map(|number| Browser::new(&service, &number.to_string())).collect();
        let first = app.register(&ann, &browsers[0].subscription()).await;
        let second = app.register(&ann, &browsers[1].subscription()).await;
        assert_eq!(app.register(&ann, &browsers[0].subscription()).await, first);
        for browser in &browsers[2..] {
            app.register(&ann, &browser.subscription()).await;
        }
        let devices = app.devices().await;
        assert_eq!(devices.len(), 50);
        let has = |id: &str| devices.iter().any(|device| device["id"] == id);
        assert!(has(&first) && !has(&second));
    });
}
