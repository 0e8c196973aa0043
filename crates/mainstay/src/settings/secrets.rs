//! Secrets that are none: short ones, and those that stand in documents and examples.
//!
//! In production a server does not start with one. What a person makes up is not measured: a secret is meant to be made by a machine.

/// Fewer different characters carry less than a guesser tries in a day, however long the text is.
const DIFFERENT_MIN: usize = 10;

/// What people leave as it was, in lower case.
const LEFT: &[&str] = &[
    "changeme",
    "change-me",
    "change_me",
    "secret",
    "password",
    "example",
    "default",
    "insecure",
    "development",
    "mainstay",
    "0123456789",
    "123456789",
    "abcdefgh",
    "qwerty",
    "letmein",
    "your-",
    "your_",
    "placeholder",
    "replace",
];

/// Why a text protects nothing; none: it may well.
pub(crate) fn weakness(secret: &str) -> Option<String> {
    if secret.len() < 32 {
        return Some("it is shorter than 32 characters".to_owned());
    }
    let mut characters: Vec<char> = secret.chars().collect();
    characters.sort_unstable();
    characters.dedup();
    if characters.len() < DIFFERENT_MIN {
        return Some(format!("it has only {} different characters", characters.len()));
    }
    let lower = secret.to_lowercase();
    let left = LEFT.iter().find(|word| lower.contains(*word))?;
    Some(format!("it has {left:?} in it, as examples have"))
}

#[cfg(test)]
mod tests {
    use super::weakness;

    #[test]
    fn what_was_made_up_or_left_as_it_was_is_none() {
        let check = |secret: &str, expect: Option<&str>| {
            let found = weakness(secret);
            assert_eq!(found.is_some(), expect.is_some(), "{secret}: {found:?}");
            assert!(expect.is_none_or(|words| found.unwrap().contains(words)), "{secret}");
        };
        check("", Some("shorter"));
        check("hG7!kd93Lq0-zXw2vBn5", Some("shorter"));
        check(&"ab".repeat(40), Some("2 different"));
        check("change-me-please-d8f2k1l0q9w3e7r5", Some("change-me"));
        check("0123456789abcdef0123456789abcdef", Some("0123456789"));
        check("MySuperSecretThatNobodyKnows12345", Some("secret"));
        check("hG7!kd93Lq0-zXw2vBn5_mRt8YpQs4Ue", None);
        check("9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08", None);
    }

    #[test]
    fn what_the_server_makes_itself_is_one() {
        for _ in 0..100 {
            let secret = super::super::new_secret();
            assert_eq!(weakness(&secret), None, "{secret}");
        }
    }
}
