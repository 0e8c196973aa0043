//! The members of one JSON object: in order, each once, their values as text.
//!
//! A map type would sort them or let the last of two win in silence; both would change what a request means.

use std::collections::HashSet;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::{join_path, malformed};
use crate::error::{Error, Key};
use crate::part::Raw;

/// The names and values of an object that is known to be valid JSON.
pub(super) fn members_of(raw: &Raw, path: &str) -> Result<Vec<(String, Raw)>, Error> {
    let members: Members<'_> = serde_json::from_str(raw.get()).map_err(|error| {
        // Valid JSON that cannot be read: a lone surrogate in a name.
        if first_is_object(raw) {
            Error::at(Key::Json, path, "form", error.to_string())
        } else {
            malformed(path, "must be an object")
        }
    })?;
    let mut seen = HashSet::with_capacity(members.0.len());
    if let Some((name, _)) = members.0.iter().find(|(name, _)| !seen.insert(name.as_str())) {
        let message = format!("`{name}` stands twice in one object");
        return Err(Error::at(Key::Json, join_path(path, name), "duplicate", message));
    }
    drop(seen);
    Ok(members.0.into_iter().map(|(name, value)| (name, raw.piece(value.get()))).collect())
}

fn first_is_object(raw: &Raw) -> bool {
    raw.get().starts_with('{')
}

struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Members<'de>, D::Error> {
        struct InOrder;
        impl<'de> Visitor<'de> for InOrder {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(InOrder)
    }
}
