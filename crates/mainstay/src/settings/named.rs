//! Settings of things that an app names itself, such as each provider to sign in by: `identity.oidc.NAME.issuer`.
//!
//! In a file they stand in a section of that name, in the environment behind it; a flag they have none, because flags are known
//! before anything is named. Which names there are is what files and variables say.

use std::collections::{BTreeMap, HashMap};

use anyhow::Result;

use super::table::NAMED;
use super::{Config, Origin};

/// One setting of each thing of a kind.
#[derive(Clone, Copy)]
pub(crate) struct Named {
    /// Where it stands, with [`PLACE`] for the name: `identity.oidc.NAME.issuer`.
    pub(crate) name: &'static str,
    /// What stands for the value in the help.
    pub(crate) placeholder: &'static str,
    /// What holds when nobody says otherwise, for those who read.
    pub(crate) default: &'static str,
    /// What it does, in one or two sentences.
    pub(crate) help: &'static str,
    /// Whether its value is hidden from listings.
    pub(crate) secret: bool,
    /// Reads the text into what has the name, or says what was expected.
    pub(crate) apply: fn(&mut Config, &str, &str) -> Result<(), String>,
}

/// What stands for the name in the name of a setting.
const PLACE: &str = "NAME";

/// One that was said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NamedValue {
    pub(crate) name: String,
    pub(crate) text: String,
    pub(crate) origin: Origin,
    pub(crate) secret: bool,
    pub(crate) help: &'static str,
}

impl Named {
    /// The name that a dotted name has in this setting's place for it.
    fn within<'n>(&self, dotted: &'n str) -> Option<&'n str> {
        let (before, after) = self.name.split_once(PLACE)?;
        let name = dotted.strip_prefix(before)?.strip_suffix(after)?;
        is_name(name).then_some(name)
    }

    fn of(&self, name: &str) -> String {
        self.name.replacen(PLACE, name, 1)
    }

    /// The environment's variable, with the name in it as it would be written there.
    pub(crate) fn variable(&self, name: &str) -> String {
        format!("MAINSTAY_{}", self.of(name).replace(['.', '-'], "_").to_uppercase())
    }

    /// The name in a variable of this setting. What a name has as a dash is an underscore there.
    fn within_variable(&self, variable: &str) -> Option<String> {
        let whole = self.variable(PLACE);
        let (before, after) = whole.split_once(PLACE)?;
        let name = variable.strip_prefix(before)?.strip_suffix(after)?;
        let name = name.to_ascii_lowercase().replace('_', "-");
        is_name(&name).then_some(name)
    }
}

/// Whether something can be called so: it stands in paths.
fn is_name(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 63
        && !text.starts_with('-')
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

/// The setting that a dotted name of a file is.
pub(super) fn of_file(dotted: &str) -> bool {
    NAMED.iter().any(|setting| setting.within(dotted).is_some())
}

/// The setting and name that a variable is: where two fit, the longer one, for `client_secret` ends as `secret` does.
fn of_variable(variable: &str) -> Option<(&'static Named, String)> {
    let fitting = NAMED.iter().filter_map(|setting| Some((setting, setting.within_variable(variable)?)));
    fitting.min_by_key(|(_, name)| name.len())
}

/// Whether a variable is one of these settings.
pub(super) fn is_variable(variable: &str) -> bool {
    of_variable(variable).is_some()
}

/// Reads all that were said, in the order of their names.
pub(super) fn read(
    config: &mut Config,
    from_files: &HashMap<String, (String, String)>,
    from_environment: impl Iterator<Item = (String, String)>,
) -> Result<Vec<NamedValue>> {
    let mut said: BTreeMap<String, (&'static Named, String, NamedValue)> = BTreeMap::new();
    let mut say = |setting: &'static Named, name: String, text: String, origin: Origin| {
        let dotted = setting.of(&name);
        let (secret, help) = (setting.secret, setting.help);
        let value = NamedValue { name: dotted.clone(), text, origin, secret, help };
        said.insert(dotted, (setting, name, value));
    };
    for (dotted, (text, place)) in from_files {
        let found = NAMED.iter().find_map(|setting| Some((setting, setting.within(dotted)?)));
        if let Some((setting, name)) = found {
            say(setting, name.to_owned(), text.clone(), Origin::File(place.clone()));
        }
    }
    for (variable, text) in from_environment {
        if let Some((setting, name)) = of_variable(&variable) {
            say(setting, name, text, Origin::Variable(variable));
        }
    }
    let mut values = Vec::with_capacity(said.len());
    for (_, (setting, name, value)) in said {
        (setting.apply)(config, &name, &value.text).map_err(|expected| {
            let shown = if value.secret { "the value".to_owned() } else { format!("{:?}", value.text) };
            anyhow::anyhow!("{} ({}): expected {expected}, not {shown}", value.name, value.origin)
        })?;
        values.push(value);
    }
    Ok(values)
}

#[cfg(test)]
mod tests {
    use super::super::unset;
    use super::*;

    fn read_of(files: &[(&str, &str)], variables: &[(&str, &str)]) -> Result<(Config, Vec<NamedValue>)> {
        let owned = |(name, text): &(&str, &str)| ((*name).to_owned(), (*text).to_owned());
        let files = files.iter().map(owned).map(|(name, text)| (name, (text, "mainstay.toml".to_owned())));
        let mut config = unset("development".to_owned());
        let values = read(&mut config, &files.collect(), variables.iter().map(owned))?;
        Ok((config, values))
    }

    #[test]
    fn what_an_app_names_is_read_from_files_and_from_the_environment() {
        let files = [
            ("identity.oidc.keycloak.issuer", "https://id.example.com/realms/shop"),
            ("identity.oidc.keycloak.client_id", "shop"),
            ("http.listen", "127.0.0.1:1"),
        ];
        let variables = [
            ("MAINSTAY_IDENTITY_OIDC_KEYCLOAK_CLIENT_ID", "other"),
            ("MAINSTAY_IDENTITY_OIDC_MY_SCHOOL_CLIENT_SECRET", "hush"),
        ];
        let (config, values) = read_of(&files, &variables).unwrap();
        let keycloak = &config.identity.oidc["keycloak"];
        assert_eq!(keycloak.issuer, "https://id.example.com/realms/shop");
        assert_eq!(keycloak.client_id, "other", "a variable stands before a file");
        assert_eq!(config.identity.oidc["my-school"].client_secret.as_deref(), Some("hush"));
        let names: Vec<&str> = values.iter().map(|value| value.name.as_str()).collect();
        assert_eq!(
            names,
            [
                "identity.oidc.keycloak.client_id",
                "identity.oidc.keycloak.issuer",
                "identity.oidc.my-school.client_secret"
            ]
        );
    }

    #[test]
    fn a_name_that_cannot_stand_in_a_path_is_no_setting() {
        assert!(of_file("identity.oidc.keycloak.issuer"));
        assert!(!of_file("identity.oidc.Key/cloak.issuer"));
        assert!(!of_file("identity.oidc.keycloak.isuer"));
        assert!(is_variable("MAINSTAY_IDENTITY_OIDC_GOOGLE_CLIENT_ID"));
        assert!(!is_variable("MAINSTAY_IDENTITY_OIDC_ISSUER"));
    }

    #[test]
    fn what_cannot_be_read_names_its_place() {
        let error = read_of(&[("identity.oidc.x.issuer", "id.example.com")], &[]).unwrap_err().to_string();
        assert!(error.contains("identity.oidc.x.issuer (mainstay.toml): expected an https"), "{error}");
        let files = [("identity.oidc.x.client_secret", "")];
        let error = read_of(&files, &[]).unwrap_err().to_string();
        assert!(error.contains("not the value"), "{error}");
    }
}
