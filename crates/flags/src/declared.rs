//! What an app declares, as one list: a flag is a setting that is true or false and that clients may see.

use std::collections::BTreeMap;

use mainstay_engine::error::{Error, Key};
use mainstay_lang::schema::Schema;
use mainstay_lang::suggest::nearest;
use mainstay_lang::types::Type;
use mainstay_lang::value::Value;

/// A flag or a setting as the app declares it.
#[derive(Clone, Debug)]
pub struct Declared {
    /// Its name.
    pub name: String,
    /// Whether it is a flag.
    pub is_flag: bool,
    /// Whether clients may see it: flags are for them, settings are where the app's settings say so.
    pub is_shown: bool,
    /// What it holds.
    pub ty: Type,
    /// Its value until somebody changes it.
    pub default: Value,
    /// What it is for.
    pub description: String,
}

impl Declared {
    /// A value in its wire form, as one of the declared type.
    ///
    /// # Errors
    /// What was expected.
    pub(crate) fn read(&self, json: &str) -> Result<Value, String> {
        let value = Value::from_json(json, &self.ty).map_err(|error| self.words(&error))?;
        value.check_length(&self.ty).map_err(|error| self.words(&error))?;
        match (&value, &self.ty) {
            (Value::Null, _) => {
                Err(format!("`{}` always has a value: delete the row to have the declared one", self.name))
            }
            (Value::Json(text), Type::Json) if text == "null" => {
                Err(format!("`{}` always has a value: delete the row to have the declared one", self.name))
            }
            _ => Ok(value),
        }
    }

    /// A value as a person types it.
    ///
    /// # Errors
    /// What was expected.
    pub(crate) fn parse(&self, text: &str) -> Result<Value, String> {
        match self.ty {
            Type::Json | Type::List(_) => {
                let is_json = serde_json::from_str::<serde_json::Value>(text).is_ok();
                if is_json {
                    self.read(text)
                } else {
                    Err(format!("`{}` is {}, written as JSON", self.name, self.ty))
                }
            }
            _ => {
                let value = Value::parse_text(text, &self.ty).map_err(|error| self.words(&error))?;
                self.read(&value.to_json())
            }
        }
    }

    fn words(&self, error: &impl std::fmt::Display) -> String {
        format!("`{}` is {}: {error}", self.name, self.ty)
    }

    /// `flag` or `setting`.
    pub(crate) fn kind(&self) -> &'static str {
        if self.is_flag { "flag" } else { "setting" }
    }
}

/// Everything that an app declares.
#[derive(Debug, Default)]
pub(crate) struct Declarations(BTreeMap<String, Declared>);

impl Declarations {
    /// Those of a schema; `shown` names the settings that clients may see.
    pub(crate) fn of(schema: &Schema, shown: &[String]) -> Declarations {
        let flags = schema.flags.iter().map(|flag| Declared {
            name: flag.name.clone(),
            is_flag: true,
            is_shown: true,
            ty: Type::Bool,
            default: Value::Bool(flag.default),
            description: flag.description.clone(),
        });
        let settings = schema.settings.iter().map(|setting| Declared {
            name: setting.name.clone(),
            is_flag: false,
            is_shown: shown.contains(&setting.name),
            ty: setting.ty.clone(),
            default: setting.default.clone(),
            description: setting.description.clone(),
        });
        Declarations(flags.chain(settings).map(|of| (of.name.clone(), of)).collect())
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Declared> {
        self.0.values()
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Declared> {
        self.0.get(name)
    }

    /// That there is none of a name among those that somebody may know of, and which one may have been meant.
    pub(crate) fn unknown(&self, name: &str, may_know: impl Fn(&Declared) -> bool) -> String {
        let known = self.iter().filter(|of| may_know(of)).map(|of| of.name.as_str());
        let hint = nearest(name, known).map(|name| format!(", did you mean `{name}`?")).unwrap_or_default();
        format!("the app declares no flag or setting `{name}`{hint}")
    }

    /// The one that code asks for by name: where it is not there, the code is wrong.
    ///
    /// # Errors
    /// A fault of the server.
    pub(crate) fn asked(&self, name: &str) -> Result<&Declared, Error> {
        self.get(name).ok_or_else(|| Error::internal(self.unknown(name, |_| true)))
    }

    /// The one that a request names.
    ///
    /// # Errors
    /// That there is none (422), at a place.
    pub(crate) fn named(&self, name: &str, path: &str) -> Result<&Declared, Error> {
        self.get(name).ok_or_else(|| Error::at(Key::Invalid, path, "unknown", self.unknown(name, |_| true)))
    }
}
