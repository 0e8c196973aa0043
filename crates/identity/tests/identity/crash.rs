//! Refreshing while servers die: whoever asks again has one chain of tokens, and is never locked out.
//!
//! A server that dies is a process, this test program itself, which finds in its environment what it is to serve.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use mainstay_store::{StoreOptions, Synchronous};
use mainstay_testkit::dice::Dice;
use mainstay_testkit::proxy::Proxy;
use serde_json::{Value as Json, json};

use crate::harness::{App, DatabaseKind, Node, node, on_each, options, run};

const URL: &str = "MAINSTAY_TEST_SERVES";
const LISTENING: &str = "listening ";
const PATIENCE: Duration = Duration::from_secs(60);

/// Servers that die at some moment of a refresh.
const DEATHS: usize = 6;

/// What a server's process does: serves until it is killed. In a usual run it does nothing.
#[test]
fn a_process_that_serves() {
    let Ok(url) = std::env::var(URL) else { return };
    run(async {
        let mut stored = StoreOptions::new(url.parse().unwrap());
        // A process that is killed loses nothing of what the system has taken.
        stored.synchronous = Synchronous::Normal;
        let templates = tempfile::tempdir().unwrap();
        let node = node(&stored, templates.path(), options()).await;
        println!("{LISTENING}{}", node.url);
        std::future::pending::<()>().await;
    });
}

/// A server of its own process; it is killed when this goes.
struct Mortal {
    child: Child,
    url: String,
    client: reqwest::Client,
}

impl Mortal {
    fn start(app: &App) -> Mortal {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "crash::a_process_that_serves", "--nocapture"]);
        command.env(URL, app.place.options.url.to_string()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let url = lines
            .map_while(Result::ok)
            .find_map(|line| line.split_once(LISTENING).map(|(_, url)| url.trim().to_owned()));
        let client = reqwest::Client::builder().timeout(PATIENCE).build().unwrap();
        Mortal { child, url: url.expect("the process says where it listens"), client }
    }

    fn port(&self) -> u16 {
        self.url.rsplit(':').next().unwrap().parse().unwrap()
    }

    /// The successor of a token; none: the server was gone before it was told.
    async fn refresh_at(&self, url: &str, token: &str) -> Option<String> {
        let request = self.client.post(format!("{url}/auth/refresh")).json(&json!({"refresh": token}));
        let answer = request.send().await.ok()?;
        let status = answer.status().as_u16();
        let body: Json = answer.json().await.ok()?;
        assert_eq!(status, 200, "somebody is locked out: {body:#}");
        Some(body["refresh"].as_str().unwrap().to_owned())
    }

    async fn refresh(&self, token: &str) -> Option<String> {
        self.refresh_at(&self.url, token).await
    }
}

impl Drop for Mortal {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// The tokens of the one session: each but the last was used.
async fn expect_chain(node: &Node, length: usize) {
    let chain = node.query(json!({"SessionToken": {"get": ["used"], "limit": 1000}})).await;
    let tokens = chain["SessionToken"].as_array().unwrap();
    assert_eq!(tokens.len(), length, "a fork: {chain:#}");
    assert_eq!(tokens.iter().filter(|token| token["used"].is_null()).count(), 1, "{chain:#}");
    let sessions = node.query(json!({"Session": {"get": ["ended"]}})).await;
    assert_eq!(sessions["Session"].as_array().unwrap().len(), 1);
    assert_eq!(sessions["Session"][0]["ended"], Json::Null);
}

#[test]
fn a_server_that_dies_between_commit_and_answer_locks_nobody_out() {
    on_each(async |kind| {
        let app = App::start(kind).await;
        app.node.user("ann", &[]).await;
        let first = app.node.login("ann").await.text("refresh");
        let mortal = Mortal::start(&app);
        let proxy = Proxy::start(mortal.port()).await.unwrap();
        // The answer was on its way, so the commit is behind it.
        proxy.cut_answer(b"/auth/refresh");
        let through = format!("http://127.0.0.1:{}", proxy.port());
        assert_eq!(mortal.refresh_at(&through, &first).await, None);
        drop(mortal);
        expect_chain(&app.node, 2).await;
        let risen = Mortal::start(&app);
        let second = risen.refresh(&first).await.unwrap();
        assert_eq!(risen.refresh(&first).await.as_ref(), Some(&second), "the same successor");
        expect_chain(&app.node, 2).await;
        assert!(risen.refresh(&second).await.is_some());
        expect_chain(&app.node, 3).await;
        drop(risen);
        app.node.stop().await;
    });
}

#[test]
fn a_server_that_dies_at_any_moment_of_a_refresh_leaves_one_chain() {
    on_each(async |kind| {
        let app = App::start(kind).await;
        app.node.user("ann", &[]).await;
        let mut token = app.node.login("ann").await.text("refresh");
        let mut dice = Dice::new(6);
        let mut length = 1;
        for _ in 0..DEATHS {
            let mortal = Mortal::start(&app);
            // As long as a refresh takes here, so that deaths fall into all of it.
            let begun = Instant::now();
            token = mortal.refresh(&token).await.unwrap();
            length += 1;
            let usual_us = usize::try_from(begun.elapsed().as_micros()).unwrap().max(1);
            let until = Duration::from_micros(dice.below(usual_us) as u64);
            let answered = tokio::select! {
                answered = mortal.refresh(&token) => answered,
                () = tokio::time::sleep(until) => None,
            };
            drop(mortal);
            if let Some(next) = answered {
                token = next;
                length += 1;
                continue;
            }
            let risen = Mortal::start(&app);
            let next = risen.refresh(&token).await.unwrap();
            assert_eq!(risen.refresh(&token).await.as_ref(), Some(&next), "the same successor");
            token = next;
            length += 1;
        }
        expect_chain(&app.node, length).await;
        app.node.stop().await;
    });
}

#[test]
fn of_many_who_refresh_at_once_at_two_servers_all_get_the_one_successor() {
    run(async {
        let app = App::start(DatabaseKind::Postgres).await;
        let other = app.another(|_| {}).await;
        app.node.user("ann", &[]).await;
        let mut token = app.node.login("ann").await.text("refresh");
        for length in 2..5 {
            let all = join_all((0..100).map(|number| {
                let node = if number % 2 == 0 { &app.node } else { &other };
                node.post("/auth/refresh", json!({"refresh": token}))
            }));
            let successors: Vec<String> =
                all.await.into_iter().map(|answer| answer.expect(200).text("refresh")).collect();
            assert!(successors.iter().all(|successor| *successor == successors[0]), "a fork");
            token = successors[0].clone();
            expect_chain(&app.node, length).await;
        }
        other.stop().await;
        app.node.stop().await;
    });
}
