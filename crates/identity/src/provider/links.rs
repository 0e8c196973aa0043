//! The links of an account as their owner sees them, and the end of one.

use mainstay_engine::error::{Error, Key};
use mainstay_lang::value::Value;
use serde_json::{Value as Json, json};
use uuid::Uuid;

use crate::desk::{Desk, is_race, wire};
use crate::identity::Identity;
use crate::notice::Notice;
use crate::provider::Provider;
use crate::session::Place;
use crate::ways::Ways;

/// How often a link is tried to be ended beside others who write the same account.
const TRIES: usize = 4;

impl Identity {
    /// Ends a link of a user's, unless it is the last way in.
    ///
    /// # Errors
    /// [`Key::AuthLastWay`] when it is.
    pub(crate) async fn provider_unlink(
        &self,
        desk: &Desk,
        (user, id): (&Value, Uuid),
        place: &Place,
    ) -> Result<(), Error> {
        for _ in 0..TRIES {
            match self.unlink(desk, (user, id), place).await {
                // Another one was ended, or used, at the same time: what is known now is looked at again.
                Err(error) if is_race(&error) => {}
                done => return done,
            }
        }
        Err(Error {
            retry_after_s: Some(1),
            ..Error::new(Key::Overloaded, "This account is changed by many at once.")
        })
    }

    async fn unlink(&self, desk: &Desk, (user, id): (&Value, Uuid), place: &Place) -> Result<(), Error> {
        let links = desk.rows("ExternalLogin", "owner == $owner", &[("owner", user.clone())]).await?;
        let not_there = || Error::new(Key::NotFound, "");
        let link = links.iter().find(|link| *link.key() == Value::Uuid(id)).ok_or_else(not_there)?;
        let mut documents = vec![Ways::of(desk, user).await?.hold(desk)?];
        let provider = link.text("provider").unwrap_or_default().to_owned();
        documents.push(json!({"ExternalLogin": {"id": wire(link.key()), "delete": true}}));
        let detail = json!({"provider": provider});
        let (line, letter) = Notice::ProviderUnlinked.told(user, place.address.as_deref(), detail);
        documents.push(line);
        desk.ask_and_enqueue(documents, vec![letter]).await.map(drop)
    }

    /// The providers that somebody can sign in by who comes to a tenant, or to none.
    pub(crate) async fn providers_shown(
        &self,
        desk: &Desk,
        within: Option<Uuid>,
    ) -> Result<Vec<Json>, Error> {
        let mut shown = Vec::new();
        for (kind, name, options) in self.options.providers() {
            let provider = Provider { name, options };
            match self.provider_tenant(desk, provider, within).await {
                Ok(_) => shown.push(json!({
                    "name": name,
                    "kind": kind,
                    "label": provider.label(),
                    "start": format!("/auth/{kind}/{name}/start"),
                })),
                Err(error) if error.key == Key::TenantRefused => {}
                Err(error) => return Err(error),
            }
        }
        Ok(shown)
    }

    /// What a provider is called, even one that is not set any more.
    pub(crate) fn label(&self, provider: &str) -> String {
        self.provider(provider).map_or_else(|_| provider.to_owned(), |provider| provider.label().to_owned())
    }

    /// The links of a user.
    pub(crate) async fn provider_links(&self, desk: &Desk, user: &Value) -> Result<Vec<Json>, Error> {
        let links = desk.rows("ExternalLogin", "owner == $owner", &[("owner", user.clone())]).await?;
        let shown = links.iter().map(|link| {
            let provider = link.text("provider").unwrap_or_default();
            json!({
                "id": wire(link.key()),
                "provider": provider,
                "label": self.label(provider),
                "email": link.text("email"),
                "created": link.value("created").map(wire).unwrap_or_default(),
                "used": link.value("used").map(wire).unwrap_or_default(),
            })
        });
        Ok(shown.collect())
    }
}
