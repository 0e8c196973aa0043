//! What a provider tells of somebody, read as what every provider vouches for.
//!
//! An address counts as verified when the provider says so, and in no other way: neither because it stands in the statement nor because
//! its host is one that many know.

use mainstay_engine::error::Error;
use serde_json::{Map, Value as Json};

use super::not_vouched;
use crate::provider::{Address, Vouched};

/// What belongs to the statement itself and tells nothing of the person.
const OF_STATEMENT: [&str; 12] =
    ["iss", "aud", "exp", "iat", "nbf", "nonce", "azp", "at_hash", "c_hash", "s_hash", "jti", "auth_time"];

/// Whether an address was asked for and is still to come.
pub(super) fn lack_address(told: &Map<String, Json>, scopes: &[String]) -> bool {
    scopes.iter().any(|scope| scope == "email")
        && (!told.contains_key("email") || !told.contains_key("email_verified"))
}

/// Adds what the provider tells besides, of the same person.
///
/// # Errors
/// When it is of another one (OpenID Connect Core §5.3.2).
pub(super) fn join(told: &mut Map<String, Json>, more: Map<String, Json>) -> Result<(), Error> {
    if more.get("sub").is_none() || more.get("sub") != told.get("sub") {
        return Err(not_vouched("it speaks of two people"));
    }
    // An address and whether it is verified come from one mouth: the one of them that has both.
    if more.contains_key("email") {
        told.remove("email");
        told.remove("email_verified");
    }
    for (name, value) in more {
        if !OF_STATEMENT.contains(&name.as_str()) {
            told.entry(name).or_insert(value);
        }
    }
    Ok(())
}

pub(super) fn vouched(provider: &str, mut told: Map<String, Json>) -> Vouched {
    told.retain(|name, _| !OF_STATEMENT.contains(&name.as_str()));
    let text =
        |name: &str| told.get(name).and_then(Json::as_str).map(str::trim).filter(|text| !text.is_empty());
    // Some write it as a text.
    let is_verified = matches!(told.get("email_verified"), Some(Json::Bool(true)))
        || told.get("email_verified").and_then(Json::as_str) == Some("true");
    let email = text("email").map(|email| match is_verified {
        true => Address::Verified(email.to_owned()),
        false => Address::Claimed(email.to_owned()),
    });
    let of_parts = || {
        let parts: Vec<&str> = [text("given_name"), text("family_name")].into_iter().flatten().collect();
        (!parts.is_empty()).then(|| parts.join(" "))
    };
    let name = text("name")
        .map(str::to_owned)
        .or_else(of_parts)
        .or_else(|| text("preferred_username").map(str::to_owned));
    // As it is: of two who differ by a space, neither is the other one.
    let subject = told.get("sub").and_then(Json::as_str).unwrap_or_default().to_owned();
    Vouched { provider: provider.to_owned(), subject, email, name, attributes: told, session_ends: None }
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, Value as Json, json};

    use super::{join, lack_address, vouched};
    use crate::provider::Address;

    fn told(value: Json) -> Map<String, Json> {
        value.as_object().unwrap().clone()
    }

    #[test]
    fn an_address_is_verified_when_the_provider_says_so_and_never_else() {
        let check = |verified: Json, is: bool| {
            let address =
                vouched("x", told(json!({"sub": "1", "email": "a@b.c", "email_verified": verified}))).email;
            let expected =
                if is { Address::Verified("a@b.c".to_owned()) } else { Address::Claimed("a@b.c".to_owned()) };
            assert_eq!(address, Some(expected), "{verified}");
        };
        check(json!(true), true);
        check(json!("true"), true);
        for no in [json!(false), json!("false"), json!(1), json!(null), json!("yes"), json!([true])] {
            check(no, false);
        }
        let silent = vouched("x", told(json!({"sub": "1", "email": "a@b.c"}))).email;
        assert_eq!(silent, Some(Address::Claimed("a@b.c".to_owned())));
    }

    #[test]
    fn what_is_told_besides_is_of_the_same_person_and_changes_nothing() {
        let scopes = ["openid".to_owned(), "email".to_owned()];
        let mut first = told(json!({"sub": "1", "name": "Ann", "nonce": "n"}));
        assert!(lack_address(&first, &scopes) && !lack_address(&first, &scopes[..1]));
        assert!(join(&mut first, told(json!({"sub": "2", "email": "a@b.c"}))).is_err());
        assert!(join(&mut first, told(json!({"email": "a@b.c"}))).is_err());
        join(&mut first, told(json!({"sub": "1", "name": "Bob", "email": "a@b.c", "email_verified": true})))
            .unwrap();
        let whole = vouched("x", first);
        assert_eq!(whole.name.as_deref(), Some("Ann"));
        assert_eq!(whole.email, Some(Address::Verified("a@b.c".to_owned())));
        assert!(!whole.attributes.contains_key("nonce"));
    }

    #[test]
    fn whom_the_provider_calls_so_is_taken_to_the_letter() {
        assert_eq!(vouched("x", told(json!({"sub": " Ann "}))).subject, " Ann ");
    }

    #[test]
    fn an_address_and_its_verification_come_from_one_mouth() {
        let mut first = told(json!({"sub": "1", "email_verified": true}));
        join(&mut first, told(json!({"sub": "1", "email": "a@b.c"}))).unwrap();
        assert_eq!(vouched("x", first).email, Some(Address::Claimed("a@b.c".to_owned())));
    }
}
