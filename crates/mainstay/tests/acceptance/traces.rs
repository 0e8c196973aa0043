//! What was done for a request, in the log of the binary and at a collector of OpenTelemetry.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::collector::Collector;
use crate::support::{App, Server, until};

const PATIENCE: Duration = Duration::from_secs(60);

const APP: &str =
    "table Note { title text unique, by Person?, allow all }\ntable Person { name text, allow all }\n";

/// The line of a request in the log, and those behind it that belong to it.
fn logged(server: &Server, id: &str) -> Vec<String> {
    until(PATIENCE, || {
        let said = server.said();
        let mut lines = said.lines().skip_while(|line| !line.contains(&format!("request_id=\"{id}\"")));
        let first = lines.next()?.to_owned();
        let mut block = vec![first];
        block.extend(lines.by_ref().take_while(|line| line.starts_with("    ")).map(str::to_owned));
        // Until the last of its lines is there.
        (block.len() > 1 && block.iter().any(|line| line.contains("└─ render") || line.contains("refused=")))
            .then_some(block)
    })
}

fn post(server: &Server, id: &str, document: &Value) -> u16 {
    server.request("POST", "/query").header("x-request-id", id).json(document).send().status
}

#[test]
fn at_debug_a_request_is_followed_by_what_was_done_for_it() {
    let app = App::of(APP);
    let server = app.serve_with(&["--log-level", "debug"]);
    // Several at a time: each has its lines for itself.
    std::thread::scope(|scope| {
        for at in 0..8 {
            let server = &server;
            scope.spawn(move || {
                let person = json!({"create": true, "name": "Ann"});
                let document =
                    json!({"Note": {"create": true, "title": format!("hidden {at}"), "by": person}});
                assert_eq!(post(server, &format!("r-{at}"), &document), 200);
            });
        }
    });
    for at in 0..8 {
        let block = logged(&server, &format!("r-{at}"));
        let all = block.join("\n");
        assert!(
            block[0].contains(
                "INFO mainstay::http: request method=\"POST\" route=\"/query\" path=\"/query\" status=200"
            ),
            "{all}"
        );
        assert_eq!(block.iter().filter(|line| line.contains(" request route=")).count(), 1, "{all}");
        let line = |word: &str| {
            block.iter().position(|line| line.contains(word)).unwrap_or_else(|| panic!("no {word}:\n{all}"))
        };
        let order = [
            "credentials",
            "body",
            "execute writes=true",
            "plan",
            "wait whom=writer",
            "write table=Note",
            "INSERT INTO \"Person\"",
            "INSERT INTO \"Note\"",
            "checks",
            "log",
            "commit",
            "render",
        ];
        let places: Vec<usize> = order.iter().map(|word| line(word)).collect();
        assert!(places.is_sorted(), "{all}");
        assert!(!all.contains("hidden"), "values are not logged: {all}");
    }
    // One that ends early ends its steps too.
    assert_eq!(post(&server, "r-again", &json!({"Note": {"create": true, "title": "hidden 0"}})), 409);
    let all = logged(&server, "r-again").join("\n");
    assert!(
        all.contains("execute writes=true refused=unique") && all.contains("type=Unique: INSERT"),
        "{all}"
    );
    assert!(!all.contains('…') && !all.contains("commit"), "{all}");
    // One for which nothing was done but to answer has its line alone.
    server.get("", "/health/live");
    let line = until(PATIENCE, || {
        server.said().lines().find(|line| line.contains("/health/live")).map(str::to_owned)
    });
    assert!(line.contains("INFO mainstay::http"), "{line}");
}

#[test]
fn in_json_the_line_has_the_tree_and_at_info_no_line_has_one() {
    let app = App::of(APP);
    let server = app.serve_with(&["--log-level", "debug", "--log-format", "json"]);
    assert_eq!(post(&server, "r-json", &json!({"Note": {"get": ["title"]}})), 200);
    let line = until(PATIENCE, || {
        let said = server.said();
        let mut lines = said.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        lines.find(|line| line["request_id"] == "r-json" && line["status"] == 200)
    });
    let names = |steps: &Value| {
        steps
            .as_array()
            .unwrap()
            .iter()
            .map(|step| step["name"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(names(&line["tree"]["steps"]), ["credentials", "body", "execute", "render"], "{line:#}");
    let execute = &line["tree"]["steps"][2];
    assert_eq!(names(&execute["steps"]), ["plan", "sql"], "{line:#}");
    let sql = &execute["steps"][1];
    assert!(sql["db.query.text"].as_str().unwrap().starts_with("SELECT"), "{sql}");
    assert!(sql["for_ms"].as_f64().unwrap() <= execute["for_ms"].as_f64().unwrap(), "{execute:#}");
    drop(server);

    let server = app.serve_with(&["--log-level", "info"]);
    assert_eq!(post(&server, "r-info", &json!({"Note": {"get": ["title"]}})), 200);
    assert_eq!(post(&server, "r-last", &json!({"Note": {"get": ["title"]}})), 200);
    until(PATIENCE, || server.said().contains("r-last").then_some(()));
    let said = server.said();
    assert!(said.contains("r-info") && !said.contains("execute") && !said.contains("for ms"), "{said}");
}

#[test]
fn a_collector_gets_traces_as_the_settings_say_and_the_last_ones_when_the_server_stops() {
    let collector = Collector::start(0);
    let app = App::of(APP);
    app.write(
        "mainstay.toml",
        format!("[otlp]\nendpoint = \"{}\"\nheaders = \"authorization=Bearer of-mine\"\n", collector.url),
    );
    // What the log shows is one thing, what is kept another.
    let mut server = app.serve_with(&["--log-level", "warn", "--otlp-service", "notebook"]);
    let answer = server.query("", &json!({"Note": {"get": ["title"]}}));
    answer.ok();
    let id = answer.header("traceresponse")[3..35].to_owned();
    server.terminate();
    assert!(server.wait().success());
    let spans = collector.trace(&id, |spans| !spans.is_empty());
    let root = spans.iter().find(|span| span.name == "POST /query").unwrap();
    assert_eq!((root.parent.as_str(), root.kind, root.is_error), ("", 2, false));
    assert!(spans.iter().any(|span| span.attribute("db.query.text").starts_with("SELECT")), "{spans:#?}");
    assert_eq!(root.resource["service.name"], "notebook");
    assert!(
        root.events.is_empty()
            && root.state.is_empty()
            && root.to > root.from
            && root.trace_id == id
            && root.id.len() == 16
    );
    let heads = collector.heads().join("\n").to_ascii_lowercase();
    assert!(
        heads.contains("authorization: bearer of-mine") && heads.contains("application/x-protobuf"),
        "{heads}"
    );
    let shown = app.run(&["settings", "APP"]).succeeded().stdout;
    assert!(!shown.contains("of-mine"), "{shown}");

    // Of none that begin here anything is kept, and what others keep is.
    let server = app.serve_with(&["--otlp-sample", "0"]);
    let answer = server.query("", &json!({"Note": {}}));
    assert!(answer.header("traceresponse").ends_with("-02"), "{}", answer.header("traceresponse"));
    let kept = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    server.request("POST", "/query").header("traceparent", kept).json(&json!({"Note": {}})).send().ok();
    collector.trace(&kept[3..35], |spans| !spans.is_empty());
    collector.trace(&answer.header("traceresponse")[3..35], |spans| spans.is_empty());
}

#[test]
fn a_collector_that_is_away_keeps_nobody_waiting_and_what_is_lost_is_counted() {
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let app = App::of(APP);
    let mut server = app.serve_with(&["--log-level", "warn", "--otlp-endpoint", &format!("http://{gone}")]);
    // So many steps that there is no room for all of them.
    let many: Vec<Value> = (0..900).map(|_| json!({"Note": {"limit": 1}})).collect();
    let many = Value::Array(many);
    let lost = || {
        server.query("", &many).ok();
        let measured = server.get("", "/metrics").text;
        measured
            .lines()
            .find(|line| line.starts_with("mainstay_trace_spans_total{outcome=\"dropped\"}"))
            .map(str::to_owned)
    };
    let line = until(PATIENCE, lost);
    let count: u64 = line.rsplit(' ').next().unwrap().parse().unwrap();
    assert!(count >= 900, "{line}");
    until(PATIENCE, || server.said().contains("the collector does not take traces").then_some(()));
    server.terminate();
    assert!(server.wait().success());

    let wrong = app.run(&["serve", "APP", "--otlp-endpoint", "nowhere"]).ended(2);
    assert!(wrong.stderr.contains("expected a URL such as http://127.0.0.1:4318"), "{}", wrong.stderr);
}
