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

/// Names of so few members are compared with each other, which takes less time than hashing them.
const COMPARED_MAX: usize = 16;

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
    if let Some(name) = first_twin(&members.0) {
        let message = format!("`{name}` stands twice in one object");
        return Err(Error::at(Key::Json, join_path(path, name), "duplicate", message));
    }
    Ok(members.0.into_iter().map(|(name, value)| (name, raw.piece(value.get()))).collect())
}

/// The first name that has stood before.
fn first_twin<'m>(members: &'m [(String, &RawValue)]) -> Option<&'m str> {
    let names = || members.iter().map(|(name, _)| name.as_str());
    if members.len() <= COMPARED_MAX {
        return names()
            .enumerate()
            .find(|(at, name)| names().take(*at).any(|other| other == *name))
            .map(|found| found.1);
    }
    let mut seen = HashSet::with_capacity(members.len());
    names().find(|name| !seen.insert(*name))
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
