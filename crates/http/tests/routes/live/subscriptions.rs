//! What a subscriber is told of rows that come, change and go.

use serde_json::{Value, json};

use super::{Desk, told};

fn change(kind: &str, row: serde_json::Value) -> (String, serde_json::Value) {
    (kind.to_owned(), row)
}

#[tokio::test]
async fn rows_enter_change_and_leave() {
    let desk = Desk::open().await;
    let first = desk.task(0, "Paint").await;
    desk.task(1, "Theirs").await;
    let mut socket = desk.socket(&desk.users[0]).await;
    let part = json!({"Task": {"state": "open", "get": ["title", "cost", "inside"]}});
    let ready = socket.subscribe(7, part, None).await;
    // Not the other team's, no guarded value, no hidden column.
    assert_eq!(ready["rows"], json!([{"id": first["id"], "title": "Paint", "state": "open"}]));

    let second = desk.task(0, "Sweep").await;
    let row = json!({"id": second["id"], "title": "Sweep", "state": "open"});
    assert_eq!(told(&socket.hear().await), change("enter", row));
    desk.change("/api/Task", &second, json!({"title": "Mop"})).await;
    let row = json!({"id": second["id"], "title": "Mop", "state": "open"});
    assert_eq!(told(&socket.hear().await), change("update", row));
    // What does not show is no change.
    desk.change("/api/Task", &second, json!({"cost": 5, "inside": "x"})).await;
    desk.change("/api/Task", &second, json!({"state": "done"})).await;
    assert_eq!(told(&socket.hear().await), change("leave", json!({"id": second["id"]})));
    desk.change("/api/Task", &first, json!({"team": desk.teams[1]})).await;
    assert_eq!(told(&socket.hear().await), change("leave", json!({"id": first["id"]})));
    desk.change("/api/Task", &first, json!({"team": desk.teams[0]})).await;
    assert_eq!(told(&socket.hear().await).0, "enter");
    desk.end("/api/Task", &first).await;
    assert_eq!(told(&socket.hear().await), change("leave", json!({"id": first["id"]})));
    let done = socket.ask(json!({"id": 7, "unsubscribe": true})).await;
    assert_eq!(done, json!({"id": 7, "status": 200}));
    desk.task(0, "Unheard").await;
    socket.is_silent().await;
}

#[tokio::test]
async fn what_is_not_committed_is_not_told() {
    let desk = Desk::open().await;
    let mut socket = desk.socket(&desk.users[0]).await;
    socket.subscribe(1, json!({"Task": {"get": ["title"]}}), None).await;
    let document = json!([
        {"Task": {"create": true, "title": "good", "team": desk.teams[0]}},
        {"Task": {"create": true, "title": "bad", "team": desk.teams[0]}},
    ]);
    desk.app.post("/query", document).admin().send().await.expect_problem(422, "check.failed");
    let kept = desk.task(0, "kept").await;
    // The first thing that is heard is what was kept.
    assert_eq!(told(&socket.hear().await), change("enter", json!({"id": kept["id"], "title": "kept"})));
    socket.is_silent().await;
}

#[tokio::test]
async fn a_row_follows_those_that_decide_over_it() {
    let desk = Desk::open().await;
    let task = desk.task(0, "Paint").await;
    let note = desk.make("/api/Note", json!({"task": task["id"], "text": "Red"})).await;
    let mut red = desk.socket(&desk.users[0]).await;
    let mut blue = desk.socket(&desk.users[1]).await;
    let part = json!({"Note": {"get": ["text"], "task": {"get": ["title"], "team": {"get": ["name"]}}}});
    let ready = red.subscribe(1, part.clone(), None).await;
    let shown = |title: &str, team: &str| {
        let team = json!({"id": desk.teams[0], "name": team});
        json!({"id": note["id"], "text": "Red", "task": {"id": task["id"], "title": title, "team": team}})
    };
    assert_eq!(ready["rows"], json!([shown("Paint", "red")]));
    assert_eq!(blue.subscribe(1, part, None).await["rows"], json!([]));

    desk.change("/api/Task", &task, json!({"title": "Draw"})).await;
    assert_eq!(told(&red.hear().await), change("update", shown("Draw", "red")));
    desk.change("/api/Team", &json!({"id": desk.teams[0]}), json!({"name": "crimson"})).await;
    assert_eq!(told(&red.hear().await), change("update", shown("Draw", "crimson")));
    // A link lets the other one in, and out again. Of the task that one may see nothing.
    let link = format!("/api/Task/{}/watchers/{}", task["id"].as_str().unwrap(), desk.users[1]);
    desk.app.request(reqwest::Method::PUT, &link).admin().send().await.expect_status(204);
    let row = json!({"id": note["id"], "text": "Red", "task": null});
    assert_eq!(told(&blue.hear().await), change("enter", row));
    desk.app.delete(&link).admin().send().await.expect_status(204);
    assert_eq!(told(&blue.hear().await), change("leave", json!({"id": note["id"]})));
    desk.change("/api/Task", &task, json!({"state": "done"})).await;
    assert_eq!(told(&red.hear().await), change("leave", json!({"id": note["id"]})));
    red.is_silent().await;
    blue.is_silent().await;
}

#[tokio::test]
async fn a_row_of_a_list_is_missed_where_it_was_and_found_where_it_is() {
    let desk = Desk::open().await;
    let [first, second] = [desk.task(0, "First").await, desk.task(0, "Second").await];
    let note = desk.make("/api/Note", json!({"task": first["id"], "text": "x"})).await;
    let mut socket = desk.socket(&desk.users[0]).await;
    let part = json!({"Task": {"where": "notes.any(text == \"x\")", "get": ["title"]}});
    let ready = socket.subscribe(1, part, None).await;
    assert_eq!(ready["rows"], json!([{"id": first["id"], "title": "First"}]));
    desk.change("/api/Note", &note, json!({"task": second["id"]})).await;
    let mut heard = [told(&socket.hear().await), told(&socket.hear().await)];
    heard.sort_by(|a, b| a.0.cmp(&b.0));
    assert_eq!(heard[0], change("enter", json!({"id": second["id"], "title": "Second"})));
    assert_eq!(heard[1], change("leave", json!({"id": first["id"]})));
    desk.end("/api/Note", &note).await;
    assert_eq!(told(&socket.hear().await), change("leave", json!({"id": second["id"]})));
    let again = desk.make("/api/Note", json!({"task": first["id"], "text": "y"})).await;
    desk.change("/api/Note", &again, json!({"text": "x"})).await;
    assert_eq!(told(&socket.hear().await).0, "enter");
    socket.is_silent().await;
}

#[tokio::test]
async fn a_row_is_found_along_a_chain_of_relations() {
    let desk = Desk::open().await;
    let mate = desk.app.user("mate", &[]).await;
    desk.change("/api/User", &json!({"id": mate}), json!({"team": desk.teams[0]})).await;
    let task = desk.task(0, "Paint").await;
    let note = desk.make("/api/Note", json!({"task": task["id"], "text": "Red"})).await;
    let mut socket = desk.socket(&desk.users[0]).await;
    let by_member = json!({"Note": {"where": "task.team.members.any(name == \"mate\")", "get": ["text"]}});
    let by_team = json!({"Note": {"where": "task.team.name == \"red\"", "get": ["text"]}});
    let row = json!({"id": note["id"], "text": "Red"});
    for (id, part) in [(1, by_member), (2, by_team)] {
        assert_eq!(socket.subscribe(id, part, None).await["rows"], json!([row]));
    }
    let metrics = desk.app.get("/metrics").send().await.text;
    let found = |how: &str| format!("mainstay_live_subscriptions{{found=\"{how}\"}} 2");
    assert!(metrics.contains(&found("keys_and_read")), "both are found by keys:\n{metrics}");

    let mate = json!({"id": mate});
    let of = |id: u64, kind: &str, row: &Value| (json!(id), change(kind, row.clone()));
    let mut check = async |expect: (Value, (String, Value))| {
        let frame = socket.hear().await;
        assert_eq!((frame["id"].clone(), told(&frame)), expect);
    };
    let key = json!({"id": note["id"]});
    desk.change("/api/User", &mate, json!({"name": "other"})).await;
    check(of(1, "leave", &key)).await;
    desk.change("/api/User", &mate, json!({"name": "mate"})).await;
    check(of(1, "enter", &row)).await;
    desk.change("/api/User", &mate, json!({"team": desk.teams[1]})).await;
    check(of(1, "leave", &key)).await;
    desk.change("/api/Team", &json!({"id": desk.teams[0]}), json!({"name": "crimson"})).await;
    check(of(2, "leave", &key)).await;
    desk.change("/api/Team", &json!({"id": desk.teams[0]}), json!({"name": "red"})).await;
    check(of(2, "enter", &row)).await;
    socket.is_silent().await;
}

#[tokio::test]
async fn a_link_counts_on_both_of_its_sides() {
    let desk = Desk::open().await;
    let task = desk.task(0, "Watched").await;
    let mut socket = desk.socket(&desk.users[0]).await;
    let owners = json!({"Task": {"where": "watchers.any(name == \"blue\")", "get": ["title"]}});
    let targets = json!({"User": {"where": "watches.any(title == \"Watched\")", "get": ["name"]}});
    assert_eq!(socket.subscribe(1, owners, None).await["rows"], json!([]));
    assert_eq!(socket.subscribe(2, targets, None).await["rows"], json!([]));
    let link = format!("/api/Task/{}/watchers/{}", task["id"].as_str().unwrap(), desk.users[1]);
    let both = async |socket: &mut mainstay_testkit::socket::Socket| {
        let mut heard = [socket.hear().await, socket.hear().await];
        heard.sort_by_key(|frame| frame["id"].as_u64());
        heard.map(|frame| told(&frame))
    };
    desk.app.request(reqwest::Method::PUT, &link).admin().send().await.expect_status(204);
    let entered =
        [json!({"id": task["id"], "title": "Watched"}), json!({"id": desk.users[1], "name": "blue"})];
    assert_eq!(both(&mut socket).await, entered.map(|row| change("enter", row)));
    desk.app.delete(&link).admin().send().await.expect_status(204);
    let left = [json!({"id": task["id"]}), json!({"id": desk.users[1]})];
    assert_eq!(both(&mut socket).await, left.map(|row| change("leave", row)));
    socket.is_silent().await;
}

#[tokio::test]
async fn time_lets_rows_in_and_out() {
    let desk = Desk::open().await;
    let soon = |ms: u64| {
        let at = std::time::SystemTime::now() + std::time::Duration::from_millis(ms);
        let since = at.duration_since(std::time::UNIX_EPOCH).unwrap();
        let at = mainstay_lang::value::Timestamp(i64::try_from(since.as_micros()).unwrap());
        serde_json::from_str::<serde_json::Value>(&mainstay_lang::value::Value::Timestamp(at).to_json())
            .unwrap()
    };
    let first = desk.make("/api/Notice", json!({"text": "short", "until": soon(700)})).await;
    let mut socket = desk.socket(&desk.users[0]).await;
    let ready = socket.subscribe(1, json!({"Notice": {"get": ["text"]}}), None).await;
    assert_eq!(ready["rows"], json!([{"id": first["id"], "text": "short"}]));
    let second = desk.make("/api/Notice", json!({"text": "shorter", "until": soon(300)})).await;
    assert_eq!(told(&socket.hear().await).0, "enter");
    assert_eq!(told(&socket.hear().await), change("leave", json!({"id": second["id"]})));
    assert_eq!(told(&socket.hear().await), change("leave", json!({"id": first["id"]})));
    // Of one's own filter the same holds.
    let part = json!({"Notice": {"where": "created + 1 second < now()", "get": ["text"]}});
    socket.subscribe(2, part, None).await;
    let third = desk.make("/api/Notice", json!({"text": "later"})).await;
    let later = json!({"id": third["id"], "text": "later"});
    assert_eq!(told(&socket.hear_of(&json!(1), 1).await[0]), change("enter", later.clone()));
    assert_eq!(told(&socket.hear_of(&json!(2), 1).await[0]), change("enter", later));
}

#[tokio::test]
async fn a_place_is_gone_on_from() {
    let desk = Desk::open().await;
    let part = json!({"Task": {"get": ["title"]}});
    let mut socket = desk.socket(&desk.users[0]).await;
    let place = socket.subscribe(1, part.clone(), None).await["ready"].as_str().unwrap().to_owned();
    drop(socket);
    let first = desk.task(0, "Paint").await;
    desk.task(1, "Theirs").await;
    desk.change("/api/Task", &first, json!({"title": "Draw"})).await;
    let mut socket = desk.socket(&desk.users[0]).await;
    let ready = socket.subscribe(1, part.clone(), Some(&place)).await;
    assert_eq!((&ready["ready"], ready.get("rows")), (&json!(place), None));
    let row = |title: &str| json!({"id": first["id"], "title": title});
    let enter = socket.hear().await;
    assert_eq!(told(&enter), change("enter", row("Paint")));
    assert_eq!(told(&socket.hear().await), change("update", row("Draw")));
    // Every change is a place: from the first one on there is the second.
    socket.ask(json!({"id": 1, "unsubscribe": true})).await;
    socket.subscribe(1, part.clone(), enter["seq"].as_str()).await;
    assert_eq!(told(&socket.hear().await), change("update", row("Draw")));
    // Another subscription, or another caller, is told all rows.
    let other = json!({"Task": {"get": ["title", "state"]}});
    assert!(socket.subscribe(2, other, Some(&place)).await["rows"].is_array());
    let mut other = desk.socket(&desk.users[1]).await;
    assert_eq!(other.subscribe(1, part, Some(&place)).await["rows"][0]["title"], "Theirs");
}
