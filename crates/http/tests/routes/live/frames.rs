//! Requests over a socket, and frames that cannot be meant.

use mainstay_testkit::socket::{Heard, Socket};
use serde_json::{Value, json};

use super::{Desk, told};

#[tokio::test]
async fn a_request_over_a_socket_is_answered_as_by_http() {
    let desk = Desk::open().await;
    let task = desk.task(0, "Paint").await;
    let mut socket = desk.socket(&desk.users[0]).await;
    let path = format!("/api/Task/{}?get=title,state", task["id"].as_str().unwrap());
    let http = desk.app.get(&path).user(&desk.users[0]).send().await.expect_status(200);
    let answer = socket.ask(json!({"id": 1, "request": {"method": "GET", "path": path}})).await;
    assert_eq!((&answer["status"], &answer["body"]), (&json!(200), &http.body));
    assert_eq!(answer["headers"]["etag"], http.header("etag"));

    let document = json!({"Task": {"create": true, "title": "Sweep", "team": desk.teams[0]}});
    let made =
        socket.ask(json!({"id": 2, "request": {"method": "POST", "path": "/query", "body": document}})).await;
    assert_eq!(made["body"]["Task"][0]["new"], true, "{made}");
    let refused = json!({"method": "GET", "path": "/api/Nothing", "headers": {"x-request-id": "mine"}});
    let refused = socket.ask(json!({"id": "three", "request": refused})).await;
    assert_eq!((&refused["status"], &refused["body"]["key"]), (&json!(404), &json!("route.unknown")));
    assert_eq!(refused["body"]["request_id"], "mine");
    let place = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let traced = json!({"path": "/api/Nothing", "headers": {"traceparent": place}});
    let traced = socket.ask(json!({"id": "four", "request": traced})).await;
    assert_eq!(
        (&traced["headers"]["traceresponse"], &traced["body"]["trace_id"]),
        (&json!(place), &json!(&place[3..35]))
    );
    let metrics = socket.ask(json!({"id": 4, "request": {"path": "/metrics"}})).await;
    assert!(metrics["body"].as_str().unwrap().contains("mainstay_live_connections"), "{metrics}");
    // Neither a socket in the socket nor a stream that never ends.
    let inner = socket.ask(json!({"id": 5, "request": {"path": "/live"}})).await;
    assert_eq!(inner["status"], 400);
    let stream = json!({"path": "/api/Task", "headers": {"accept": "text/event-stream"}});
    assert_eq!(socket.ask(json!({"id": 6, "request": stream})).await["status"], 200);
    // Credentials of a frame's own.
    let headers = json!({"authorization": "Bearer x.y.z"});
    let other = socket.ask(json!({"id": 7, "request": {"path": "/api/Task", "headers": headers}})).await;
    assert_eq!(other["status"], 401);
}

#[tokio::test]
async fn a_long_message_comes_whole_though_no_frame_is_long() {
    let desk = Desk::open().await;
    let mut socket = desk.socket(&desk.users[0]).await;
    // Of two bytes each, so that pieces end within some, one more for each title.
    let titles: Vec<String> =
        ["", "a", "ab", "abc"].iter().map(|first| format!("{first}{}", "ä".repeat(20_000))).collect();
    for title in &titles {
        desk.task(0, title).await;
    }
    let ready = socket.subscribe(1, json!({"Task": {"get": ["title"]}}), None).await;
    let of = |rows: &Value| -> Vec<String> {
        rows.as_array().unwrap().iter().map(|row| row["title"].as_str().unwrap().to_owned()).collect()
    };
    let mut begun_with = of(&ready["rows"]);
    begun_with.sort_unstable();
    let mut expected = titles.clone();
    expected.sort_unstable();
    assert!(begun_with == expected, "{} rows", begun_with.len());
    let asked = json!({"id": 2, "request": {"path": "/api/Task?get=title&order=title"}});
    let answer = socket.ask(asked).await;
    assert!(of(&answer["body"]["items"]) == expected, "status {}", answer["status"]);
    // The longest that goes in one piece, and the shortest that does not, with what stands around them.
    for length in 16_200..16_400 {
        desk.change("/api/Task", &ready["rows"][0], json!({"title": "t".repeat(length)})).await;
        assert_eq!(told(&socket.hear().await).1["title"].as_str().unwrap().len(), length);
    }
}

#[tokio::test]
async fn frames_that_cannot_be_meant_are_refused_and_the_socket_stays() {
    let desk = Desk::open().await;
    let mut socket = desk.socket(&desk.users[0]).await;
    for (text, id, status, key) in [
        ("{", json!(null), 400, "json.malformed"),
        ("[1]", json!(null), 400, "request.malformed"),
        ("{\"id\":1,\"pong\":1}", json!(1), 400, "request.malformed"),
        ("{\"id\":1,\"request\":{\"path\":\"api\"}}", json!(1), 400, "request.malformed"),
        ("{\"id\":1,\"request\":{\"path\":\"/\",\"method\":\"a b\"}}", json!(1), 400, "request.malformed"),
        (
            "{\"id\":1,\"request\":{\"path\":\"/\",\"headers\":{\"a b\":\"\"}}}",
            json!(1),
            400,
            "request.malformed",
        ),
        ("{\"id\":1,\"auth\":\"no\"}", json!(1), 401, "auth.credentials"),
        ("{\"id\":1,\"auth\":\"no\\n\"}", json!(1), 401, "auth.credentials"),
        ("{\"id\":1,\"subscribe\":{\"Tusk\":{}}}", json!(1), 400, "name.unknown"),
        ("{\"id\":1,\"subscribe\":{\"Task\":{\"get\":[\"titel\"]}}}", json!(1), 400, "name.unknown"),
        ("{\"id\":1,\"subscribe\":{\"Task\":{\"order\":[\"title\"]}}}", json!(1), 422, "live.unsupported"),
        ("{\"id\":1,\"subscribe\":{\"Task\":{\"limit\":1}}}", json!(1), 422, "live.unsupported"),
        ("{\"id\":1,\"subscribe\":{\"Task\":{\"get\":[\"notes\"]}}}", json!(1), 422, "live.unsupported"),
        (
            "{\"id\":1,\"subscribe\":{\"Task\":{\"title\":\"x\",\"delete\":true}}}",
            json!(1),
            422,
            "live.unsupported",
        ),
        ("{\"id\":1,\"subscribe\":{\"Yearly\":{}}}", json!(1), 422, "live.time"),
        ("{\"id\":1,\"subscribe\":{\"Task\":{}},\"since\":\"x\"}", json!(1), 400, "live.since"),
    ] {
        socket.say_text(text).await;
        let frame = socket.hear().await;
        assert_eq!(
            (&frame["id"], &frame["status"], &frame["body"]["key"]),
            (&id, &json!(status), &json!(key)),
            "{text}"
        );
    }
    socket.is_silent().await;
    socket.subscribe(1, json!({"Task": {}}), None).await;
    let again = socket.ask(json!({"id": 1, "subscribe": {"Task": {}}})).await;
    assert_eq!(again["status"], 400);
}

#[tokio::test]
async fn pages_of_other_sites_are_turned_away() {
    let desk = Desk::open().await;
    let refused = Socket::try_open(&desk.app.url, "", &[("origin", "https://evil.example")]).await;
    assert!(refused.unwrap_err().to_string().contains("403"));
    let own = desk.app.url.clone();
    Socket::try_open(&desk.app.url, "", &[("origin", &own)]).await.unwrap().is_silent().await;
}

#[tokio::test]
async fn a_stop_closes_sockets_with_a_reason() {
    let desk = Desk::open().await;
    let mut socket = desk.socket(&desk.users[0]).await;
    socket.subscribe(1, json!({"Task": {}}), None).await;
    desk.app.stop().await;
    assert_eq!(socket.hear_any().await, Heard::Closed(1001, "The server stops.".to_owned()));
}
