//! What is said about schemas that are wrong: the code, the place, the words, the way out.

use super::listed;

#[track_caller]
fn check(cases: &[(&str, &str)]) {
    for (text, expected) in cases {
        assert_eq!(listed(text).join("\n"), *expected, "{text}");
    }
}

#[test]
fn an_unknown_name_is_shown_with_the_nearest() {
    check(&[(
        "table A { title text, allow read if titel == \"x\" }",
        "E name.unknown [titel] `A` has no column `titel` · did you mean `title`?",
    )]);
}

#[test]
fn a_reserved_name_is_reported_once() {
    check(&[
        (
            "table A { limit int, allow read }",
            "E name.reserved [limit] `limit` is a word of the query language: a column cannot have this name · \
             choose another name; `db \"limit\"` keeps it in the database",
        ),
        (
            "table A { not int, allow read }",
            "E name.reserved [not] `not` is a word of the language and cannot be a name",
        ),
    ]);
}

#[test]
fn a_line_that_cannot_be_read_leaves_no_trail() {
    check(&[(
        "table A {\n  title\n  size int\n  check title != null and size > 2\n  allow read if size == 1 and title == \"x\"\n}",
        "E syntax [] expected a type after `title`, found the end of the line\n\
         E syntax [] expected a message for people, in quotes, found the end of the line",
    )]);
}
