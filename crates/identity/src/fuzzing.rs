//! What fuzz targets call: the capability's readers of what strangers send, with what must hold of each.

use crate::saml::fuzzed;

/// Any bytes as an answer of a provider that speaks SAML: nobody who has not its key is believed. As the content of an assertion that
/// the provider has signed they are read all the way.
///
/// # Panics
/// When something else happens.
pub fn saml_response(bytes: &[u8]) {
    fuzzed(bytes);
}
