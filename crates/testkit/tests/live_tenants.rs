//! Rows of a tenant while somebody listens: whoever is a member no longer is told to forget them within a second, and nobody
//! is ever told of another tenant's.
//!
//! Membership is a table of the app's own here, which its rules follow from the caller, so that nothing but rows decides.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed, and says where")]

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use mainstay_engine::ctx::{Caller, Ctx};
use mainstay_engine::part::Operation;
use mainstay_engine::{document, render};
use mainstay_lang::value::{Timestamp, Value};
use mainstay_live::{Connection, EventKind, Limits, Live, Request, SealKey, Who};
use mainstay_testkit::database::{Database, DatabaseKind, schema_of};
use mainstay_testkit::rows::key;
use serde_json::{Value as Json, json};

const APP: &str = r#"
extend User { memberships Membership[] by member }
table Club {
  name    text
  members Membership[] by club
  allow read if members.any(member == user)
}
table Membership {
  member User on delete cascade
  club   Club on delete cascade
  until  timestamp?
  allow read if member == user
}
table Note (tenant) {
  text text
  allow read if user.memberships.any(club.id == tenant)
}
table Page (tenant) {
  text text
  note Note on delete cascade
  allow read if note.text != "closed" and user.memberships.any(club.id == tenant and until == null)
}
"#;

/// A change of rights acts within that time. One of two has to: a machine may be busy with something else.
const WITHIN: Duration = Duration::from_secs(1);
const PATIENCE: Duration = Duration::from_secs(30);

struct Clubs {
    database: Database,
    live: Live,
}

impl Clubs {
    async fn open(kind: DatabaseKind) -> Clubs {
        let database = Database::open(kind, schema_of(APP).unwrap()).await.unwrap();
        let live = Live::start(database.engine.clone(), SealKey::derive(&[7; 32]), Limits::default());
        let clubs = Clubs { database, live };
        for (number, name) in [(1, "ann"), (2, "bob")] {
            let email = format!("{name}@example.org");
            let row = json!({"create": true, "id": text(number), "name": name, "email": email});
            clubs.write(None, json!({"User": row})).await;
        }
        for number in [71, 72] {
            let row = json!({"create": true, "id": text(number), "name": "club"});
            clubs.write(None, json!({"Club": row})).await;
        }
        clubs
    }

    /// Writes as an administrator, for a tenant or for none; the answer.
    async fn write(&self, tenant: Option<usize>, document: Json) -> Json {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let ctx = Ctx {
            caller: Arc::new(Caller::administrator()),
            tenant: tenant.map(key),
            session: None,
            now: Timestamp(i64::try_from(now.as_micros()).unwrap()),
            deadline: Instant::now() + PATIENCE,
            request_id: "test".into(),
            trace: None,
        };
        let documents = document::parse(document.to_string().as_bytes()).unwrap();
        let operation = Operation { documents, ..Operation::default() };
        let response = self.database.engine.execute(&ctx, &operation).await.unwrap();
        serde_json::from_str(&render(&response, false)).unwrap()
    }

    async fn member(&self, user: usize, club: usize) -> Json {
        let row = json!({"create": true, "member": text(user), "club": text(club)});
        self.write(None, json!({"Membership": row})).await["Membership"][0]["id"].clone()
    }

    async fn note(&self, tenant: usize, text: &str) -> Json {
        self.write(Some(tenant), json!({"Note": {"create": true, "text": text}})).await["Note"][0]["id"]
            .clone()
    }

    /// Somebody who speaks for a tenant and listens to a table; the rows at the beginning.
    async fn listen(&self, user: usize, tenant: Option<usize>, table: &str) -> (Connection, Vec<Json>) {
        let who = Who { user: Some(key(user)), tenant: tenant.map(key), ..Who::default() };
        let connection = self.live.connect(who, None).await;
        let request = Request::read(&json!({table: {"get": ["text"]}}).to_string()).unwrap();
        connection.subscribe("1".into(), request, None).await;
        match next(&connection).await {
            EventKind::Ready { rows: Some(rows), .. } => {
                let rows: Vec<Json> = serde_json::from_str(&format!("[{rows}]")).unwrap();
                (connection, rows)
            }
            other => panic!("{other:?}"),
        }
    }
}

fn text(number: usize) -> String {
    match key(number) {
        Value::Uuid(id) => id.to_string(),
        other => panic!("{other:?}"),
    }
}

async fn next(connection: &Connection) -> EventKind {
    tokio::time::timeout(PATIENCE, connection.next()).await.expect("an event in time").unwrap().kind
}

async fn told(connection: &Connection) -> (&'static str, Json) {
    match next(connection).await {
        EventKind::Change { change, row, .. } => (change.name(), serde_json::from_str(&row).unwrap()),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_leaves_a_tenant_is_told_to_forget_its_rows() {
    for kind in DatabaseKind::ALL {
        let clubs = Clubs::open(*kind).await;
        let ours = clubs.note(71, "ours").await;
        let theirs = clubs.note(72, "theirs").await;
        let page = json!({"create": true, "text": "p", "note": {"id": ours}});
        let page = clubs.write(Some(71), json!({"Page": page})).await["Page"][0]["id"].clone();
        let membership = clubs.member(1, 71).await;
        clubs.member(2, 72).await;
        let (ann, rows) = clubs.listen(1, Some(71), "Note").await;
        assert_eq!(rows, [json!({"id": ours, "text": "ours"})], "{kind:?}");
        let (pages, rows) = clubs.listen(1, Some(71), "Page").await;
        assert_eq!(rows, [json!({"id": page, "text": "p"})], "{kind:?}");
        // Bob is no member of the tenant that he speaks for, and Ann speaks for none.
        let (bob, rows) = clubs.listen(2, Some(71), "Note").await;
        assert_eq!(rows, [] as [Json; 0], "{kind:?}");
        let (nobody, rows) = clubs.listen(1, None, "Note").await;
        assert_eq!(rows, [] as [Json; 0], "{kind:?}");

        let written = Instant::now();
        clubs.write(None, json!({"Membership": {"id": membership, "delete": true}})).await;
        assert_eq!(told(&ann).await, ("leave", json!({"id": ours})), "{kind:?}");
        assert_eq!(told(&pages).await, ("leave", json!({"id": page})), "{kind:?}");
        let left = written.elapsed();
        // What happens there afterwards is none of hers, until she is back.
        clubs.note(71, "later").await;
        let written = Instant::now();
        let membership = clubs.member(1, 71).await;
        let mut entered = [told(&ann).await, told(&ann).await].map(|(change, row)| {
            assert_eq!(change, "enter", "{kind:?}");
            row["text"].as_str().unwrap().to_owned()
        });
        entered.sort();
        assert_eq!(entered, ["later", "ours"], "{kind:?}");
        assert_eq!(told(&pages).await.0, "enter", "{kind:?}");
        let back = written.elapsed();
        assert!(left.min(back) < WITHIN, "{kind:?}: {left:?}, {back:?}");
        // A membership that stays and counts for less.
        let ended = json!({"Membership": {"id": membership, "set": {"until": "2026-01-31T00:00:00Z"}}});
        clubs.write(None, ended).await;
        assert_eq!(told(&pages).await, ("leave", json!({"id": page})), "{kind:?}");

        // The others were told nothing: the next that they hear of is of a time when they may.
        clubs.member(2, 71).await;
        assert_eq!(told(&bob).await.0, "enter", "{kind:?}");
        assert_eq!(told(&bob).await.0, "enter", "{kind:?}");
        nobody.identify(Who { user: Some(key(1)), tenant: Some(key(72)), ..Who::default() }).await;
        let rows = clubs.write(Some(72), json!({"Note": {"id": theirs, "set": {"text": "new"}}})).await;
        assert_eq!(rows["Note"][0]["edited"], true, "{kind:?}");
        clubs.member(1, 72).await;
        assert_eq!(told(&nobody).await, ("enter", json!({"id": theirs, "text": "new"})), "{kind:?}");
    }
}
