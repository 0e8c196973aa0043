//! Names of the language for those of a database: in their style, none twice, none that is a word of the query language or
//! would hide one of rules.

use std::collections::BTreeSet;

use mainstay_lang::naming::{is_snake_case, is_upper_camel, to_snake_case, to_upper_camel};
use mainstay_lang::reserved::{is_reserved, is_rule_word};

/// Longest name that leaves room for what is put behind it.
const LENGTH_MAX: usize = 50;

/// The names that are taken in one place; case tells none apart.
#[derive(Clone, Debug, Default)]
pub(crate) struct Names(BTreeSet<String>);

impl Names {
    /// The name of a table. Those who sign in are `User`, of whom rules can speak.
    pub(super) fn table(&mut self, db_name: &str) -> String {
        let mut name = match to_upper_camel(db_name).chars().take(LENGTH_MAX).collect::<String>() {
            name if is_upper_camel(&name) => name,
            _ => "Table".to_owned(),
        };
        if matches!(name.as_str(), "Users" | "User") {
            name = "User".to_owned();
        }
        self.free(name, |name, count| format!("{name}{count}"))
    }

    /// The name of a column or relation.
    pub(super) fn member(&mut self, wanted: &str) -> String {
        let mut name: String = to_snake_case(wanted).trim_end_matches('_').chars().take(LENGTH_MAX).collect();
        if !is_snake_case(&name) {
            name = "column".to_owned();
        }
        if is_word(&name) {
            name.push('_');
        }
        self.free(name, |name, count| format!("{}_{count}", name.trim_end_matches('_')))
    }

    /// Whether a name is taken or can be none.
    pub(super) fn is_taken(&self, name: &str) -> bool {
        is_word(name) || self.0.contains(&name.to_ascii_lowercase())
    }

    /// Keeps a name from being given.
    pub(super) fn keep(&mut self, name: &str) {
        self.0.insert(name.to_ascii_lowercase());
    }

    fn free(&mut self, name: String, numbered: impl Fn(&str, usize) -> String) -> String {
        let mut count = 1;
        let mut free = name.clone();
        while !self.0.insert(free.to_ascii_lowercase()) {
            count += 1;
            free = numbered(&name, count);
        }
        free
    }
}

/// Whether a column of this name would be a word of requests or of rules: `allow read if signed_in` is to speak of the caller,
/// whatever columns a table has.
fn is_word(name: &str) -> bool {
    is_reserved(name) || is_rule_word(name)
}

/// Many of what a name says one of.
pub(super) fn plural(name: &str) -> String {
    let before_y = name.strip_suffix('y').filter(|rest| !rest.ends_with(['a', 'e', 'i', 'o', 'u']));
    match before_y {
        Some(rest) => format!("{rest}ies"),
        None if name.ends_with('s') => name.to_owned(),
        None => format!("{name}s"),
    }
}

/// What a column that refers to a row is called: without the key's own word.
pub(super) fn without_key(name: &str) -> String {
    let snake = to_snake_case(name);
    for ending in ["_id", "_fk", "_key", "_uuid"] {
        if let Some(rest) = snake.strip_suffix(ending).filter(|rest| !rest.is_empty()) {
            return rest.to_owned();
        }
    }
    snake
}

#[cfg(test)]
mod tests {
    use super::{Names, plural, without_key};

    #[test]
    fn odd_names_become_names_of_the_language() {
        let check = |given: &[&str], expect: &[&str]| {
            let mut names = Names::default();
            names.keep("id");
            let found: Vec<String> = given.iter().map(|name| names.member(name)).collect();
            assert_eq!(found, expect, "{given:?}");
        };
        check(&["order", "Order", "order_"], &["order_", "order_2", "order_3"]);
        check(&["Unit Price", "unit_price", "unitPrice"], &["unit_price", "unit_price_2", "unit_price_3"]);
        check(&["2nd name", "größe", "日本", ""], &["nd_name", "gr_e", "column", "column_2"]);
        check(&["id", "null", "select", "limit"], &["id_2", "null_", "select", "limit_"]);
        check(
            &["user", "User", "tenant", "signed_in", "this"],
            &["user_", "user_2", "tenant_", "signed_in_", "this_"],
        );
        let mut tables = Names::default();
        let found =
            ["order details", "OrderDetails", "users", "2fa", "日本", "table"].map(|name| tables.table(name));
        assert_eq!(found, ["OrderDetails", "OrderDetails2", "User", "Fa", "Table", "Table2"]);
    }

    #[test]
    fn words_follow_from_words() {
        assert_eq!(
            ["category", "day", "film", "address"].map(plural),
            ["categories", "days", "films", "address"]
        );
        assert_eq!(
            ["customer_id", "CustomerID", "reportsTo", "id"].map(without_key),
            ["customer", "customer", "reports_to", "id"]
        );
    }
}
