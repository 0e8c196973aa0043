//! Sessions: begun, gone on with, ended.
//!
//! A session goes on by its refresh tokens, each of which is used once. Who uses one gets its successor; who uses it again within a few
//! seconds gets the *same* successor, so that a lost answer hurts nobody and there is one chain, never two. That works on every node and
//! across a crash, because a successor is computed from the token and the server's key instead of being remembered. Used later again, a
//! token is in two hands: the session ends, and its owner is told.

use std::time::Duration;

use mainstay_engine::error::{Error, Key};
use mainstay_engine::hook::Row;
use mainstay_jobs::NewJob;
use mainstay_lang::value::{Timestamp, Value};
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};
use uuid::Uuid;

use crate::access::Bearer;
use crate::desk::{Desk, event, is_race, later, time, wire};
use crate::identity::Identity;
use crate::meters::{SignIn, signed_in};
use crate::notice::Notice;
use crate::token::{TOKEN_CHARS, hash_of, new_token, successor_of};

/// For so long a refresh token that was used is answered as it was the first time.
const AGAIN: Duration = Duration::from_secs(10);

/// How long somebody acts for somebody else.
const IMPERSONATED: Duration = Duration::from_secs(3600);

/// How often a refresh is tried beside others of the same token.
const TRIES: usize = 8;

/// From where somebody signs in.
#[derive(Clone, Debug, Default)]
pub(crate) struct Place {
    pub(crate) device: Option<String>,
    pub(crate) address: Option<String>,
    /// By whom somebody is vouched for.
    pub(crate) via: Option<Via>,
}

/// The provider of a session.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Via {
    pub(crate) provider: String,
    /// Whether it vouches for people in its tenant alone.
    pub(crate) is_bound: bool,
    /// When it wants the session to end at the latest, in microseconds; what is shown in between delays that by nothing.
    #[serde(default)]
    pub(crate) session_ends: Option<i64>,
}

/// A session that is about to begin.
pub(crate) struct NewSession<'a> {
    pub(crate) user: &'a Value,
    /// How somebody signed in: a value of the column `method`.
    pub(crate) method: &'a str,
    /// Whether a second factor was shown, too.
    pub(crate) is_twofold: bool,
    pub(crate) within: Option<Uuid>,
    pub(crate) actor: Option<&'a Value>,
    pub(crate) place: &'a Place,
}

/// The tokens of a session.
pub(crate) struct Tokens {
    pub(crate) access: String,
    pub(crate) access_ends: Timestamp,
    pub(crate) refresh: String,
    pub(crate) refresh_ends: Timestamp,
    pub(crate) session: Value,
    pub(crate) user: Value,
    pub(crate) tenant: Option<Uuid>,
}

/// What belongs to a new session because of the others of its owner.
#[derive(Default)]
struct Beside {
    /// The end of those that are too many.
    ending: Option<Json>,
    /// What is noted and told of a device that was not there before.
    told: Option<(Json, NewJob)>,
}

impl Identity {
    /// Signs somebody in whose first factor was right: begins the session, or asks for the second factor.
    ///
    /// # Errors
    /// [`Key::AuthSecondFactor`] with a ticket, where there is one; what was to be done along is done.
    pub(crate) async fn sign_in(
        &self,
        desk: &Desk,
        new: NewSession<'_>,
        along: Vec<Json>,
        jobs: Vec<NewJob>,
    ) -> Result<Tokens, Error> {
        if !new.is_twofold
            && let Some(wanted) = self.second_factor(desk, &new).await?
        {
            desk.ask_and_enqueue(along, jobs).await?;
            signed_in(new.method, SignIn::Asked);
            return Err(wanted.into());
        }
        self.session_begin_and_enqueue(desk, new, along, jobs).await
    }

    /// Begins a session, and does what else belongs to it in the same transaction.
    pub(crate) async fn session_begin(
        &self,
        desk: &Desk,
        new: NewSession<'_>,
        along: Vec<Json>,
    ) -> Result<Tokens, Error> {
        self.session_begin_and_enqueue(desk, new, along, Vec::new()).await
    }

    /// The same, and enqueues jobs in it.
    pub(crate) async fn session_begin_and_enqueue(
        &self,
        desk: &Desk,
        new: NewSession<'_>,
        mut along: Vec<Json>,
        mut jobs: Vec<NewJob>,
    ) -> Result<Tokens, Error> {
        if new.method == "password" && self.password_is_old(desk, new.user).await? {
            return Err(self.renewal(desk, &new, along).await?);
        }
        let now = desk.now();
        // Whoever acts for somebody does so for an hour, and confirms nothing by that.
        let (lasts, confirmed) = match new.actor {
            Some(_) => (IMPERSONATED, Timestamp(0)),
            None => (self.options.session_max, now),
        };
        let vouched_until = new.place.via.as_ref().and_then(|via| via.session_ends).map(Timestamp);
        let lasts_until = later(now, lasts.min(self.options.session_max));
        let ends = vouched_until.map_or(lasts_until, |until| until.min(lasts_until));
        if ends <= now {
            return Err(ended());
        }
        let refresh = new_token()?;
        let at = now.to_string();
        let via = new.place.via.as_ref();
        let is_bound = via.is_some_and(|via| via.is_bound);
        let session = json!({
            "create": true,
            "owner": wire(new.user),
            "method": new.method,
            "device": new.place.device,
            "address": new.place.address,
            "seen": at,
            "expires": ends.to_string(),
            "confirmed": confirmed.to_string(),
            "confirmed_twice": new.is_twofold.then_some(&at),
            "within": new.within.map(|id| id.to_string()),
            "actor": new.actor.map(wire),
            "via": via.map(|via| &via.provider),
            "bound": is_bound,
        });
        let token = json!({"create": true, "id": hash_of(&refresh), "of": session});
        let beside = self.beside_others(desk, &new).await?;
        along.extend(beside.ending);
        if let Some((line, letter)) = beside.told {
            along.push(line);
            jobs.push(letter);
        }
        along.push(event(
            "session.begin",
            Some(new.user),
            new.place.address.as_deref(),
            json!({"method": new.method}),
        ));
        let place = along.len();
        along.push(json!({"SessionToken": token}));
        let answers = desk.ask_and_enqueue(along, jobs).await?;
        let id = answers.get(place).and_then(|answer| answer["SessionToken"][0]["of"]["id"].as_str());
        let session = id.and_then(|id| Uuid::try_parse(id).ok());
        let session = session.ok_or_else(|| Error::internal("a session was made without an id"))?;
        signed_in(new.method, SignIn::Done);
        self.tokens(desk, (session, new.user.clone(), new.within, is_bound), (refresh, ends)).await
    }

    /// What a new session brings with it because of the others of its owner, which are read once: those that are too many with it end,
    /// and of a device with which its owner has none among those that are remembered they are told.
    async fn beside_others(&self, desk: &Desk, new: &NewSession<'_>) -> Result<Beside, Error> {
        let tells = self.options.mail_new_device && new.actor.is_none() && new.method != "anonymous";
        let filter = match (tells, self.options.sessions_per_user) {
            (false, 0) => return Ok(Beside::default()),
            (false, _) => "owner == $owner and method != key and ended == null",
            (true, _) => "owner == $owner and method != key",
        };
        let others = desk.rows("Session", filter, &[("owner", new.user.clone())]).await?;
        let told = (tells && is_new_device(&others, new.place)).then(|| {
            let address = new.place.address.as_deref();
            let detail = json!({"device": new.place.device, "address": address});
            Notice::NewDevice.told(new.user, address, detail)
        });
        Ok(Beside { ending: self.supernumerary(others, desk.now()), told })
    }

    /// Ends those of a user's sessions that are too many with another one.
    fn supernumerary(&self, mut others: Vec<Row>, now: Timestamp) -> Option<Json> {
        let most = self.options.sessions_per_user;
        others.retain(|row| time(row, "ended").is_none() && time(row, "expires").is_some_and(|at| at > now));
        if most == 0 || others.len() < most {
            return None;
        }
        others.sort_by_key(|row| time(row, "seen"));
        let too_many = others.len() + 1 - most;
        let ids: Vec<Json> = others.iter().take(too_many).map(|row| wire(row.key())).collect();
        Some(ending(&json!({"id": ids}), now, "replaced"))
    }

    async fn tokens(
        &self,
        desk: &Desk,
        (session, user, tenant, is_bound): (Uuid, Value, Option<Uuid>, bool),
        (refresh, session_ends): (String, Timestamp),
    ) -> Result<Tokens, Error> {
        let bearer = Bearer { user: &user, session, tenant, is_bound, session_ends };
        let (access, access_ends) = self.access_token(desk, bearer).await?;
        let refresh_ends = later(desk.now(), self.options.idle_max).min(session_ends);
        let session = Value::Uuid(session);
        Ok(Tokens { access, access_ends, refresh, refresh_ends, session, user, tenant })
    }

    /// Goes on with a session by a refresh token.
    pub(crate) async fn session_refresh(
        &self,
        desk: &Desk,
        token: &str,
        within: Option<Uuid>,
        place: &Place,
    ) -> Result<Tokens, Error> {
        if token.len() != TOKEN_CHARS {
            return Err(ended());
        }
        let hash = hash_of(token);
        for _ in 0..TRIES {
            let found = desk.row("SessionToken", "id == $id", &[("id", Value::Text(hash.clone()))]).await?;
            let Some(known) = found else { return Err(ended()) };
            let session = known.value("of")?.clone();
            let session = desk
                .row("Session", "id == $id and owner.blocked == null", &[("id", session)])
                .await?
                .ok_or_else(ended)?;
            let now = desk.now();
            let (Some(expires), Some(seen)) = (time(&session, "expires"), time(&session, "seen")) else {
                return Err(Error::internal("a session without times"));
            };
            let is_idle = later(seen, self.options.idle_max) <= now;
            if time(&session, "ended").is_some() || expires <= now || is_idle {
                return Err(ended());
            }
            let successor = successor_of(&self.successor_key, token);
            let owner = session.value("owner")?.clone();
            let tenant = match (within, session.value("within")?) {
                (Some(within), _) => Some(within),
                (None, Value::Uuid(within)) => Some(*within),
                (None, _) => None,
            };
            let is_bound: bool = session.get("bound")?;
            let is_own = tenant.map_or(Value::Null, Value::Uuid) == *session.value("within")?;
            if is_bound && !is_own {
                return Err(Error::new(
                    Key::TenantRefused,
                    "The provider of a tenant vouches for them there alone.",
                ));
            }
            let done = (uuid(&session)?, owner.clone(), tenant, is_bound);
            match time(&known, "used") {
                Some(used) if later(used, AGAIN) >= now => {
                    return self.tokens(desk, done, (successor, expires)).await;
                }
                Some(_) => return Err(self.reused(desk, &session, &owner, place).await?),
                None => {}
            }
            match desk.ask(rotation(&known, &session, (&hash, &successor), tenant, place, now)).await {
                Ok(_) => return self.tokens(desk, done, (successor, expires)).await,
                // Somebody with the same token was first: next time round it is one that was used.
                Err(error) if is_race(&error) => {}
                Err(error) => return Err(error),
            }
        }
        Err(Error {
            retry_after_s: Some(1),
            ..Error::new(Key::Overloaded, "This token is used by many at once.")
        })
    }

    /// Ends a session whose token is in two hands.
    async fn reused(&self, desk: &Desk, session: &Row, owner: &Value, place: &Place) -> Result<Error, Error> {
        let address = place.address.as_deref();
        let id = wire(session.key());
        let detail = json!({"session": id, "device": session.text("device")});
        let (line, letter) = Notice::SessionReused.told(owner, address, detail);
        let documents = vec![ending(&json!({"id": id}), desk.now(), "reused"), line];
        desk.ask_and_enqueue(documents, vec![letter]).await?;
        let words = "This token was used before, so its session was ended: sign in again.";
        Ok(Error::new(Key::AuthReused, words))
    }

    /// Ends sessions that a constraint names.
    pub(crate) async fn sessions_end(
        &self,
        desk: &Desk,
        (which, owner): (&Json, &Value),
        reason: &str,
        place: &Place,
    ) -> Result<usize, Error> {
        let documents = vec![
            ending(which, desk.now(), reason),
            event("session.end", Some(owner), place.address.as_deref(), json!({"reason": reason})),
        ];
        let answers = desk.ask(documents).await?;
        Ok(answers.first().and_then(|answer| answer["Session"].as_array()).map_or(0, Vec::len))
    }
}

/// Whether somebody has sessions, and none of them on this device. It goes by what a device says of itself, which whoever wants to can say
/// as well: a hint for the owner, and nothing that anything else depends on.
fn is_new_device(others: &[Row], place: &Place) -> bool {
    let model = device_model(place.device.as_deref());
    let mut own = others.iter().filter(|row| row.text("method") != Some("impersonation")).peekable();
    own.peek().is_some() && !own.any(|row| device_model(row.text("device")) == model)
}

/// What a device says of itself, without the numbers that another version changes.
fn device_model(device: Option<&str>) -> String {
    let said = device.unwrap_or_default().chars();
    said.filter(|c| !c.is_ascii_digit() && !"._".contains(*c)).collect()
}

/// The document that ends the sessions that a constraint names, and that have not ended yet.
pub(crate) fn ending(which: &Json, now: Timestamp, reason: &str) -> Json {
    let mut part = which.clone();
    part["ended"] = Json::Null;
    part["set"] = json!({"ended": now.to_string(), "reason": reason});
    json!({"Session": part})
}

/// The documents by which a token is used: it has a successor, and its session was seen.
fn rotation(
    known: &Row,
    session: &Row,
    (hash, successor): (&str, &str),
    tenant: Option<Uuid>,
    place: &Place,
    now: Timestamp,
) -> Vec<Json> {
    let at = now.to_string();
    let mut seen = json!({"seen": at, "within": tenant.map(|id| id.to_string())});
    if let Some(address) = &place.address {
        seen["address"] = json!(address);
    }
    let version = known.value("updated").map(wire).unwrap_or_default();
    let id = wire(session.key());
    vec![
        json!({"SessionToken": {"id": hash, "if_updated": version, "set": {"used": at}}}),
        json!({"SessionToken": {"create": true, "id": hash_of(successor), "of": id}}),
        json!({"Session": {"id": id, "set": seen}}),
    ]
}

/// The key of a session's row.
pub(crate) fn uuid(row: &Row) -> Result<Uuid, Error> {
    match row.key() {
        Value::Uuid(id) => Ok(*id),
        _ => Err(Error::internal("a session's key is a UUID")),
    }
}

fn ended() -> Error {
    Error::new(Key::AuthSession, "The session has ended: sign in again.")
}
