//! Codes by mail: six digits, for whoever has no second factor of their own, where an app asks for one.
//!
//! A million codes are soon tried, so each is good for few tries, which are counted before they are looked at, and what is kept is a
//! hash under a key of the server's: whoever has the database alone can try none. What it was asked for is hashed along: a code is good
//! for that one sign-in, or that one session, and for no other of its owner's.

use std::time::Duration;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use mainstay_engine::error::{Error, Key};
use mainstay_lang::value::Value;
use serde_json::{Value as Json, json};

use crate::desk::{Desk, is_race, later, time, wire};
use crate::identity::Identity;
use crate::token::random;

/// How long one is good for.
const LASTS: Duration = Duration::from_secs(10 * 60);
/// How often it is tried.
const TRIES: i64 = 5;
/// How often a try is written beside others of the same code.
const WRITES: usize = 8;

/// A new code.
pub(crate) fn new_code() -> Result<String, Error> {
    // Of 64 bits the remainder is as good as even.
    Ok(format!("{:06}", u64::from_le_bytes(random::<8>()?) % 1_000_000))
}

impl Identity {
    fn mail_code_hash(&self, (user, request): (&Value, &str), code: &str) -> String {
        let said = format!("{user} {request} {code}");
        URL_SAFE_NO_PAD.encode(hmac::sign(&self.mail_code_key, said.as_bytes()))
    }

    /// The documents that keep a code in the place of one before it: for a user, and for what it was asked for.
    pub(crate) fn mail_code_keep(&self, desk: &Desk, asked: (&Value, &str), code: &str) -> Vec<Json> {
        let owner = wire(asked.0);
        vec![
            json!({"MailCode": {"owner": owner, "delete": true}}),
            json!({"MailCode": {
                "create": true,
                "owner": owner,
                "hash": self.mail_code_hash(asked, code),
                "tries": 0,
                "expires": later(desk.now(), LASTS).to_string(),
            }}),
        ]
    }

    /// The document that uses a code up; none: it is not the one, or is no longer good.
    pub(crate) async fn mail_code_using(
        &self,
        desk: &Desk,
        (user, request): (&Value, &str),
        code: &str,
    ) -> Result<Option<Json>, Error> {
        for _ in 0..WRITES {
            let found = desk.row("MailCode", "owner == $owner", &[("owner", user.clone())]).await?;
            let Some(row) = found else { return Ok(None) };
            let is_over = time(&row, "expires").is_none_or(|expires| expires <= desk.now());
            let has_tries = matches!(row.value("tries")?, Value::Int(tries) if *tries < TRIES);
            if is_over || !has_tries {
                return Ok(None);
            }
            let id = wire(row.key());
            let part = json!({
                "id": id,
                "if_updated": wire(row.value("updated")?),
                "set": {"tries": {"$add": 1}},
                "get": ["updated"],
            });
            let answers = match desk.ask(vec![json!({"MailCode": part})]).await {
                Ok(answers) => answers,
                Err(error) if is_race(&error) => continue,
                Err(error) => return Err(error),
            };
            let hash = self.mail_code_hash((user, request), code.trim());
            let is_right = row.text("hash").is_some_and(|known| {
                aws_lc_rs::constant_time::verify_slices_are_equal(known.as_bytes(), hash.as_bytes()).is_ok()
            });
            let version = answers.first().map(|answer| answer["MailCode"][0]["updated"].clone());
            return Ok(
                is_right.then(|| json!({"MailCode": {"id": id, "if_updated": version, "delete": true}}))
            );
        }
        Err(Error {
            retry_after_s: Some(1),
            ..Error::new(Key::Overloaded, "This code is tried by many at once.")
        })
    }
}
