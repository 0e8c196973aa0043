//! The plugin at work: what it notes, what it refuses, who sees it.

use std::time::Duration;

use mainstay::prelude::*;
use mainstay::test::TestApp;
use mainstay_example_audit::Audit;

mainstay::schema!("app/invoices.stay");

async fn app() -> TestApp {
    let app = App::open("app").expect("the app's folder").plugin(Audit {
        table: "Invoice",
        closed: "paid",
        to: "books@example.com",
    });
    let app = app.on_create::<Invoice>(async |_: &HookCtx, invoice: &mut Invoice| -> Result<(), Error> {
        if invoice.total == "0.00" {
            invoice.total = "9.50".to_owned();
        }
        Ok(())
    });
    let app = TestApp::start(app).await;
    app.user("ann", &[]).await;
    app.user("eve", &["audit/read"]).await;
    app
}

#[tokio::test]
async fn changes_are_noted_with_who_made_them() {
    let app = app().await;
    let new = json!({"Invoice": {"create": true, "title": "Beer", "get": ["id", "total", "number"]}});
    let made = app.by("ann").query(new).await.expect_ok();
    assert_eq!((&made["Invoice"][0]["total"], &made["Invoice"][0]["number"]), (&json!("9.50"), &json!(1)));
    assert_eq!(app.changed().await, ["create Invoice", "create AuditEntry"]);
    let id = made["Invoice"][0]["id"].as_str().expect("a key");
    let pay = json!({"Invoice": {"id": id, "set": {"status": InvoiceStatus::Paid}}});
    app.advance(Duration::from_secs(60));
    app.by("ann").query(pay.clone()).await.expect_ok();
    assert_eq!(app.changed().await, ["update Invoice", "create AuditEntry"]);
    // Closed: neither the row nor the audit changes.
    let refused = app.by("ann").query(json!({"Invoice": {"id": id, "delete": true}})).await;
    assert_eq!(refused.expect_refused("hook.refused").errors[0].key, "audit.closed");
    app.enqueued().await;
    app.by("ann").query(pay).await.expect_ok();
    app.expect_nothing().await;
    let (status, entries) = app.by("eve").get(&format!("/audit/{id}")).await;
    let notes: Vec<_> =
        entries["AuditEntry"].as_array().expect("entries").iter().map(|entry| &entry["note"]).collect();
    assert_eq!((status, notes), (200, vec![&json!(""), &json!("status is \"paid\" now")]));
    // Who may not read them sees none.
    assert_eq!(app.by("ann").get(&format!("/audit/{id}")).await.1, json!({"AuditEntry": []}));
}

#[tokio::test]
async fn a_typed_row_is_what_the_server_answers() {
    let app = app().await;
    app.set_now("2026-03-01T10:00:00Z");
    let new = NewInvoice { title: "Wine".to_owned(), id: None, status: None, total: None, owner: None };
    let mut part = mainstay::serde_json::to_value(new).expect("JSON");
    part["create"] = json!(true);
    part["get"] = json!(["*"]);
    let made = app.by("ann").query(json!({"Invoice": part})).await.expect_ok();
    let row: Invoice = mainstay::serde_json::from_value(made["Invoice"][0].clone()).expect("an invoice");
    assert_eq!((row.status, row.created.as_str()), (InvoiceStatus::Draft, "2026-03-01T10:00:00.000000Z"));
    assert_eq!(invoice::STATUS, "status");
    let patch = InvoicePatch { title: Some("Red wine".to_owned()), ..InvoicePatch::default() };
    let set = json!({"Invoice": {"id": row.id, "set": patch}});
    app.by("ann").query(set).await.expect_ok();
    assert_eq!(app.changed().await.len(), 4);
}

#[tokio::test]
async fn a_change_is_mailed_and_one_that_is_not_kept_is_not() {
    let app = app().await;
    let new = json!({"Invoice": {"create": true, "title": "Beer", "get": ["id"]}});
    let made = app.by("ann").query(new).await.expect_ok();
    assert_eq!(app.enqueued().await, Vec::<String>::new());
    let id = made["Invoice"][0]["id"].as_str().expect("a key");
    let send = json!({"Invoice": {"id": id, "set": {"status": "sent"}}});
    // The second part is refused, and takes the mail of the first one with it.
    let both = json!([send.clone(), {"Invoice": {"create": true}}]);
    app.by("ann").query(both).await.expect_refused("value.invalid");
    app.changed().await;
    app.expect_nothing().await;
    app.by("ann").query(send).await.expect_ok();
    assert_eq!(app.enqueued().await, ["mail.send"]);
    assert_eq!(app.mails().await.len(), 0, "it is sent by a job");
    assert_eq!(app.work().await, ["mail.send done"]);
    let mail = app.mails().await.remove(0);
    assert_eq!(
        (&*mail.recipient, &*mail.subject, &*mail.state),
        ("books@example.com", "Invoice Beer has changed", "captured")
    );
    assert!(mail.body.is_some_and(|text| text.contains("Beer is sent now")));
    app.changed().await;
    app.expect_nothing().await;
    // Whoever builds the app looks at it on a page.
    assert_eq!(app.anybody().get("/_dev/mail").await.0, 200);
}

#[tokio::test]
async fn each_night_brings_one_report() {
    let app = app().await;
    app.set_now("2026-03-28T12:00:00Z");
    app.by("ann").query(json!({"Invoice": {"create": true, "title": "Beer"}})).await.expect_ok();
    // The first look learns what time it is; nothing was missed.
    assert_eq!(app.work().await, Vec::<String>::new());
    app.advance(Duration::from_secs(13 * 3600));
    // One in the night that loses an hour: three o'clock there comes at one by UTC.
    assert_eq!(app.work().await, ["audit.report done", "mail.send done"]);
    assert_eq!(app.mails().await[0].subject, "1 changes since yesterday");
    app.advance(Duration::from_secs(3600));
    assert_eq!(app.work().await, Vec::<String>::new());
}
