//! Values where code of an app runs.

use std::sync::Arc;

use axum::Router;
use axum::routing::get;
use mainstay_engine::ctx::Caller;
use mainstay_engine::error::Error;
use mainstay_engine::hook::{HookCtx, Processing};
use mainstay_engine::plugin::{Plugin, Setup};
use mainstay_flags::ReadFlags as _;
use mainstay_http::{Refusal, RequestCtx, SetupHttp as _};
use mainstay_jobs::{Definition, JobSetup as _, Jobs, NewJob, Running, State, Worker, WorkerOptions};
use parking_lot::Mutex;
use serde_json::{Value as Json, json};

use crate::harness::{Node, STAY, on_each, place, tenant};

#[derive(Clone, Default)]
struct Barrels {
    /// What the job has read.
    seen: Arc<Mutex<Vec<i64>>>,
}

impl Plugin for Barrels {
    fn name(&self) -> &str {
        "barrels"
    }

    fn build(&self, setup: &mut Setup<'_>) {
        setup.table("Barrel").on_processing(
            async |ctx: &HookCtx, change: &mut Processing| -> Result<(), Error> {
                let left: i64 = change.row.get("left")?;
                change
                    .row
                    .set("is_low", ctx.flag("new_checkout")? && left < ctx.setting::<i64>("alarm_level")?)
            },
        );
        let level = async |request: RequestCtx| -> Result<String, Refusal> {
            Ok(request.setting::<i64>("alarm_level")?.to_string())
        };
        let wrong = async |request: RequestCtx| -> Result<String, Refusal> {
            Ok(request.flag("new_chekout")?.to_string())
        };
        setup.routes(Router::new().route("/level", get(level)).route("/wrong", get(wrong)));
        let seen = self.seen.clone();
        setup.job(Definition::new("look", move |job: Running, _: Json| {
            let seen = seen.clone();
            async move {
                seen.lock().push(job.setting("alarm_level")?);
                Ok(())
            }
        }));
    }
}

#[test]
fn hooks_routes_and_jobs_read_what_holds_for_their_tenant() {
    on_each(async |kind| {
        let place = place(kind);
        let barrels = Barrels::default();
        let stay = format!("{STAY}\ntable Barrel {{ left int\n is_low bool = false\n allow all }}\n");
        let node = Node::start_of(&place, &stay, |plugins| {
            plugins.add(barrels.clone());
        })
        .await;
        let ours = tenant(1);
        let low = async |of: Option<&_>, left: i64| {
            let document = json!({"Barrel": {"create": true, "left": left, "get": ["is_low"]}});
            let answer = node.execute(Caller::anonymous(), of, document).await.unwrap();
            answer["Barrel"][0]["is_low"].as_bool().unwrap()
        };
        assert!(!low(None, 3).await, "{kind:?}");
        node.give("new_checkout", None, json!(true)).await;
        node.give("alarm_level", Some(&ours), json!(10)).await;
        node.until(|flags| flags.setting::<i64>("alarm_level", Some(&ours)).unwrap() == 10).await;
        node.until_flag("new_checkout", true).await;
        assert!(low(None, 4).await && !low(None, 7).await, "{kind:?}");
        assert!(low(Some(&ours), 7).await && !low(Some(&ours), 10).await, "{kind:?}");

        assert_eq!(node.get("/level").await, json!(5), "{kind:?}");
        // A name that is not declared is a fault of the code, and none of the caller's business.
        let answer = node.ask_as("GET", "/wrong", None, None, "").await;
        assert_eq!((answer.status, &answer.body["key"]), (500, &json!("internal")), "{kind:?}");
        assert!(!answer.body.to_string().contains("chekout"), "{kind:?}");

        let jobs = Jobs::of_app(node.engine.clone());
        let id = jobs.enqueue(NewJob::new("look", &json!({}))).await.unwrap();
        let worker = Worker::new(jobs.clone(), WorkerOptions::default());
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let working = tokio::spawn(worker.run(async {
            drop(stopped.await);
        }));
        let began = std::time::Instant::now();
        while jobs.find(&[id]).await.unwrap()[0].state != State::Done {
            assert!(began.elapsed() < std::time::Duration::from_secs(30), "{kind:?}");
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        drop(stop);
        working.await.unwrap();
        assert_eq!(*barrels.seen.lock(), [5], "{kind:?}");
    });
}
