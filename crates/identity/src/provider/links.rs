//! The links of an account as their owner sees them, and the end of one.

use mainstay_engine::error::{Error, Key};
use mainstay_lang::value::Value;
use serde_json::{Value as Json, json};
use uuid::Uuid;

use crate::desk::{Desk, event, wire};
use crate::identity::Identity;
use crate::letters::Letter;
use crate::provider::Provider;
use crate::session::Place;

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
        let links = desk.rows("ExternalLogin", "owner == $owner", &[("owner", user.clone())]).await?;
        let not_there = || Error::new(Key::NotFound, "");
        let link = links.iter().find(|link| *link.key() == Value::Uuid(id)).ok_or_else(not_there)?;
        if links.len() == 1 && !self.has_another_way(desk, user).await? {
            let words = "This is the only way into the account: set a password or verify an address first.";
            return Err(Error::new(Key::AuthLastWay, words));
        }
        let provider = link.text("provider").unwrap_or_default().to_owned();
        // Of two that are ended at once one stays: each of the others is written, so that neither passes the other by.
        let others = links.iter().filter(|other| other.key() != link.key()).map(|other| {
            let version = other.value("updated").map(wire).unwrap_or_default();
            let used = other.value("used").map(wire).unwrap_or_default();
            json!({"ExternalLogin": {"id": wire(other.key()), "if_updated": version, "set": {"used": used}}})
        });
        let mut documents: Vec<Json> = others.collect();
        documents.extend([
            json!({"ExternalLogin": {"id": wire(link.key()), "delete": true}}),
            event("provider.unlinked", Some(user), place.address.as_deref(), json!({"provider": provider})),
        ]);
        let letter = Letter::Unlinked { user: wire(user), provider: self.label(&provider) };
        desk.ask_and_enqueue(documents, vec![letter.job()]).await.map(drop)
    }

    /// Whether somebody gets in without a provider: by a password, or by mail to an address that arrives.
    async fn has_another_way(&self, desk: &Desk, user: &Value) -> Result<bool, Error> {
        let values = [("owner", user.clone())];
        if desk.row("PasswordLogin", "owner == $owner", &values).await?.is_some() {
            return Ok(true);
        }
        let verified = desk.row("User", "id == $owner and email_verified != null", &values).await?;
        Ok(verified.is_some())
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
