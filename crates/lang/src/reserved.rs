//! Names that nobody may give to something, in one table.
//!
//! A part of the query language is a JSON object in which keywords and the names of columns and relations stand side by
//! side, so a column may not be called like a keyword. The words of expressions are read as operators and values
//! wherever an expression may stand. Everything else (`table`, `allow`, `label`, …) is special only in its own
//! place and may be used as a name.

/// Words of the query language: no column and no relation may have such a name.
pub const QUERY_WORDS: &[&str] = &[
    "add",
    "after",
    "aggregate",
    "all",
    "count",
    "create",
    "delete",
    "deleted",
    "edited",
    "ge",
    "get",
    "group",
    "gt",
    "if_updated",
    "le",
    "like",
    "limit",
    "lt",
    "new",
    "not",
    "offset",
    "order",
    "params",
    "remove",
    "required",
    "set",
    "where",
];

/// Words of expressions: nothing at all may have such a name.
pub const EXPRESSION_WORDS: &[&str] =
    &["and", "else", "false", "if", "in", "not", "null", "or", "then", "true"];

/// Words of rules that stand for the caller and for the row: a column or relation may have such a name, and a rule that says
/// the word then means the column, or is refused because it could mean either.
pub const RULE_WORDS: &[&str] = &["new", "old", "session", "signed_in", "tenant", "this", "user"];

/// Whether a column or relation may not have this name. Case matters, as it does on the wire.
pub fn is_reserved(name: &str) -> bool {
    QUERY_WORDS.contains(&name) || is_expression_word(name)
}

/// Whether a rule means something by this name that a column of it would hide.
pub fn is_rule_word(name: &str) -> bool {
    RULE_WORDS.contains(&name)
}

/// Whether nothing (no column, parameter, enum value, event or command) may have this name.
pub fn is_expression_word(name: &str) -> bool {
    EXPRESSION_WORDS.contains(&name)
}

#[cfg(test)]
mod tests {
    use super::{EXPRESSION_WORDS, QUERY_WORDS, RULE_WORDS, is_expression_word, is_reserved, is_rule_word};

    #[test]
    fn reserved_are_whole_words_in_their_case() {
        for (name, reserved, nothing) in [
            ("order", true, false),
            ("if_updated", true, false),
            ("new", true, false),
            ("not", true, true),
            ("null", true, true),
            ("order_no", false, false),
            ("check_in", false, false),
            ("Order", false, false),
            ("label", false, false),
            ("title", false, false),
        ] {
            assert_eq!((is_reserved(name), is_expression_word(name)), (reserved, nothing), "{name}");
        }
        assert!(is_rule_word("signed_in") && !is_rule_word("signed") && !is_rule_word("User"));
    }

    #[test]
    fn each_table_is_sorted() {
        assert!(QUERY_WORDS.is_sorted());
        assert!(EXPRESSION_WORDS.is_sorted());
        assert!(RULE_WORDS.is_sorted());
    }
}
