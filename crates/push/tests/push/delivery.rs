//! Messages on their way: what a push service is sent, and what becomes of what it answers.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode};
use mainstay_engine::plugin::{Plugin, Setup};
use mainstay_lang::value::Timestamp;
use mainstay_push::{Message, Platform, Push, PushOptions, SendError, Sender, Sent, SetupPush as _, Urgency};
use mainstay_testkit::database::Place;
use parking_lot::Mutex;
use serde_json::{Value as Json, json};

use crate::harness::{App, on_each, options};
use crate::service::{Browser, Received, Service};

/// What the key of an app says that signed a request: to whom it is, and whom to write to.
fn signed(received: &Received, key: &str) -> Json {
    let authorization = received.header("authorization");
    let (token, named) = authorization.strip_prefix("vapid t=").unwrap().split_once(", k=").unwrap();
    assert_eq!(named, key);
    let point = URL_SAFE_NO_PAD.decode(key).unwrap();
    let (x, y) = point[1..].split_at(32);
    let (x, y) = (URL_SAFE_NO_PAD.encode(x), URL_SAFE_NO_PAD.encode(y));
    let key = DecodingKey::from_ec_components(&x, &y).unwrap();
    let mut validation = Validation::new(Algorithm::ES256);
    validation.validate_aud = false;
    decode::<Json>(token, &key, &validation).unwrap().claims
}

#[test]
fn a_message_reaches_each_device_of_its_receiver_and_no_other_can_read_it() {
    on_each(async |kind| {
        let app = App::start(kind).await;
        let service = Service::start().await;
        let ((ann_key, ann), (_, bob)) = (app.user("ann").await, app.user("bob").await);
        let browsers = ["laptop", "phone", "bobs"].map(|name| Browser::new(&service, name));
        app.register(&ann, &browsers[0].subscription()).await;
        app.register(&ann, &browsers[1].subscription()).await;
        app.register(&bob, &browsers[2].subscription()).await;
        let push = Push::new(ann_key, "Tea is ready").body("In the kitchen").data(json!({"url": "/tea"}));
        let push = push.ttl(Duration::from_secs(600)).urgency(Urgency::High).topic("tea");
        app.send(&push).await;
        let mut received = service.received(2).await;
        app.quiet().await;
        assert_eq!(service.received(2).await.len(), 2, "nobody else was sent anything");
        received.sort_by_key(|message| message.path.clone());
        let shown = json!({"title": "Tea is ready", "body": "In the kitchen", "data": {"url": "/tea"}});
        for (message, own) in received.iter().zip(&browsers) {
            let opened: Vec<Option<Json>> = browsers.iter().map(|browser| browser.open(message)).collect();
            let readers = opened.iter().filter(|opened| opened.is_some()).count();
            assert_eq!((own.open(message), readers), (Some(shown.clone()), 1));
            assert_eq!(message.header("content-encoding"), "aes128gcm");
            assert_eq!((message.header("urgency"), message.header("topic")), ("high", "tea"));
            let ttl: u64 = message.header("ttl").parse().unwrap();
            assert!((540..=600).contains(&ttl), "{ttl}");
        }
        let key = app.ask("GET", "/push/key", None, &Json::Null).await.expect(200);
        let claims = signed(&received[0], key["key"].as_str().unwrap());
        assert_eq!(
            (&claims["aud"], &claims["sub"]),
            (&json!(service.url), &json!("mailto:shop@example.com"))
        );
        let mine = app.devices().await;
        assert_eq!(mine.iter().filter(|device| !device["delivered"].is_null()).count(), 2);
    });
}

#[test]
fn what_a_push_service_answers_decides_what_becomes_of_a_message_and_its_device() {
    on_each(async |kind| {
        // The status, its pause; the job's state and attempt behind it, whether the device is there.
        for (status, pause, state, attempt, stays) in [
            (201, None, "done", 1, true),
            (410, None, "done", 1, false),
            (404, None, "done", 1, false),
            (429, Some("120"), "scheduled", 0, true),
            (503, Some("120"), "scheduled", 0, true),
            (500, None, "scheduled", 1, true),
            (400, None, "dead", 1, true),
            (413, None, "dead", 1, true),
            (307, None, "dead", 1, true),
        ] {
            let app = App::start(kind).await;
            let service = Service::start().await;
            let (ann_key, ann) = app.user("ann").await;
            app.register(&ann, &Browser::new(&service, "one").subscription()).await;
            service.answer(status, pause);
            app.send(&Push::new(ann_key, "Hello")).await;
            service.received(1).await;
            app.quiet().await;
            let jobs = app.deliveries().await;
            assert_eq!(jobs.len(), 1);
            let job = &jobs[0];
            assert_eq!((&job["state"], &job["attempt"]), (&json!(state), &json!(attempt)), "{status}: {job}");
            assert_eq!(app.devices().await.len(), usize::from(stays), "{status}");
            if pause.is_some() {
                let at = Timestamp::parse(job["run_at"].as_str().unwrap()).unwrap();
                let now = mainstay_engine::Clock::default().now();
                let left_s = (at.0 - now.0) / 1_000_000;
                assert!((60..=120).contains(&left_s), "{left_s}");
            }
        }
    });
}

#[test]
fn nothing_is_sent_that_comes_too_late_or_to_whoever_has_left() {
    on_each(async |kind| {
        let app = App::start(kind).await;
        let service = Service::start().await;
        let (ann_key, ann) = app.user("ann").await;
        app.register(&ann, &Browser::new(&service, "one").subscription()).await;
        app.send(&Push::new(ann_key.clone(), "Late").ttl(Duration::ZERO)).await;
        app.quiet().await;
        app.ask("POST", "/auth/logout", Some(&ann), &json!({})).await.expect(204);
        app.send(&Push::new(ann_key, "Gone")).await;
        app.send(&Push::new("01890000-0000-7000-8000-000000000000", "Nobody")).await;
        app.quiet().await;
        assert!(service.received(0).await.is_empty());
        assert!(app.devices().await.is_empty(), "the device of a session that has ended");
    });
}

/// Takes what it is given, but for one token.
#[derive(Default)]
struct Phones(Mutex<Vec<(String, String)>>);

impl Sender for Phones {
    fn send<'a>(&'a self, message: Message<'a>) -> Sent<'a> {
        Box::pin(async move {
            self.0.lock().push((message.target.to_owned(), message.title.to_owned()));
            if message.target == "gone" { Err(SendError::Gone) } else { Ok(()) }
        })
    }
}

struct PhonesPlugin(Arc<Phones>);

impl Plugin for PhonesPlugin {
    fn name(&self) -> &str {
        "phones"
    }

    fn build(&self, setup: &mut Setup<'_>) {
        setup.push_sender(Platform::Ios, self.0.clone());
    }
}

#[test]
fn another_platform_is_sent_to_by_whoever_an_app_brings() {
    on_each(async |kind| {
        let phones = Arc::new(Phones::default());
        let plugin = PhonesPlugin(phones.clone());
        let app = App::start_with(Place::new(kind).unwrap(), options(), |plugins| {
            plugins.add(plugin);
        });
        let app = app.await;
        let (ann_key, ann) = app.user("ann").await;
        for token in ["here", "gone"] {
            let body = json!({"platform": "ios", "token": token});
            app.ask("POST", "/push/devices", Some(&ann), &body).await.expect(201);
        }
        let android = json!({"platform": "android", "token": "x"});
        app.ask("POST", "/push/devices", Some(&ann), &android).await.expect(422);
        app.send(&Push::new(ann_key, "Hello")).await;
        app.quiet().await;
        let mut sent = phones.0.lock().clone();
        sent.sort();
        assert_eq!(sent, [("gone".to_owned(), "Hello".to_owned()), ("here".to_owned(), "Hello".to_owned())]);
        assert_eq!(app.devices().await.len(), 1);
    });
}

#[test]
fn the_key_of_an_app_stays_and_is_useless_under_another_secret() {
    on_each(async |kind| {
        let app = App::start(kind).await;
        let key = async |app: &App| app.ask("GET", "/push/key", None, &Json::Null).await;
        let first = key(&app).await.expect(200);
        assert_eq!(URL_SAFE_NO_PAD.decode(first["key"].as_str().unwrap()).unwrap().len(), 65);
        let app = App::start_with(app.into_place(), options(), |_| {}).await;
        assert_eq!(key(&app).await.expect(200), first);
        let other = PushOptions { secret: vec![8; 32], ..options() };
        let app = App::start_with(app.into_place(), other, |_| {}).await;
        key(&app).await.expect(500);
        assert_eq!(app.query(json!({"PushKey": {}})).await["PushKey"].as_array().unwrap().len(), 1);
    });
}
