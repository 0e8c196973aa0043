//! Somebody for whom a provider vouches arrives: the decision is carried out.

use mainstay_engine::error::{Error, Key};
use mainstay_engine::hook::Row;
use mainstay_jobs::NewJob;
use mainstay_lang::value::Value;
use serde_json::{Map, Value as Json, json};
use uuid::Uuid;

use super::decide::{Decision, Facts, Known, decide, is_believed};
use super::{Address, Provider, SUBJECT_CHARS_MAX, Vouched, count};
use crate::desk::{Desk, event, is_race, wire};
use crate::identity::Identity;
use crate::notice::Notice;
use crate::session::{NewSession, Place, Tokens, Via};

/// How often the decision is made anew beside somebody who arrives as the same.
const TRIES: usize = 4;

/// Characters of a name, at most: what its column holds.
const NAME_CHARS_MAX: usize = 200;

impl Identity {
    /// Signs somebody in.
    ///
    /// # Errors
    /// When nobody comes in, or a second factor is asked for: the key says which.
    pub(crate) async fn provider_sign_in(
        &self,
        desk: &Desk,
        vouched: &Vouched,
        (named, place): (Option<Uuid>, &Place),
        along: Vec<Json>,
    ) -> Result<Tokens, Error> {
        let vouched = &vouched.with_plain_address();
        let provider = self.provider(&vouched.provider)?;
        let within = self.provider_tenant(desk, provider, named).await?;
        let via = Via {
            provider: vouched.provider.clone(),
            is_bound: provider.options.tenant.is_some(),
            session_ends: vouched.session_ends,
        };
        let place = &Place { via: Some(via), ..place.clone() };
        for _ in 0..TRIES {
            let (facts, link) = self.facts(desk, provider, vouched, None).await?;
            let decision = decide(&facts).inspect_err(|error| count(provider.name, Some(error)))?;
            let own = provider.options.tenant.as_ref().and(within);
            let mut letters = Vec::new();
            let (user, mut documents) = match &decision {
                Decision::Is(user) => {
                    let link =
                        link.as_ref().ok_or_else(|| Error::internal("a link that is not there was found"))?;
                    let kept = self.kept(provider, vouched);
                    let set = json!({"used": desk.now().to_string(), "email": kept.email, "attributes": kept.attributes});
                    (user.clone(), vec![json!({"ExternalLogin": {"id": wire(link.key()), "set": set}})])
                }
                Decision::Link(user) => {
                    let document = self.linking(desk, provider, vouched, user);
                    let (line, letter) = linked(vouched, user, place);
                    letters.push(letter);
                    (user.clone(), vec![document, line])
                }
                Decision::Make(email) => {
                    let user = Value::Uuid(Uuid::now_v7());
                    let made = user_made(desk, (provider, vouched), &user, email.as_deref());
                    let detail = json!({"provider": vouched.provider, "email": email});
                    let mut documents = vec![
                        made,
                        self.linking(desk, provider, vouched, &user),
                        event("account.made", Some(&user), place.address.as_deref(), detail),
                    ];
                    documents.extend(own.map(|own| {
                        json!({"Membership": {"create": true, "of": own.to_string(), "member": wire(&user)}})
                    }));
                    (user, documents)
                }
            };
            if let (Some(own), Decision::Is(_) | Decision::Link(_)) = (own, &decision) {
                self.member_check(desk, own, &user).await?;
            }
            documents.extend(along.iter().cloned());
            let new =
                NewSession { user: &user, method: "provider", is_twofold: false, within, actor: None, place };
            match self.sign_in(desk, new, documents, letters).await {
                // Somebody was faster with the same: what is known now is looked at again.
                Err(error) if is_race(&error) && is_of_link(&error) => {}
                done => {
                    count(provider.name, done.as_ref().err());
                    return done;
                }
            }
        }
        Err(Error {
            retry_after_s: Some(1),
            ..Error::new(Key::Overloaded, "Many arrive as the same at once.")
        })
    }

    /// Links an account that somebody has signed in to.
    ///
    /// # Errors
    /// When another account has the link.
    pub(crate) async fn provider_link(
        &self,
        desk: &Desk,
        vouched: &Vouched,
        (user, place): (&Value, &Place),
        along: Vec<Json>,
    ) -> Result<(), Error> {
        let vouched = &vouched.with_plain_address();
        let provider = self.provider(&vouched.provider)?;
        if let Some(own) =
            self.provider_tenant(desk, provider, None).await?.filter(|_| provider.options.tenant.is_some())
        {
            self.member_check(desk, own, user).await?;
        }
        let filter = "id == $id and not anonymous and blocked == null";
        if desk.row("User", filter, &[("id", user.clone())]).await?.is_none() {
            let words = "Sign in by the provider instead of linking it: what is yours comes along.";
            return Err(Error::new(Key::Request, words));
        }
        let (facts, _) = self.facts(desk, provider, vouched, Some(user)).await?;
        let mut documents = along;
        let mut letters = Vec::new();
        if let Decision::Link(user) = decide(&facts)? {
            documents.push(self.linking(desk, provider, vouched, &user));
            let (line, letter) = linked(vouched, &user, place);
            documents.push(line);
            letters.push(letter);
        }
        desk.ask_and_enqueue(documents, letters).await.map(drop).map_err(|error| {
            let words = "Another account is linked with this one of the provider's.";
            if is_race(&error) && is_of_link(&error) { Error::new(Key::AuthLinked, words) } else { error }
        })
    }

    /// What is known, and the link where there is one.
    async fn facts<'a>(
        &'a self,
        desk: &Desk,
        provider: Provider<'a>,
        vouched: &'a Vouched,
        linking: Option<&'a Value>,
    ) -> Result<(Facts<'a>, Option<Row>), Error> {
        let subject = &vouched.subject;
        let is_plain = !subject.is_empty() && !subject.contains(char::is_control);
        if !is_plain || subject.chars().count() > SUBJECT_CHARS_MAX {
            let words = "The provider calls them by a name that is empty, too long, or cannot be kept.";
            return Err(Error::new(Key::AuthProvider, words));
        }
        let values = [
            ("provider", Value::Text(vouched.provider.clone())),
            ("subject", Value::Text(vouched.subject.clone())),
        ];
        let link =
            desk.row("ExternalLogin", "provider == $provider and subject == $subject", &values).await?;
        let linked = match &link {
            None => None,
            Some(link) => desk.row("User", "id == $id", &[("id", link.value("owner")?.clone())]).await?,
        };
        let of_address = match &vouched.email {
            Some(Address::Verified(email)) => {
                desk.row("User", "email == $email", &[("email", Value::Text(email.clone()))]).await?
            }
            _ => None,
        };
        let facts = Facts {
            provider: provider.options,
            email: vouched.email.as_ref(),
            linked: linked.as_ref().map(known).transpose()?,
            of_address: of_address.as_ref().map(known).transpose()?,
            linking,
            may_register: provider.options.register.unwrap_or(self.options.registration),
        };
        Ok((facts, link))
    }

    async fn member_check(&self, desk: &Desk, tenant: Uuid, user: &Value) -> Result<(), Error> {
        let values = [("member", user.clone()), ("of", Value::Uuid(tenant))];
        match desk.row("Membership", "member == $member and of == $of", &values).await? {
            Some(_) => Ok(()),
            None => Err(Error::new(Key::TenantRefused, "This provider is for members of its tenant.")),
        }
    }

    fn kept<'a>(&self, provider: Provider<'_>, vouched: &'a Vouched) -> Kept<'a> {
        let email = vouched.email.as_ref().map(|email| match email {
            Address::Verified(email) | Address::Claimed(email) => email.as_str(),
        });
        let told = provider.options.keep.iter().filter_map(|name| vouched.attributes.get_key_value(name));
        let told: Map<String, Json> = told.map(|(name, value)| (name.clone(), value.clone())).collect();
        Kept { email, attributes: (!told.is_empty()).then_some(told) }
    }

    fn linking(&self, desk: &Desk, provider: Provider<'_>, vouched: &Vouched, user: &Value) -> Json {
        let kept = self.kept(provider, vouched);
        json!({"ExternalLogin": {
            "create": true,
            "owner": wire(user),
            "provider": vouched.provider,
            "subject": vouched.subject,
            "email": kept.email,
            "attributes": kept.attributes,
            "used": desk.now().to_string(),
        }})
    }
}

/// What is noted and told of a new link.
fn linked(vouched: &Vouched, user: &Value, place: &Place) -> (Json, NewJob) {
    let detail = json!({"provider": vouched.provider});
    Notice::ProviderLinked.told(user, place.address.as_deref(), detail)
}

/// What is kept of what a provider tells.
struct Kept<'a> {
    email: Option<&'a str>,
    attributes: Option<Map<String, Json>>,
}

fn user_made(
    desk: &Desk,
    (provider, vouched): (Provider<'_>, &Vouched),
    user: &Value,
    email: Option<&str>,
) -> Json {
    let name = vouched.name.as_deref().map(str::trim).filter(|name| !name.is_empty());
    // Never an address that the provider did not verify, not even as a name.
    let name = name.or_else(|| email?.split('@').next()).unwrap_or("Somebody");
    let name: String = name.chars().filter(|c| !c.is_control()).take(NAME_CHARS_MAX).collect();
    // No mail goes to a host that there cannot be (RFC 2606), and nobody else has the address.
    let address = email
        .map_or_else(|| format!("{}@{}.invalid", Uuid::now_v7().simple(), vouched.provider), str::to_owned);
    let now = desk.now().to_string();
    json!({"User": {
        "create": true,
        "id": wire(user),
        "email": address,
        "name": name,
        "email_verified": email.filter(|email| is_believed(provider.options, email)).map(|_| now),
    }})
}

fn known(user: &Row) -> Result<Known, Error> {
    Ok(Known {
        user: user.key().clone(),
        is_blocked: !user.value("blocked")?.is_null(),
        is_verified: !user.value("email_verified")?.is_null(),
    })
}

/// Whether it was the link, or the user made for it, that somebody else was faster with.
fn is_of_link(error: &Error) -> bool {
    error.errors.iter().any(|field| field.path.contains("ExternalLogin") || field.path.contains("User"))
}
