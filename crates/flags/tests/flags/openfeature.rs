//! The real clients of OpenFeature (npm), server and page, run by node: what they make of the server's answers.

use std::io::{BufRead as _, BufReader, Lines, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use mainstay_http::Subject;
use serde_json::{Value as Json, json};

use crate::harness::{Node, on_each, place, tenant};

/// A node process with clients that speak to a server.
struct Clients {
    process: Child,
    words: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Clients {
    fn start(node: &Node) -> Clients {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let installed = here.join("../../target/openfeature");
        let modules = std::env::var_os("MAINSTAY_TEST_OPENFEATURE").map_or(installed, Into::into);
        let mut process = Command::new("node")
            .arg(here.join("tests/flags/openfeature.js"))
            .args([&node.url, &node.token(&Subject::Admin)])
            .arg(modules.canonicalize().expect("`cargo xtask test` installs OpenFeature's clients"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("node runs");
        let words = process.stdin.take().unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let mut clients = Clients { process, words, lines };
        assert_eq!(clients.next(), json!({"ready": true}));
        clients
    }

    fn next(&mut self) -> Json {
        let line = self.lines.next().expect("the clients run").unwrap();
        serde_json::from_str(&line).unwrap()
    }

    fn ask(&mut self, word: &str) -> Json {
        writeln!(self.words, "{word}").unwrap();
        self.next()
    }

    /// Value, reason and code.
    fn told(&mut self, word: &str) -> (Json, Json, Json) {
        let told = self.ask(word);
        (told["value"].clone(), told["reason"].clone(), told["errorCode"].clone())
    }
}

impl Drop for Clients {
    fn drop(&mut self) {
        // One that has ended already needs no ending.
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

#[test]
fn clients_of_openfeature_are_told_values_reasons_and_codes() {
    on_each(async |kind| {
        let place = place(kind);
        let node = Node::start(&place).await;
        let mut clients = tokio::task::block_in_place(|| Clients::start(&node));
        let mut told = |word: &str| tokio::task::block_in_place(|| clients.told(word));
        let plain = |value: Json, reason: &str| (value, json!(reason), Json::Null);
        let failed = |value: Json, code: &str| (value, json!("ERROR"), json!(code));
        assert_eq!(told("flag"), plain(json!(false), "DEFAULT"), "{kind:?}");
        assert_eq!(told("page"), plain(json!(false), "DEFAULT"), "{kind:?}");
        assert_eq!(told("text"), plain(json!("Hello"), "DEFAULT"), "{kind:?}");
        assert_eq!(told("page_text"), plain(json!("Hello"), "DEFAULT"), "{kind:?}");
        // A setting that is not shown is not there, but for those who may change it.
        assert_eq!(told("hidden"), failed(json!(-1), "FLAG_NOT_FOUND"), "{kind:?}");
        assert_eq!(told("number"), plain(json!(5), "DEFAULT"), "{kind:?}");
        assert_eq!(told("missing"), failed(json!(true), "FLAG_NOT_FOUND"), "{kind:?}");
        assert_eq!(told("mistaken"), failed(json!("none"), "TYPE_MISMATCH"), "{kind:?}");
        assert_eq!(told("refused").0, true, "{kind:?}: the caller's own default");

        let ours = tenant(1);
        node.give("new_checkout", None, json!(true)).await;
        node.give("new_checkout", Some(&ours), json!(false)).await;
        node.give("theme", None, json!({"dark": [1, 2]})).await;
        node.until_flag("new_checkout", true).await;
        node.until(|flags| !flags.flag("new_checkout", Some(&ours)).unwrap()).await;
        node.until(|flags| flags.setting::<Json>("theme", None).unwrap() == json!({"dark": [1, 2]})).await;
        assert_eq!(told("flag"), plain(json!(true), "STATIC"), "{kind:?}");
        let of_tenant = format!("flag_of {}", ours.to_json().trim_matches('"'));
        assert_eq!(told(&of_tenant), plain(json!(false), "TARGETING_MATCH"), "{kind:?}");
        assert_eq!(told("object"), plain(json!({"dark": [1, 2]}), "STATIC"), "{kind:?}");
        // A page asks for all of them, once; then only whether there are others.
        let mut ask = |word: &str| tokio::task::block_in_place(|| clients.ask(word));
        let changed = ask("refresh");
        assert_eq!(
            (&changed["statuses"], &changed["value"]),
            (&json!([200]), &json!(true)),
            "{kind:?}: {changed}"
        );
        let same = ask("refresh");
        assert_eq!((&same["statuses"], &same["value"]), (&json!([304]), &json!(true)), "{kind:?}: {same}");
    });
}
