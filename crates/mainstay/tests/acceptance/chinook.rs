//! The music shop: real data, its questions answered in one request each, and what its rules keep from whom.

use std::collections::HashMap;

use serde_json::{Value, json};

use crate::support::{App, Server};

/// A customer, whose support employee is Jane.
const LUIS: &str = "01900000-0000-7000-8000-000000000001";
/// An employee with customers.
const JANE: &str = "01900000-0000-7000-8000-000000000002";
/// The staff office.
const NANCY: &str = "01900000-0000-7000-8000-000000000003";

struct Shop {
    app: App,
    server: Server,
    luis: String,
    jane: String,
    nancy: String,
}

fn open() -> Shop {
    let app = App::example("chinook");
    let server = app.serve();
    let [luis, jane, nancy] = [LUIS, JANE, NANCY].map(|user| app.token(user));
    Shop { app, server, luis, jane, nancy }
}

/// A seed file as rows of columns, read without any code of the project.
fn seed(app: &App, file: &str) -> Vec<HashMap<String, String>> {
    let text = app.read(&format!("seed/{file}"));
    csv::Reader::from_reader(text.as_bytes()).deserialize().map(Result::unwrap).collect()
}

fn rows<'a>(answer: &'a Value, table: &str) -> &'a Vec<Value> {
    answer[table].as_array().unwrap()
}

#[test]
fn questions_of_a_shop_are_answered_by_one_request_each() {
    let Shop { app, server, luis, jane, nancy } = open();

    // Everything of the files is there.
    for (file, table) in [
        ("01_Genre.csv", "Genre"),
        ("02_MediaType.csv", "MediaType"),
        ("03_Artist.csv", "Artist"),
        ("04_Album.csv", "Album"),
        ("05_Track.csv", "Track"),
        ("06_Playlist.csv", "Playlist"),
        ("08_Employee.csv", "Employee"),
        ("09_Customer.csv", "Customer"),
        ("10_Invoice.csv", "Invoice"),
        ("11_InvoiceLine.csv", "InvoiceLine"),
    ] {
        let count = server.get(&nancy, &format!("/api/{table}?count&limit=1")).ok()["count"].clone();
        assert_eq!(count, seed(&app, file).len(), "{table}");
    }
    let links = seed(&app, "07_Playlist.tracks.csv");
    let of_first = links.iter().filter(|link| link["playlist"] == "1").count();
    let first = json!({"Playlist": {"id": 1, "tracks": {"limit": 1, "count": true}}});
    assert_eq!(server.query("", &first).ok()["Playlist"][0]["tracks@"]["count"], of_first);

    // The ten best-selling tracks with artist and album.
    let best = json!({"InvoiceLine": {
        "aggregate": {"sold": "sum(quantity)"},
        "group": ["track", "track.name", "track.album.title", "track.album.artist.name"],
        "order": ["-sold", "track"], "limit": 10}});
    let answer = server.query(&nancy, &best).ok();
    assert_eq!(rows(&answer, "InvoiceLine"), &best_selling(&app));

    // The customers of one employee with invoices, lines and tracks: five levels, one statement.
    let nested = json!({"Employee": {"id": 3, "get": ["last_name"],
        "customers": {"get": ["last_name"],
            "invoices": {"get": ["total"],
                "lines": {"get": ["quantity"],
                    "track": {"get": ["name"]}}}}}});
    let answer = server.request("POST", "/query?explain").bearer(&jane).json(&nested).send().ok();
    assert_eq!(leaves(&answer), lines_of_employee(&app, "3"));
    let statements = answer["@explain"]["statements"].as_array().unwrap();
    assert_eq!(statements.len(), 1, "{statements:#?}");
    for table in ["Employee", "Customer", "Invoice", "InvoiceLine", "Track"] {
        assert!(statements[0]["sql"].as_str().unwrap().contains(&format!("\"{table}\"")), "{statements:#?}");
    }

    // An order with its lines in one request.
    let before = invoices(&server, &nancy);
    let order = json!({"Invoice": {"create": true, "customer": 1, "billing_country": "Brazil", "total": "2.97", "lines": [
        {"create": true, "track": 1, "unit_price": "0.99"},
        {"create": true, "track": {"name": "Balls to the Wall"}, "quantity": 2, "unit_price": "0.99"}]}});
    let made = server.query(&luis, &order).ok();
    let id = made["Invoice"][0]["id"].as_i64().unwrap();
    let back = server.get(&luis, &format!("/api/Invoice/{id}?get=total,lines(quantity,track(name))")).ok();
    assert_eq!(back["total"], "2.97");
    let bought: Vec<(&Value, &Value)> = back["lines"]
        .as_array()
        .unwrap()
        .iter()
        .map(|line| (&line["track"]["name"], &line["quantity"]))
        .collect();
    assert_eq!(
        bought,
        [
            (&json!("For Those About To Rock (We Salute You)"), &json!(1)),
            (&json!("Balls to the Wall"), &json!(2))
        ]
    );
    assert_eq!(invoices(&server, &nancy), before + 1);
}

fn invoices(server: &Server, token: &str) -> u64 {
    server.get(token, "/api/Invoice?count&limit=1").ok()["count"].as_u64().unwrap()
}

/// The answer expected of the files: computed by hand, in another way.
fn best_selling(app: &App) -> Vec<Value> {
    let by_id = |file| -> HashMap<String, HashMap<String, String>> {
        seed(app, file).into_iter().map(|row| (row["id"].clone(), row)).collect()
    };
    let (tracks, albums, artists) = (by_id("05_Track.csv"), by_id("04_Album.csv"), by_id("03_Artist.csv"));
    let mut sold: HashMap<u64, u64> = HashMap::new();
    for line in seed(app, "11_InvoiceLine.csv") {
        *sold.entry(line["track"].parse().unwrap()).or_default() += line["quantity"].parse::<u64>().unwrap();
    }
    let mut best: Vec<(u64, u64)> = sold.into_iter().collect();
    best.sort_by_key(|(track, sold)| (u64::MAX - sold, *track));
    let row = |(id, sold): (u64, u64)| {
        let track = &tracks[&id.to_string()];
        let album = &albums[&track["album"]];
        json!({"track": id, "track.name": track["name"], "track.album.title": album["title"],
            "track.album.artist.name": artists[&album["artist"]]["name"], "sold": sold})
    };
    best.into_iter().take(10).map(row).collect()
}

/// Customer, invoice and track of each line below an answered employee, sorted.
fn leaves(answer: &Value) -> Vec<(i64, i64, String)> {
    let list = |value: &Value, name: &str| value[name].as_array().unwrap().clone();
    let mut found = Vec::new();
    for customer in list(&answer["Employee"][0], "customers") {
        for invoice in list(&customer, "invoices") {
            for line in list(&invoice, "lines") {
                let track = line["track"]["name"].as_str().unwrap().to_owned();
                found.push((customer["id"].as_i64().unwrap(), invoice["id"].as_i64().unwrap(), track));
            }
        }
    }
    found.sort();
    found
}

fn lines_of_employee(app: &App, employee: &str) -> Vec<(i64, i64, String)> {
    let customers: HashMap<String, String> = seed(app, "09_Customer.csv")
        .into_iter()
        .map(|row| (row["id"].clone(), row["support_rep"].clone()))
        .collect();
    let invoices: HashMap<String, String> = seed(app, "10_Invoice.csv")
        .into_iter()
        .map(|row| (row["id"].clone(), row["customer"].clone()))
        .collect();
    let tracks: HashMap<String, String> =
        seed(app, "05_Track.csv").into_iter().map(|row| (row["id"].clone(), row["name"].clone())).collect();
    let mut found: Vec<(i64, i64, String)> = seed(app, "11_InvoiceLine.csv")
        .into_iter()
        .map(|line| (invoices[&line["invoice"]].clone(), line))
        .filter(|(customer, _)| customers[customer] == employee)
        .map(|(customer, line)| {
            (customer.parse().unwrap(), line["invoice"].parse().unwrap(), tracks[&line["track"]].clone())
        })
        .collect();
    found.sort();
    found
}

#[test]
fn rules_keep_what_they_keep() {
    let Shop { app: _app, server, luis, jane, nancy } = open();
    let state = || {
        let tables = json!({
            "Invoice": {"order": "id", "limit": 1000, "get": ["*"]},
            "Customer": {"order": "id", "get": ["*"]},
            "Employee": {"order": "id", "get": ["*"]},
            "Genre": {"order": "id", "get": ["*"]}});
        server.query(&nancy, &tables).ok()
    };
    let before = state();

    // Each caller's world.
    let sees = |token: &str, table: &str| {
        server.get(token, &format!("/api/{table}?count&limit=1")).ok()["count"].as_u64().unwrap()
    };
    assert_eq!(
        (sees("", "Track"), sees("", "Invoice"), sees("", "Customer"), sees("", "Employee")),
        (3503, 0, 0, 0)
    );
    assert_eq!((sees(&luis, "Invoice"), sees(&luis, "Customer"), sees(&luis, "Employee")), (7, 1, 1));
    assert_eq!((sees(&jane, "Customer"), sees(&jane, "Employee")), (21, 8));
    assert_eq!((sees(&nancy, "Invoice"), sees(&nancy, "Customer")), (412, 59));
    // An aggregate tells no more than the rows would.
    let total = json!({"Invoice": {"aggregate": {"n": "count()", "most": "max(customer.id)"}}});
    assert_eq!(server.query(&luis, &total).ok()["Invoice"][0], json!({"n": 7, "most": 1}));
    // Private columns of a colleague are absent, in a filter null, no order; one's own are there.
    let colleague = server.get(&jane, "/api/Employee/4").ok();
    assert!(colleague.get("birth_date").is_none() && colleague["last_name"] == "Park", "{colleague}");
    assert!(server.get(&jane, "/api/Employee/3").ok()["birth_date"].is_string());
    let guess = json!({"Employee": {"birth_date": {"gt": "1900-01-01T00:00:00Z"}}});
    assert_eq!(rows(&server.query(&jane, &guess).ok(), "Employee").len(), 1, "her own");
    server.get(&jane, "/api/Employee?order=birth_date").problem(403, "column.guarded");

    // What is refused.
    let query = |token: &str, document: Value| server.query(token, &document);
    let invoice = |customer: i64, total: &str, price: &str| {
        json!({"Invoice": {"create": true, "customer": customer, "billing_country": "Brazil", "total": total,
            "lines": [{"create": true, "track": 1, "unit_price": price}]}})
    };
    server.get(&luis, "/api/Invoice/1").problem(404, "row.not_found");
    query(&luis, invoice(2, "0.99", "0.99")).expect(403);
    query("", invoice(1, "0.99", "0.99")).expect(403);
    let sum = query(&luis, invoice(1, "1.99", "0.99")).problem(422, "check.failed");
    assert!(sum.to_string().contains("The total of an invoice is the sum of its lines."), "{sum}");
    let price = query(&luis, invoice(1, "0.01", "0.01")).problem(422, "check.failed");
    assert!(price.to_string().contains("A track is sold at its price."), "{price}");
    let own = server.get(&luis, "/api/Invoice?limit=1&get=id").ok()["items"][0]["id"].clone();
    query(&luis, json!({"Invoice": {"id": own, "set": {"total": "0.00"}}})).problem(403, "rule.refused");
    query(&luis, json!({"Invoice": {"id": own, "delete": true}})).problem(403, "rule.refused");
    server.request("DELETE", "/api/Invoice/1").bearer(&luis).send().problem(404, "row.not_found");
    query(&luis, json!({"Customer": {"id": 1, "set": {"support_rep": 4}}})).expect(403);
    query(&jane, json!({"Customer": {"id": 1, "set": {"support_rep": 4}}})).problem(403, "rule.refused");
    query(&jane, json!({"Employee": {"id": 3, "set": {"title": "Boss"}}})).problem(403, "rule.refused");
    query(&luis, json!({"Genre": {"create": true, "id": 99, "name": "Mine"}})).problem(403, "rule.refused");
    query("", json!({"Genre": {"all": true, "delete": true}})).problem(403, "rule.refused");
    // The staff may much, but not what was declared impossible.
    query(&nancy, json!({"Invoice": {"id": 1, "set": {"customer": 1}}})).expect(422);
    query(&nancy, json!({"Artist": {"id": 1, "delete": true}})).problem(409, "delete.restricted");
    query(&nancy, json!({"Invoice": {"id": 1, "set": {"total": "0.01"}}})).problem(422, "check.failed");
    // Somebody else's rows are not found, so nothing is written; that is no error.
    assert_eq!(
        query(&luis, json!({"Customer": {"id": 2, "set": {"city": "x"}}})).ok(),
        json!({"Customer": []})
    );

    assert_eq!(state(), before, "no refusal has left a trace");

    // What is allowed: the own data, and one's own customers'.
    query(&luis, json!({"Customer": {"id": 1, "set": {"city": "Recife"}}})).ok();
    query(&jane, json!({"Customer": {"id": 1, "set": {"phone": "+55 1"}}})).ok();
    query(&nancy, json!({"Genre": {"create": true, "id": 99, "name": "New"}})).ok();
    let row = server.get(&luis, "/api/Customer/1").ok();
    assert_eq!((&row["city"], &row["phone"]), (&json!("Recife"), &json!("+55 1")));
}
