//! A connection to a private PostgreSQL that runs statements with values, and no more than that.
//!
//! Values are bound as text, which every type reads, and come back in the binary form, which is decoded here by hand: a
//! reader of its own, with which the store's has to agree.

use std::error::Error;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context as _, Result};
use bytes::{BufMut as _, BytesMut};
use mainstay_lang::types::Type;
use mainstay_lang::value::{Date, Decimal, Duration, Time, Timestamp, Value};
use tokio_postgres::types::{Format, FromSql, IsNull, ToSql, Type as Sql};
use tokio_postgres::{NoTls, SimpleQueryMessage};

use super::Postgres;

/// A connection to a database of its own, which goes when this does.
#[derive(Debug)]
pub struct Client {
    database: String,
    client: tokio_postgres::Client,
    /// Nested rows in what was read last.
    nested: AtomicUsize,
}

impl Client {
    /// A connection to a new database.
    ///
    /// # Errors
    /// When the server cannot be reached.
    pub async fn connect() -> Result<Client> {
        let url = tokio::task::spawn_blocking(Postgres::database).await?;
        let (client, connection) = tokio_postgres::connect(&url, NoTls).await?;
        tokio::spawn(connection);
        let database = url.rsplit('/').next().context("the name of a database ends its URL")?.to_owned();
        Ok(Client { database, client, nested: AtomicUsize::new(0) })
    }

    /// Runs statements without values.
    ///
    /// # Errors
    /// What the database says.
    pub async fn script(&self, sql: &str) -> Result<(), String> {
        self.client.batch_execute(sql).await.map_err(words)
    }

    /// Runs a statement; how many rows it touched.
    ///
    /// # Errors
    /// What the database says; of an overflow, in the language's words.
    pub async fn write(&self, sql: &str, binds: &[Value]) -> Result<u64, String> {
        let statement = self.client.prepare(sql).await.map_err(words)?;
        self.client.execute_raw(&statement, binds.iter().map(Bound)).await.map_err(words)
    }

    /// Rows of values of these types; `null` stands for any, whose bytes are given as they came.
    ///
    /// # Errors
    /// What the database says; of an overflow, in the language's words.
    ///
    /// # Panics
    /// When a column is of another type than it should be.
    pub async fn read(&self, sql: &str, binds: &[Value], types: &[Type]) -> Result<Vec<Vec<Value>>, String> {
        self.nested.store(0, Ordering::Relaxed);
        let rows = self.transaction(sql, binds).await;
        if rows.is_err() {
            self.script("ROLLBACK").await?;
        }
        let value = |row: &tokio_postgres::Row, (index, ty): (usize, &Type)| -> Value {
            let raw: Option<Raw> = row.get(index);
            let name = row.columns()[index].type_().name();
            let decoded = raw.map(|Raw(raw)| match (name.strip_prefix('_'), ty) {
                (Some(name), Type::List(ty)) => {
                    let items = items(&raw).into_iter().map(|item| match item {
                        Some(item) => self.decode(item, name, ty),
                        None => Some(Value::Null),
                    });
                    items.collect::<Option<Vec<_>>>().map(Value::List)
                }
                _ => self.decode(&raw, name, ty),
            });
            let wrong = || panic!("{name} for {ty}: {sql}");
            decoded.map_or(Value::Null, |value| value.unwrap_or_else(wrong))
        };
        let row = |row: &tokio_postgres::Row| {
            assert_eq!(row.len(), types.len(), "{sql}");
            types.iter().enumerate().map(|at| value(row, at)).collect()
        };
        Ok(rows.map_err(words)?.iter().map(row).collect())
    }

    /// A value, its nested rows counted.
    fn decode(&self, raw: &[u8], name: &str, ty: &Type) -> Option<Value> {
        match ty {
            Type::Null => return Some(Value::Bytes(raw.to_vec())),
            Type::Json => {}
            _ => return decode(raw, name, ty),
        }
        let unmarked: Vec<u8> = raw.iter().copied().filter(|byte| *byte != b'\t').collect();
        self.nested.fetch_add(raw.len() - unmarked.len(), Ordering::Relaxed);
        decode(&unmarked, name, ty)
    }

    async fn transaction(
        &self,
        sql: &str,
        binds: &[Value],
    ) -> Result<Vec<tokio_postgres::Row>, tokio_postgres::Error> {
        let parameters: Vec<Bound<'_>> = binds.iter().map(Bound).collect();
        let parameters: Vec<&(dyn ToSql + Sync)> = parameters.iter().map(|bound| bound as _).collect();
        self.client.batch_execute("BEGIN").await?;
        let statement = self.client.prepare(sql).await?;
        let rows = self.client.query(&statement, &parameters).await?;
        self.client.batch_execute("COMMIT").await?;
        Ok(rows)
    }

    /// Nested rows in the JSON of what was read last: each has brought a tab, which is left out of the values.
    pub fn nested(&self) -> usize {
        self.nested.load(Ordering::Relaxed)
    }

    /// The plan of a statement, a line for each step, without costs, as it is whatever the values are. A table is read from end
    /// to end only where no index serves.
    ///
    /// # Errors
    /// What the database says.
    pub async fn plan(&self, sql: &str, binds: usize) -> Result<String, String> {
        let nulls = vec!["NULL"; binds].join(", ");
        let nulls = if nulls.is_empty() { nulls } else { format!("({nulls})") };
        let settings = "SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off; DEALLOCATE ALL";
        self.script(settings).await?;
        self.script(&format!("PREPARE planned AS {sql}")).await?;
        let explain = format!("EXPLAIN (COSTS OFF) EXECUTE planned{nulls}");
        let messages = self.client.simple_query(&explain).await.map_err(words)?;
        let lines = messages.iter().filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => row.get(0),
            _ => None,
        });
        Ok(lines.collect::<Vec<_>>().join("\n"))
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // Long runs make many, of some megabytes each; one that stays goes with the server.
        let _ = Postgres::shared().run("postgres", &format!("DROP DATABASE {} WITH (FORCE)", self.database));
    }
}

/// The overflow of a type in the language's words, all else in the database's.
fn words(error: tokio_postgres::Error) -> String {
    let Some(db) = error.as_db_error() else { return format!("{error:?}") };
    match db.code().code() {
        "22003" | "22008" => format!("{}: {}", mainstay_lang::ops::OVERFLOW, db.message()),
        code => format!("{code} {}: {}", db.message(), db.where_().unwrap_or_default()),
    }
}

#[derive(Debug)]
struct Bound<'v>(&'v Value);

impl ToSql for Bound<'_> {
    fn to_sql(&self, _: &Sql, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        let text = match self.0 {
            Value::Null => return Ok(IsNull::Yes),
            Value::Bytes(bytes) => {
                format!("\\x{}", bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>())
            }
            Value::Duration(Duration(micros)) => micros.to_string(),
            value => value.to_string(),
        };
        out.put_slice(text.as_bytes());
        Ok(IsNull::No)
    }

    fn accepts(_: &Sql) -> bool {
        true
    }

    fn encode_format(&self, _: &Sql) -> Format {
        Format::Text
    }

    tokio_postgres::types::to_sql_checked!();
}

struct Raw(Vec<u8>);

impl<'a> FromSql<'a> for Raw {
    fn from_sql(_: &Sql, raw: &'a [u8]) -> Result<Raw, Box<dyn Error + Sync + Send>> {
        Ok(Raw(raw.to_vec()))
    }

    fn accepts(_: &Sql) -> bool {
        true
    }
}

/// The items of an array of one dimension.
fn items(raw: &[u8]) -> Vec<Option<&[u8]>> {
    let number = |at: usize| i32::from_be_bytes(raw[at..at + 4].try_into().expect("four bytes"));
    let mut at = 20;
    let item = |_| {
        let length = usize::try_from(number(at)).ok();
        let begins = at + 4;
        at = begins + length.unwrap_or(0);
        length.map(|_| &raw[begins..at])
    };
    (0..number(12)).map(item).collect()
}

/// 2000-01-01, from which the database counts.
const EPOCH_DAYS: i32 = 10_957;
const EPOCH_MICROS: i64 = EPOCH_DAYS as i64 * 86_400_000_000;

/// A value of a storage type in the binary form of the database's type; none where it is of another.
fn decode(raw: &[u8], name: &str, ty: &Type) -> Option<Value> {
    let text = || String::from_utf8_lossy(raw).into_owned();
    let long = || raw.try_into().map(i64::from_be_bytes).ok();
    Some(match (name, ty) {
        ("bool", Type::Bool) => Value::Bool(raw == [1]),
        ("int8", Type::Int) => Value::Int(long()?),
        ("int8", Type::Duration) => Value::Duration(Duration(long()?)),
        ("float8", Type::Float) => Value::Float(f64::from_be_bytes(raw.try_into().ok()?)),
        ("numeric", Type::Decimal { scale, .. }) => Value::Decimal(numeric(raw)?.rescale_exact(*scale)?),
        ("uuid", Type::Uuid) => Value::Uuid(uuid::Uuid::from_slice(raw).ok()?),
        ("date", Type::Date) => Value::Date(Date(i32::from_be_bytes(raw.try_into().ok()?) + EPOCH_DAYS)),
        ("time", Type::Time) => Value::Time(Time(long()?)),
        ("timestamptz", Type::Timestamp) => Value::Timestamp(Timestamp(long()? + EPOCH_MICROS)),
        ("bytea", Type::Bytes) => Value::Bytes(raw.to_vec()),
        ("json" | "text", Type::Json) => Value::Json(text()),
        ("json", Type::List(_)) => Value::from_json(&text(), ty).ok()?,
        ("text", Type::Text { .. } | Type::Enum(_) | Type::File) => Value::Text(text()),
        _ => return None,
    })
}

/// Digits in base 10,000: their number, the weight of the first, the sign, the scale, then themselves.
fn numeric(raw: &[u8]) -> Option<Decimal> {
    let part = |at: usize| i16::from_be_bytes([raw[2 * at], raw[2 * at + 1]]);
    let (count, weight, sign, scale) = (part(0), part(1), part(2), part(3));
    let mut mantissa: i128 = 0;
    for at in 0..count {
        mantissa = mantissa * 10_000 + i128::from(part(4 + usize::try_from(at).ok()?));
    }
    // The last digit counts units of 10,000 to this power.
    let power = 4 * (i32::from(weight) + 1 - i32::from(count)) + i32::from(scale);
    let ten = |power: i32| 10i128.pow(power.unsigned_abs());
    let mantissa = if power < 0 { mantissa / ten(power) } else { mantissa * ten(power) };
    let signed = if sign == 0 { mantissa } else { -mantissa };
    Decimal::new(signed, u8::try_from(scale).ok()?)
}
