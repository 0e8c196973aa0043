//! How providers that speak SAML are set.
//!
//! What is missing or cannot be is told when the app is opened, with the name of the setting. Files are read then, too.

use std::path::PathBuf;
use std::time::Duration;

use super::keys::{Credential, KeyError, PublicKey};
use super::message::Comparison;
use super::signature::Accepted;
use crate::provider::options::{ProviderOptions, is_provider_url};

/// A name that means the same person each time, and to nobody else.
const PERSISTENT: &str = "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent";
/// One that is another each time.
pub(crate) const TRANSIENT: &str = "urn:oasis:names:tc:SAML:2.0:nameid-format:transient";

/// A provider that speaks SAML.
#[derive(Clone, Debug)]
pub struct SamlOptions {
    /// As every provider.
    pub provider: ProviderOptions,
    /// Where its metadata are: an address, or a file.
    pub metadata: String,
    /// A file with the certificates (PEM) of which one has to have signed its metadata.
    pub metadata_certificates: Option<PathBuf>,
    /// Its entity id, where its metadata have several.
    pub issuer: Option<String>,
    /// What the app calls itself to it; none: the address of its own metadata.
    pub entity: Option<String>,
    /// Files with the app's key (PKCS #8 in PEM) and its certificate; none: made here.
    pub key: Option<PathBuf>,
    /// The certificate of the key.
    pub certificate: Option<PathBuf>,
    /// How requests go to it.
    pub request: SamlRequest,
    /// How its answers come.
    pub answer: SamlAnswer,
    /// The form of names that is asked for.
    pub name_format: String,
    /// The attribute that says who somebody is; none: the name of the assertion.
    pub subject: Option<String>,
    /// The attribute with an address of mail.
    pub email: Option<String>,
    /// Whether mail to that address reaches them.
    pub email_verified: bool,
    /// The attribute with what others call them.
    pub name: Option<String>,
    /// How they have to sign in there; from the weakest on, where stronger ones are good, too.
    pub contexts: Vec<String>,
    /// Whether a stronger one than the first is asked for, too.
    pub stronger: bool,
    /// Whether SHA-1 is accepted in signatures.
    pub sha1: bool,
    /// Whether it may begin by itself.
    pub unsolicited: bool,
    /// By how much clocks may differ.
    pub skew: Duration,
}

/// How requests go to a provider.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SamlRequest {
    /// In an address that the browser is sent to.
    #[default]
    Redirect,
    /// In a form that the browser sends.
    Post,
}

/// How answers of a provider come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SamlAnswer {
    /// In a form that the browser sends.
    #[default]
    Post,
    /// By an artifact, for which the app asks the provider itself.
    Artifact,
}

impl Default for SamlOptions {
    fn default() -> SamlOptions {
        SamlOptions {
            provider: ProviderOptions::default(),
            metadata: String::new(),
            metadata_certificates: None,
            issuer: None,
            entity: None,
            key: None,
            certificate: None,
            request: SamlRequest::default(),
            answer: SamlAnswer::default(),
            name_format: PERSISTENT.to_owned(),
            subject: None,
            email: None,
            email_verified: false,
            name: None,
            contexts: Vec::new(),
            stronger: false,
            sha1: false,
            unsolicited: false,
            skew: Duration::from_secs(60),
        }
    }
}

/// What files say.
#[derive(Debug)]
pub(crate) struct Files {
    /// The app's own key, where it is not made here.
    pub(crate) credential: Option<Credential>,
    /// The keys of which one has to have signed the metadata; empty: nobody has to.
    pub(crate) pinned: Vec<PublicKey>,
}

impl SamlOptions {
    pub(crate) fn accepted(&self) -> Accepted {
        if self.sha1 { Accepted::Sha1 } else { Accepted::Current }
    }

    pub(crate) fn comparison(&self) -> Comparison {
        if self.stronger { Comparison::Minimum } else { Comparison::Exact }
    }

    /// Reads the files, and tells what is wrong.
    ///
    /// # Errors
    /// Words that name the setting.
    pub(crate) fn files(&self, name: &str) -> Result<Files, String> {
        let wrong =
            |setting: &str, words: &dyn std::fmt::Display| format!("identity.saml.{name}.{setting}: {words}");
        if self.metadata.is_empty() {
            return Err(wrong("metadata", &"set the address or file of the provider's metadata"));
        }
        if self.metadata.contains("://") && !is_provider_url(&self.metadata) {
            return Err(wrong("metadata", &format!("{:?} is no https:// address", self.metadata)));
        }
        if self.name_format == TRANSIENT && self.subject.is_none() {
            return Err(wrong(
                "subject",
                &"set the attribute that says who somebody is: a transient name does not",
            ));
        }
        if self.email_verified && self.email.is_none() {
            return Err(wrong("email", &"set the attribute with the address, or leave `email_verified` out"));
        }
        if self.stronger && self.contexts.is_empty() {
            return Err(wrong("contexts", &"set the contexts, from the weakest on, or leave `stronger` out"));
        }
        let read = |setting: &str, path: &PathBuf| {
            std::fs::read_to_string(path)
                .map_err(|error| wrong(setting, &format!("{}: {error}", path.display())))
        };
        let credential = match (&self.key, &self.certificate) {
            (Some(key), Some(certificate)) => {
                let (key, certificate) = (read("key", key)?, read("certificate", certificate)?);
                let credential = Credential::of_text(&key, &certificate).map_err(|error| {
                    let setting = if matches!(error, KeyError::Private) { "key" } else { "certificate" };
                    wrong(setting, &error)
                })?;
                Some(credential)
            }
            (None, None) => None,
            (Some(_), None) => return Err(wrong("certificate", &"set the certificate of the key")),
            (None, Some(_)) => return Err(wrong("key", &"set the key of the certificate")),
        };
        let mut pinned = Vec::new();
        if let Some(path) = &self.metadata_certificates {
            let text = read("metadata_certificates", path)?;
            for block in
                text.split_inclusive("-----END CERTIFICATE-----").filter(|block| block.contains("-----BEGIN"))
            {
                pinned
                    .push(PublicKey::of_text(block).map_err(|error| wrong("metadata_certificates", &error))?);
            }
            if pinned.is_empty() {
                return Err(wrong("metadata_certificates", &"there is no certificate (PEM) in it"));
            }
        }
        Ok(Files { credential, pinned })
    }
}

#[cfg(test)]
mod tests {
    use super::SamlOptions;

    #[test]
    fn what_is_missing_or_cannot_be_is_named() {
        let check = |options: SamlOptions, expect: &str| {
            let said = options.files("x").err().unwrap_or_default();
            assert!(said.starts_with(expect), "{said}");
        };
        let set =
            || SamlOptions { metadata: "https://idp.example/metadata".to_owned(), ..SamlOptions::default() };
        check(set(), "");
        check(SamlOptions::default(), "identity.saml.x.metadata: set");
        let plain = "http://idp.example/metadata".to_owned();
        check(SamlOptions { metadata: plain, ..set() }, "identity.saml.x.metadata: \"http");
        check(SamlOptions { name_format: super::TRANSIENT.to_owned(), ..set() }, "identity.saml.x.subject");
        check(SamlOptions { email_verified: true, ..set() }, "identity.saml.x.email");
        check(SamlOptions { stronger: true, ..set() }, "identity.saml.x.contexts");
        check(SamlOptions { key: Some("k".into()), ..set() }, "identity.saml.x.certificate: set");
        check(SamlOptions { certificate: Some("c".into()), ..set() }, "identity.saml.x.key: set");
        let missing = Some("/nowhere/at/all.pem".into());
        check(
            SamlOptions { metadata_certificates: missing, ..set() },
            "identity.saml.x.metadata_certificates: /nowhere",
        );
    }
}
