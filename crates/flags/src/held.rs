//! All values in memory, and how one is found: a tenant's, else everybody's, else the declared one.
//!
//! A reader takes what is held at the moment and waits for nobody; who has read the table anew puts another list in its place.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use mainstay_engine::error::Error;
use mainstay_engine::plugin::Parts;
use mainstay_lang::schema::Schema;
use mainstay_lang::value::Value;
use parking_lot::{Mutex, RwLock};
use serde::de::DeserializeOwned;
use tokio::sync::watch;

use crate::declared::{Declarations, Declared};

/// Where a value comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The app's files.
    Declared,
    /// A row for everybody.
    Everybody,
    /// A row for the tenant.
    Tenant,
}

/// A value that was found.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// The value.
    pub value: Value,
    /// Where it comes from.
    pub source: Source,
}

/// A row that is not served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stray {
    /// The name in it.
    pub name: String,
    /// The tenant in it.
    pub tenant: Option<String>,
    /// Why not.
    pub why: String,
}

/// The values of one name: for everybody under none, for tenants by their keys.
type OfName = HashMap<Option<String>, Value>;

/// What the rows say.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Held {
    values: HashMap<String, OfName>,
    strays: Vec<Stray>,
}

impl Held {
    /// Takes a row.
    pub(crate) fn add(&mut self, declared: &Declarations, name: String, tenant: Option<String>, json: &str) {
        let why = match declared.get(&name) {
            None => "the app does not declare it any more".to_owned(),
            Some(of) => match of.read(json) {
                Ok(value) => {
                    self.values.entry(name).or_default().insert(tenant, value);
                    return;
                }
                Err(words) => words,
            },
        };
        self.strays.push(Stray { name, tenant, why });
    }
}

#[derive(Debug)]
struct Inner {
    declared: Declarations,
    held: RwLock<Arc<Held>>,
    /// Grows when another list is held.
    version: watch::Sender<u64>,
    /// Until when a write of this process may still be on its way to its commit.
    touched: Mutex<Option<Instant>>,
}

/// The flags and settings of an app, as this process knows them.
#[derive(Clone, Debug)]
pub struct Flags(Arc<Inner>);

impl Flags {
    /// Those that a schema declares, with their declared values until the rows were read.
    pub(crate) fn new(schema: &Schema, shown: &[String]) -> Flags {
        Flags(Arc::new(Inner {
            declared: Declarations::of(schema, shown),
            held: RwLock::default(),
            version: watch::channel(0).0,
            touched: Mutex::new(None),
        }))
    }

    /// Those of an app.
    ///
    /// # Errors
    /// When the app does not say `use flags`.
    pub fn of(parts: &Parts) -> Result<&Flags, Error> {
        parts
            .get()
            .ok_or_else(|| Error::internal("flags and settings are read where the app says `use flags`"))
    }

    /// All that are declared, in the order of their names.
    pub fn declared(&self) -> impl Iterator<Item = &Declared> {
        self.0.declared.iter()
    }

    pub(crate) fn declarations(&self) -> &Declarations {
        &self.0.declared
    }

    /// Whether a flag is on, for a tenant or for whoever has none.
    ///
    /// # Errors
    /// When the app declares no such flag.
    pub fn flag(&self, name: &str, tenant: Option<&Value>) -> Result<bool, Error> {
        match self.found(self.0.declared.asked(name)?, tenant).value {
            Value::Bool(is_on) => Ok(is_on),
            _ => Err(Error::internal(format!("`{name}` is a setting that is not true or false"))),
        }
    }

    /// The value of a setting, for a tenant or for whoever has none.
    ///
    /// # Errors
    /// When the app declares no such setting, or the type cannot hold its values.
    pub fn setting<T: DeserializeOwned>(&self, name: &str, tenant: Option<&Value>) -> Result<T, Error> {
        let found = self.found(self.0.declared.asked(name)?, tenant);
        serde_json::from_str(&found.value.to_json())
            .map_err(|error| Error::internal(format!("the setting `{name}` is read as: {error}")))
    }

    /// What holds of a declaration for a tenant, or for whoever has none.
    pub fn found(&self, of: &Declared, tenant: Option<&Value>) -> Found {
        let held = self.0.held.read().clone();
        let values = held.values.get(&of.name);
        let tenants = tenant.and_then(|tenant| values?.get(&tenant_key(tenant)));
        let everybodys = || values.and_then(|values| values.get(&None));
        match (tenants, everybodys()) {
            (Some(value), _) => Found { value: value.clone(), source: Source::Tenant },
            (None, Some(value)) => Found { value: value.clone(), source: Source::Everybody },
            (None, None) => Found { value: of.default.clone(), source: Source::Declared },
        }
    }

    /// The tenants that have a value of their own, with it, in the order of their keys.
    pub fn of_tenants(&self, of: &Declared) -> Vec<(String, Value)> {
        let held = self.0.held.read().clone();
        let values = held.values.get(&of.name).into_iter().flatten();
        let mut values: Vec<(String, Value)> =
            values.filter_map(|(tenant, value)| Some((tenant.clone()?, value.clone()))).collect();
        values.sort_by(|a, b| a.0.cmp(&b.0));
        values
    }

    /// Rows that are kept and not served.
    pub fn strays(&self) -> Vec<Stray> {
        self.0.held.read().strays.clone()
    }

    /// Grows whenever some value has become another one here.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.0.version.subscribe()
    }

    /// Puts what was read in the place of what was held.
    pub(crate) fn hold(&self, held: Held) {
        if **self.0.held.read() == held {
            return;
        }
        *self.0.held.write() = Arc::new(held);
        self.0.version.send_modify(|version| *version += 1);
    }

    /// A request of this process writes values; it ends by then.
    pub(crate) fn touch(&self, until: Instant) {
        let mut touched = self.0.touched.lock();
        *touched = Some(touched.map_or(until, |known| known.max(until)));
    }

    /// Whether a commit of this process may have been one of values.
    pub(crate) fn is_touched(&self) -> bool {
        let mut touched = self.0.touched.lock();
        let is_touched = touched.is_some_and(|until| Instant::now() < until);
        if !is_touched {
            *touched = None;
        }
        is_touched
    }
}

/// A tenant as rows name it.
pub(crate) fn tenant_key(tenant: &Value) -> Option<String> {
    Some(tenant.to_json().trim_matches('"').to_owned())
}

#[cfg(test)]
mod tests {
    use mainstay_lang::analyse::analyse;
    use mainstay_lang::source::Sources;
    use uuid::Uuid;

    use super::*;

    fn flags() -> Flags {
        let mut sources = Sources::default();
        sources.add("app.stay", "flag dark = false\nsetting level int = 5\nsetting word text(3) = \"a\"\n");
        Flags::new(&analyse(&sources).schema.unwrap(), &[])
    }

    #[test]
    fn a_tenants_value_goes_before_everybodys_and_that_before_the_declared_one() {
        let flags = flags();
        let [ours, theirs] = [1, 2].map(|number| Value::Uuid(Uuid::from_u128(number)));
        let level = |tenant| flags.setting::<i64>("level", tenant).unwrap();
        assert_eq!((level(None), level(Some(&ours))), (5, 5));
        let hold = |rows: &[(&str, Option<&Value>, &str)]| {
            let mut held = Held::default();
            for (name, tenant, json) in rows {
                let tenant = tenant.and_then(tenant_key);
                held.add(flags.declarations(), (*name).to_owned(), tenant, json);
            }
            flags.hold(held);
        };
        hold(&[("level", None, "6"), ("level", Some(&ours), "7"), ("dark", Some(&theirs), "true")]);
        assert_eq!((level(None), level(Some(&ours)), level(Some(&theirs))), (6, 7, 6));
        let dark = |tenant| flags.flag("dark", tenant).unwrap();
        assert_eq!((dark(None), dark(Some(&ours)), dark(Some(&theirs))), (false, false, true));
        hold(&[("level", Some(&ours), "7")]);
        assert_eq!((level(None), level(Some(&ours)), dark(Some(&theirs))), (5, 7, false));
    }

    #[test]
    fn what_does_not_fit_is_not_served() {
        let flags = flags();
        let mut held = Held::default();
        for (name, json) in [("gone", "1"), ("level", "\"7\""), ("word", "\"long\""), ("dark", "null")] {
            held.add(flags.declarations(), name.to_owned(), None, json);
        }
        flags.hold(held);
        let strays: Vec<String> = flags.strays().into_iter().map(|stray| stray.name).collect();
        assert_eq!(strays, ["gone", "level", "word", "dark"]);
        assert_eq!(flags.setting::<i64>("level", None).unwrap(), 5);
        assert_eq!(flags.setting::<String>("word", None).unwrap(), "a");
    }

    #[test]
    fn a_change_is_told_once() {
        let flags = flags();
        let changes = flags.changes();
        flags.hold(Held::default());
        assert!(!changes.has_changed().unwrap());
        let mut held = Held::default();
        held.add(flags.declarations(), "dark".to_owned(), None, "true");
        flags.hold(held);
        assert!(changes.has_changed().unwrap());
    }

    #[test]
    fn a_wrong_name_or_type_in_code_is_told_with_the_nearest() {
        let flags = flags();
        let words = |error: Error| error.internal.unwrap();
        assert!(words(flags.flag("drak", None).unwrap_err()).contains("did you mean `dark`?"));
        assert!(words(flags.flag("level", None).unwrap_err()).contains("not true or false"));
        assert!(words(flags.setting::<bool>("level", None).unwrap_err()).contains("level"));
    }
}
