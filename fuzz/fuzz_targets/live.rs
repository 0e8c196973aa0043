//! Any lines are said over a socket, one frame each: whatever they ask, each is answered with a frame that a client can read, the
//! server is never at fault, and the socket still listens afterwards.

#![no_main]

use futures_util::{SinkExt as _, StreamExt as _};
use libfuzzer_sys::fuzz_target;
use mainstay_fuzz::World;
use serde_json::Value;
use tokio_tungstenite::tungstenite::Message;

/// Longer talks only repeat what shorter ones find.
const BYTES_MAX: usize = 4 << 10;
const FRAMES_MAX: usize = 16;

thread_local! {
    static WORLD: World = World::open();
}

fuzz_target!(|bytes: &[u8]| {
    if bytes.len() > BYTES_MAX {
        return;
    }
    WORLD.with(|world| world.block_on(talk(world, bytes)));
});

async fn talk(world: &World, bytes: &[u8]) {
    let mut socket = world.socket().await;
    for line in bytes.split(|byte| *byte == b'\n').take(FRAMES_MAX) {
        let frame = match std::str::from_utf8(line) {
            Ok(text) => Message::Text(text.into()),
            Err(_) => Message::Binary(line.to_vec().into()),
        };
        socket.send(frame).await.expect("the socket is open");
    }
    let last = Message::Text(r#"{"id":"the last one","ping":true}"#.into());
    socket.send(last).await.expect("the socket is open");
    loop {
        let message = socket.next().await.expect("the socket stays open").expect("it is spoken well");
        let Message::Text(text) = message else { continue };
        let frame: Value = serde_json::from_str(&text).expect("a frame is JSON");
        assert!(frame["id"].is_number() || frame["id"].is_string() || frame["id"].is_null(), "{frame}");
        let said = ["status", "ready", "change", "lagged"].iter().filter(|word| frame.get(**word).is_some());
        assert_eq!(said.count(), 1, "{frame}");
        assert!(frame["status"].as_u64().is_none_or(|status| status < 500), "{frame}");
        if frame["id"] == "the last one" {
            return;
        }
    }
}
