//! Rows of the answer in the hands of a hook.
//!
//! Values stay the text that the database gave: what a hook does not touch goes out as it came.

use serde::Serialize;
use serde::de::{Deserialize, DeserializeOwned, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::error::Error;

/// Rows of one table in the answer.
#[derive(Debug)]
pub struct Results {
    /// Each of them; the order and number of rows is the request's.
    pub rows: Vec<ResultRow>,
}

/// A row of the answer: its members in their order.
#[derive(Clone, Debug, Default)]
pub struct ResultRow(pub(crate) Vec<(String, Box<RawValue>)>);

impl ResultRow {
    /// A member, if it is shown.
    ///
    /// # Errors
    /// When the type cannot hold it.
    pub fn get<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, Error> {
        let member = self.0.iter().find(|(member, _)| member == name);
        let value = member.map(|(_, value)| serde_json::from_str(value.get())).transpose();
        value.map_err(|error| Error::internal(format!("`{name}` of a result is read as: {error}")))
    }

    /// Gives a member a value; one that is not there is added.
    ///
    /// # Errors
    /// When the value cannot be written as JSON.
    pub fn set(&mut self, name: &str, value: impl Serialize) -> Result<(), Error> {
        let value = serde_json::value::to_raw_value(&value).map_err(Error::internal)?;
        match self.0.iter_mut().find(|(member, _)| member == name) {
            Some((_, held)) => *held = value,
            None => self.0.push((name.to_owned(), value)),
        }
        Ok(())
    }

    /// Takes a member out.
    pub fn remove(&mut self, name: &str) {
        self.0.retain(|(member, _)| member != name);
    }

    /// Names of the members.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.as_str())
    }

    pub(crate) fn write(&self, out: &mut String) {
        out.push('{');
        for (place, (name, value)) in self.0.iter().enumerate() {
            if place > 0 {
                out.push(',');
            }
            out.push_str(&serde_json::to_string(name).unwrap_or_default());
            out.push(':');
            out.push_str(value.get());
        }
        out.push('}');
    }
}

impl<'de> Deserialize<'de> for ResultRow {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<ResultRow, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = ResultRow;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<ResultRow, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(ResultRow(members))
            }
        }
        deserializer.deserialize_map(Members)
    }
}
