//! A database that others made becomes an app and is served as it is; what others write into it is heard of once triggers are on.

mod callers;
mod keys;
mod refusals;
mod words;

use std::path::PathBuf;
use std::time::Duration;

use mainstay_testkit::postgres::Postgres;
use mainstay_testkit::socket::Socket;
use serde_json::{Value, json};

use crate::support::{App, Ran, Server, until};

const POSTGRES: &str = include_str!("pulled/rental.postgres.sql");
const SQLITE: &str = include_str!("pulled/rental.sqlite.sql");
const ORDER: &str = "019b0000-0000-7000-8000-000000000001";

/// A rental in a database of its own, and the app that was pulled from it.
struct Rental {
    app: App,
    url: String,
    pulled: Ran,
}

impl Rental {
    fn postgres() -> Rental {
        Rental::postgres_of(POSTGRES)
    }

    fn sqlite() -> Rental {
        Rental::sqlite_of(SQLITE)
    }

    /// Another database, that a script makes.
    fn postgres_of(script: &str) -> Rental {
        let url = Postgres::database();
        Postgres::shared().run(name(&url), script).unwrap();
        Rental::pull(App::of(""), url)
    }

    fn sqlite_of(script: &str) -> Rental {
        let app = App::of("");
        let path = app.path().join("rental.db");
        rusqlite::Connection::open(&path).unwrap().execute_batch(script).unwrap();
        let url = format!("sqlite:{}", path.display());
        Rental::pull(app, url)
    }

    fn pull(app: App, url: String) -> Rental {
        let pulled = app.run(&["pull", &url, "rental"]).succeeded();
        Rental { app, url, pulled }
    }

    /// A statement of somebody who knows nothing of Mainstay.
    fn sql(&self, sql: &str) -> String {
        match self.file() {
            None => Postgres::shared().run(name(&self.url), sql).unwrap(),
            Some(path) => {
                let output = std::process::Command::new("sqlite3").arg(path).arg(sql).output().unwrap();
                assert!(output.status.success(), "{output:?}");
                String::from_utf8(output.stdout).unwrap().trim().to_owned()
            }
        }
    }

    fn file(&self) -> Option<PathBuf> {
        self.url.strip_prefix("sqlite:").map(PathBuf::from)
    }

    fn stay(&self) -> String {
        self.app.read("../rental/rental.stay")
    }

    /// Everything that the database tells of its own structure.
    fn structure(&self) -> String {
        match self.file() {
            None => self.sql(
                "SELECT c.relname, c.relkind, a.attname, a.atttypid, a.attnotnull, pg_get_expr(d.adbin, d.adrelid) \
                 FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum \
                 WHERE c.relnamespace = 'public'::regnamespace ORDER BY 1, 3; \
                 SELECT tgname FROM pg_trigger WHERE NOT tgisinternal ORDER BY 1",
            ),
            Some(_) => self.sql("SELECT * FROM sqlite_master ORDER BY 1, 2; PRAGMA journal_mode"),
        }
    }

    fn serve(&self) -> Server {
        Server::of_folder(&self.app, "rental", &["--database", &self.url])
    }

    fn token(&self) -> String {
        let words = ["user", "token", "rental", "--admin", "--database", &self.url];
        self.app.run(&words).succeeded().stdout.trim().to_owned()
    }
}

fn name(url: &str) -> &str {
    url.rsplit('/').next().unwrap()
}

/// Both databases.
fn rentals() -> [Rental; 2] {
    [Rental::sqlite(), Rental::postgres()]
}

#[track_caller]
fn rows(server: &Server, token: &str, document: &Value, table: &str) -> Value {
    server.query(token, document).ok()[table].clone()
}

#[test]
fn what_has_no_words_is_said_and_nothing_is_left_out_in_silence() {
    for rental in rentals() {
        let stay = rental.stay();
        let said = &rental.pulled.stderr;
        for words in [
            "the view film_list is left out",
            "the table audit_trail is left out: it has no primary key",
            "film: the index film_lower is over expressions",
            "film: the index film_partial is over a part of the rows",
            "film: the trigger last_updated goes on as ever",
            "length > 0",
            "the column title_length is computed by the database",
            "film_actor became the relation",
            "last_update keeps what the database gives it",
            "Order Details: its key (order_id, film_id) has several columns",
            "what happens `on update` stays with the database",
            "customers: the column password_hash looks like a secret",
        ] {
            assert!(said.contains(words), "{words}\n{said}");
            assert!(stay.contains(words), "{words}\n{stay}");
        }
        for line in [
            "app rental existing",
            "table Order db \"order\" {",
            "limit_",
            "reports_to",
            "films_by_original_language",
        ] {
            assert!(stay.contains(line), "{line}\n{stay}");
        }
        rental.app.run(&["check", "rental"]).succeeded();
        // It is laid out already, and nothing is overwritten.
        rental.app.run(&["fmt", "rental", "--check"]).succeeded();
        rental.app.run(&["pull", &rental.url, "rental"]).ended(1);
        let app = if rental.file().is_some() { "rental" } else { name(&rental.url) };
        let expected = stay.trim().replacen("app rental", &format!("app {app}"), 1);
        assert_eq!(rental.app.run(&["pull", &rental.url]).succeeded().stdout.trim(), expected);
    }
}

#[test]
fn a_pulled_database_is_read_as_it_is() {
    for rental in rentals() {
        let before = rental.structure();
        let (server, token) = (rental.serve(), rental.token());
        let read = |document: Value, table: &str| rows(&server, &token, &document, table);
        let films = read(
            json!({"Film": {
                "get": ["title", "length", "rental_rate", "replacement_cost", "rating", "details", "shown_at", "last_update", "title_length"],
                "language": {"get": ["name"]}, "original_language": {"get": ["name"]},
                "actors": {"get": ["last_name"], "order": ["last_name"]}, "order": ["title"]}}),
            "Film",
        );
        // By code point, whatever the columns collate by.
        let titles: Vec<&str> =
            films.as_array().unwrap().iter().map(|film| film["title"].as_str().unwrap()).collect();
        assert_eq!(titles, ["ACADEMY dinosaur", "Zebra", "apple"]);
        let first = &films[0];
        assert_eq!(first["id"], 1);
        assert_eq!(first["length"], 86);
        assert_eq!(first["rental_rate"], "4.99");
        assert_eq!(first["replacement_cost"], "19.99");
        assert_eq!(first["rating"], "PG-13");
        assert_eq!(first["details"], json!({"a": [true], "b": 1}));
        assert_eq!(first["shown_at"], "2026-01-31T10:00:00.000000Z");
        assert_eq!(first["last_update"], "2006-02-15T04:34:33.250000Z");
        assert_eq!(first["title_length"], 16);
        assert_eq!(first["language"]["name"].as_str().unwrap().trim(), "English");
        assert_eq!(first["original_language"]["name"].as_str().unwrap().trim(), "German");
        assert_eq!(
            first["actors"],
            json!([{"id": 1, "last_name": "Guiness"}, {"id": 2, "last_name": "Wahlberg"}])
        );
        assert!(first.get("created").is_none() && first.get("updated").is_none());

        // Pages go on where they ended, and filters mean what they say.
        let page =
            server.query(&token, &json!({"Film": {"get": ["title"], "order": ["title"], "limit": 2}})).ok();
        let next = page["Film@"]["next"].as_str().unwrap();
        let rest =
            read(json!({"Film": {"get": ["title"], "order": ["title"], "limit": 2, "after": next}}), "Film");
        assert_eq!(rest[0]["title"], "apple");
        for (filter, expect) in [
            ("title > \"Z\"", json!(["Zebra", "apple"])),
            ("rental_rate < 5 and length > 80", json!(["ACADEMY dinosaur", "Zebra"])),
            ("last_update > @2006-02-15T04:34:33Z", json!(["ACADEMY dinosaur"])),
            ("language.name == \"german\"", json!([])),
            ("actors.any(first_name == \"Nick\")", json!(["ACADEMY dinosaur", "apple"])),
            ("length * 1000000000 > 80000000000", json!(["ACADEMY dinosaur", "Zebra"])),
        ] {
            let found =
                read(json!({"Film": {"where": filter, "get": ["title"], "order": ["title"]}}), "Film");
            let found: Vec<&Value> = found.as_array().unwrap().iter().map(|film| &film["title"]).collect();
            assert_eq!(json!(found), expect, "{filter}");
        }
        let lines = read(json!({"OrderDetails": {"get": ["*"], "film": {"get": ["title"]}}}), "OrderDetails");
        assert_eq!(lines[0]["id"], format!("{ORDER},1"));
        assert_eq!(lines[0]["unit_price"], "4.99");
        assert_eq!(lines[0]["discount"], json!(0.0));
        assert_eq!(lines[0]["film"]["title"], "ACADEMY dinosaur");
        let one = server.get(&token, &format!("/api/OrderDetails/{ORDER},1?get=quantity")).ok();
        assert_eq!(one["quantity"], 2);
        let chain = read(json!({"Employees": {"id": 2, "reports_to": {"get": ["last_name"]}}}), "Employees");
        assert_eq!(chain[0]["reports_to"]["last_name"], "Fuller");
        let customer = read(
            json!({"Customers": {"id": "ALFKI", "get": ["*"], "orders": {"get": ["limit_", "select", "nd_note"]}}}),
            "Customers",
        );
        assert_eq!(customer[0]["company_name"], "Alfreds");
        assert!(customer[0].get("password_hash").is_none(), "{customer}");
        assert_eq!(customer[0]["orders"][0]["id"], ORDER);
        if rental.file().is_none() {
            let film = read(
                json!({"Film": {"id": 1, "get": ["special_features", "scores", "runs", "shop_address", "mood"]}}),
                "Film",
            );
            assert_eq!(film[0]["special_features"], json!(["Trailers", "Deleted Scenes"]));
            assert_eq!(film[0]["scores"], json!([3, 5]));
            assert_eq!(film[0]["runs"], "PT1H26M");
            assert_eq!(film[0]["shop_address"], "10.0.0.7/32");
            assert_eq!(film[0]["mood"], "ok");
        } else {
            // What a loose column holds is no reason to guess: all of it is text.
            let film = read(json!({"Film": {"get": ["odd", "is_new"], "order": ["id"]}}), "Film");
            assert_eq!(film[2]["odd"], "three");
            assert_eq!(film[2]["is_new"], true);
        }
        drop(server);
        assert_eq!(rental.structure(), before, "serving has changed the database");
    }
}

#[test]
fn a_pulled_database_is_written_as_it_is() {
    for rental in rentals() {
        let before = rental.structure();
        let (server, token) = (rental.serve(), rental.token());
        let film = json!({"Film": {"create": true, "title": "Made", "language": 2, "length": 7, "actors": [2],
            "shown_at": "2026-02-03T04:05:06.5Z", "details": {"x": 1}, "get": ["*"]}});
        let made = server.query(&token, &film).ok()["Film"][0].clone();
        assert_eq!(
            (&made["id"], &made["rental_rate"], &made["title_length"]),
            (&json!(4), &json!("4.99"), &json!(4)),
            "{made}"
        );
        assert_eq!(made["shown_at"], "2026-02-03T04:05:06.500000Z");
        // In the database's own forms.
        let shown_at = match rental.file() {
            // A session prints instants by settings of its own.
            None => "to_char(shown_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.FF1')",
            Some(_) => "shown_at",
        };
        let stored =
            rental.sql(&format!("SELECT language_id, rental_rate, {shown_at} FROM film WHERE film_id = 4"));
        assert_eq!(stored, "2|4.99|2026-02-03 04:05:06.5");
        assert_eq!(rental.sql("SELECT count(*) FROM film_actor WHERE film_id = 4 AND actor_id = 2"), "1");

        // Triggers of the database have their say, and the answer shows what came of it.
        let set = json!({"Film": {"id": 2, "set": {"title": "Zebra II"}, "get": ["title", "last_update"]}});
        let set = server.query(&token, &set).ok()["Film"][0].clone();
        assert_ne!(set["last_update"], "2006-02-15T04:34:33.000000Z", "{set}");

        // Keys of several columns.
        let line =
            json!({"OrderDetails": {"create": true, "order_id": ORDER, "film": 4, "unit_price": "1.50"}});
        let line = server.query(&token, &line).ok()["OrderDetails"][0].clone();
        assert_eq!(line["id"], format!("{ORDER},4"));
        let set = json!({"OrderDetails": {"id": format!("{ORDER},4"), "set": {"quantity": {"$add": 2}}, "get": ["quantity"]}});
        assert_eq!(server.query(&token, &set).ok()["OrderDetails"][0]["quantity"], 3);
        let delete = json!({"OrderDetails": {"id": format!("{ORDER},4"), "delete": true}});
        server.query(&token, &delete).ok();
        assert_eq!(rental.sql("SELECT count(*) FROM \"Order Details\""), "1");

        // What the database refuses is said, at its place where there is one.
        let keyless = json!({"Employees": {"create": true, "last_name": "Nobody"}});
        match rental.file() {
            None => {
                server.query(&token, &keyless).problem_at(422, "value.invalid", "/Employees/id");
            }
            Some(_) => assert_eq!(server.query(&token, &keyless).ok()["Employees"][0]["id"], 3),
        }
        let negative = json!({"Film": {"create": true, "title": "Short", "language": 1, "length": -1}});
        server.query(&token, &negative).problem(422, "check.failed");
        let twice = json!({"Actor": {"create": true, "first_name": "Nick", "last_name": "Wahlberg"}});
        server.query(&token, &twice).problem(409, "unique");
        let computed = json!({"Film": {"id": 1, "set": {"title_length": 3}}});
        server.query(&token, &computed).problem_at(422, "value.invalid", "/Film/set/title_length");
        server
            .query(&token, &json!({"Language": {"id": 1, "delete": true}}))
            .problem(409, "delete.restricted");
        server.query(&token, &json!({"Film": {"id": 4, "delete": true}})).ok();
        assert_eq!(rental.sql("SELECT count(*) FROM film_actor WHERE film_id = 4"), "0");

        // Without a change log there is nothing that needs one.
        let keyed =
            server.request("POST", "/query").bearer(&token).header("idempotency-key", "k").json(&film).send();
        keyed.problem(422, "log.off");
        server.get(&token, "/api/Film/1/history").problem(422, "log.off");
        rental.app.run(&["migrate", "status", "rental", "--database", &rental.url]).ended(1);
        drop(server);
        assert_eq!(rental.structure(), before, "serving has changed the database");
    }
}

#[test]
fn a_database_that_is_not_as_the_app_says_is_refused_in_words() {
    for rental in rentals() {
        rental.sql("ALTER TABLE actor RENAME COLUMN last_name TO surname");
        let refused = rental
            .app
            .run(&["query", "rental", "{\"Actor\": {}}", "--admin", "--database", &rental.url])
            .ended(1);
        assert!(
            refused.stderr.contains("Actor.last_name: the table actor has no column last_name"),
            "{}",
            refused.stderr
        );
    }
}

/// Rules hold on rows of others as on one's own, and those who sign in may be rows that were there.
#[test]
fn what_needs_a_database_of_its_own_is_refused_and_leaves_nothing() {
    for rental in rentals() {
        let before = rental.structure();
        for words in [&["jobs", "list", "rental"][..], &["work", "rental"], &["backup", "rental", "copy"]] {
            let words: Vec<&str> = words.iter().copied().chain(["--database", &rental.url]).collect();
            let said = rental.app.run(&words).ended(1).stderr;
            assert!(said.contains("its database was made by others"), "{words:?}: {said}");
        }
        let stay = rental.stay();
        for capability in ["jobs", "mail", "presence", "rules"] {
            let using = stay.replacen(" existing\n", &format!(" existing\n\nuse {capability}\n"), 1);
            assert_ne!(using, stay);
            rental.app.write("../rental/rental.stay", &using);
            let said = rental.app.run(&["serve", "rental", "--database", &rental.url]).ended(1).stderr;
            assert!(said.contains("stands on tables of the platform's"), "{capability}: {said}");
        }
        assert_eq!(rental.structure(), before);
    }
}

#[test]
fn rules_of_a_pulled_app_speak_of_its_own_users() {
    const NOTES: &str = "CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT NOT NULL, role VARCHAR(9) NOT NULL);
        CREATE TABLE notes (note_id INTEGER PRIMARY KEY, owner_id INTEGER NOT NULL REFERENCES users (id), words TEXT NOT NULL);
        INSERT INTO users VALUES (1, 'Ann', 'clerk'), (2, 'Bob', 'boss');
        INSERT INTO notes VALUES (1, 1, 'of Ann'), (2, 2, 'of Bob');";
    let url = Postgres::database();
    Postgres::shared().run(name(&url), NOTES).unwrap();
    let file = App::of("");
    let path = file.path().join("notes.db");
    rusqlite::Connection::open(&path).unwrap().execute_batch(NOTES).unwrap();
    for rental in [Rental::pull(file, format!("sqlite:{}", path.display())), Rental::pull(App::of(""), url)] {
        let stay = rental.stay().replace("  words ", "  allow read if owner == user or user.role == \"boss\"\n  allow create if owner == user\n  words ");
        rental.app.write("../rental/rental.stay", stay);
        let server = rental.serve();
        let token = |id: &str| {
            let ran = rental.app.run(&["user", "token", "rental", id, "--database", &rental.url]).succeeded();
            ran.stdout.trim().to_owned()
        };
        let (ann, bob) = (token("1"), token("2"));
        let words = |token: &str| {
            let notes =
                server.query(token, &json!({"Notes": {"get": ["words"], "order": ["id"]}})).ok()["Notes"]
                    .clone();
            notes
                .as_array()
                .unwrap()
                .iter()
                .map(|note| note["words"].as_str().unwrap().to_owned())
                .collect::<Vec<_>>()
        };
        assert_eq!(words(&ann), ["of Ann"]);
        assert_eq!(words(&bob), ["of Ann", "of Bob"]);
        assert!(words("").is_empty());
        server.get(&ann, "/api/Notes/2").problem(404, "row.not_found");
        let other = json!({"Notes": {"create": true, "id": 3, "owner": 2, "words": "for Bob"}});
        server.query(&ann, &other).problem(403, "relation.refused");
        // Who is no row of the table is nobody.
        rental.sql("DELETE FROM notes WHERE note_id = 1; DELETE FROM users WHERE id = 1");
        until(Duration::from_secs(10), || (server.get(&ann, "/api/Notes").status == 401).then_some(()));
    }
}

#[test]
fn a_value_that_does_not_fit_is_an_error_and_no_answer() {
    let rental = Rental::sqlite();
    rental.sql("UPDATE film SET rental_duration = 'long', length = 'x1' WHERE film_id = 2");
    let (server, token) = (rental.serve(), rental.token());
    for part in
        [json!({"get": ["rental_duration"]}), json!({"where": "rental_duration > 5", "get": ["title"]})]
    {
        let problem = server.query(&token, &json!({"Film": part})).problem(500, "value.misfit");
        assert!(problem["detail"].as_str().unwrap().contains("no int"), "{problem}");
    }
    let rental = Rental::postgres();
    rental.sql("UPDATE film SET replacement_cost = 1.23456 WHERE film_id = 2; UPDATE film SET runs = '1 month' WHERE film_id = 3");
    let (server, token) = (rental.serve(), rental.token());
    for (column, words) in
        [("replacement_cost", "the column replacement_cost holds"), ("runs", "the column runs holds")]
    {
        let problem = server.query(&token, &json!({"Film": {"get": [column]}})).problem(500, "value.misfit");
        assert!(problem["detail"].as_str().unwrap().contains(words), "{problem}");
    }
}

/// What a bare connection writes reaches a subscriber once, without secrets; Mainstay's own writes are not told twice. The server ran
/// before there was a log.
async fn heard_of(rental: &Rental) {
    let server = rental.serve();
    let token = rental.token();
    server.get(&token, "/api/Film/1/history").problem(422, "log.off");
    rental.app.run(&["triggers", "on", "rental", "--database", &rental.url]).succeeded();
    until(Duration::from_secs(10), || {
        (server.get(&token, "/api/Film/1/history").status == 200).then_some(())
    });
    let mut socket = Socket::open(&format!("http://{}", server.address()), &token).await;
    socket.subscribe(1, json!({"Film": {"get": ["title", "length", "rental_rate"]}}), None).await;
    rental.sql("INSERT INTO film (title, language_id, length) VALUES ('From elsewhere', 1, 5)");
    let frame = socket.hear().await;
    assert_eq!(
        (&frame["change"], &frame["row"]["title"]),
        (&json!("enter"), &json!("From elsewhere")),
        "{frame}"
    );
    assert_eq!(frame["row"]["rental_rate"], "4.99");
    rental.sql("UPDATE film SET length = 6 WHERE title = 'From elsewhere'");
    let frame = socket.hear().await;
    assert_eq!((&frame["change"], &frame["row"]["length"]), (&json!("update"), &json!(6)), "{frame}");
    // Mainstay's own write is told once: the next thing heard is the next change.
    server.query(&token, &json!({"Film": {"id": 1, "set": {"length": 87}}})).ok();
    assert_eq!(socket.hear().await["row"]["length"], 87);
    rental.sql("DELETE FROM film WHERE title = 'From elsewhere'");
    assert_eq!(socket.hear().await["change"], "leave");
    // The row's past tells of both.
    let history = server.get(&token, "/api/Film/1/history").ok();
    assert_eq!(history["items"].as_array().map(Vec::len), Some(1), "{history}");
    rental.sql("UPDATE customers SET password_hash = 'hush' WHERE customer_id = 'ALFKI'");
    rental.sql("UPDATE customers SET \"Company Name\" = 'Renamed' WHERE customer_id = 'ALFKI'");
    let logged = rental.sql("SELECT \"before\", \"after\" FROM \"_change\" WHERE \"table\" = 'Customers'");
    assert!(
        logged.contains("Renamed") && !logged.contains("hush") && !logged.contains("password"),
        "{logged}"
    );
    assert_eq!(
        rental.sql("SELECT count(*) FROM \"_change\" WHERE \"table\" = 'Film' AND \"row\" = '1'"),
        "1"
    );
    drop(server);
    rental.app.run(&["triggers", "off", "rental", "--database", &rental.url]).succeeded();
    let count = || rental.sql("SELECT count(*) FROM \"_change\"");
    let before = count();
    rental.sql("UPDATE film SET length = 9 WHERE film_id = 1");
    assert_eq!(count(), before);
    let status = rental.app.run(&["triggers", "status", "rental", "--database", &rental.url]).succeeded();
    assert!(!status.stdout.contains("on "), "{}", status.stdout);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_sqlite3_writes_is_heard_of_once_triggers_are_on() {
    heard_of(&Rental::sqlite()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_psql_writes_is_heard_of_once_triggers_are_on() {
    heard_of(&Rental::postgres()).await;
}
