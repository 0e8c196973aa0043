//! Places from which somebody goes on: for as long as the changes behind them are kept.

use std::sync::Arc;

use mainstay_engine::ctx::Caller;
use mainstay_engine::error::Key;
use mainstay_lang::value::Timestamp;
use mainstay_testkit::database::{Database, DatabaseKind, schema_of};
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, mpsc};

use super::{Reader, now};
use crate::place::{Place, SealKey};
use crate::queue::EventKind;
use crate::request::Request;
use crate::who::Who;
use crate::{Limits, Live};

const APP: &str = "
table Usual { n int allow all }
table Long { n int history 3 days allow all }
";

const HOUR_US: i64 = 3_600_000_000;

#[tokio::test]
async fn what_is_no_longer_kept_is_not_gone_on_from() {
    for on in DatabaseKind::ALL {
        let database = Database::open(*on, schema_of(APP).unwrap()).await.unwrap();
        let engine = database.engine.clone();
        let key = SealKey::derive(&[3; 32]);
        let reader = Reader {
            engine: engine.clone(),
            requests: Handle::current(),
            limits: Limits::default(),
            key: key.clone(),
            plans: Arc::default(),
            schema_print: crate::schema_print(engine.schema()),
            results: mpsc::unbounded_channel().0,
            places: Arc::new(Semaphore::new(1)),
        };
        let live = Live::start(engine.clone(), key, Limits::default());
        let connection = live.connect(Who::default(), None).await;
        let standing =
            Who::default().standing(engine.planning().await.unwrap(), Arc::new(Caller::anonymous()));
        let position = engine.position().await.unwrap();
        let check = async |table: &str, hours: i64, is_kept: bool| {
            let request = || Request::read(&format!("{{\"{table}\": {{\"get\": [\"n\"]}}}}")).unwrap();
            let at = Timestamp(now().0 - hours * HOUR_US);
            let mut since = String::new();
            let place = Place::at(at, &position);
            reader.seal(&standing, &request()).write_to(&place, &mut since);
            let tag: Arc<str> = format!("{table} {hours}").into();
            connection.subscribe(tag.clone(), request(), Some(since)).await;
            let event = connection.next().await.unwrap();
            assert_eq!(event.tag, tag);
            let gone = match event.kind {
                EventKind::Ready { rows: None, .. } => None,
                EventKind::Ended(error) => Some(error.key),
                other => panic!("{other:?}"),
            };
            assert_eq!(gone, (!is_kept).then_some(Key::LiveGone), "{on:?}: {tag}");
        };
        check("Usual", 20, true).await;
        check("Usual", 25, false).await;
        check("Long", 60, true).await;
        check("Long", 80, false).await;
    }
}
