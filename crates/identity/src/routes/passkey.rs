//! Passkeys: made, signed in with, shown as a second factor or once more, named and taken away.
//!
//! Whoever signs in names nobody: every page is asked the same, and who it is the key says. What is wrong with an answer is not told.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use mainstay_engine::error::{Error, Key};
use mainstay_engine::hook::Row;
use mainstay_lang::value::Value;
use serde::de::DeserializeOwned;
use serde_json::{Value as Json, json};
use uuid::Uuid;

use super::second::new_codes;
use super::{Answered, Open, SignedIn, done, fields, nothing_more};
use crate::attempts::Counted;
use crate::cookies;
use crate::desk::{Desk, is_race, wire};
use crate::factor::{Pending, counted, recovery_codes_left, totp_of};
use crate::fields::Fields;
use crate::identity::Identity;
use crate::notice::Notice;
use crate::once::not_valid;
use crate::passkey::{
    Algorithm, Assertion, CEREMONY_LASTS, Ceremony, Expected, Flags, PASSKEYS_MAX, Purpose, Refused,
    Registration, assertion, handle_of, passkeys_of, registration,
};
use crate::session::{NewSession, Place};
use crate::ways::Ways;

/// The cookie of a browser that was asked for a passkey.
const COOKIE: &str = "passkey";

/// What a passkey is called that nobody has named.
const NAME: &str = "Passkey";

/// A passkey that has signed.
struct Shown {
    passkey: Row,
    flags: Flags,
    /// What uses up the challenge and keeps what the passkey has counted.
    documents: Vec<Json>,
}

/// Whom a passkey has to be of.
enum Whose<'a> {
    Anybodys,
    Of(&'a Value),
}

pub(super) async fn register_begin(State(identity): State<Arc<Identity>>, by: SignedIn) -> Answered {
    let desk = by.recent_desk(&identity).await?;
    let party = identity.party(&desk, &by.headers).await?;
    let known = passkeys_of(&desk, &by.user, None).await?;
    if known.len() >= PASSKEYS_MAX {
        let words = format!("Somebody has {PASSKEYS_MAX} passkeys at most; remove one first.");
        return Err(Error::new(Key::Request, words).into());
    }
    let user = desk.row("User", "id == $id", &[("id", by.user.clone())]).await?;
    let text = |column: &str| user.as_ref().and_then(|user| user.text(column)).unwrap_or_default().to_owned();
    let excluded: Vec<Json> =
        known.iter().filter(|row| row.text("party") == Some(&party.id)).map(descriptor).collect();
    let algorithms = Algorithm::ALL.map(|known| json!({"type": "public-key", "alg": known as i64}));
    let ceremony = Ceremony::new(&desk, Purpose::Register, party, bound_to(&by))?;
    let options = json!({
        "rp": {"id": ceremony.party.id, "name": desk.engine.schema().app},
        "user": {
            "id": URL_SAFE_NO_PAD.encode(handle_of(&by.user)),
            "name": text("email"),
            "displayName": text("name"),
        },
        "challenge": ceremony.challenge,
        "pubKeyCredParams": algorithms,
        "timeout": CEREMONY_LASTS.as_millis() as u64,
        "excludeCredentials": excluded,
        "authenticatorSelection": {
            "residentKey": "required", "requireResidentKey": true, "userVerification": "preferred",
        },
        "attestation": "none",
        "extensions": {"credProps": true},
    });
    begun(&identity, &ceremony, options, by.wants_cookies)
}

pub(super) async fn register_finish(
    State(identity): State<Arc<Identity>>,
    by: SignedIn,
    body: Bytes,
) -> Answered {
    let mut read = fields(&body, &["ceremony", "credential", "name"])?;
    let (ceremony, credential) = (read.text_or_none("ceremony"), credential::<Registration>(&mut read)?);
    let name = read.text_or_none("name").unwrap_or_else(|| NAME.to_owned());
    read.done()?;
    let desk = identity.desk(&by.request);
    by.session_row(&desk).await?;
    let ceremony = opened(&identity, &desk, (&by.headers, ceremony), (Purpose::Register, &bound_to(&by)))?;
    let expected = Expected { challenge: &ceremony.challenge, party: &ceremony.party };
    let made = registration(&credential, &expected).map_err(|refused| {
        let words = format!("the passkey was not taken: {refused}");
        Error::at(Key::Invalid, "/credential", "passkey", words)
    })?;
    let detail = json!({"name": name, "verified": made.flags.is_verified()});
    let (line, letter) = Notice::PasskeyAdded.told(&by.user, by.place().address.as_deref(), detail);
    let mut documents = vec![
        ceremony.using(&desk),
        json!({"Passkey": {
            "create": true,
            "owner": wire(&by.user),
            "name": name,
            "credential": made.credential,
            "party": ceremony.party.id,
            "public_key": STANDARD.encode(&made.public_key),
            "counter": made.counter,
            "transports": credential.transports(),
            "may_be_copied": made.flags.may_be_copied(),
            "is_copied": made.flags.is_copied(),
        }}),
        line,
    ];
    // From now on a password alone does not do, so there is something for when the key is lost.
    let mut body = json!({"name": name});
    if !recovery_codes_left(&desk, &by.user).await? {
        let (codes, kept) = new_codes(&by.user)?;
        documents.extend(kept);
        body["recovery_codes"] = json!(codes);
    }
    let answers =
        desk.ask_and_enqueue(documents, vec![letter]).await.map_err(|error| match is_race(&error) {
            // Either the challenge was used, or an authenticator has a key twice, which none has.
            true => not_valid(),
            false => error,
        })?;
    body["id"] = answers.get(1).map_or(Json::Null, |answer| answer["Passkey"][0]["id"].clone());
    Ok(done(StatusCode::CREATED, body))
}

pub(super) async fn login_begin(State(identity): State<Arc<Identity>>, open: Open, body: Bytes) -> Answered {
    let mut read = fields(&body, &["ticket"])?;
    let ticket = read.text_or_none("ticket");
    read.done()?;
    let desk = identity.desk(&open.request);
    let party = identity.party(&desk, &open.headers).await?;
    let (purpose, bound_to, allowed) = match &ticket {
        None => (Purpose::Login, Json::Null, Vec::new()),
        Some(ticket) => {
            let pending = Pending::find(&desk, ticket).await?;
            (Purpose::Second, json!(ticket), passkeys_of(&desk, &pending.user, Some(&party)).await?)
        }
    };
    let ceremony = Ceremony::new(&desk, purpose, party, bound_to)?;
    let options = request(&ceremony, &allowed);
    begun(&identity, &ceremony, options, open.wants_cookies)
}

pub(super) async fn login_finish(State(identity): State<Arc<Identity>>, open: Open, body: Bytes) -> Answered {
    let mut read = fields(&body, &["ceremony", "credential", "ticket", "device"])?;
    let (ceremony, credential) = (read.text_or_none("ceremony"), credential::<Assertion>(&mut read)?);
    let (ticket, device) = (read.text_or_none("ticket"), read.text_or_none("device"));
    read.done()?;
    let desk = identity.desk(&open.request);
    let given = (&open.headers, ceremony);
    if let Some(ticket) = ticket {
        let pending = Pending::find(&desk, &ticket).await?;
        let place = open.place(device.or_else(|| pending.device.clone()));
        let counted = counted(&pending.user, &place);
        counted.check(&desk).await?;
        let ceremony = opened(&identity, &desk, given, (Purpose::Second, &json!(ticket)))?;
        // It was the first factor already.
        let whose = match pending.method.as_str() {
            "passkey" => return Err(refused().into()),
            _ => Whose::Of(&pending.user),
        };
        let shown = shown(&desk, (&ceremony, &credential), whose, (&counted, &place)).await?;
        let tokens = identity.second_shown(&desk, (&pending, &place), shown.documents, Vec::new()).await;
        return identity.welcome(&open, &tokens.map_err(too_late)?).await;
    }
    let place = open.place(device);
    let counted = Counted::new(&format!("passkey {}", credential.id), place.address.as_deref());
    counted.check(&desk).await?;
    let ceremony = opened(&identity, &desk, given, (Purpose::Login, &Json::Null))?;
    let shown = shown(&desk, (&ceremony, &credential), Whose::Anybodys, (&counted, &place)).await?;
    let owner = shown.passkey.value("owner")?.clone();
    let within = identity.named_tenant(&desk, &open.headers).await?;
    // One that has seen a finger, a face or a number has seen two factors; one that was only touched has been one.
    let new = NewSession {
        user: &owner,
        method: "passkey",
        is_twofold: shown.flags.is_verified(),
        within,
        actor: None,
        place: &place,
    };
    let tokens = identity.sign_in(&desk, new, shown.documents, Vec::new()).await.map_err(too_late)?;
    identity.welcome(&open, &tokens).await
}

pub(super) async fn confirm_begin(State(identity): State<Arc<Identity>>, by: SignedIn) -> Answered {
    let desk = identity.desk(&by.request);
    by.session_row(&desk).await?;
    let party = identity.party(&desk, &by.headers).await?;
    let allowed = passkeys_of(&desk, &by.user, Some(&party)).await?;
    let ceremony = Ceremony::new(&desk, Purpose::Confirm, party, bound_to(&by))?;
    let options = request(&ceremony, &allowed);
    begun(&identity, &ceremony, options, by.wants_cookies)
}

/// Shows a passkey once more, for what asks for a moment not long ago.
pub(super) async fn confirm_finish(
    State(identity): State<Arc<Identity>>,
    by: SignedIn,
    body: Bytes,
) -> Answered {
    let mut read = fields(&body, &["ceremony", "credential"])?;
    let (ceremony, credential) = (read.text_or_none("ceremony"), credential::<Assertion>(&mut read)?);
    read.done()?;
    let desk = identity.desk(&by.request);
    let session = by.session_row(&desk).await?;
    let place = by.place();
    let counted = counted(&by.user, &place);
    counted.check(&desk).await?;
    let ceremony = opened(&identity, &desk, (&by.headers, ceremony), (Purpose::Confirm, &bound_to(&by)))?;
    let mut shown = shown(&desk, (&ceremony, &credential), Whose::Of(&by.user), (&counted, &place)).await?;
    let now = desk.now().to_string();
    let mut set = json!({"confirmed": now});
    // Beside the session, which a first factor has begun, it is the second.
    if shown.flags.is_verified() || session.text("method") != Some("passkey") {
        set["confirmed_twice"] = json!(now);
    }
    shown.documents.push(json!({"Session": {"id": wire(session.key()), "set": set}}));
    desk.ask(shown.documents).await.map_err(too_late)?;
    Ok(nothing_more())
}

pub(super) async fn list(by: SignedIn) -> Answered {
    let part = json!({
        "owner": wire(&by.user),
        "get": ["name", "party", "transports", "is_copied", "used", "created"],
        "order": ["name"],
        "limit": 1000,
    });
    let answer = by.request.query(json!({"Passkey": part})).await?;
    Ok(done(StatusCode::OK, json!({"passkeys": answer["Passkey"]})))
}

pub(super) async fn rename(
    State(identity): State<Arc<Identity>>,
    by: SignedIn,
    Path(id): Path<String>,
    body: Bytes,
) -> Answered {
    let mut read = fields(&body, &["name"])?;
    let name = read.text("name");
    read.done()?;
    let desk = identity.desk(&by.request);
    by.session_row(&desk).await?;
    let part = json!({"id": id_of(&id)?, "owner": wire(&by.user), "set": {"name": name}});
    let answers = desk.ask(vec![json!({"Passkey": part})]).await?;
    changed(&answers)
}

pub(super) async fn remove(
    State(identity): State<Arc<Identity>>,
    by: SignedIn,
    Path(id): Path<String>,
) -> Answered {
    let desk = by.recent_desk(&identity).await?;
    let id = id_of(&id)?;
    let known = passkeys_of(&desk, &by.user, None).await?;
    let (gone, left): (Vec<&Row>, Vec<&Row>) = known.iter().partition(|row| wire(row.key()) == id);
    let Some(gone) = gone.first() else { return Err(not_there().into()) };
    let detail = json!({"name": gone.text("name")});
    let (line, letter) = Notice::PasskeyRemoved.told(&by.user, by.place().address.as_deref(), detail);
    let mut documents = vec![
        Ways::of(&desk, &by.user).await?.hold(&desk)?,
        json!({"Passkey": {"id": id, "delete": true}}),
        line,
    ];
    if left.is_empty() && totp_of(&desk, &by.user).await?.is_none() {
        documents.push(json!({"RecoveryCode": {"owner": wire(&by.user), "delete": true}}));
    }
    desk.ask_and_enqueue(documents, vec![letter]).await?;
    Ok(nothing_more())
}

fn id_of(text: &str) -> Result<Json, Error> {
    Uuid::try_parse(text).map(|id| json!(id.to_string())).map_err(|_| not_there())
}

fn not_there() -> Error {
    Error::new(Key::NotFound, "")
}

fn changed(answers: &[Json]) -> Answered {
    let count = answers.first().and_then(|answer| answer["Passkey"].as_array()).map_or(0, Vec::len);
    if count == 0 { Err(not_there().into()) } else { Ok(nothing_more()) }
}

/// What is begun within a session is ended there.
fn bound_to(by: &SignedIn) -> Json {
    by.session.as_ref().map_or(Json::Null, wire)
}

fn credential<T: DeserializeOwned>(read: &mut Fields) -> Result<T, Error> {
    let Some(json) = read.json_or_none("credential") else {
        return Err(Error::at(Key::Invalid, "/credential", "required", "is required"));
    };
    serde_json::from_value(json).map_err(|_| {
        let words = "must be what `credential.toJSON()` of a browser gives";
        Error::at(Key::Invalid, "/credential", "type", words)
    })
}

/// A passkey as a browser is told of it.
fn descriptor(row: &Row) -> Json {
    let mut descriptor = json!({"type": "public-key", "id": row.text("credential")});
    if let Ok(Value::List(transports)) = row.value("transports") {
        descriptor["transports"] = transports.iter().map(wire).collect();
    }
    descriptor
}

/// What a browser is asked for; no key named: any that it has for this host.
fn request(ceremony: &Ceremony, allowed: &[Row]) -> Json {
    json!({
        "challenge": ceremony.challenge,
        "rpId": ceremony.party.id,
        "allowCredentials": allowed.iter().map(descriptor).collect::<Vec<Json>>(),
        "userVerification": "preferred",
        "timeout": CEREMONY_LASTS.as_millis() as u64,
    })
}

fn begun(identity: &Identity, ceremony: &Ceremony, options: Json, in_cookies: bool) -> Answered {
    let sealed = ceremony.sealed(&identity.passkey_sealer)?;
    if !in_cookies {
        return Ok(done(StatusCode::OK, json!({"publicKey": options, "ceremony": sealed})));
    }
    let mut response = done(StatusCode::OK, json!({"publicKey": options}));
    let secure = if identity.options.secure_cookies { "; Secure" } else { "" };
    let age = CEREMONY_LASTS.as_secs();
    let cookie =
        format!("{COOKIE}={sealed}; Path=/auth/passkey; Max-Age={age}; SameSite=Strict; HttpOnly{secure}");
    response
        .headers_mut()
        .append(header::SET_COOKIE, HeaderValue::from_str(&cookie).map_err(Error::internal)?);
    Ok(response)
}

fn opened(
    identity: &Identity,
    desk: &Desk,
    (headers, given): (&HeaderMap, Option<String>),
    meant: (Purpose, &Json),
) -> Result<Ceremony, Error> {
    let text = given.as_deref().or_else(|| cookies::read(headers, COOKIE)).unwrap_or_default();
    Ceremony::open(&identity.passkey_sealer, desk, text, meant)
}

/// A passkey that has signed the challenge; failures are counted.
async fn shown(
    desk: &Desk,
    (ceremony, answer): (&Ceremony, &Assertion),
    whose: Whose<'_>,
    (counted, place): (&Counted, &Place),
) -> Result<Shown, Error> {
    let values = [("credential", Value::Text(answer.id.clone()))];
    let found = desk.row("Passkey", "credential == $credential and owner.blocked == null", &values).await?;
    let verified = match found {
        Some(passkey) => verified(ceremony, answer, &whose, &passkey)?.map(|asserted| (passkey, asserted)),
        None => Err(None),
    };
    let (passkey, (counter, flags)) = match verified {
        Ok(verified) => verified,
        Err(why) => {
            // The log may know; whoever asks is told the same whatever it was.
            tracing::debug!(why = why.map(tracing::field::display), "a passkey was refused");
            counted.fail(desk).await?;
            return Err(refused());
        }
    };
    let known = match passkey.value("counter")? {
        Value::Int(counter) => *counter,
        _ => 0,
    };
    // One that counts and has not counted on is on two devices that it cannot be on: somebody has copied it.
    if (counter > 0 || known > 0) && counter <= known {
        let owner = passkey.value("owner")?;
        let detail = json!({"name": passkey.text("name"), "counter": counter, "known": known});
        let (line, letter) = Notice::PasskeyCopied.told(owner, place.address.as_deref(), detail);
        desk.ask_and_enqueue(vec![ceremony.using(desk), line], vec![letter]).await.map_err(too_late)?;
        return Err(refused());
    }
    let set = json!({"counter": counter, "is_copied": flags.is_copied(), "used": desk.now().to_string()});
    let version = wire(passkey.value("updated")?);
    let documents = vec![
        ceremony.using(desk),
        json!({"Passkey": {"id": wire(passkey.key()), "if_updated": version, "set": set}}),
    ];
    Ok(Shown { passkey, flags, documents })
}

/// What the passkey of a row has counted and said; the inner error is why it is not taken.
fn verified(
    ceremony: &Ceremony,
    answer: &Assertion,
    whose: &Whose<'_>,
    passkey: &Row,
) -> Result<Result<(i64, Flags), Option<Refused>>, Error> {
    let owner = passkey.value("owner")?;
    let is_theirs = match whose {
        Whose::Anybodys => true,
        Whose::Of(user) => owner == *user,
    };
    let is_named = match answer.user_handle() {
        None => true,
        Some(Ok(handle)) => handle == handle_of(owner),
        Some(Err(refused)) => return Ok(Err(Some(refused))),
    };
    if !is_theirs || !is_named || passkey.text("party") != Some(ceremony.party.id.as_str()) {
        return Ok(Err(None));
    }
    let key: String = passkey.get("public_key")?;
    let key = STANDARD.decode(key).map_err(Error::internal)?;
    let expected = Expected { challenge: &ceremony.challenge, party: &ceremony.party };
    let asserted = match assertion(answer, &expected, &key) {
        Ok(asserted) => asserted,
        Err(refused) => return Ok(Err(Some(refused))),
    };
    // Whether a key can be copied is settled when it is made.
    let may_be_copied: bool = passkey.get("may_be_copied")?;
    match may_be_copied == asserted.flags.may_be_copied() {
        true => Ok(Ok((i64::from(asserted.counter), asserted.flags))),
        false => Ok(Err(None)),
    }
}

fn refused() -> Error {
    Error::new(Key::AuthPasskey, "This passkey is not known here, or has not signed what was asked for.")
}

/// A challenge that was used, or a passkey that has signed something else meanwhile.
fn too_late(error: Error) -> Error {
    if is_race(&error) { not_valid() } else { error }
}
