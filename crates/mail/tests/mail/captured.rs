//! Mail that goes nowhere, and the page that shows it.

use mainstay_jobs::State;
use mainstay_mail::{Allowed, Mail, Way, inbox_list, inbox_show};
use serde_json::json;

use crate::harness::{App, on_each};

#[test]
fn captured_mail_is_looked_at_on_a_page() {
    on_each(async |kind| {
        let app = App::start(kind, Way::Capture, Allowed::Only(Vec::new()), 3).await;
        let mail = Mail::new("hello", "ann@example.org", json!({"name": "<script>alert(1)</script>"}));
        let id = app.jobs.enqueue(mail.job()).await.unwrap();
        app.ended(id, State::Done).await;
        let row = app.mails().await.pop().unwrap();
        assert_eq!(row["state"], "captured");
        assert!(row["html"].as_str().unwrap().contains("style=\"color: red"), "{row}");
        assert!(row["source"].as_str().unwrap().contains("Subject: "), "{row}");
        let list = inbox_list(app.engine(), &app.admin()).await.unwrap();
        let key = row["id"].as_str().unwrap();
        assert!(list.contains(&format!("/_dev/mail/{key}")), "{list}");
        assert!(!list.contains("<script>"), "{list}");
        let shown = inbox_show(app.engine(), &app.admin(), key).await.unwrap();
        assert!(shown.contains("example.com&#x2f;x") && shown.contains("sandbox="), "{shown}");
        assert!(!shown.contains("<script>"), "{shown}");
        inbox_show(app.engine(), &app.admin(), "0190b3c4-0000-7000-8000-000000000000").await.unwrap_err();

        let wrong = app.jobs.enqueue(Mail::new("helo", "ann@example.org", json!({})).job()).await.unwrap();
        let job = app.ended(wrong, State::Dead).await;
        assert!(job.error.as_deref().is_some_and(|words| words.contains("did you mean hello?")), "{job:?}");
        app.stop().await;
    });
}
