//! Clients that do not read, ask for too much or talk nonsense: they cost the others nothing.

use std::ops::Range;
use std::time::{Duration, Instant};

use mainstay_testkit::socket::{Heard, Socket};
use serde_json::{Value, json};

use super::{Desk, told};

#[tokio::test]
async fn who_does_not_read_lags_and_goes_on_from_there() {
    let desk = Desk::open_with(|options| options.live.queue_frames = 20).await;
    let part = json!({"Task": {"get": ["title"]}});
    let mut slow = desk.socket(&desk.users[0]).await;
    let mut quick = desk.socket(&desk.users[0]).await;
    slow.subscribe(1, part.clone(), None).await;
    quick.subscribe(1, part.clone(), None).await;
    // Large rows fill what the system keeps for a socket; then the queue; then the slow one is given up.
    let title = "x".repeat(100_000);
    let mut latest = Duration::ZERO;
    for round in 0..150 {
        let started = Instant::now();
        desk.task(0, &format!("{round} {title}")).await;
        let (kind, row) = told(&quick.hear().await);
        assert!(kind == "enter" && row["title"].as_str().unwrap().starts_with(&format!("{round} ")));
        latest = latest.max(started.elapsed());
    }
    assert!(latest < Duration::from_secs(5), "the quick one waited {latest:?}");
    let mut heard = 0;
    let since = loop {
        let frame = slow.hear().await;
        if frame["lagged"] == true {
            break frame["since"].as_str().unwrap().to_owned();
        }
        assert!(told(&frame).1["title"].as_str().unwrap().starts_with(&format!("{heard} ")), "in order");
        heard += 1;
    };
    assert!(heard < 150, "nobody lagged");
    hear_the_rest(&mut slow, part, since, heard..150).await;
}

/// Hears what was missed, from the first to the last, in portions that fit.
async fn hear_the_rest(socket: &mut Socket, part: Value, since: String, rounds: Range<u32>) {
    let mut since = since;
    let mut heard = rounds.start;
    while heard < rounds.end {
        let ready = socket.subscribe(1, part.clone(), Some(&since)).await;
        assert!(ready.get("rows").is_none(), "{ready}");
        while heard < rounds.end {
            let frame = socket.hear().await;
            if frame["lagged"] == true {
                since = frame["since"].as_str().expect("where to go on").to_owned();
                break;
            }
            let row = told(&frame).1;
            let title = row["title"].as_str().expect("the row has one");
            assert!(title.starts_with(&format!("{heard} ")), "{heard}");
            heard += 1;
        }
    }
}

#[tokio::test]
async fn who_reads_nothing_is_cut_off_and_goes_on_from_what_was_read() {
    let patience = Duration::from_millis(200);
    let desk = Desk::open_with(|options| options.limits.send_timeout = patience).await;
    let part = json!({"Task": {"get": ["title"]}});
    let mut still = desk.socket(&desk.users[0]).await;
    let mut quick = desk.socket(&desk.users[0]).await;
    let ready = still.subscribe(1, part.clone(), None).await;
    quick.subscribe(1, part.clone(), None).await;
    let title = "x".repeat(100_000);
    let began = Instant::now();
    let mut rounds = 0;
    // The first hundred fill what the system keeps for a socket.
    while rounds < 150 || began.elapsed() < patience * 20 {
        desk.task(0, &format!("{rounds} {title}")).await;
        assert!(told(&quick.hear().await).1["title"].as_str().unwrap().starts_with(&format!("{rounds} ")));
        rounds += 1;
    }
    let mut heard = 0;
    let mut since = ready["ready"].as_str().unwrap().to_owned();
    while let Heard::Frame(frame) = still.hear_any().await {
        assert!(frame["lagged"].is_null(), "it is told, so it was not cut off");
        assert!(told(&frame).1["title"].as_str().unwrap().starts_with(&format!("{heard} ")), "in order");
        since = frame["seq"].as_str().unwrap().to_owned();
        heard += 1;
    }
    assert!(heard < rounds, "it was told everything");
    let mut back = desk.socket(&desk.users[0]).await;
    hear_the_rest(&mut back, part, since, heard..rounds).await;
}

#[tokio::test]
async fn there_is_an_end_to_what_one_may_ask_for() {
    let desk = Desk::open_with(|options| {
        options.live.per_connection = 3;
        options.live.per_user = 5;
        options.live.rows = 2;
    })
    .await;
    let part = json!({"Task": {"get": ["title"]}});
    let mut socket = desk.socket(&desk.users[0]).await;
    for id in 0..3 {
        socket.subscribe(id, part.clone(), None).await;
    }
    let subscribe = |id: u64| json!({"id": id, "subscribe": part});
    let refused = socket.ask(subscribe(3)).await;
    assert_eq!((&refused["status"], &refused["body"]["key"]), (&json!(429), &json!("live.too_many")));
    let mut other = desk.socket(&desk.users[0]).await;
    for id in 0..2 {
        other.subscribe(id, part.clone(), None).await;
    }
    assert_eq!(other.ask(subscribe(2)).await["body"]["key"], "live.too_many");
    socket.ask(json!({"id": 0, "unsubscribe": true})).await;
    other.subscribe(2, part.clone(), None).await;
    for number in 0..3 {
        desk.task(1, &format!("{number}")).await;
    }
    let mut blue = desk.socket(&desk.users[1]).await;
    let refused = blue.ask(subscribe(1)).await;
    assert_eq!((&refused["status"], &refused["body"]["key"]), (&json!(422), &json!("live.too_large")));
}

#[tokio::test]
async fn nonsense_disturbs_nobody() {
    let desk = Desk::open().await;
    let mut calm = desk.socket(&desk.users[0]).await;
    calm.subscribe(1, json!({"Task": {"get": ["title"]}}), None).await;
    let mut loud = Socket::open(&desk.app.url, "").await;
    let talk = tokio::spawn(async move {
        for number in 0..2_000 {
            loud.say_text(["{", "\u{0}", "{\"id\":1,\"subscribe\":{\"Task\":[]}}", "[[[["][number % 4]).await;
            if number % 50 == 0 {
                loud.say(json!({"id": number, "subscribe": {"Task": {}}})).await;
            }
            let answer = loud.hear().await;
            assert!(
                answer["status"] == 400 || answer["status"] == 422 || answer["ready"].is_string(),
                "{answer}"
            );
        }
    });
    let mut latest = Duration::ZERO;
    for round in 0..50 {
        let started = Instant::now();
        desk.task(0, &round.to_string()).await;
        let frame: Value = calm.hear().await;
        assert_eq!(told(&frame).1["title"], round.to_string());
        latest = latest.max(started.elapsed());
    }
    assert!(latest < Duration::from_secs(5), "{latest:?}");
    talk.await.unwrap();
}

#[tokio::test]
async fn a_filter_that_cannot_be_computed_ends_alone() {
    let desk = Desk::open().await;
    desk.make("/api/Grant", json!({"user": desk.users[0], "permission": "cost"})).await;
    let mut calm = desk.socket(&desk.users[0]).await;
    calm.subscribe(1, json!({"Task": {"get": ["title"]}}), None).await;
    calm.subscribe(2, json!({"Note": {"get": ["text"]}}), None).await;
    // One is decided from the images in the log, the other one by a read.
    let mut wrong = desk.socket(&desk.users[0]).await;
    let too_much = |column: &str| format!("{column} + 9223372036854775807 > 0");
    wrong.subscribe(1, json!({"Task": {"where": too_much("cost")}}), None).await;
    wrong.subscribe(2, json!({"Note": {"where": too_much("task.cost")}}), None).await;
    wrong.subscribe(3, json!({"Task": {"get": ["title"]}}), None).await;
    let row = json!({"title": "Paint", "team": desk.teams[0], "cost": 5});
    let task = desk.make("/api/Task", row).await;
    desk.make("/api/Note", json!({"task": task["id"], "text": "Red"})).await;
    let mut heard = [wrong.hear().await, wrong.hear().await, wrong.hear().await];
    heard.sort_by_key(|frame| frame["id"].as_u64());
    for ended in &heard[..2] {
        let said = (&ended["status"], &ended["body"]["key"]);
        assert_eq!(said, (&json!(422), &json!("expression.overflow")), "{ended}");
    }
    assert_eq!(told(&heard[2]).1["title"], "Paint");
    assert_eq!(told(&calm.hear_of(&json!(1), 1).await[0]).1["title"], "Paint");
    assert_eq!(told(&calm.hear_of(&json!(2), 1).await[0]).1["text"], "Red");
    let mut latest = Duration::ZERO;
    for round in 0..20 {
        let started = Instant::now();
        desk.change("/api/Task", &task, json!({"title": round.to_string()})).await;
        for socket in [&mut calm, &mut wrong] {
            assert_eq!(told(&socket.hear().await).1["title"], round.to_string());
        }
        latest = latest.max(started.elapsed());
    }
    assert!(latest < Duration::from_secs(5), "{latest:?}");
    // What has ended is ended: its id may ask for something else.
    wrong.subscribe(1, json!({"Note": {"get": ["text"]}}), None).await;
}
