//! What stands in the database of an authority: the account, the certificate, the proofs under way.
//!
//! Keys are sealed, so that a copy of the database is of no use to whoever would speak in the app's name.

use instant_acme::AccountCredentials;
use mainstay_engine::Engine;
use mainstay_engine::error::Error;
use mainstay_engine::hook::Row;
use mainstay_engine::sealed::Sealer;
use mainstay_lang::value::{Timestamp, Value};
use serde_json::json;

use crate::desk::{ask, deadline};
use crate::tls::Pair;

pub(super) struct Kept {
    sealer: Sealer,
    /// Under which account and certificate are kept: others have other authorities or names.
    account: String,
    certificate: String,
}

impl Kept {
    pub(super) fn new(sealer: Sealer, directory: &str, domains: &[String]) -> Kept {
        let certificate = format!("{directory} {}", domains.join(" "));
        Kept { sealer, account: directory.to_owned(), certificate }
    }

    async fn row(&self, engine: &Engine, table: &str, id: &str) -> Result<Option<Row>, Error> {
        let lookup = engine.lookup(table, "id == $id")?;
        let values = [("id", Value::Text(id.to_owned()))];
        Ok(engine.look_up(&lookup, deadline(), &values).await?.into_iter().next())
    }

    fn open(&self, row: &Row, column: &str, id: &str) -> Result<Vec<u8>, Error> {
        self.sealer.open(&text(row, column)?, id).map_err(Error::internal)
    }

    fn seal(&self, bytes: &[u8], id: &str) -> Result<String, Error> {
        self.sealer.seal(bytes, id).map_err(Error::internal)
    }

    pub(super) async fn account(&self, engine: &Engine) -> Result<Option<AccountCredentials>, Error> {
        let Some(row) = self.row(engine, "AcmeAccount", &self.account).await? else { return Ok(None) };
        let credentials = self.open(&row, "credentials", &self.account)?;
        serde_json::from_slice(&credentials).map(Some).map_err(Error::internal)
    }

    pub(super) async fn keep_account(
        &self,
        engine: &Engine,
        credentials: &AccountCredentials,
    ) -> Result<(), Error> {
        let credentials = serde_json::to_vec(credentials).map_err(Error::internal)?;
        let credentials = self.seal(&credentials, &self.account)?;
        let row = json!({"create": true, "id": self.account, "credentials": credentials});
        ask(engine, vec![json!({"AcmeAccount": row})]).await.map(drop)
    }

    pub(super) async fn certificate(&self, engine: &Engine) -> Result<Option<Pair>, Error> {
        let Some(row) = self.row(engine, "ServerCertificate", &self.certificate).await? else {
            return Ok(None);
        };
        let key = self.open(&row, "key", &self.certificate)?;
        Pair::parse(text(&row, "chain")?.as_bytes(), &key).map(Some).map_err(Error::internal)
    }

    pub(super) async fn keep_certificate(
        &self,
        engine: &Engine,
        chain: &str,
        key: &str,
        ends_s: u64,
    ) -> Result<(), Error> {
        let id = &self.certificate;
        let key = self.seal(key.as_bytes(), id)?;
        let ends = Timestamp(i64::try_from(ends_s).unwrap_or(i64::MAX / 1_000_000).saturating_mul(1_000_000));
        let ends = ends.to_string();
        let row = json!({"create": true, "id": id, "chain": chain, "key": key, "ends": ends});
        let documents =
            vec![json!({"ServerCertificate": {"id": id, "delete": true}}), json!({"ServerCertificate": row})];
        ask(engine, documents).await.map(drop)
    }

    pub(super) async fn keep_proof(
        &self,
        engine: &Engine,
        name: &str,
        proof: &[u8; 32],
    ) -> Result<(), Error> {
        let proof: String = proof.iter().map(|byte| format!("{byte:02x}")).collect();
        let documents = vec![
            json!({"AcmeChallenge": {"id": name, "delete": true}}),
            json!({"AcmeChallenge": {"create": true, "id": name, "proof": proof}}),
        ];
        ask(engine, documents).await.map(drop)
    }

    pub(super) async fn proof(&self, engine: &Engine, name: &str) -> Result<Option<[u8; 32]>, Error> {
        let Some(row) = self.row(engine, "AcmeChallenge", name).await? else { return Ok(None) };
        let hex = text(&row, "proof")?;
        let bytes = (0..hex.len() / 2).map(|at| u8::from_str_radix(hex.get(2 * at..2 * at + 2)?, 16).ok());
        Ok(bytes.collect::<Option<Vec<u8>>>().and_then(|bytes| bytes.try_into().ok()))
    }

    pub(super) async fn forget_proofs(&self, engine: &Engine) -> Result<(), Error> {
        ask(engine, vec![json!({"AcmeChallenge": {"all": true, "delete": true}})]).await.map(drop)
    }
}

fn text(row: &Row, column: &str) -> Result<String, Error> {
    match row.value(column)? {
        Value::Text(text) => Ok(text.clone()),
        _ => Err(Error::internal(format!("`{column}` holds no text"))),
    }
}
