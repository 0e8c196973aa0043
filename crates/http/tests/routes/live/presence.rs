//! Who is connected, as rows under rules.

use mainstay_http::Subject;
use mainstay_testkit::app::TestApp;
use mainstay_testkit::socket::Socket;
use serde_json::{Value, json};

use super::told;

const STAY: &str = r#"
app hall
use presence

table Team { name text allow all }

extend User {
  team   Team?
  online Presence[] by who
  allow read if team == user.team
}

extend Presence {
  allow read if who.team == user.team
}
"#;

const ALONE: &str = "app hall\nuse presence";

async fn socket(app: &TestApp, user: &str, device: &str) -> Socket {
    let token = app.token(&Subject::User(user.to_owned()));
    Socket::open_at(&app.url, &format!("/live?device={device}"), &token).await
}

fn shown() -> Value {
    json!({"Presence": {"get": ["device"], "who": {"get": ["name"]}}})
}

/// Waits until a subscription has told this of somebody's device.
async fn heard(socket: &mut Socket, kind: &str, device: &str) -> Value {
    loop {
        let (change, row) = told(&socket.hear().await);
        if change == kind && (kind == "leave" || row["device"] == device) {
            return row;
        }
    }
}

#[tokio::test]
async fn who_is_connected_comes_and_goes_as_a_row() {
    let app = TestApp::start(STAY).await;
    let [ann, bob, eve] =
        [app.user("ann", &[]).await, app.user("bob", &[]).await, app.user("eve", &[]).await];
    let team = app.post("/api/Team", json!({"name": "red"})).admin().send().await.expect_status(201);
    for user in [&ann, &bob] {
        let change = json!({"team": team.body["id"]});
        app.patch(&format!("/api/User/{user}"), change).admin().send().await.expect_status(200);
    }
    let mut watching = socket(&app, &ann, "Till%201").await;
    watching.subscribe(1, shown(), None).await;
    // Rows come soon, not at once: one's own may stand among the first or come behind.
    let mut stranger = socket(&app, &eve, "Elsewhere").await;
    let mut mate = socket(&app, &bob, "Tablet").await;
    let row = heard(&mut watching, "enter", "Tablet").await;
    assert_eq!(row, json!({"id": row["id"], "device": "Tablet", "who": {"id": bob, "name": "bob"}}));
    // The app's rule opens it to the team, the platform's own to oneself, and neither to others.
    let devices = async |socket: &mut Socket| {
        let rows =
            socket.ask(json!({"id": 9, "request": {"path": "/api/Presence?get=device&order=device"}})).await;
        let rows = rows["body"]["items"].as_array().unwrap().clone();
        rows.iter().map(|row| row["device"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(devices(&mut mate).await, ["Tablet", "Till 1"]);
    assert_eq!(devices(&mut stranger).await, ["Elsewhere"]);
    let online =
        app.get("/api/User").query("where", "online.any(device == \"Tablet\")").user(&ann).send().await;
    assert_eq!(online.body["items"].as_array().unwrap().len(), 1);

    // New credentials are another row, none at all is no row.
    let token = app.token(&Subject::User(ann.clone()));
    mate.ask(json!({"id": 2, "auth": token})).await;
    // Each row has its order, two have none.
    let (mut has_left, mut entered) = (false, None);
    while !has_left || entered.is_none() {
        let (change, seen) = told(&watching.hear().await);
        has_left |= change == "leave" && seen["id"] == row["id"];
        if change == "enter" {
            entered = Some(seen);
        }
    }
    let row = entered.unwrap();
    assert_eq!((&row["who"]["name"], &row["device"]), (&json!("ann"), &json!("Tablet")));
    drop(mate);
    assert_eq!(heard(&mut watching, "leave", "").await, json!({"id": row["id"]}));
}

#[tokio::test]
async fn who_is_connected_is_told_to_nobody_else_unless_a_rule_says_so() {
    let app = TestApp::start(ALONE).await;
    let [ann, bob] = [app.user("ann", &[]).await, app.user("bob", &["anything"]).await];
    let mut one = socket(&app, &ann, "One").await;
    one.subscribe(1, json!({"Presence": {"get": ["device"]}}), None).await;
    let mut other = socket(&app, &bob, "Other").await;
    other.subscribe(1, json!({"Presence": {"get": ["device"]}}), None).await;
    // Both rows are there once an administrator sees them.
    let mut all = Socket::open(&app.url, &app.token(&Subject::Admin)).await;
    let first = all.subscribe(1, json!({"Presence": {"get": ["device"]}}), None).await;
    let mut seen = first["rows"].as_array().unwrap().len();
    while seen < 2 {
        assert_eq!(told(&all.hear().await).0, "enter");
        seen += 1;
    }
    let list = app.get("/api/Presence").query("get", "*").user(&bob).send().await.expect_status(200);
    let items = list.body["items"].as_array().unwrap();
    assert_eq!(items.len(), 1, "{}", list.text);
    assert_eq!((&items[0]["device"], items[0].get("node")), (&json!("Other"), None));
    assert!(items[0]["since"].is_string() && items[0]["acted"].is_string(), "{}", list.text);
    assert_eq!(
        app.get("/api/Presence").send().await.body["items"],
        json!([]),
        "the anonymous caller sees none"
    );

    // The server alone writes it.
    let path = format!("/api/Presence/{}", items[0]["id"].as_str().unwrap());
    let row = json!({"who": bob, "since": "2026-01-01T00:00:00Z", "acted": "2026-01-01T00:00:00Z",
        "node": "018f0000-0000-7000-8000-000000000000"});
    app.post("/api/Presence", row).user(&bob).send().await.expect_problem(403, "rule.refused");
    app.patch(&path, json!({"device": "x"})).user(&bob).send().await.expect_problem(403, "rule.refused");
    app.delete(&path).user(&bob).send().await.expect_problem(403, "rule.refused");
    app.get(&path).user(&ann).send().await.expect_problem(404, "row.not_found");
    // A parameter that is none is refused as everywhere.
    let refused = Socket::try_open_at(&app.url, "/live?devise=x", "", &[]).await;
    assert!(refused.is_err());
}

/// What anonymous, another user, the one who is connected and an administrator get of a row.
const EXPECTED: &[(&str, &str, [u16; 4])] = &[
    ("GET", "/api/Presence", [200, 200, 200, 200]),
    ("GET", "/api/Presence/{id}", [404, 404, 200, 200]),
    ("GET", "/api/Presence/{id}/history", [404, 404, 200, 200]),
    ("POST", "/api/Presence", [403, 403, 403, 201]),
    ("PATCH", "/api/Presence/{id}", [404, 404, 403, 200]),
    ("DELETE", "/api/Presence/{id}", [404, 404, 403, 204]),
];

#[tokio::test]
async fn every_route_to_who_is_connected_meets_every_caller_as_expected() {
    let app = TestApp::start(ALONE).await;
    let [ann, bob] = [app.user("ann", &[]).await, app.user("bob", &[]).await];
    let mut mine = socket(&app, &bob, "Tablet").await;
    let ready = mine.subscribe(1, json!({"Presence": {"get": ["device"]}}), None).await;
    let row = match ready["rows"].as_array().unwrap().first() {
        Some(row) => row.clone(),
        None => heard(&mut mine, "enter", "Tablet").await,
    };
    let id = row["id"].as_str().unwrap();
    let time = "2026-01-01T00:00:00Z";
    let new =
        json!({"who": bob, "since": time, "acted": time, "node": "018f0000-0000-7000-8000-000000000000"});
    for (method, path, statuses) in EXPECTED {
        for (kind, status) in statuses.iter().enumerate() {
            let request = app.request(method.parse().unwrap(), &path.replace("{id}", id));
            let request = match *method {
                "POST" => request.json(&new),
                "PATCH" => request.json(&json!({"device": "x"})),
                _ => request,
            };
            let request = match kind {
                0 => request,
                1 => request.user(&ann),
                2 => request.user(&bob),
                _ => request.admin(),
            };
            let answer = request.send().await;
            assert_eq!(answer.status, *status, "{method} {path} by {kind}: {}", answer.text);
            if (*method, kind) == ("GET", 1) {
                assert!(!answer.text.contains("Tablet"), "{path}: {}", answer.text);
            }
        }
    }
}

#[tokio::test]
async fn a_server_that_stops_leaves_nobody_behind() {
    let app = TestApp::start(ALONE).await;
    let ann = app.user("ann", &[]).await;
    let mut socket = socket(&app, &ann, "One").await;
    let ready = socket.subscribe(1, json!({"Presence": {"get": ["device"]}}), None).await;
    if ready["rows"] == json!([]) {
        assert_eq!(told(&socket.hear().await).0, "enter");
    }
    let engine = app.engine.clone();
    app.stop().await;
    let left = engine.facts("node.").await.unwrap();
    assert_eq!(left, [], "the server's own fact is gone with its rows");
}
