//! Streams of events: any read of REST, for as long as the client stays.

use std::time::Duration;

use serde_json::{Value, json};

use super::Desk;

/// Reads a stream event by event.
struct Events {
    response: reqwest::Response,
    text: String,
}

impl Events {
    async fn open(desk: &Desk, path: &str, since: &str) -> Events {
        let token = desk.app.token(&mainstay_http::Subject::User(desk.users[0].clone()));
        let request = reqwest::Client::new()
            .get(format!("{}{path}", desk.app.url))
            .bearer_auth(token)
            .header("accept", "text/event-stream")
            .header("last-event-id", since);
        let response = request.send().await.expect("an answer");
        assert_eq!(response.status().as_u16(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Events { response, text: String::new() }
    }

    /// The next event's id and data.
    async fn next(&mut self) -> (String, Value) {
        loop {
            if let Some((event, rest)) = self.text.split_once("\n\n") {
                let (event, rest) = (event.to_owned(), rest.to_owned());
                self.text = rest;
                let field =
                    |name: &str| event.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
                if let Some(data) = field("data:") {
                    let id = field("id:").unwrap_or_default().to_owned();
                    return (id, serde_json::from_str(data).expect("data is JSON"));
                }
                continue;
            }
            let more = tokio::time::timeout(Duration::from_secs(20), self.response.chunk()).await;
            let more = more.expect("an event in time").expect("the stream goes on").expect("it is not over");
            self.text.push_str(std::str::from_utf8(&more).expect("events are text"));
        }
    }
}

#[tokio::test]
async fn a_list_and_a_row_are_streams() {
    let desk = Desk::open().await;
    let task = desk.task(0, "Paint").await;
    let mut list = Events::open(&desk, "/api/Task?where=state%20%3D%3D%20open&get=title", "").await;
    let (first, ready) = list.next().await;
    assert_eq!(ready, json!({"ready": first, "rows": [{"id": task["id"], "title": "Paint"}]}));
    let path = format!("/api/Task/{}?get=state", task["id"].as_str().unwrap());
    let mut row = Events::open(&desk, &path, "").await;
    assert_eq!(row.next().await.1["rows"], json!([{"id": task["id"], "state": "open"}]));
    desk.change("/api/Task", &task, json!({"title": "Draw"})).await;
    let (second, update) = list.next().await;
    let shown = json!({"id": task["id"], "title": "Draw"});
    assert_eq!(update, json!({"change": "update", "seq": second, "row": shown}));
    desk.change("/api/Task", &task, json!({"state": "done"})).await;
    assert_eq!(list.next().await.1["change"], "leave");
    assert_eq!(row.next().await.1["row"]["state"], "done");
    // A browser that comes back says where it was.
    drop(list);
    let mut again = Events::open(&desk, "/api/Task?where=state%20%3D%3D%20open&get=title", &first).await;
    assert_eq!(again.next().await, (first.clone(), json!({"ready": first})));
    assert_eq!(again.next().await.1["row"], update["row"]);
    assert_eq!(again.next().await.1["change"], "leave");
}

#[tokio::test]
async fn what_is_wrong_is_answered_before_the_stream_begins() {
    let desk = Desk::open().await;
    let ask = |path: &str| desk.app.get(path).header("accept", "text/event-stream");
    ask("/api/Task?order=title").send().await.expect_problem(422, "live.unsupported");
    ask("/api/Task?get=notes(text)").send().await.expect_problem(422, "live.unsupported");
    ask("/api/Yearly").send().await.expect_problem(422, "live.time");
    ask("/api/Task").header("last-event-id", "x").send().await.expect_problem(400, "live.since");
    ask("/api/Task")
        .header("origin", "https://evil.example")
        .send()
        .await
        .expect_problem(403, "rule.refused");
    ask("/api/Task").bearer("x").send().await.expect_problem(401, "auth.credentials");
}
