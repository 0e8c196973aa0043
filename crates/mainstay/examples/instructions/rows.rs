//! The rows that are there before anything is counted: the same in each run, but for keys that the server gives.

use mainstay::serde_json::{Value, json};
use mainstay::test::TestApp;

/// Items, of which lists show a page.
const ITEMS: usize = 300;

/// Artists, each with [`ALBUMS`] albums of [`TRACKS`] tracks.
const ARTISTS: usize = 20;
const ALBUMS: usize = 3;
const TRACKS: usize = 5;

/// Makes all of them.
pub(crate) async fn make(app: &TestApp) {
    let item = |at: usize| json!({"create": true, "title": format!("Item {at}"), "done": at.is_multiple_of(3), "rank": at % 10});
    create(app, json!({"Item": (0..ITEMS).map(item).collect::<Vec<_>>()})).await;
    create(app, json!({"Artist": (0..ARTISTS).map(artist).collect::<Vec<_>>()})).await;
}

fn artist(at: usize) -> Value {
    let track = |track: usize| json!({"create": true, "name": format!("Track {track}"), "milliseconds": 180_000 + 1_000 * track, "unit_price": "0.99"});
    let album = |album: usize| {
        let tracks: Vec<Value> = (0..TRACKS).map(track).collect();
        json!({"create": true, "title": format!("Album {album}"), "tracks": tracks})
    };
    let albums: Vec<Value> = (0..ALBUMS).map(album).collect();
    json!({"create": true, "name": format!("Artist {at}"), "albums": albums})
}

async fn create(app: &TestApp, document: Value) {
    app.admin().query(document).await.expect_ok();
}
