//! The one decision about whom a provider vouches for: whose session that becomes.
//!
//! Pure: what is known is handed in, what is to be done comes out. The rules, in their order:
//!
//! 1. Somebody who has signed in and links gets the link, unless another account has it.
//! 2. Whom the provider calls so was here before: it is that user, whatever address is told now.
//! 3. The provider has verified an address that a user has: **it is not taken for that user**. A provider that anybody can sign up
//!    with, or one that does not look, would hand out other people's accounts. Whoever owns the account signs in to it and links. The
//!    exception is asked for by name: a provider that gives out the addresses of a domain itself, of an address there, for a user who has
//!    shown here that mail to it arrives: else the account could have been made by somebody waiting for its owner.
//! 4. Otherwise it is somebody new, where people may come by themselves, with the verified address or, where that is said, without one.

use mainstay_engine::error::{Error, Key};
use mainstay_lang::value::Value;

use super::Address;
use super::options::ProviderOptions;

/// A user, as far as it matters here.
#[derive(Clone, Debug)]
pub(super) struct Known {
    pub(super) user: Value,
    pub(super) is_blocked: bool,
    /// Whether mail to their address is known to arrive.
    pub(super) is_verified: bool,
}

/// What is known when somebody comes.
#[derive(Debug)]
pub(super) struct Facts<'a> {
    pub(super) provider: &'a ProviderOptions,
    pub(super) email: Option<&'a Address>,
    /// Whom the provider has called so before.
    pub(super) linked: Option<Known>,
    /// Who has the address.
    pub(super) of_address: Option<Known>,
    /// Who has signed in and links.
    pub(super) linking: Option<&'a Value>,
    /// Whether people may come by themselves.
    pub(super) may_register: bool,
}

/// What is to be done.
#[derive(Debug, PartialEq)]
pub(super) enum Decision {
    /// Nothing is new: it is that user.
    Is(Value),
    /// It is that user from now on.
    Link(Value),
    /// A user is made: with the address, or without one.
    Make(Option<String>),
}

/// Decides.
///
/// # Errors
/// Nobody comes in: the key says why.
pub(super) fn decide(facts: &Facts<'_>) -> Result<Decision, Error> {
    if let Some(by) = facts.linking {
        return match &facts.linked {
            None => Ok(Decision::Link(by.clone())),
            Some(linked) if linked.user == *by => Ok(Decision::Is(by.clone())),
            Some(_) => {
                Err(Error::new(Key::AuthLinked, "Another account is linked with this one of the provider's."))
            }
        };
    }
    if let Some(linked) = &facts.linked {
        return may_come(linked).map(Decision::Is);
    }
    let verified = match facts.email {
        Some(Address::Verified(email)) => Some(email),
        _ => None,
    };
    if let (Some(email), Some(known)) = (verified, &facts.of_address) {
        let user = may_come(known)?;
        if known.is_verified && is_given_out(facts.provider, email) {
            return Ok(Decision::Link(user));
        }
        let words =
            "An account has this address: sign in to it as you did before, and link the provider there.";
        return Err(Error::new(Key::AuthLinkRequired, words));
    }
    if verified.is_none() && !facts.provider.without_email {
        let words = "The provider does not say that it has verified an address of yours.";
        return Err(Error::new(Key::AuthUnverified, words));
    }
    match facts.may_register {
        true => Ok(Decision::Make(verified.cloned())),
        false => Err(Error::new(Key::Forbidden, "Nobody can register here by themselves.")),
    }
}

fn may_come(known: &Known) -> Result<Value, Error> {
    match known.is_blocked {
        // The words are those of a wrong password: who is blocked is nobody's business.
        true => Err(Error::new(Key::AuthLogin, "No account can be signed in to by this provider.")),
        false => Ok(known.user.clone()),
    }
}

/// Whether an address counts as verified here, too, because the provider says so. Whoever runs a tenant's provider is believed in that
/// tenant: anywhere else their word must not make an account that waits for the owner of an address.
pub(super) fn is_believed(provider: &ProviderOptions, email: &str) -> bool {
    provider.tenant.is_none() || is_given_out(provider, email)
}

/// Whether a provider gives out an address itself.
fn is_given_out(provider: &ProviderOptions, email: &str) -> bool {
    let domain = email.rsplit_once('@').map(|(_, domain)| domain);
    domain.is_some_and(|domain| provider.link_by_email.iter().any(|own| own.eq_ignore_ascii_case(domain)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(name: &str) -> Known {
        Known { user: user(name), is_blocked: false, is_verified: true }
    }

    fn user(name: &str) -> Value {
        Value::Text(name.to_owned())
    }

    fn verified() -> Address {
        Address::Verified("ann@example.com".to_owned())
    }

    /// Somebody new with a verified address, changed as a case asks for.
    #[track_caller]
    fn check(change: impl FnOnce(&mut ProviderOptions, &mut Case), expected: Result<Decision, Key>) {
        let mut provider = ProviderOptions::default();
        let mut case = Case {
            email: Some(verified()),
            linked: None,
            of_address: None,
            linking: None,
            may_register: true,
        };
        change(&mut provider, &mut case);
        let facts = Facts {
            provider: &provider,
            email: case.email.as_ref(),
            linked: case.linked,
            of_address: case.of_address,
            linking: case.linking.as_ref(),
            may_register: case.may_register,
        };
        assert_eq!(decide(&facts).map_err(|error| error.key), expected);
    }

    struct Case {
        email: Option<Address>,
        linked: Option<Known>,
        of_address: Option<Known>,
        linking: Option<Value>,
        may_register: bool,
    }

    #[test]
    fn somebody_new_is_made_where_people_may_come() {
        let address = || Some("ann@example.com".to_owned());
        check(|_, _| {}, Ok(Decision::Make(address())));
        check(|_, case| case.may_register = false, Err(Key::Forbidden));
        let claimed = || Some(Address::Claimed("ann@example.com".to_owned()));
        check(|_, case| case.email = claimed(), Err(Key::AuthUnverified));
        check(|_, case| case.email = None, Err(Key::AuthUnverified));
        let without = |provider: &mut ProviderOptions| provider.without_email = true;
        check(
            |provider, case| {
                without(provider);
                case.email = claimed();
                case.of_address = Some(known("ann"));
            },
            Ok(Decision::Make(None)),
        );
        check(|provider, _| without(provider), Ok(Decision::Make(address())));
    }

    #[test]
    fn who_was_here_before_is_the_same_whatever_is_told_now() {
        check(|_, case| case.linked = Some(known("ann")), Ok(Decision::Is(user("ann"))));
        check(
            |_, case| {
                case.linked = Some(known("ann"));
                case.of_address = Some(known("bob"));
                case.may_register = false;
            },
            Ok(Decision::Is(user("ann"))),
        );
        check(|_, case| case.linked = Some(Known { is_blocked: true, ..known("ann") }), Err(Key::AuthLogin));
    }

    #[test]
    fn an_address_takes_no_account_over() {
        let own = |provider: &mut ProviderOptions| provider.link_by_email = vec!["example.com".to_owned()];
        check(|_, case| case.of_address = Some(known("ann")), Err(Key::AuthLinkRequired));
        check(
            |provider, case| {
                own(provider);
                case.of_address = Some(known("ann"));
            },
            Ok(Decision::Link(user("ann"))),
        );
        // The account may have been made by somebody who waits for the owner of the address.
        check(
            |provider, case| {
                own(provider);
                case.of_address = Some(Known { is_verified: false, ..known("ann") });
            },
            Err(Key::AuthLinkRequired),
        );
        for address in
            ["ann@example.com.evil.test", "ann@evil.test", "ann@sub.example.com", "ann@example.com@evil.test"]
        {
            check(
                |provider, case| {
                    own(provider);
                    case.email = Some(Address::Verified(address.to_owned()));
                    case.of_address = Some(known("ann"));
                },
                Err(Key::AuthLinkRequired),
            );
        }
        check(
            |provider, case| {
                own(provider);
                case.email = Some(Address::Claimed("ann@example.com".to_owned()));
                case.of_address = Some(known("ann"));
            },
            Err(Key::AuthUnverified),
        );
        check(
            |provider, case| {
                own(provider);
                case.of_address = Some(Known { is_blocked: true, ..known("ann") });
            },
            Err(Key::AuthLogin),
        );
    }

    #[test]
    fn a_link_is_one_accounts() {
        check(|_, case| case.linking = Some(user("ann")), Ok(Decision::Link(user("ann"))));
        check(
            |_, case| {
                case.linking = Some(user("ann"));
                case.linked = Some(known("ann"));
            },
            Ok(Decision::Is(user("ann"))),
        );
        check(
            |_, case| {
                case.linking = Some(user("ann"));
                case.linked = Some(known("bob"));
            },
            Err(Key::AuthLinked),
        );
    }
}
