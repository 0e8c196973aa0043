//! The app that the tests ask: a small shop with every kind of rule, type and relation that the wire can meet.

use mainstay_http::Options;
use mainstay_testkit::app::TestApp;
use serde_json::{Value, json};

/// The app's text. `from` and `select` are words of SQL, which a column may be named after.
pub(crate) const STAY: &str = r#"
app shop "Shop"
use identity

/// Something to sell.
table Product {
  /// What it is called.
  name     text(100) unique trim min 1
  kind     enum(drink, food) = drink
  price    decimal(10, 2) = 0
  stock    int = 0
  from     text(50)?
  select   int?
  note     text?
  cost     int?
  data     json?
  weight   float?
  best     date?
  lasts    duration?
  supplier Supplier?
  tags     Tag[]
  reviews  Review[] by product

  allow read
  allow read(cost)             if user.can("shop/cost")
  allow create, update, delete if user.can("shop/admin")

  check stock >= 0    "There is no negative stock."
  warn  price < 1000  "That is dear."
}

table Supplier {
  name     text(100)
  products Product[] by supplier
  allow read
  allow create, update, delete if user.can("shop/admin")
}

table Tag {
  id   text(20)
  name text(50)
  allow read
  allow create, update, delete if user.can("shop/admin")
}

table Counter {
  id    int
  total int = 0
  allow all
}

table Review {
  product Product on delete cascade immutable
  author  User immutable
  stars   int min 1 max 5
  allow read
  allow create, update, delete if author == user
}

/// A note that its owner alone sees.
table Note {
  owner User
  text  text(1000)
  secret_word text(50)? secret
  allow all if owner == user
}

extend User {
  allow read if signed_in
}
"#;

/// The shop with two users: one who runs it, one who buys.
pub(crate) struct Shop {
    pub(crate) app: TestApp,
    pub(crate) keeper: String,
    pub(crate) buyer: String,
}

impl Shop {
    pub(crate) async fn open() -> Shop {
        Shop::open_with(|_| {}).await
    }

    pub(crate) async fn open_with(change: impl FnOnce(&mut Options)) -> Shop {
        let app = TestApp::start_with(STAY, change).await;
        let keeper = app.user("keeper", &["shop/admin", "shop/cost"]).await;
        let buyer = app.user("buyer", &[]).await;
        Shop { app, keeper, buyer }
    }

    /// A new product; its row.
    pub(crate) async fn product(&self, name: &str) -> Value {
        self.create("/api/Product", json!({"name": name})).await
    }

    /// A new row made by the keeper.
    pub(crate) async fn create(&self, path: &str, row: Value) -> Value {
        self.app.post(path, row).user(&self.keeper).send().await.expect_status(201).body
    }
}

/// A row's key as it stands in a path.
pub(crate) fn id(row: &Value) -> &str {
    row["id"].as_str().expect("the row has a key that is text")
}
