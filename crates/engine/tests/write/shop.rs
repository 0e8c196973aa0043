//! A shop where everybody may do everything: what remains are values, relations and checks.

use serde_json::json;

use crate::app::App;

const SHOP: &str = r#"
table Customer {
  name   text(20)  unique trim min 2
  email  text(50)? lower match email
  pin    text(10)? secret
  orders Order[] by customer
  allow all
}
table Product {
  name  text(50)
  price decimal(8, 2)
  stock int = 10 min 0
  tags  text(10)[]?
  allow all
}
table Order {
  number   int auto per (year(created))
  customer Customer
  note     text(100)?
  open     bool = true
  lines    OrderLine[] by parent
  labels   Label[]
  allow all
  check lines.sum(quantity) <= 100   "An order has at most 100 pieces."
}
table OrderLine {
  parent   Order  on delete cascade immutable
  product  Product
  quantity int min 1
  allow all
}
table Label {
  name   text(20)
  orders Order[] by labels
  allow all
}
"#;

/// Two customers, two products, two labels; one order of Ann's with two lines and a label.
pub(crate) async fn shop() -> App {
    let rows = json!([
        ["Customer", {"id": 1, "name": "Ann", "email": "ann@example.org", "pin": "1234"}],
        ["Customer", {"id": 2, "name": "Bob"}],
        ["Product", {"id": 11, "name": "Pen", "price": "1.50", "tags": ["ink"]}],
        ["Product", {"id": 12, "name": "Paper", "price": "0.10"}],
        ["Label", {"id": 21, "name": "urgent"}],
        ["Label", {"id": 22, "name": "gift"}],
        ["Order", {"id": 31, "number": 1, "customer": 1}],
        ["OrderLine", {"id": 41, "parent": 31, "product": 11, "quantity": 2}],
        ["OrderLine", {"id": 42, "parent": 31, "product": 12, "quantity": 90}],
        ["Order.labels", {"owner": 31, "target": 21}],
    ]);
    App::new(SHOP, rows).await
}
