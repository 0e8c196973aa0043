//! Files in and out: the world's airports, lines that are broken, rows that are there already.

use std::fs;
use std::path::Path;
use std::time::Instant;

use serde_json::{Value, json};

use crate::support::{App, Ran};

/// 28 thousand airports; see the note beside it for where they are from.
const AIRPORTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/acceptance/data/airports.csv");

const SCHEMA: &str = r#"
app airports "Airports"
table Airport {
  icao       text(4)   unique
  iata       text(3)?
  name       text(100)
  city       text(60)?
  subd       text(60)?
  country    text(2)   index match "^[A-Z]{2}$"
  elevation  float
  lat        float     min -90 max 90
  lon        float     min -180 max 180
  tz         text(40)?
  lid        text(10)?
  allow read
}
"#;

fn count(app: &App, table: &str) -> u64 {
    let document = json!({table: {"aggregate": {"n": "count()"}}}).to_string();
    app.run(&["query", "APP", &document, "--admin"]).succeeded().json()[table][0]["n"].as_u64().unwrap()
}

#[test]
fn the_worlds_airports_are_imported_and_come_out_again() {
    let app = App::of(SCHEMA);
    let lines = csv::Reader::from_path(AIRPORTS).unwrap().records().count();
    let start = Instant::now();
    let report = app.run(&["import", "APP", "Airport", AIRPORTS, "--json"]).succeeded().json();
    let took = start.elapsed();
    eprintln!("{lines} airports imported in {took:?}");
    assert!(took.as_secs() < 60, "{took:?}");
    assert_eq!((&report["imported"], &report["skipped"]), (&json!(lines), &json!(0)), "{report}");
    assert_eq!(count(&app, "Airport"), lines as u64);
    let server = app.serve();
    let schiphol = server.get("", "/api/Airport?where=icao==%22EHAM%22").ok();
    let row = &schiphol["items"][0];
    assert_eq!(
        (&row["iata"], &row["country"], &row["tz"]),
        (&json!("AMS"), &json!("NL"), &json!("Europe/Amsterdam"))
    );
    assert!((row["lat"].as_f64().unwrap() - 52.3).abs() < 0.1 && row["elevation"].is_f64(), "{row}");
    drop(server);

    // The whole comes out as it went in, number by number.
    let out = app.path().join("out.csv").display().to_string();
    app.run(&["export", "APP", "Airport", &out]).succeeded();
    assert_eq!(airports(&out), airports(AIRPORTS));
}

/// The file's own columns, sorted by key; numbers as numbers, for `1` and `1.0` are the same elevation.
fn airports(path: &str) -> Vec<Vec<String>> {
    let mut reader = csv::Reader::from_path(path).unwrap();
    let head = reader.headers().unwrap().clone();
    let column = |name: &str| head.iter().position(|head| head == name).unwrap();
    let texts = ["icao", "iata", "name", "city", "subd", "country", "tz", "lid"].map(column);
    let numbers = ["elevation", "lat", "lon"].map(column);
    let row = |row: csv::StringRecord| -> Vec<String> {
        let number = |at: &usize| row[*at].parse::<f64>().unwrap().to_string();
        texts.iter().map(|at| row[*at].to_owned()).chain(numbers.iter().map(number)).collect()
    };
    let mut rows: Vec<Vec<String>> = reader.records().map(|record| row(record.unwrap())).collect();
    rows.sort();
    rows
}

#[test]
fn what_is_exported_is_imported_again_as_it_was() {
    let app = App::of(SCHEMA);
    let whole = fs::read_to_string(AIRPORTS).unwrap();
    let some = app.write("some.csv", whole.lines().take(1500).collect::<Vec<_>>().join("\n"));
    app.run(&["import", "APP", "Airport", &some]).succeeded();
    let text = |app: &App| app.run(&["export", "APP", "Airport", "-"]).succeeded().stdout;
    for ending in ["csv", "ndjson", "json"] {
        let out = app.path().join(format!("out.{ending}")).display().to_string();
        app.run(&["export", "APP", "Airport", &out]).succeeded();
        let again = App::of(SCHEMA);
        // Only the stamps are the new database's own; a second time changes nothing.
        for mode in [&[][..], &["--upsert"]] {
            again.run(&[&["import", "APP", "Airport", &out], mode].concat()).succeeded();
            assert_eq!(without_stamps(&text(&app)), without_stamps(&text(&again)), "{ending}");
        }
    }
}

fn without_stamps(ndjson: &str) -> Vec<Value> {
    let row = |line: &str| {
        let mut row: Value = serde_json::from_str(line).unwrap();
        for stamp in ["created", "updated"] {
            assert!(row.as_object_mut().unwrap().remove(stamp).is_some());
        }
        row
    };
    ndjson.lines().map(row).collect()
}

#[test]
fn a_broken_line_is_named_and_nothing_is_half_imported() {
    let app = App::of(SCHEMA);
    let whole = fs::read_to_string(AIRPORTS).unwrap();
    let mut lines: Vec<String> = whole.lines().take(3000).map(str::to_owned).collect();
    lines[999] = lines[999].replace(',', ";");
    lines[1499] = lines[1].clone();
    lines[1999] = "\"XX01\",\"\",\"Nowhere\",\"\",\"\",\"US\",high,0,0,\"\",\"\"".to_owned();
    lines[2999] = "\"XX02\",\"\",\"Beyond\",\"\",\"\",\"us\",1,91,0,\"\",\"\"".to_owned();
    let file = app.write("broken.csv", lines.join("\n"));

    // Each line of the file that is wrong by itself is named, with the column.
    let ran = app.run(&["import", "APP", "Airport", &file]).ended(1);
    assert!(ran.stderr.contains("broken.csv:1000"), "{}", ran.stderr);
    assert!(ran.stderr.contains("broken.csv:2000") && ran.stderr.contains("elevation"), "{}", ran.stderr);
    assert_eq!(count(&app, "Airport"), 0);
    let ran = app.run(&["import", "APP", "Airport", &file, "--json"]).ended(1);
    assert_eq!(ran.json()["imported"], 0);

    // With --skip-bad the rest goes in, and every bad line is named, the duplicate too.
    let ran = app.run(&["import", "APP", "Airport", &file, "--skip-bad", "--json"]).succeeded();
    let report = ran.json();
    let bad: Vec<u64> = report["problems"]
        .as_array()
        .unwrap()
        .iter()
        .map(|problem| problem["line"].as_u64().unwrap())
        .collect();
    assert_eq!(bad, [1000, 1500, 2000, 3000], "{report}");
    assert_eq!((&report["imported"], &report["skipped"]), (&json!(2999 - 4), &json!(4)));
    assert_eq!(count(&app, "Airport"), 2999 - 4);

    // A duplicate that only the database can see stops all of the rest, too.
    let app = App::of(SCHEMA);
    let duplicate = [lines[0].as_str(), lines[1].as_str(), lines[2].as_str(), lines[1].as_str()].join("\n");
    let file = app.write("duplicate.csv", duplicate);
    let ran = app.run(&["import", "APP", "Airport", &file]).ended(1);
    assert!(ran.stderr.contains("duplicate.csv:4") && ran.stderr.contains("icao"), "{}", ran.stderr);
    assert_eq!(count(&app, "Airport"), 0);
}

const SHELF: &str = r#"
app shelf "Shelf"
table Book {
  id     int
  title  text(20)
  stars  int = 3 min 1 max 5
  tags   text[]?
  price  decimal(10, 2)?
  read   timestamp?
  note   json?
  allow read
}
table Shelf {
  id     int
  books  Book[]
  allow read
}
"#;

#[test]
fn rows_that_are_there_are_changed_when_asked() {
    let app = App::of(SHELF);
    let first = app.write("a.csv", "id,title,stars\n1,One,5\n2,Two,\n");
    app.run(&["import", "APP", "Book", &first]).succeeded();
    let rows = |app: &App| without_stamps(&app.run(&["export", "APP", "Book", "-"]).succeeded().stdout);
    assert_eq!(rows(&app)[1]["stars"], 3, "an empty cell takes the default");

    let second = app
        .write("b.ndjson", "{\"id\":2,\"title\":\"Zwei\"}\n{\"id\":3,\"title\":\"Drei\",\"tags\":[\"x\"]}\n");
    let ran = app.run(&["import", "APP", "Book", &second]).ended(1);
    assert!(ran.stderr.contains("b.ndjson:1"), "{}", ran.stderr);
    assert_eq!(rows(&app).len(), 2);
    app.run(&["import", "APP", "Book", &second, "--upsert"]).succeeded();
    let titles: Vec<Value> = rows(&app).iter().map(|row| row["title"].clone()).collect();
    assert_eq!(titles, ["One", "Zwei", "Drei"]);

    // Values of every form survive the way out and in.
    let all = json!([{"id": 9, "title": "=1+1, \"q\"\nü", "tags": ["a,b", "c"], "price": "1.50", "read": "2026-01-31T10:00:00.000000Z",
        "note": {"b": [1, null], "a": "x"}, "stars": 1}]);
    let file = app.write("c.json", all.to_string());
    app.run(&["import", "APP", "Book", &file]).succeeded();
    for ending in ["csv", "json", "ndjson"] {
        let out = app.path().join(format!("out.{ending}")).display().to_string();
        app.run(&["export", "APP", "Book", &out]).succeeded();
        let other = App::of(SHELF);
        other.run(&["import", "APP", "Book", &out]).succeeded();
        assert_eq!(rows(&other), rows(&app), "{ending}");
    }

    // Links, by their owner and target.
    app.write("d.csv", "id\n1\n2\n");
    let shelves = app.path().join("d.csv").display().to_string();
    app.run(&["import", "APP", "Shelf", &shelves]).succeeded();
    let links = app.write("links.csv", "id,shelf,book\n1,1,1\n2,1,9\n3,2,9\n");
    app.run(&["import", "APP", "Shelf.books", &links]).succeeded();
    let bad = app.write("bad.csv", "shelf,book\n2,1\n2,77\n1,2\n2,9\n88,1\n");
    let lines = |ran: &Ran| -> Vec<u64> {
        let problems = ran.json()["problems"].as_array().unwrap().clone();
        problems.iter().map(|problem| problem["line"].as_u64().unwrap()).collect()
    };
    // A link of nobody is named, for a part that finds nothing would count as done.
    let ran = app.run(&["import", "APP", "Shelf.books", &bad, "--json"]).ended(1);
    assert_eq!(lines(&ran), [6], "{ran:#?}");
    // The link that is bad is named, not those that share its owner.
    let one = app.write("one.csv", "shelf,book\n2,1\n2,77\n1,2\n");
    let ran = app.run(&["import", "APP", "Shelf.books", &one, "--json"]).ended(1);
    assert_eq!(lines(&ran), [3], "{ran:#?}");
    let document = json!({"Shelf": {"books": {"get": ["id"], "order": "id"}, "order": "id"}}).to_string();
    let shelves = app.run(&["query", "APP", &document]).succeeded().json();
    assert_eq!(
        shelves["Shelf"],
        json!([{"id": 1, "books": [{"id": 1}, {"id": 9}]}, {"id": 2, "books": [{"id": 9}]}])
    );

    let ran = app.run(&["import", "APP", "Shelf.books", &bad, "--skip-bad", "--json"]).succeeded();
    assert_eq!((lines(&ran), &ran.json()["imported"]), (vec![3, 6], &json!(3)), "{ran:#?}");

    // What cannot be begun is said with the nearest name, and leaves no file.
    let ran = app.run(&["import", "APP", "Bok", &links]).ended(1);
    assert!(ran.stderr.contains("Book"), "{}", ran.stderr);
    let ran = app.run(&["import", "APP", "Book", "nothing.csv"]).ended(1);
    assert!(ran.stderr.contains("nothing.csv"), "{}", ran.stderr);
    app.run(&["export", "APP", "Book", "out.xml"]).ended(1);
    assert!(!Path::new(&app.path().join("../out.xml")).exists());
    let column = app.write("column.csv", "id,titel\n7,x\n");
    let ran = app.run(&["import", "APP", "Book", &column]).ended(1);
    assert!(ran.stderr.contains("title"), "{}", ran.stderr);
}

#[test]
fn a_wrong_head_line_is_said_once_and_nothing_is_lost() {
    let app = App::of(SHELF);
    for (text, words) in [
        ("id,titel\n1,a\n2,b\n", "f.csv:1: titel: no such column; did you mean title?"),
        ("id,title,title\n1,a,b\n", "f.csv:1: title stands twice in the head line"),
        ("id;title\n1;a\n", "f.csv:1: id;title: no such column (columns are separated by commas)"),
        ("", "line 1: expected the names of the columns, and the file is empty"),
    ] {
        let file = app.write("f.csv", text);
        // It is the file that is wrong, not a row that could be skipped.
        for flags in [&[][..], &["--skip-bad"]] {
            let ran = app.run(&[&["import", "APP", "Book", &file], flags].concat()).ended(1);
            assert!(ran.stderr.contains(words), "{text:?}: {}", ran.stderr);
            assert_eq!(ran.stderr.matches("titel").count(), words.matches("titel").count(), "{}", ran.stderr);
        }
    }
    let file = app.write("f.csv", b"id,ti\xfftle\n1,a\n");
    let ran = app.run(&["import", "APP", "Book", &file]).ended(1);
    assert!(ran.stderr.contains("the name of column 2 is not UTF-8"), "{}", ran.stderr);
    assert_eq!(count(&app, "Book"), 0);

    let file = app.write("f.csv", "\u{feff}id,title\r\n1,\"two\r\nlines, \"\"q\"\"\"\r\n");
    app.run(&["import", "APP", "Book", &file]).succeeded();
    let found = app.run(&["query", "APP", "{\"Book\": {\"get\": [\"title\"]}}"]).succeeded().json();
    assert_eq!(found["Book"][0]["title"], "two\r\nlines, \"q\"");
    let file = app.write("f.csv", b"id,title\n2,\xff\n3,c\n");
    let ran = app.run(&["import", "APP", "Book", &file, "--skip-bad"]).succeeded();
    assert!(ran.stderr.contains("f.csv:2: not UTF-8 in field 2"), "{}", ran.stderr);
}
