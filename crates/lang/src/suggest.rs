//! The nearest name, for "did you mean".
//!
//! It knows nothing of what names stand for. A suggestion is made only when it is probably right: a wrong one costs a
//! newcomer more than none.

/// The candidate that a misspelt name was most probably meant to be. One that differs in ASCII case only wins; else at
/// most a third of the letters (one in names of up to four letters) may be wrong, missing, added or swapped. Of equally
/// near candidates the first.
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let lower = name.to_ascii_lowercase();
    let name_letters = name.chars().count();
    let mut best: Option<(usize, &'a str)> = None;
    for candidate in candidates {
        if candidate.eq_ignore_ascii_case(name) {
            return Some(candidate);
        }
        let (given, wanted) = (name_letters, candidate.chars().count());
        let letters = given.max(wanted);
        let allowed = (letters / 3).max(1);
        // The distance takes time with the product of both lengths, and callers may send a name of megabytes.
        if given.abs_diff(wanted) > allowed {
            continue;
        }
        let distance = strsim::damerau_levenshtein(&lower, &candidate.to_ascii_lowercase());
        // A name of one or two letters is near to every other one: nothing can be told from it.
        if letters > 2 && distance <= allowed && best.is_none_or(|(least, _)| distance < least) {
            best = Some((distance, candidate));
        }
    }
    best.map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn suggests_only_what_is_near() {
        let names = ["sender", "severity", "title", "due", "Title", "id"];
        for (name, expected) in [
            ("sendr", Some("sender")),
            ("SENDER", Some("sender")),
            ("serverity", Some("severity")),
            ("tilte", Some("title")),
            ("deu", Some("due")),
            ("duo", Some("due")),
            ("x", None),
            ("ad", None),
            ("customer", None),
            ("", None),
        ] {
            assert_eq!(nearest(name, names), expected, "{name}");
        }
        assert_eq!(nearest(&"sender".repeat(1_000_000), names), None);
    }

    #[test]
    fn the_same_letters_win_over_an_earlier_near_one() {
        assert_eq!(nearest("teams", ["team", "Teams"]), Some("Teams"));
    }
}
