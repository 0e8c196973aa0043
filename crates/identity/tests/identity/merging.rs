//! Somebody without a name turns out to be somebody: what was theirs is that user's, and nothing is lost.

use std::collections::{BTreeMap, BTreeSet};

use mainstay_testkit::dice::Dice;
use serde_json::{Value as Json, json};

use crate::harness::{App, Node, PASSWORD, on_each};

/// References of every kind: plain, immutable, two in one row, unique together, lists on either side, of users to users, what hangs
/// on a row that moves, rows of tenants.
const APP: &str = r#"
app shop
use identity, live

table Note {
  owner  User       immutable
  text   text(100)
  steps  Step[] by of
  allow all if owner == user
}

table Step {
  of    Note  on delete cascade immutable
  text  text(20)
  allow all if of.owner == user
}

table Favourite {
  who   User  on delete cascade immutable
  item  int
  unique (who, item)
  allow all if who == user
}

table Message {
  sender    User  immutable
  receiver  User
  about     int
  unique (sender, receiver, about)
  allow read if sender == user or receiver == user
}

table Profile {
  of   User  unique immutable
  say  text(20)
  allow read if of == user
}

table Club {
  name     text(20)
  chair    User?
  members  User[]
  allow read if signed_in
}

table Stock (tenant) {
  keeper  User
  shelf   int
  unique (keeper, shelf)
  allow read if signed_in
}

extend User {
  invited_by  User?
  friends     User[]
  allow read if id == user.id
}
"#;

async fn anonymous(node: &Node) -> (String, String) {
    let answer = node.post("/auth/anonymous", json!({})).await.expect(200);
    (answer.body["user"]["id"].as_str().unwrap().to_owned(), answer.text("access"))
}

async fn login_from(node: &Node, token: &str) -> Json {
    let body = json!({"email": "ann@example.com", "password": PASSWORD});
    node.post_as(token, "/auth/login", body).await.expect(200).body
}

async fn start(kind: crate::harness::DatabaseKind) -> App {
    App::start_app(kind, APP, |options| options.anonymous = true).await
}

/// Tables with their columns that refer to users, and what has to be different between two rows.
const TABLES: [(&str, &[&str], &[&str]); 6] = [
    ("Note", &["owner"], &[]),
    ("Favourite", &["who"], &["who", "item"]),
    ("Message", &["sender", "receiver"], &["sender", "receiver", "about"]),
    ("Profile", &["of"], &["of"]),
    ("Club", &["chair"], &[]),
    ("Stock", &["keeper"], &["keeper", "shelf", "tenant"]),
];

/// All rows, by table and key.
async fn all(node: &Node) -> BTreeMap<&'static str, BTreeMap<String, Json>> {
    let mut found = BTreeMap::new();
    for (table, _, _) in TABLES {
        let answer = node.query(json!({table: {"get": "*", "limit": 1000}})).await;
        let rows = answer[table].as_array().unwrap().iter().map(|row| {
            let mut row = row.clone();
            // A change of the row changes its version, too.
            row.as_object_mut().unwrap().remove("updated");
            for value in row.as_object_mut().unwrap().values_mut() {
                if let Some(id) = value.get("id").cloned() {
                    *value = id;
                }
            }
            (row["id"].as_str().unwrap().to_owned(), row)
        });
        found.insert(table, rows.collect());
    }
    found
}

#[test]
fn whatever_stands_in_the_tables_moves_or_is_kept_and_said() {
    on_each(async |kind| {
        let app = start(kind).await;
        let node = &app.node;
        let ann = node.user("ann", &[]).await;
        let bob = node.user("bob", &[]).await;
        let mut tenants = Vec::new();
        for slug in ["red", "blue"] {
            tenants.push(crate::visitor::tenant_make(node, slug, &[]).await);
        }
        let mut dice = Dice::new(7);
        for round in 0..6 {
            let (nobody, token) = anonymous(node).await;
            // What there may be once is made once.
            let one_of = |table: &str, row: &Json| {
                let (_, _, unique) = TABLES.iter().find(|(name, _, _)| *name == table).unwrap();
                let values: Vec<String> = unique.iter().map(|column| row[*column].to_string()).collect();
                (!values.is_empty()).then(|| format!("{table} {values:?}"))
            };
            let known = all(node).await;
            let known = known.iter().flat_map(|(table, rows)| rows.values().map(|row| one_of(table, row)));
            let mut taken: BTreeSet<String> = known.flatten().collect();
            let mut made: BTreeMap<&str, Vec<Json>> = BTreeMap::new();
            for _ in 0..30 {
                let mut who = || [&nobody, &nobody, &ann, &bob][dice.below(4)].clone();
                let (first, second) = (who(), who());
                let (number, table) = (dice.below(4), TABLES[dice.below(TABLES.len())].0);
                let mut part = match table {
                    "Note" => json!({"owner": first, "text": "x", "steps": [{"create": true, "text": "y"}]}),
                    "Favourite" => json!({"who": first, "item": number}),
                    "Message" => json!({"sender": first, "receiver": second, "about": number}),
                    "Profile" => json!({"of": first, "say": "x"}),
                    "Club" => json!({"name": "c", "chair": first, "members": [first]}),
                    _ => json!({"keeper": first, "shelf": number, "tenant": tenants[dice.below(2)]}),
                };
                part["create"] = json!(true);
                if one_of(table, &part).is_none_or(|one| taken.insert(one)) {
                    made.entry(table).or_default().push(part);
                }
            }
            assert!(made.len() > 3, "round {round}: hardly anything to move");
            node.query(json!(made)).await;
            let before = all(node).await;
            let answer = login_from(node, &token).await;
            let merged = &answer["merged"];
            assert!(merged["error"].is_null(), "round {round}: {merged}");
            let after = all(node).await;
            let mut kept = 0;
            for (table, columns, unique) in TABLES {
                assert_eq!(
                    before[table].keys().collect::<Vec<_>>(),
                    after[table].keys().collect::<Vec<_>>(),
                    "round {round}: a row of {table} was lost, or made"
                );
                let said: Vec<&str> = merged["kept"][table]
                    .as_array()
                    .into_iter()
                    .flatten()
                    .map(|id| id.as_str().unwrap())
                    .collect();
                let mut moved = 0;
                for (id, old) in &before[table] {
                    let mut wanted = old.clone();
                    for column in columns {
                        if wanted[*column] == json!(nobody) {
                            wanted[*column] = json!(ann);
                        }
                    }
                    let new = &after[table][id];
                    if said.contains(&id.as_str()) {
                        assert_eq!(new, old, "round {round}: a row of {table} that was kept has changed");
                        let same = |row: &Json| unique.iter().all(|column| row[*column] == wanted[*column]);
                        let is_other = |(other, row): (&String, &Json)| other != id && same(row);
                        assert!(
                            after[table].iter().any(is_other),
                            "round {round}: {table} {id} was kept for nothing"
                        );
                        kept += 1;
                    } else {
                        assert_eq!(*new, wanted, "round {round}: a row of {table}");
                        moved += usize::from(wanted != *old);
                    }
                }
                // A club counts for its list, too.
                if table != "Club" {
                    assert_eq!(
                        merged["moved"][table].as_u64().unwrap_or(0),
                        moved as u64,
                        "round {round}: {table}"
                    );
                }
            }
            let user = node.query(json!({"User": {"id": nobody, "get": ["blocked"]}})).await;
            match kept {
                0 => assert_eq!(user["User"], json!([]), "round {round}"),
                _ => assert!(!user["User"][0]["blocked"].is_null(), "round {round}: {user}"),
            }
            node.get_as(&token, "/auth/me").await.refused(401, "auth.credentials");
            let members = json!({"Club": {"where": "members.any(id == $who)", "params": {"who": nobody}}});
            assert_eq!(node.query(members).await["Club"], json!([]), "round {round}: still in a list");
        }
        app.node.stop().await;
    });
}

#[test]
fn lists_and_users_themselves_move_too_and_change_is_told() {
    on_each(async |kind| {
        let app = start(kind).await;
        let node = &app.node;
        let ann = node.user("ann", &[]).await;
        let bob = node.user("bob", &[]).await;
        let cat = node.user("cat", &[]).await;
        let (nobody, token) = anonymous(node).await;
        node.query(json!({"User": {"id": bob, "set": {"invited_by": nobody}}})).await;
        let befriend = |who: &str, whom: &str| json!({"User": {"id": who, "get": [], "friends": {"add": [{"id": whom}]}}});
        node.query(befriend(&bob, &nobody)).await;
        node.query(befriend(&nobody, &cat)).await;
        node.query(befriend(&nobody, &ann)).await;
        let note = json!({"Note": {"create": true, "owner": nobody, "text": "mine"}});
        let note = node.post_as(&token, "/query", note).await.expect(200).body["Note"][0]["id"].clone();
        let answer = login_from(node, &token).await;
        assert_eq!(answer["merged"]["kept"], json!({}), "{answer:#}");
        let access = answer["access"].as_str().unwrap();
        let mine = node.post_as(access, "/query", json!({"Note": {"get": ["text"]}})).await.expect(200);
        assert_eq!(mine.body["Note"][0]["id"], note);
        let history = node
            .get_as(&node.admin(), &format!("/api/Note/{}/history", note.as_str().unwrap()))
            .await
            .expect(200);
        assert!(
            history.body.to_string().contains(&nobody),
            "the change log knows whose it was: {:#}",
            history.body
        );
        let friends = async |who: &str| {
            let found = node
                .query(json!({"User": {"id": who, "get": [], "friends": {"get": [], "order": ["id"]}}}))
                .await;
            let list = found["User"][0]["friends"].as_array().unwrap().clone();
            list.iter().map(|row| row["id"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(friends(&ann).await, [cat.as_str()], "nobody befriends themselves");
        assert_eq!(friends(&bob).await, [ann.as_str()]);
        let invited = node.query(json!({"User": {"id": bob, "get": [], "invited_by": {"get": []}}})).await;
        assert_eq!(invited["User"][0]["invited_by"]["id"], json!(ann));
        let event = node
            .query(json!({"SecurityEvent": {"kind": "user.merged", "get": ["detail"], "who": {"get": []}}}))
            .await;
        assert_eq!(event["SecurityEvent"][0]["detail"]["from"], json!(nobody));
        app.node.stop().await;
    });
}

#[test]
fn however_many_rows_somebody_has_all_of_them_move_at_once() {
    on_each(async |kind| {
        const ROWS: usize = 1300;
        let app = start(kind).await;
        let node = &app.node;
        let ann = node.user("ann", &[]).await;
        let (nobody, token) = anonymous(node).await;
        let favourite = |who: &str, item: usize| json!({"create": true, "who": who, "item": item, "get": []});
        let theirs: Vec<Json> = (0..ROWS).map(|item| favourite(&nobody, item)).collect();
        node.query(json!({"Favourite": theirs})).await;
        // Both have these.
        let own: Vec<Json> = (0..7).map(|item| favourite(&ann, item)).collect();
        node.query(json!({"Favourite": own})).await;
        let friend =
            |n: usize| json!({"create": true, "email": format!("f{n}@example.com"), "name": "F", "get": []});
        let friends: Vec<Json> = (0..ROWS).map(friend).collect();
        node.query(json!({"User": {"id": nobody, "get": [], "friends": {"add": friends, "get": []}}})).await;
        let answer = login_from(node, &token).await;
        let merged = &answer["merged"];
        assert_eq!(merged["moved"]["Favourite"], json!(ROWS - 7), "{merged}");
        assert_eq!(merged["kept"]["Favourite"].as_array().unwrap().len(), 7);
        let aggregate = async |who: &str| {
            let part = json!({"who": who, "get": [], "limit": 1, "count": true});
            node.query(json!({"Favourite": part})).await["Favourite@"]["count"].clone()
        };
        assert_eq!((aggregate(&ann).await, aggregate(&nobody).await), (json!(ROWS), json!(7)));
        let listed =
            json!({"User": {"id": ann, "get": [], "friends": {"get": [], "order": ["id"], "limit": 2000}}});
        let listed = node.query(listed).await;
        assert_eq!(listed["User"][0]["friends"].as_array().unwrap().len(), ROWS);
        app.node.stop().await;
    });
}

#[test]
fn nobody_is_merged_who_has_a_name_and_no_right_moves() {
    on_each(async |kind| {
        let app = start(kind).await;
        let node = &app.node;
        node.user("ann", &[]).await;
        let bob = node.user("bob", &[]).await;
        let note = json!({"Note": {"create": true, "owner": bob, "text": "bob's"}});
        node.query(note).await;
        // Somebody with a name who signs in as somebody else brings nothing along.
        let token = node.login("bob").await.text("access");
        assert!(login_from(node, &token).await["merged"].is_null());
        let (nobody, token) = anonymous(node).await;
        node.query(json!({"Grant": {"create": true, "user": nobody, "permission": "note/admin"}})).await;
        node.post_as(&token, "/auth/logout", json!({})).await.expect(204);
        assert!(login_from(node, &token).await["merged"].is_null(), "by a session that has ended");
        let (other, token) = anonymous(node).await;
        node.query(json!({"Grant": {"create": true, "user": other, "permission": "note/admin"}})).await;
        let answer = login_from(node, &token).await;
        let me = node.get_as(answer["access"].as_str().unwrap(), "/auth/me").await.expect(200);
        assert_eq!(me.body["permissions"], json!([]), "a right of nobody's became somebody's");
        // By hand, for whoever looks after users.
        let ann = me.body["user"]["id"].as_str().unwrap().to_owned();
        node.user("eve", &["identity/users"]).await;
        let eve = node.login("eve").await.text("access");
        let path = format!("/auth/users/{ann}/merge");
        node.post_as(&eve, &path, json!({"from": bob})).await.refused(400, "request.malformed");
        node.post_as(&eve, &path, json!({"from": ann})).await.refused(400, "request.malformed");
        let note = json!({"Note": {"create": true, "owner": nobody, "text": "nobody's"}});
        node.query(note).await;
        let merged = node.post_as(&eve, &path, json!({"from": nobody})).await.expect(200);
        assert_eq!(merged.body, json!({"moved": {"Note": 1}, "kept": {}}));
        app.node.stop().await;
    });
}

#[test]
fn whom_the_app_does_not_let_merge_is_signed_in_all_the_same() {
    const STRICT: &str = r#"
app shop
use identity

table Draft {
  owner  User  immutable
  check owner.anonymous "A draft is nobody's."
  allow all if owner == user
}

extend User { allow read if id == user.id }
"#;
    on_each(async |kind| {
        let app = App::start_app(kind, STRICT, |options| options.anonymous = true).await;
        let node = &app.node;
        node.user("ann", &[]).await;
        let (nobody, token) = anonymous(node).await;
        node.query(json!({"Draft": {"create": true, "owner": nobody}})).await;
        let answer = login_from(node, &token).await;
        assert_eq!(answer["merged"]["error"], "check.failed", "{answer:#}");
        node.get_as(answer["access"].as_str().unwrap(), "/auth/me").await.expect(200);
        // Nothing has moved, and nobody is gone.
        let drafts = node.query(json!({"Draft": {"get": [], "owner": {"get": []}}})).await;
        assert_eq!(drafts["Draft"][0]["owner"]["id"], json!(nobody));
        node.get_as(&token, "/auth/me").await.expect(200);
        app.node.stop().await;
    });
}
