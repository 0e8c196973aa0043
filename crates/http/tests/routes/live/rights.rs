//! Rights that change while somebody listens.

use std::time::Duration;

use mainstay_http::{Subject, TokenSecret, issue_token};
use mainstay_testkit::socket::{Heard, Socket};
use serde_json::{Value, json};

use super::{Desk, told};

#[tokio::test]
async fn another_team_means_other_rows() {
    let desk = Desk::open().await;
    let [ours, theirs] = [desk.task(0, "Ours").await, desk.task(1, "Theirs").await];
    let mut socket = desk.socket(&desk.users[0]).await;
    socket.subscribe(1, json!({"Task": {"get": ["title"]}}), None).await;
    let user = json!({"id": desk.users[0]});
    desk.change("/api/User", &user, json!({"team": desk.teams[1]})).await;
    let mut heard = [told(&socket.hear().await), told(&socket.hear().await)];
    heard.sort_by(|a, b| a.0.cmp(&b.0));
    assert_eq!(heard[0], ("enter".to_owned(), json!({"id": theirs["id"], "title": "Theirs"})));
    assert_eq!(heard[1], ("leave".to_owned(), json!({"id": ours["id"]})));
    // From now on changes are those of the new team.
    desk.change("/api/Task", &ours, json!({"title": "Secret"})).await;
    desk.change("/api/Task", &theirs, json!({"title": "Shared"})).await;
    assert_eq!(
        told(&socket.hear().await),
        ("update".to_owned(), json!({"id": theirs["id"], "title": "Shared"}))
    );
    socket.is_silent().await;
}

#[tokio::test]
async fn a_permission_comes_and_goes() {
    let desk = Desk::open().await;
    let task = desk.task(0, "Paint").await;
    desk.change("/api/Task", &task, json!({"cost": 5})).await;
    let theirs = desk.task(1, "Theirs").await;
    let mut socket = desk.socket(&desk.users[0]).await;
    let ready = socket.subscribe(1, json!({"Task": {"get": ["cost"]}}), None).await;
    assert_eq!(ready["rows"], json!([{"id": task["id"]}]));
    let grant = |permission: &str| json!({"user": desk.users[0], "permission": permission});
    let cost = desk.make("/api/Grant", grant("cost")).await;
    assert_eq!(told(&socket.hear().await), ("update".to_owned(), json!({"id": task["id"], "cost": 5})));
    let admin = desk.make("/api/Grant", grant("admin")).await;
    assert_eq!(told(&socket.hear().await), ("enter".to_owned(), json!({"id": theirs["id"], "cost": null})));
    desk.end("/api/Grant", &admin).await;
    assert_eq!(told(&socket.hear().await), ("leave".to_owned(), json!({"id": theirs["id"]})));
    desk.end("/api/Grant", &cost).await;
    assert_eq!(told(&socket.hear().await), ("update".to_owned(), json!({"id": task["id"]})));
}

#[tokio::test]
async fn a_right_that_was_lost_before_a_change_is_lost_for_it() {
    let desk = Desk::open().await;
    let task = desk.task(0, "Paint").await;
    let mut socket = desk.socket(&desk.users[0]).await;
    socket.subscribe(1, json!({"Task": {"get": ["title"]}}), None).await;
    // In one transaction the user leaves the team and its task is renamed.
    let document = json!([
        {"User": {"id": desk.users[0], "set": {"team": desk.teams[1]}}},
        {"Task": {"id": task["id"], "set": {"title": "Secret"}}},
    ]);
    desk.app.post("/query", document).admin().send().await.expect_status(200);
    assert_eq!(told(&socket.hear().await), ("leave".to_owned(), json!({"id": task["id"]})));
    socket.is_silent().await;
}

#[tokio::test]
async fn other_credentials_on_the_same_socket() {
    let desk = Desk::open().await;
    let [ours, theirs] = [desk.task(0, "Ours").await, desk.task(1, "Theirs").await];
    let mut socket = desk.socket(&desk.users[0]).await;
    socket.subscribe(1, json!({"Task": {"get": ["title"]}}), None).await;
    let token = desk.app.token(&Subject::User(desk.users[1].clone()));
    assert_eq!(socket.ask(json!({"id": 2, "auth": token})).await, json!({"id": 2, "status": 200}));
    let mut kinds: Vec<(String, Value)> = vec![told(&socket.hear().await), told(&socket.hear().await)];
    kinds.sort_by(|a, b| a.0.cmp(&b.0));
    assert_eq!(kinds[0], ("enter".to_owned(), json!({"id": theirs["id"], "title": "Theirs"})));
    assert_eq!(kinds[1], ("leave".to_owned(), json!({"id": ours["id"]})));
    // Requests are those of the new caller, too.
    let rows = socket.ask(json!({"id": 3, "request": {"path": "/api/Task?get=title"}})).await;
    assert_eq!(rows["body"]["items"][0]["title"], "Theirs");
    assert_eq!(socket.ask(json!({"id": 4, "auth": null})).await["status"], 200);
    assert_eq!(told(&socket.hear().await), ("leave".to_owned(), json!({"id": theirs["id"]})));
}

#[tokio::test]
async fn a_socket_ends_with_its_user_and_with_its_token() {
    let desk = Desk::open().await;
    let mut socket = desk.socket(&desk.users[0]).await;
    socket.subscribe(1, json!({"Task": {}}), None).await;
    desk.end("/api/User", &json!({"id": desk.users[0]})).await;
    assert_eq!(socket.hear_any().await, Heard::Closed(4401, "The user is no longer there.".to_owned()));

    // A leeway of five seconds is left for clocks that differ.
    let secret = TokenSecret::new([7; 32]).unwrap();
    let token = issue_token(&secret, "desk", &Subject::User(desk.users[1].clone()), Duration::ZERO);
    let mut socket = Socket::open(&desk.app.url, &token).await;
    socket.subscribe(1, json!({"Task": {}}), None).await;
    assert_eq!(socket.hear_any().await, Heard::Closed(4401, "The token has ended.".to_owned()));
}

#[tokio::test]
async fn one_change_shows_each_who_asked_the_same_what_is_theirs() {
    let desk = Desk::open().await;
    // Two of the red team, one of whom may see what things cost; one of the blue; and an administrator's permission.
    let [mate, rich, boss] = ["mate", "rich", "boss"].map(|name| desk.app.user(name, &[]));
    let [mate, rich, boss] = [mate.await, rich.await, boss.await];
    for user in [&mate, &rich] {
        desk.change("/api/User", &json!({"id": user}), json!({"team": desk.teams[0]})).await;
    }
    desk.make("/api/Grant", json!({"user": rich, "permission": "cost"})).await;
    desk.make("/api/Grant", json!({"user": boss, "permission": "admin"})).await;
    let mut red = desk.socket(&desk.users[0]).await;
    let mut blue = desk.socket(&desk.users[1]).await;
    let mut mate = desk.socket(&mate).await;
    let mut rich = desk.socket(&rich).await;
    let mut boss = desk.socket(&boss).await;
    let parts = [
        json!({"Task": {"get": ["title", "cost"]}}),
        json!({"Task": {"cost": {"gt": 3}, "get": ["title"]}}),
        json!({"Task": {"where": "team == user.team", "get": ["title"]}}),
        // No key tells these apart: all of the team are found, and not all of them see it.
        json!({"Task": {"where": "title != user.name", "get": ["title"]}}),
        json!({"Task": {"cost": {"gt": 9}, "get": ["title"]}}),
    ];
    for socket in [&mut red, &mut blue, &mut mate, &mut rich, &mut boss] {
        for (id, part) in (0..).zip(&parts) {
            socket.subscribe(id, part.clone(), None).await;
        }
    }
    let row = json!({"title": "mate", "team": desk.teams[0], "cost": 5});
    let task = desk.make("/api/Task", row).await;
    let id = task["id"].clone();
    let plain = json!({"id": id, "title": "mate"});
    let all = json!({"id": id, "title": "mate", "cost": 5});
    let check = async |socket: &mut Socket, expect: &[(u64, &Value)]| {
        let mut heard = Vec::new();
        for _ in expect {
            let frame = socket.hear().await;
            heard.push((frame["id"].as_u64().unwrap(), told(&frame)));
        }
        heard.sort_by_key(|(id, _)| *id);
        let expect: Vec<_> =
            expect.iter().map(|(id, row)| (*id, ("enter".to_owned(), (*row).clone()))).collect();
        assert_eq!(heard, expect);
        socket.is_silent().await;
    };
    check(&mut red, &[(0, &plain), (2, &plain), (3, &plain)]).await;
    check(&mut mate, &[(0, &plain), (2, &plain)]).await;
    check(&mut rich, &[(0, &all), (1, &all), (2, &plain), (3, &plain)]).await;
    check(&mut boss, &[(0, &plain), (3, &plain)]).await;
    check(&mut blue, &[]).await;
}
