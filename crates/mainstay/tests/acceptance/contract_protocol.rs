//! The protocol's contract: errors, the query language and REST answer in the shapes, statuses and keys that the
//! page gives.

use serde_json::{Value, json};

use crate::support::{Answer, App, Server, encode};

const BAR: &str = "01900000-0000-7000-8000-000000000101";
const SECURITY: &str = "01900000-0000-7000-8000-000000000102";
const CONTROL: &str = "01900000-0000-7000-8000-000000000103";
const ANN: &str = "01900000-0000-7000-8000-000000000201";
const CLEO: &str = "01900000-0000-7000-8000-000000000203";

const TASKS: &str = r#"
app tasks "Tasks"

table Task {
  id        text(5)
  title     text(20)
  done      bool = false
  points    int?
  price     decimal(10, 2) = 0
  labels    text[]?
  owner     Person?
  lines     Line[] by task
  watchers  Person[]
  due       timestamp?
  allow all
  check points == null or points < 1000  "Points stay below a thousand."
  warn  points == null or points < 100   "That is many points."
}
table Line {
  task   Task on delete cascade
  n      int
  owner  Person?
  allow all
}
table Person {
  id    text(5)
  name  text(20) unique
  own   Task[] by owner
  allow all
}
"#;

fn tasks() -> (App, Server) {
    let app = App::of(TASKS);
    let server = app.serve();
    let rows = json!({
    "Person": [{"create": true, "id": "ann", "name": "Ann"}, {"create": true, "id": "bob", "name": "Bob"}],
    "Task": [
        {"create": true, "id": "a", "title": "Apples", "points": 3, "price": "1000.50", "owner": "ann",
         "lines": [{"create": true, "n": 1}, {"create": true, "n": 2}]},
        {"create": true, "id": "b", "title": "Bread", "points": 5, "owner": {"name": "Bob"}, "due": "2026-01-31T10:00:00Z",
         "lines": [{"create": true, "n": 7, "owner": "ann"}]},
        {"create": true, "id": "c", "title": "corn", "done": true},
    ]});
    server.query("", &rows).ok();
    (app, server)
}

fn keys(rows: &Value) -> String {
    rows.as_array().unwrap().iter().map(|row| row["id"].as_str().unwrap()).collect()
}

/// The keys of the tasks that a part finds.
fn found(server: &Server, part: &Value) -> String {
    let answer = server.query("", &json!({"Task": part}));
    keys(&answer.ok()["Task"])
}

fn task(server: &Server, id: &str) -> Value {
    server.get("", &format!("/api/Task/{id}")).ok()
}

#[test]
fn the_page_s_query_answers_in_the_page_s_shape() {
    let app = App::example("festival");
    let server = app.serve();
    let (ann, cleo) = (app.token(ANN), app.token(CLEO));
    for (title, due) in [("Ice", json!(null)), ("Old", json!("2999-01-01T00:00:00Z"))] {
        let alert = json!({"Alert": {"create": true, "title": title, "severity": "serious", "sender": BAR, "due": due,
            "assignee": ANN, "receivers": [SECURITY],
            "messages": [{"create": true, "author": ANN, "text": "come"}, {"create": true, "author": ANN, "text": "now"}]}});
        server.query(&ann, &alert).ok();
    }
    let document = json!({"Alert": {
       "severity": "serious",
       "sender":   {"name": {"like": "Bar%"}, "get": ["name"], "required": true},
       "messages": {"get": ["text"], "author": {"get": ["name"]}, "order": ["-created"], "limit": 10},
       "where":    "due == null or due < now()",
       "get":      ["title", "due"], "order": ["-created"], "limit": 20 }});
    let answer = server.query(&ann, &document).ok();
    let rows = answer["Alert"].as_array().unwrap();
    assert_eq!((rows.len(), answer.as_object().unwrap().len()), (1, 1), "{answer}");
    let row = &rows[0];
    let names: Vec<&String> = row.as_object().unwrap().keys().collect();
    assert_eq!(names, ["id", "title", "due", "severity", "sender", "messages"]);
    assert_eq!(
        (&row["title"], &row["due"], &row["severity"]),
        (&json!("Ice"), &json!(null), &json!("serious"))
    );
    assert_eq!(row["sender"], json!({"id": BAR, "name": "Bar 1"}));
    let message = &row["messages"][0];
    assert_eq!(message["author"], json!({"id": ANN, "name": "Ann"}));
    assert_eq!(message.as_object().unwrap().keys().collect::<Vec<_>>(), ["id", "text", "author"]);
    // What the caller may not read is not there to be shown: cleo does not see ann's row.
    let seen = server.query(&cleo, &document).ok();
    assert_eq!(seen["Alert"][0]["messages"][0]["author"], json!(null));

    // `required` drops parents without a match; without it, the parent stays and the relation is null.
    let sender = |required: bool| {
        let part = json!({"sender": {"name": "Nobody", "required": required}, "get": ["title"]});
        server.query(&ann, &json!({"Alert": part})).ok()["Alert"].as_array().unwrap().clone()
    };
    assert!(sender(true).is_empty());
    assert_eq!((sender(false).len(), &sender(false)[0]["sender"]), (2, &json!(null)));

    // The REST list of the page.
    let path = format!(
        "/api/Alert?where={}&get={}&order=-created&limit=1&count",
        encode("severity == \"serious\" and sender.name ~ \"bar\""),
        encode("title,due,sender(name),messages(text,author(name))"),
    );
    let list = server.get(&ann, &path).ok();
    assert_eq!((list["items"].as_array().unwrap().len(), &list["count"]), (1, &json!(2)), "{list}");
    assert_eq!(list["items"][0]["messages"].as_array().unwrap().len(), 2);
    let next = list["next"].as_str().expect("there is a second page");
    let list = server.get(&ann, &format!("{path}&after={next}")).ok();
    assert_eq!((&list["items"][0]["title"], &list["next"]), (&json!("Ice"), &json!(null)));

    // PUT and DELETE of a link.
    let id = list["items"][0]["id"].as_str().unwrap();
    let link = |method: &str, token: &str, target: &str| {
        server.request(method, &format!("/api/Alert/{id}/receivers/{target}")).bearer(token).send()
    };
    let bob = app.token("01900000-0000-7000-8000-000000000202");
    link("PUT", &ann, CONTROL).problem(403, "rule.refused");
    link("PUT", &bob, CONTROL).expect(204);
    link("PUT", &bob, CONTROL).expect(204);
    let receivers = || {
        let answer = server.query(&bob, &json!({"Alert": {"id": id, "receivers": {"order": "name"}}})).ok();
        answer["Alert"][0]["receivers"].as_array().unwrap().len()
    };
    assert_eq!(receivers(), 2);
    link("DELETE", &bob, CONTROL).expect(204);
    assert_eq!(receivers(), 1);
    let nobody = "01900000-0000-7000-8000-000000000999";
    link("PUT", &bob, nobody).problem(403, "relation.refused");
}

#[test]
fn constraints_find_what_they_say() {
    let (_app, server) = tasks();
    for (part, expect) in [
        (json!({"title": "Apples"}), "a"),
        (json!({"points": null}), "c"),
        (json!({"points": [3, 5]}), "ab"),
        (json!({"points": [3, null]}), "ac"),
        (json!({"points": []}), ""),
        (json!({"points": {"gt": 3}}), "b"),
        (json!({"points": {">": 3}}), "b"),
        (json!({"points": {"ge": 3}}), "ab"),
        (json!({"points": {">=": 3}}), "ab"),
        (json!({"points": {"lt": 5}}), "a"),
        (json!({"points": {"<": 5}}), "a"),
        (json!({"points": {"le": 5}}), "ab"),
        (json!({"points": {"<=": 5}}), "ab"),
        (json!({"points": {"gt": 1, "lt": 5}}), "a"),
        (json!({"points": {"not": 3}}), "b"),
        (json!({"points": {"!": 3}}), "b"),
        (json!({"points": {"not": null}}), "ab"),
        (json!({"points": {"not": [3, 5]}}), ""),
        (json!({"points": {"not": [3, null]}}), "bc"),
        (json!({"points": {"not": {"gt": 3}}}), "a"),
        (json!({"title": {"like": "%r%"}}), "bc"),
        (json!({"title": {"~": "C"}}), "c"),
        (json!({"title": {"~": "PP"}}), "a"),
        (json!({"price": "1000.50"}), "a"),
        (json!({"price": 1000.5}), "a"),
        (json!({"done": true}), "c"),
        (json!({"owner": "ann"}), "a"),
        (json!({"owner": {"id": "ann"}, "get": ["id"]}), "abc"),
        (json!({"owner": {"id": "ann", "required": true}}), "a"),
        (json!({"owner": null}), "c"),
        (json!({"owner": ["ann", "bob"]}), "ab"),
        (json!({"lines": {"n": 7, "required": true}}), "b"),
        (json!({"lines": {"owner": {"name": "Ann", "required": true}, "required": true}}), "b"),
        (json!({"where": "title == $t or points > $p", "params": {"t": "corn", "p": 4}}), "bc"),
        (json!({"where": "id in $ids", "params": {"ids": ["a", "c"]}}), "ac"),
        (json!({"where": "due < $day", "params": {"day": "2026-02-01T00:00:00Z"}}), "b"),
        (json!({"where": "lines.sum(n) == 3", "done": false}), "a"),
        // order: nulls last both ways unless said, ties by id.
        (json!({"order": "points"}), "abc"),
        (json!({"order": "-points"}), "bac"),
        (json!({"order": "points nulls first"}), "cab"),
        (json!({"order": "-points nulls first"}), "cba"),
        (json!({"order": ["done", "-title"]}), "bac"),
        (json!({"order": "owner.name nulls first"}), "cab"),
        (json!({"order": "done"}), "abc"),
        (json!({"order": "-id", "limit": 2}), "cb"),
        (json!({"order": "id", "offset": 1, "limit": 1}), "b"),
    ] {
        assert_eq!(found(&server, &part), expect, "{part}");
    }
    // Both spellings of a to-one mean the same rows.
    let by_scalar = server.query("", &json!({"Task": {"owner": "ann"}})).ok();
    assert_eq!(by_scalar["Task"][0]["owner"], json!("ann"), "{by_scalar}");
    // An array of parts: the rows of each, in order, in one flat array.
    let parts = server.query("", &json!({"Task": [{"id": "c"}, {"id": "a"}], "Person": {"id": "bob"}})).ok();
    assert_eq!((keys(&parts["Task"]), keys(&parts["Person"])), ("ca".to_owned(), "bob".to_owned()));
    // An array of documents, in order.
    let documents = server.query("", &json!([{"Task": {"id": "c"}}, {"Task": {"id": "a"}}])).ok();
    assert_eq!((keys(&documents[0]["Task"]), keys(&documents[1]["Task"])), ("c".to_owned(), "a".to_owned()));
}

#[test]
fn pages_counts_and_groups() {
    let (_app, server) = tasks();
    let page = |after: Value| {
        let part = json!({"order": "-points", "limit": 1, "after": after, "count": true, "get": ["points"]});
        server.query("", &json!({"Task": part})).ok()
    };
    let mut seen = String::new();
    let mut after = json!(null);
    loop {
        let answer = page(after);
        seen.push_str(&keys(&answer["Task"]));
        assert_eq!(answer["Task@"]["count"], 3);
        after = answer["Task@"]["next"].clone();
        if after.is_null() {
            break;
        }
    }
    assert_eq!(seen, "bac");
    let next = page(json!(null))["Task@"]["next"].clone();
    let wrong = |part: Value| server.query("", &json!({"Task": part}));
    wrong(json!({"order": "points", "limit": 1, "after": next})).problem(400, "cursor.invalid");
    wrong(json!({"order": "-points", "limit": 1, "after": next, "offset": 1})).expect(400);
    wrong(json!({"order": "-points", "after": "nonsense"})).problem(400, "cursor.invalid");

    // Nested: what is no row stands beside its list.
    let nested =
        json!({"Task": {"id": "a", "lines": {"order": "-n", "limit": 1, "count": true, "get": ["n"]}}});
    let answer = server.query("", &nested).ok();
    let row = &answer["Task"][0];
    assert_eq!((&row["lines"][0]["n"], &row["lines@"]["count"]), (&json!(2), &json!(2)), "{answer}");

    let groups = json!({"Line": {"aggregate": {"lines": "count()", "sum": "sum(n)"}, "group": ["task"], "order": ["-sum"]}});
    assert_eq!(
        server.query("", &groups).ok(),
        json!({"Line": [{"task": "b", "lines": 1, "sum": 7}, {"task": "a", "lines": 2, "sum": 3}]})
    );
    let path = json!({"Line": {"aggregate": {"sum": "sum(n)"}, "group": ["task.owner.name"], "order": ["task.owner.name"]}});
    assert_eq!(
        server.query("", &path).ok(),
        json!({"Line": [{"task.owner.name": "Ann", "sum": 3}, {"task.owner.name": "Bob", "sum": 7}]})
    );
    let whole = json!({"Task": {"aggregate": {"n": "count()", "most": "max(points)", "mean": "avg(points)", "price": "sum(price)"}}});
    let answer = server.query("", &whole).ok();
    assert_eq!((&answer["Task"][0]["n"], &answer["Task"][0]["most"]), (&json!(3), &json!(5)), "{answer}");
    assert_eq!(answer["Task"][0]["price"], "1000.50");
    let rest = server.get("", "/api/Line?aggregate=sum:sum(n)&group=task&order=-sum").ok();
    assert_eq!(rest["items"][0], json!({"task": "b", "sum": 7}));
}

#[test]
fn writes_through_queries() {
    let (_app, server) = tasks();
    let ok = |document: Value| server.query("", &document).ok();

    // Nested: create, find and link in one part; flags say what was done.
    let made = ok(json!({"Task": {"create": true, "id": "d", "title": "Dates",
        "owner": {"create": true, "id": "cy", "name": "Cy"}, "watchers": [{"name": "Ann"}, {"name": "Bob"}],
        "lines": [{"create": true, "n": 4, "owner": {"name": "Bob"}}]}}));
    let row = &made["Task"][0];
    assert_eq!(
        (&row["new"], &row["owner"]["new"], &row["lines"][0]["new"]),
        (&json!(true), &json!(true), &json!(true))
    );
    assert!(row["watchers"][0].get("new").is_none());
    assert_eq!(
        found(
            &server,
            &json!({"where": "owner.name == \"Cy\" and watchers.count() == 2 and lines.any(owner.name == \"Bob\")"})
        ),
        "d"
    );
    let nobody = json!({"Task": {"create": true, "id": "e", "title": "E", "owner": {"name": "Nobody"}}});
    server.query("", &nobody).problem(422, "part.not_one");
    server.get("", "/api/Task/e").problem(404, "row.not_found");

    // set: values, and the computed forms.
    let set = |set: Value| ok(json!({"Task": {"id": "a", "set": set}}));
    let edited = set(json!({"title": "Apple", "done": true}));
    assert_eq!(edited["Task"][0]["edited"], true);
    for (change, column, expect) in [
        (json!({"points": {"$add": 4}}), "points", json!(7)),
        (json!({"points": {"$sub": 2}}), "points", json!(5)),
        (json!({"points": {"$mul": 3}}), "points", json!(15)),
        (json!({"price": {"$add": "0.25"}}), "price", json!("1000.75")),
        (json!({"labels": ["x"]}), "labels", json!(["x"])),
        (json!({"labels": {"$append": "y"}}), "labels", json!(["x", "y"])),
        (json!({"labels": {"$remove": "x"}}), "labels", json!(["y"])),
        (json!({"title": {"$concat": "s!"}}), "title", json!("Apples!")),
        (json!({"owner": "bob"}), "owner", json!("bob")),
        (json!({"owner": {"name": "Ann"}}), "owner", json!("ann")),
        (json!({"owner": null}), "owner", json!(null)),
    ] {
        set(change.clone());
        assert_eq!(task(&server, "a")[column], expect, "{change}");
    }
    // Every row that the part found; to-many replaces.
    let many = ok(json!({"Task": {"id": ["a", "b"], "set": {"watchers": ["bob"], "done": false}}}));
    assert_eq!(keys(&many["Task"]), "ab");
    assert_eq!(
        found(&server, &json!({"where": "watchers.count() == 1 and watchers.any(id == \"bob\")"})),
        "ab"
    );
    ok(json!({"Task": {"id": "a", "watchers": {"add": ["ann"], "remove": {"name": "Bob"}}}}));
    assert_eq!(
        found(&server, &json!({"where": "watchers.count() == 1 and watchers.any(id == \"ann\")"})),
        "a"
    );

    // A write that nothing restricts is refused, and so is one that only seems restricted.
    let before = server.get("", "/api/Task?order=id").ok();
    for part in [
        json!({"set": {"done": true}}),
        json!({"delete": true}),
        json!({"set": {"done": true}, "limit": 1}),
        json!({"delete": true, "limit": 1}),
        json!({"delete": true, "order": "id"}),
        json!({"id": "a", "delete": true, "limit": 1}),
        json!({"delete": true, "owner": {"name": "Ann"}}),
        json!({"id": "a", "delete": true, "owner": {"name": "Ann"}}),
    ] {
        server.query("", &json!({"Task": part})).expect(400);
    }
    server.query("", &json!({"Task": {"delete": true}})).problem(400, "write.unrestricted");
    assert_eq!(server.get("", "/api/Task?order=id").ok(), before);
    ok(json!({"Task": {"owner": {"name": "Cy", "required": true}, "set": {"done": true}}}));
    assert_eq!(found(&server, &json!({"done": true})), "cd");
    ok(json!({"Task": {"all": true, "set": {"done": true}}}));
    assert_eq!(found(&server, &json!({"done": true})), "abcd");

    // delete, with what hangs on it.
    let gone = ok(json!({"Task": {"id": "b", "delete": true}}));
    assert_eq!(gone["Task"], json!([{"id": "b", "deleted": true}]));
    assert_eq!(ok(json!({"Line": {"n": 7}})), json!({"Line": []}));

    // The version test.
    let version = task(&server, "c")["updated"].clone();
    ok(json!({"Task": {"id": "c", "if_updated": version, "set": {"points": 1}}}));
    let stale = json!({"Task": {"id": "c", "if_updated": version, "set": {"points": 2}}});
    server.query("", &stale).problem(409, "version.conflict");
    let stale = json!({"Task": {"id": "c", "if_updated": version, "delete": true}});
    server.query("", &stale).problem(409, "version.conflict");
    assert_eq!(task(&server, "c")["points"], 1);
    assert!(task(&server, "c")["updated"].as_str() > version.as_str(), "the version grows");

    // One transaction: what fails at the end leaves nothing of the beginning.
    let mixed = json!([{"Task": {"create": true, "id": "f", "title": "F"}}, {"Task": {"create": true, "id": "a", "title": "again"}}]);
    server.query("", &mixed).problem(409, "unique");
    server.get("", "/api/Task/f").problem(404, "row.not_found");
}

#[test]
fn checks_refuse_and_warnings_ask() {
    let (_app, server) = tasks();
    let set = |points: i64, accept: &str| {
        let request =
            server.request("POST", "/query").json(&json!({"Task": {"id": "a", "set": {"points": points}}}));
        if accept.is_empty() { request.send() } else { request.header("accept-warnings", accept).send() }
    };
    let problem = set(1000, "").problem(422, "check.failed");
    assert!(problem.to_string().contains("Points stay below a thousand."), "{problem}");

    let problem = set(500, "").problem(409, "warnings.unaccepted");
    let warning = &problem["warnings"][0];
    assert_eq!(warning["message"], "That is many points.");
    assert!(warning["path"].as_str().unwrap().starts_with("/Task"), "{warning}");
    assert_eq!(task(&server, "a")["points"], 3, "nothing is written before the warning is accepted");
    let id = warning["id"].as_str().unwrap();
    // The same case has the same id; another has another.
    assert_eq!(set(500, "").problem(409, "warnings.unaccepted")["warnings"][0]["id"], id);
    set(501, id).problem(409, "warnings.unaccepted");
    set(500, "0000").problem(409, "warnings.unaccepted");
    assert_eq!(task(&server, "a")["points"], 3);
    set(500, &format!("other, {id}")).ok();
    assert_eq!(task(&server, "a")["points"], 500);
}

#[test]
fn a_key_makes_a_write_safe_to_repeat() {
    let (app, server) = tasks();
    let user = app.run(&["user", "create", "APP", "--email", "u@example.com", "--name", "U"]).succeeded();
    let token = app.token(user.stdout.trim());
    let post = |token: &str, key: &str, path: &str, body: &Value| {
        server.request("POST", path).bearer(token).header("idempotency-key", key).json(body).send()
    };
    let line = json!({"task": "a", "n": 50});
    let first = post(&token, "k1", "/api/Line", &line);
    first.expect(201);
    let again = post(&token, "k1", "/api/Line", &line);
    assert_eq!((again.status, &again.text), (201, &first.text));
    assert_eq!(again.header("location"), first.header("location"));
    assert_eq!(count(&server, 50), 1, "the second made nothing");
    post(&token, "k1", "/api/Line", &json!({"task": "a", "n": 51})).problem(409, "idempotency.mismatch");
    assert_eq!(count(&server, 51), 0);

    // A refusal is not kept: mended, the same key goes through.
    post(&token, "k2", "/api/Line", &json!({"task": "a"})).expect(422);
    post(&token, "k2", "/api/Line", &json!({"task": "a", "n": 52})).expect(201);
    // Keys belong to the caller and the path.
    let admin = app.token("--admin");
    post(&admin, "k1", "/api/Line", &json!({"task": "a", "n": 53})).expect(201);
    post(&token, "k1", "/query", &json!({"Line": {"create": true, "task": "a", "n": 54}})).ok();
    assert_eq!((count(&server, 53), count(&server, 54)), (1, 1));
    // An anonymous key that could be guessed is refused; a random one works.
    post("", "k1", "/api/Line", &json!({"task": "a", "n": 55})).expect(400);
    let random = "f81d4fae-7dec-41d0-a765-00a0c91e6bf6-f81d4fae7dec";
    for _ in 0..2 {
        post("", random, "/api/Line", &json!({"task": "a", "n": 56})).expect(201);
    }
    assert_eq!((count(&server, 55), count(&server, 56)), (0, 1));

    // Duplicates at the same time: one write, one answer.
    let body = json!({"task": "a", "n": 57});
    let (post, token, body) = (&post, &token, &body);
    let answers: Vec<Answer> = std::thread::scope(|scope| {
        let threads: Vec<_> =
            (0..8).map(|_| scope.spawn(move || post(token, "k3", "/api/Line", body))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(answers.iter().all(|answer| answer.status == 201 && answer.text == answers[0].text));
    assert_eq!(count(&server, 57), 1);
}

fn count(server: &Server, n: i64) -> u64 {
    server.get("", &format!("/api/Line?where=n=={n}&count&limit=1")).ok()["count"].as_u64().unwrap()
}

#[test]
fn rest_speaks_http() {
    let (_app, server) = tasks();
    // POST: 201, Location, the row; an array makes several, all or none.
    let made = server.request("POST", "/api/Person").json(&json!({"id": "x/y", "name": "X"})).send();
    let row = made.expect(201);
    assert_eq!((&row["id"], &row["name"], &row["new"]), (&json!("x/y"), &json!("X"), &json!(true)));
    assert_eq!(server.get("", made.header("location")).ok()["name"], "X");
    let several = json!([{"id": "p1", "name": "P1"}, {"id": "p2", "name": "P2"}]);
    let rows = server.request("POST", "/api/Person?get=name").json(&several).send().expect(201);
    assert_eq!(rows[1]["name"], "P2");
    assert!(rows[1].get("created").is_none(), "`get` says what is shown: {rows}");
    let clash = json!([{"id": "p3", "name": "P3"}, {"id": "p4", "name": "P1"}]);
    let message =
        server.request("POST", "/api/Person").json(&clash).send().problem_at(409, "unique", "/1/name");
    assert!(!message.is_empty());
    server.get("", "/api/Person/p3").problem(404, "row.not_found");

    // A scalar for a to-one is its id, in a REST body too.
    let line = server.request("POST", "/api/Line?get=task(title)").json(&json!({"task": "a", "n": 9})).send();
    assert_eq!(line.expect(201)["task"]["title"], "Apples");

    // ETag: strong for a flat row, 304 when it is still the one; weak with nesting.
    let one = server.get("", "/api/Task/a");
    let tag = one.header("etag").to_owned();
    assert!(tag.starts_with('"'), "{tag}");
    assert!(one.header("vary").to_ascii_lowercase().contains("authorization"), "{}", one.header("vary"));
    assert!(one.header("cache-control").contains("private"), "{}", one.header("cache-control"));
    let same = server.request("GET", "/api/Task/a").header("if-none-match", &tag).send();
    assert_eq!((same.status, same.text.as_str(), same.header("etag")), (304, "", tag.as_str()));
    let nested = server.get("", "/api/Task/a?get=title,lines(n)");
    let weak = nested.header("etag").to_owned();
    assert!(weak.starts_with("W/\""), "{weak}");
    let same = server.request("GET", "/api/Task/a?get=title,lines(n)").header("if-none-match", &weak).send();
    assert_eq!(same.status, 304);

    // PATCH and DELETE with If-Match.
    let change = |tag: &str, title: &str| {
        server.request("PATCH", "/api/Task/a").header("if-match", tag).json(&json!({"title": title})).send()
    };
    let changed = change(&tag, "One");
    assert_eq!(changed.ok()["title"], "One");
    assert_ne!(changed.header("etag"), tag);
    change(&tag, "Two").problem(412, "version.precondition");
    change(&weak, "Two").expect(412);
    change("*", "Three").ok();
    assert_eq!(
        server.request("GET", "/api/Task/a").header("if-none-match", &tag).send().ok()["title"],
        "Three"
    );
    let delete = |tag: &str| server.request("DELETE", "/api/Task/a").header("if-match", tag).send();
    delete(&tag).problem(412, "version.precondition");
    let current = server.get("", "/api/Task/a").header("etag").to_owned();
    assert_eq!(delete(&current).text, "");
    server.request("DELETE", "/api/Task/a").send().problem(404, "row.not_found");
    server.request("PATCH", "/api/Task/a").json(&json!({"title": "x"})).send().problem(404, "row.not_found");

    // HEAD answers as GET without a body; a method that the path has not is 405 with Allow.
    let head = server.request("OPTIONS", "/api/Task/b").send();
    assert!(head.status == 204 && head.header("allow").contains("PATCH"), "{}", head.header("allow"));
    let wrong = server.request("PUT", "/api/Task").send();
    wrong.problem(405, "route.method");
    assert!(wrong.header("allow").contains("POST"));

    // Lists: items and next always, count when asked; nothing unknown, nothing empty.
    let list = server.get("", "/api/Task?limit=1").ok();
    assert!(list["next"].is_string() && list.get("count").is_none(), "{list}");
    for query in [
        "where=",
        "unknown=1",
        "wher=done",
        "limit=x",
        "limit=-1",
        "limit=1&limit=2",
        "order=",
        "get=",
        "order=nothing",
    ] {
        server.get("", &format!("/api/Task?{query}")).expect(400);
    }
    let near = server.get("", "/api/Task?wher=done").problem(400, "name.unknown");
    assert!(near["detail"].as_str().unwrap().contains("where"), "{near}");
    let near = server.get("", "/api/Tsak").problem(404, "route.unknown");
    assert!(near["detail"].as_str().unwrap().contains("Task"), "{near}");
    server.get("", "/nothing").problem(404, "route.unknown");
}

#[test]
fn what_the_query_language_does_not_say_is_refused_with_its_place() {
    let (_app, server) = tasks();
    for (body, path, words) in [
        (r#"{"Tsk": {}}"#, "/Tsk", "Task"),
        (r#"{"Task": {"titel": "x"}}"#, "/Task/titel", "title"),
        (r#"{"Task": {"get": ["titel"]}}"#, "/Task/get", "title"),
        (r#"{"Task": {"ordr": "id"}}"#, "/Task/ordr", "order"),
        (r#"{"Task": {"order": "pionts"}}"#, "/Task/order", "points"),
        (r#"{"Task": {"where": "pionts == 1"}}"#, "/Task/where", "points"),
        (r#"{"Task": {"points": {"gtt": 1}}}"#, "/Task/points/gtt", "gt"),
        (r#"{"Task": {"lines": {"nn": 1}}}"#, "/Task/lines/nn", "n"),
        (r#"{"Task": {"limit": 1, "limit": 2}}"#, "/Task/limit", "twice"),
        (r#"{"Task": {}, "Task": {}}"#, "/Task", "twice"),
        (r#"{"Task": {"limit": "1"}}"#, "/Task/limit", "number"),
        (r#"{"Task": {"limit": 1001}}"#, "/Task/limit", "1000"),
        (r#"{"Task": 5}"#, "/Task", "part"),
        (r#"{"Task": {"where": "points == $p"}}"#, "/Task/params/p", "no value"),
        (r#"{"Task": {"where": "points == $p", "params": {"p": 1, "q": 2}}}"#, "/Task/params/q", "q"),
    ] {
        let answer = server.request("POST", "/query").body(body).send();
        assert!(answer.status == 400 || answer.status == 422, "{body}: {}", answer.text);
        let problem = answer.expect(answer.status);
        let error = &problem["errors"][0];
        assert!(error["path"].as_str().unwrap_or_default().starts_with(path), "{body}: {}", answer.text);
        assert!(error["message"].as_str().unwrap().contains(words), "{body}: {}", answer.text);
    }
}

#[test]
fn limits_answer_before_they_hurt() {
    let app = App::of(TASKS);
    let server = app.serve_with(&[
        "--limits-rows",
        "50",
        "--limits-page",
        "3",
        "--http-body-limit",
        "10000",
        "--limits-depth",
        "4",
    ]);
    let people: Vec<Value> =
        (0..20).map(|n| json!({"id": format!("p{n:02}"), "name": format!("P{n}")})).collect();
    server.request("POST", "/api/Person").json(&json!(people)).send().expect(201);
    // A read without a limit is a page of the default.
    let page = server.query("", &json!({"Person": {"order": "id"}})).ok();
    assert_eq!(page["Person"].as_array().unwrap().len(), 3);
    assert_eq!(server.get("", "/api/Person").ok()["items"].as_array().unwrap().len(), 3);
    // A nested list without one is complete or refused, never cut.
    let lines: Vec<Value> = (0..30).map(|n| json!({"create": true, "n": n})).collect();
    for id in ["a", "b"] {
        server.query("", &json!({"Task": {"create": true, "id": id, "title": id, "lines": lines}})).ok();
    }
    let one = server.query("", &json!({"Task": {"id": "a", "lines": {"get": ["n"]}}})).ok();
    assert_eq!(one["Task"][0]["lines"].as_array().unwrap().len(), 30);
    server.query("", &json!({"Task": {"lines": {"get": ["n"]}}})).problem(422, "limit.exceeded");
    // A write touches all that it found or fails at the limit.
    server.query("", &json!({"Line": {"all": true, "set": {"n": 0}}})).problem(422, "limit.exceeded");
    assert_eq!(server.get("", "/api/Line?where=n==0&count").ok()["count"], 2, "nothing was changed");
    // Depth and bytes.
    let deep = json!({"Task": {"owner": {"own": {"owner": {"own": {"owner": {"get": ["name"]}}}}}}});
    server.query("", &deep).problem(422, "limit.exceeded");
    let large = json!({"Task": {"title": "x".repeat(10_001)}});
    server.query("", &large).problem(413, "body.too_large");
}

#[test]
fn explain_shows_the_sql_to_whom_it_may() {
    let app = App::of(TASKS);
    let document = json!({"Task": {"lines": {"get": ["n"]}}});
    let explained = |server: &Server, token: &str| {
        server.request("POST", "/query?explain").bearer(token).json(&document).send()
    };
    let server = app.serve();
    let answer = explained(&server, "").ok();
    assert!(answer["@explain"].to_string().to_uppercase().contains("SELECT"), "{answer}");
    drop(server);
    let server = app.serve_with(&["--env", "production"]);
    explained(&server, "").problem(403, "rule.refused");
    explained(&server, &app.token("--admin")).ok();
}

#[test]
fn credentials_are_told_apart() {
    let app = App::example("festival");
    let server = app.serve();
    server.get("nonsense", "/api/Team").problem(401, "auth.credentials");
    let with = |header: &str| server.request("GET", "/api/Team").header("authorization", header).send();
    with("Basic YTpi").problem(401, "auth.credentials");
    let token = app.token(ANN);
    with(&format!("bearer {token}")).ok();
    let (head, signature) = token.rsplit_once('.').unwrap();
    let forged: String = signature.chars().rev().collect();
    with(&format!("Bearer {head}.{forged}")).problem(401, "auth.credentials");
    // A token is for its own app and server: another app's secret is another.
    let other = App::example("festival");
    let elsewhere = other.serve();
    elsewhere.get(&token, "/api/Team").problem(401, "auth.credentials");
    // The request's id travels in and out.
    let answer = server.request("GET", "/api/Team/x").header("x-request-id", "my-1").send();
    assert_eq!((answer.header("x-request-id"), &answer.expect(404)["request_id"]), ("my-1", &json!("my-1")));
}
