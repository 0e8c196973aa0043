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
