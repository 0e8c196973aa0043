//! A server that takes mail, and servers that do not.

use std::time::Duration;

use mainstay_jobs::State;
use mainstay_mail::{Allowed, Attachment, Mail, mail_bounced};
use mainstay_testkit::smtp::{SmtpServer, SmtpWay};
use serde_json::json;

use crate::harness::{App, on_each, way};

const SOON: Duration = Duration::from_secs(10);

fn hello() -> Mail {
    Mail::new("hello", "Ann <ann@example.org>", json!({"name": "Ann"}))
}

#[test]
fn a_mail_arrives_encrypted_with_both_its_forms_and_its_files() {
    on_each(async |kind| {
        let mut server = SmtpServer::start(SmtpWay::Accept);
        let app = App::start(kind, way(&server, "secret", SOON), Allowed::Everybody, 3).await;
        let mail = hello().attach(Attachment::new("bill.pdf", "application/pdf", b"%PDF-1.7"));
        let id = app.jobs.enqueue(mail.job()).await.unwrap();
        app.ended(id, State::Done).await;
        let arrived = server.next_mail();
        assert_eq!((&arrived["to"], &arrived["tls"]), (&json!(["ann@example.org"]), &json!(true)));
        let source = arrived["source"].as_str().unwrap();
        for part in [
            "Subject: Hello Ann",
            "From: Shop <shop@example.com>",
            "multipart/mixed",
            "multipart/alternative",
            "text/plain",
            "text/html",
            "filename=\"bill.pdf\"",
            "application/pdf",
        ] {
            assert!(source.contains(part), "{part}\n{source}");
        }
        let row = app.mails().await.pop().unwrap();
        assert_eq!(
            (&row["state"], &row["html"]),
            (&json!("sent"), &json!(null)),
            "what was sent is not kept"
        );
        let message_id = row["message_id"].as_str().unwrap();
        assert!(source.contains(&format!("Message-ID: {message_id}")), "{source}");
        mail_bounced(app.engine(), &app.admin(), message_id, "550 mailbox full").await.unwrap();
        let row = app.mails().await.pop().unwrap();
        assert_eq!((&row["state"], &row["problem"]), (&json!("bounced"), &json!("550 mailbox full")));
        mail_bounced(app.engine(), &app.admin(), "<nobody>", "x").await.unwrap_err();
        app.stop().await;
    });
}

#[test]
fn the_same_mail_again_bears_the_same_id() {
    on_each(async |kind| {
        let mut server = SmtpServer::start(SmtpWay::Accept);
        let app = App::start(kind, way(&server, "secret", SOON), Allowed::Everybody, 1).await;
        let id = app.jobs.enqueue(hello().job()).await.unwrap();
        app.ended(id, State::Done).await;
        app.jobs.retry(&[id]).await.unwrap();
        let message_id = |mail: serde_json::Value| {
            let source = mail["source"].as_str().unwrap().to_owned();
            source.lines().find(|line| line.starts_with("Message-ID:")).unwrap().to_owned()
        };
        let first = message_id(server.next_mail());
        assert_eq!(message_id(server.next_mail()), first);
        app.stop().await;
    });
}

#[test]
fn a_server_that_refuses_for_good_ends_it_at_once() {
    on_each(async |kind| {
        let server = SmtpServer::start(SmtpWay::Refuse);
        let app = App::start(kind, way(&server, "secret", SOON), Allowed::Everybody, 5).await;
        let id = app.jobs.enqueue(hello().job()).await.unwrap();
        let job = app.ended(id, State::Dead).await;
        assert_eq!(job.attempt, 1);
        let row = app.mails().await.pop().unwrap();
        assert_eq!(row["state"], "failed");
        assert!(row["problem"].as_str().unwrap().contains("nobody here has that name"), "{row}");
        app.stop().await;
    });
}

#[test]
fn a_server_that_is_down_busy_or_slow_is_tried_again_and_the_mail_is_dead_in_the_end() {
    on_each(async |kind| {
        let busy = SmtpServer::start(SmtpWay::Busy);
        let slow = SmtpServer::start(SmtpWay::Hang);
        let down = SmtpServer::start(SmtpWay::Accept);
        let down_way = way(&down, "secret", SOON);
        drop(down);
        let ways = [
            (way(&busy, "secret", SOON), "try again later"),
            (way(&slow, "secret", Duration::from_millis(300)), ""),
            (down_way, "refused"),
        ];
        for (way, words) in ways {
            let app = App::start(kind, way, Allowed::Everybody, 2).await;
            let id = app.jobs.enqueue(hello().job()).await.unwrap();
            let job = app.until(id, |row| row.state == State::Scheduled && row.attempt == 1).await;
            let error = job.error.unwrap();
            assert!(error.contains(words), "{error}");
            assert_eq!(
                app.mails().await,
                Vec::<serde_json::Value>::new(),
                "nothing is told before it is known"
            );
            app.jobs.cancel(&[id]).await.unwrap();
            let last = app.jobs.enqueue(hello().job().attempts(1)).await.unwrap();
            app.ended(last, State::Dead).await;
            let row = app.mails().await.pop().unwrap();
            assert_eq!(row["state"], "failed");
            app.stop().await;
        }
    });
}

#[test]
fn a_wrong_password_is_told() {
    on_each(async |kind| {
        let server = SmtpServer::start(SmtpWay::Accept);
        let app = App::start(kind, way(&server, "wrong", SOON), Allowed::Everybody, 1).await;
        let id = app.jobs.enqueue(hello().job()).await.unwrap();
        let job = app.ended(id, State::Dead).await;
        assert!(job.error.as_deref().is_some_and(|words| words.contains("535")), "{job:?}");
        app.stop().await;
    });
}

#[test]
fn only_allowed_addresses_are_written_to() {
    on_each(async |kind| {
        let mut server = SmtpServer::start(SmtpWay::Accept);
        let allowed = Allowed::Only(vec!["@example.com".to_owned()]);
        let app = App::start(kind, way(&server, "secret", SOON), allowed, 1).await;
        let nobody = app.jobs.enqueue(hello().job()).await.unwrap();
        app.ended(nobody, State::Done).await;
        assert_eq!(app.mails().await.pop().unwrap()["state"], "suppressed");
        let some = app.jobs.enqueue(hello().to("bob@example.com").job()).await.unwrap();
        app.ended(some, State::Done).await;
        assert_eq!(server.next_mail()["to"], json!(["bob@example.com"]));
        app.stop().await;
    });
}
