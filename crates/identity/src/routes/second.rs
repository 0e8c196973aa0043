//! A second factor: codes by the clock (RFC 6238), and recovery codes for when the app that makes them is lost.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use mainstay_engine::error::{Error, Key};
use mainstay_engine::hook::Row;
use mainstay_http::Refusal;
use mainstay_jobs::Unique;
use mainstay_lang::value::Value;
use serde_json::{Value as Json, json};
use totp_rs::{Algorithm, Builder, Totp};

use super::showing::{Showing, Using};
use super::{Answered, Open, SignedIn, done, fields, nothing_more};
use crate::desk::{Desk, is_race, wire};
use crate::factor::{counted, totp_of};
use crate::identity::Identity;
use crate::notice::Notice;
use crate::once::used;
use crate::passkey::passkeys_of;
use crate::session::Place;
use crate::token::{hash_of, random};

/// Recovery codes that somebody has.
const CODES: usize = 10;

/// Bytes of a key: as many as SHA-1 yields (RFC 4226 §4).
const KEY_BYTES: usize = 20;

impl Identity {
    fn totp(&self, app: &str, row: &Row, account: &str) -> Result<Totp, Error> {
        let owner = row.value("owner")?.to_string();
        let key = row.text("key").unwrap_or_default();
        let key = self.totp_sealer.open(key, &owner).map_err(Error::internal)?;
        clock_codes(app, key, account)
    }

    /// What uses a code up.
    ///
    /// # Errors
    /// [`Key::AuthCode`] when it is not right, or was used.
    async fn code_using(&self, desk: &Desk, user: &Value, code: &str, place: &Place) -> Result<Using, Error> {
        let counted = counted(user, place);
        counted.check(desk).await?;
        let using = match code.trim() {
            digits if digits.len() == 6 => self.clock_code_using(desk, (user, place), digits).await?,
            code => recovery_code_using(desk, (user, place), code).await?,
        };
        match using {
            Some(using) => Ok(using),
            None => {
                counted.fail(desk).await?;
                Err(wrong())
            }
        }
    }

    async fn clock_code_using(
        &self,
        desk: &Desk,
        (user, place): (&Value, &Place),
        digits: &str,
    ) -> Result<Option<Using>, Error> {
        let Some(row) = totp_of(desk, user).await? else { return Ok(None) };
        let seconds = u64::try_from(desk.now().0 / 1_000_000).unwrap_or_default();
        let step = self.totp(&desk.engine.schema().app, &row, "")?.check(digits, seconds);
        let Some(step) = step.and_then(|step| i64::try_from(step).ok()) else { return Ok(None) };
        let is_used = matches!(row.value("step")?, Value::Int(last) if *last >= step);
        if is_used {
            // Its owner may have sent a form twice; somebody who has looked over their shoulder comes with the same. Each step is told of once at a time.
            let (line, letter) = Notice::TotpReused.told(user, place.address.as_deref(), json!({}));
            let letter = letter.unique(format!("totp {user}"), Unique::Ignore);
            desk.ask_and_enqueue(vec![line], vec![letter]).await?;
            return Ok(None);
        }
        let version = wire(row.value("updated")?);
        let using =
            json!({"TotpLogin": {"id": wire(row.key()), "if_updated": version, "set": {"step": step}}});
        Ok(Some((vec![using], Vec::new())))
    }
}

fn clock_codes(app: &str, key: Vec<u8>, account: &str) -> Result<Totp, Error> {
    let issuer: String = app.chars().filter(|c| *c != ':').collect();
    let account: String = account.chars().filter(|c| *c != ':').collect();
    Builder::new()
        .with_algorithm(Algorithm::SHA1)
        .with_digits(6)
        .with_skew(1)
        .with_step_duration(30)
        .with_secret(key)
        .with_issuer(Some(issuer))
        .with_account_name(account)
        .build()
        .map_err(|error| Error::internal(format!("codes by the clock: {error}")))
}

async fn recovery_code_using(
    desk: &Desk,
    (user, place): (&Value, &Place),
    code: &str,
) -> Result<Option<Using>, Error> {
    let code: String = code.chars().filter(char::is_ascii_alphanumeric).collect();
    let hash = hash_of(&format!("{user} {}", code.to_ascii_lowercase()));
    let values = [("owner", user.clone()), ("hash", Value::Text(hash))];
    let row = desk.row("RecoveryCode", "owner == $owner and hash == $hash and used == null", &values).await?;
    let Some(row) = row else { return Ok(None) };
    let set = json!({"used": desk.now().to_string()});
    let version = wire(row.value("updated")?);
    let using = json!({"RecoveryCode": {"id": wire(row.key()), "if_updated": version, "set": set}});
    let (line, letter) = Notice::RecoveryCodeUsed.told(user, place.address.as_deref(), json!({}));
    Ok(Some((vec![using, line], vec![letter])))
}

pub(super) fn wrong() -> Error {
    Error::new(Key::AuthCode, "This code is not right, was used, or is too old.")
}

/// Of two who come with one code at once, one is refused.
pub(super) fn code_used(error: Error) -> Error {
    if is_race(&error) { wrong() } else { error }
}

/// The same with a ticket, which of two who come with it one has used.
pub(super) fn too_late(error: Error) -> Error {
    let is_ticket = error.errors.iter().any(|field| field.path.contains("OneTimeToken"));
    if is_ticket { used(error) } else { code_used(error) }
}

/// Makes a key that counts once a code of it was shown.
pub(super) async fn setup(State(identity): State<Arc<Identity>>, by: SignedIn) -> Answered {
    let desk = by.recent_desk(&identity).await?;
    if totp_of(&desk, &by.user).await?.is_some() {
        let words = "There is a second factor already; disable it first.";
        return Err(Error::new(Key::Request, words).into());
    }
    let user = desk.row("User", "id == $id", &[("id", by.user.clone())]).await?;
    let account = user.as_ref().and_then(|user| user.text("email")).unwrap_or_default();
    let key = random::<KEY_BYTES>()?;
    let totp = clock_codes(&desk.engine.schema().app, key.to_vec(), account)?;
    let sealed = identity.totp_sealer.seal(&key, &by.user.to_string()).map_err(Error::internal)?;
    let documents = vec![
        json!({"TotpLogin": {"owner": wire(&by.user), "delete": true}}),
        json!({"TotpLogin": {"create": true, "owner": wire(&by.user), "key": sealed}}),
    ];
    desk.ask(documents).await?;
    let uri = totp.to_url().map_err(|error| Error::internal(error.to_string()))?;
    let secret = uri.split(['?', '&']).find_map(|pair| pair.strip_prefix("secret="));
    Ok(done(StatusCode::OK, json!({"secret": secret, "uri": uri})))
}

pub(super) async fn confirm(State(identity): State<Arc<Identity>>, by: SignedIn, body: Bytes) -> Answered {
    let mut read = fields(&body, &["code"])?;
    let code = read.text("code");
    read.done()?;
    let desk = identity.desk(&by.request);
    let session = by.session_row(&desk).await?;
    let values = [("owner", by.user.clone())];
    let row = desk.row("TotpLogin", "owner == $owner and confirmed == null", &values).await?;
    let Some(row) = row else {
        return Err(Error::new(Key::Request, "Ask for a key first, by `POST /auth/totp/setup`.").into());
    };
    let place = by.place();
    let counted = counted(&by.user, &place);
    counted.check(&desk).await?;
    let seconds = u64::try_from(desk.now().0 / 1_000_000).unwrap_or_default();
    let step = identity.totp(&desk.engine.schema().app, &row, "")?.check(code.trim(), seconds);
    let Some(step) = step.and_then(|step| i64::try_from(step).ok()) else {
        counted.fail(&desk).await?;
        return Err(wrong().into());
    };
    let now = desk.now().to_string();
    let (codes, mut documents) = new_codes(&by.user)?;
    documents.insert(
        0,
        json!({"TotpLogin": {
            "id": wire(row.key()),
            "if_updated": wire(row.value("updated")?),
            "set": {"confirmed": now, "step": step},
        }}),
    );
    documents.push(json!({"Session": {"id": wire(session.key()), "set": {"confirmed_twice": now}}}));
    let (line, letter) = Notice::TotpEnabled.told(&by.user, place.address.as_deref(), json!({}));
    documents.push(line);
    desk.ask_and_enqueue(documents, vec![letter]).await.map_err(code_used)?;
    Ok(done(StatusCode::OK, json!({"recovery_codes": codes})))
}

/// New codes, and the documents that put them in the place of older ones.
pub(super) fn new_codes(user: &Value) -> Result<(Vec<String>, Vec<Json>), Error> {
    let mut codes = Vec::with_capacity(CODES);
    let mut documents = vec![json!({"RecoveryCode": {"owner": wire(user), "delete": true}})];
    for _ in 0..CODES {
        // 50 bits: tried ten times in a quarter of an hour, they outlast everybody.
        const LETTERS: &[u8; 32] = b"abcdefghjkmnpqrstuvwxyz023456789";
        let code: String =
            random::<10>()?.iter().map(|byte| char::from(LETTERS[usize::from(byte & 31)])).collect();
        let hash = hash_of(&format!("{user} {code}"));
        documents.push(json!({"RecoveryCode": {"create": true, "owner": wire(user), "hash": hash}}));
        let (first, second) = code.split_at(5);
        codes.push(format!("{first}-{second}"));
    }
    Ok((codes, documents))
}

pub(super) async fn recovery_codes(State(identity): State<Arc<Identity>>, by: SignedIn) -> Answered {
    let desk = by.recent_desk(&identity).await?;
    if totp_of(&desk, &by.user).await?.is_none() && passkeys_of(&desk, &by.user, None).await?.is_empty() {
        return Err(Error::new(Key::Request, "There is no second factor yet.").into());
    }
    let (codes, mut documents) = new_codes(&by.user)?;
    let place = by.place();
    let (line, letter) = Notice::RecoveryCodesMade.told(&by.user, place.address.as_deref(), json!({}));
    documents.push(line);
    desk.ask_and_enqueue(documents, vec![letter]).await?;
    Ok(done(StatusCode::OK, json!({"recovery_codes": codes})))
}

/// Shows a code: with a ticket, to sign in; without, as somebody who has signed in, for what asks for a moment not long ago.
pub(super) async fn verify(
    State(identity): State<Arc<Identity>>,
    open: Open,
    by: Result<SignedIn, Refusal>,
    body: Bytes,
) -> Answered {
    let mut read = fields(&body, &["ticket", "code"])?;
    let (ticket, code) = (read.text_or_none("ticket"), read.text("code"));
    read.done()?;
    let desk = identity.desk(&open.request);
    let showing = Showing::find(&desk, ticket, by).await?;
    let place = showing.place(&open);
    let using = identity.code_using(&desk, showing.user(), &code, &place).await?;
    showing.shown(&identity, (&desk, &open, &place), using).await
}

pub(super) async fn disable(State(identity): State<Arc<Identity>>, by: SignedIn, body: Bytes) -> Answered {
    let mut read = fields(&body, &["code"])?;
    let code = read.text("code");
    read.done()?;
    let desk = identity.desk(&by.request);
    by.session_row(&desk).await?;
    let place = by.place();
    let (mut documents, mut letters) = identity.code_using(&desk, &by.user, &code, &place).await?;
    let (line, letter) = Notice::TotpDisabled.told(&by.user, place.address.as_deref(), json!({}));
    documents.extend([json!({"TotpLogin": {"owner": wire(&by.user), "delete": true}}), line]);
    letters.push(letter);
    // They stand in for passkeys as well.
    if passkeys_of(&desk, &by.user, None).await?.is_empty() {
        documents.push(json!({"RecoveryCode": {"owner": wire(&by.user), "delete": true}}));
    }
    desk.ask_and_enqueue(documents, letters).await.map_err(code_used)?;
    Ok(nothing_more())
}
