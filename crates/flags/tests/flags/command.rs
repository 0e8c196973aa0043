//! `mainstay flags`: seen by a server that runs beside it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use mainstay_engine::ctx::{Caller, Ctx};
use mainstay_engine::error::Error;
use mainstay_engine::plugin::{Command, CommandCall};
use mainstay_jobs::Clock;
use serde_json::{Value as Json, json};

use crate::harness::{Node, on_each, place, tenant};

async fn run(node: &Node, words: &[&str]) -> Result<String, Error> {
    let ctx = Ctx {
        caller: Arc::new(Caller::administrator()),
        tenant: None,
        session: None,
        now: Clock::default().now(),
        deadline: Instant::now() + Duration::from_secs(30),
        request_id: "test".into(),
        trace: None,
    };
    let commands = node.engine.parts().get::<Vec<Command>>().unwrap();
    let command = commands.iter().find(|command| command.name == "flags").unwrap();
    let args = words.iter().map(|word| (*word).to_owned()).collect();
    command.run(CommandCall { engine: node.engine.clone(), ctx, args }).await
}

#[test]
fn values_are_set_and_unset_beside_a_server() {
    on_each(async |kind| {
        let place = place(kind);
        let server = Node::start(&place).await;
        let shell = Node::start(&place).await;
        assert_eq!(
            run(&shell, &["set", "new_checkout", "true"]).await.unwrap(),
            "new_checkout = true",
            "{kind:?}"
        );
        server.until_flag("new_checkout", true).await;
        assert_eq!(
            run(&shell, &["set", "new_checkout", "false"]).await.unwrap(),
            "new_checkout = false",
            "{kind:?}"
        );
        server.until_flag("new_checkout", false).await;
        let [ours] = [tenant(1)];
        let id = ours.to_json().trim_matches('"').to_owned();
        let said = run(&shell, &["set", "greeting", "Hi", "--tenant", &id]).await.unwrap();
        assert_eq!(said, format!("greeting = \"Hi\" for {id}"), "{kind:?}");
        let is_there =
            |flags: &mainstay_flags::Flags| flags.setting::<String>("greeting", Some(&ours)).unwrap() == "Hi";
        server.until(is_there).await;
        shell.until(is_there).await;
        let listed = run(&shell, &["list"]).await.unwrap();
        assert!(
            listed.contains("new_checkout  flag     changed   false  The new check-out page"),
            "{kind:?}: {listed}"
        );
        assert!(listed.contains(&format!("for {id}  \"Hi\"")), "{kind:?}: {listed}");
        let listed: Json = serde_json::from_str(&run(&shell, &["list", "--json"]).await.unwrap()).unwrap();
        let greeting =
            listed["declared"].as_array().unwrap().iter().find(|of| of["name"] == "greeting").unwrap();
        assert_eq!(
            (&greeting["value"], &greeting["tenants"]),
            (&json!("Hello"), &json!({id.clone(): "Hi"})),
            "{kind:?}"
        );
        assert_eq!(
            run(&shell, &["unset", "greeting"]).await.unwrap(),
            "greeting had no value of its own",
            "{kind:?}"
        );
        run(&shell, &["unset", "greeting", "--tenant", &id]).await.unwrap();
        server.until(|flags| !is_there(flags)).await;
    });
}

#[tokio::test]
async fn what_cannot_be_meant_is_refused_with_what_was_expected() {
    let place = place(crate::harness::DatabaseKind::Sqlite);
    let node = Node::start(&place).await;
    let check = async |words: &[&str], expected: &str| {
        let error = run(&node, words).await.unwrap_err().to_string();
        assert!(error.contains(expected), "{words:?}: {error}");
    };
    check(&["set", "new_chekout", "true"], "did you mean `new_checkout`?").await;
    check(&["set", "new_checkout", "maybe"], "`new_checkout` is bool").await;
    check(&["set", "alarm_level", "many"], "`alarm_level` is int").await;
    check(&["set", "theme", "{"], "written as JSON").await;
    check(&["set", "mode", "busy", "--tenant", "me"], "a uuid").await;
    check(&["put"], "list | set NAME VALUE").await;
}
