//! A certificate and its key: read, looked at, and made into what a connection is encrypted by.
//!
//! TLS 1.2 and 1.3 with the ciphers that rustls has for safe. Knows neither files' changes nor authorities.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use mainstay_http::{CHALLENGE_PROTOCOL, HTTP_PROTOCOLS};
use rcgen::{CertificateParams, CustomExtension, KeyPair};
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::WantsServerCert;
use tokio_rustls::rustls::sign::{CertifiedKey, SingleCertAndKey};
use tokio_rustls::rustls::{self, ConfigBuilder, ServerConfig};
use x509_cert::Certificate;
use x509_cert::der::Decode as _;
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;

/// Why a certificate and key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PairError {
    /// A file cannot be read.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// What is read is none.
    #[error("{what} is none: {words}")]
    Form {
        /// The certificate, or the key.
        what: &'static str,
        /// Why.
        words: String,
    },
    /// The two do not belong together, or are of a kind that is not used.
    #[error("the certificate and the key cannot be used: {0}")]
    Use(#[from] rustls::Error),
}

/// A certificate, those above it, and its key.
pub(crate) struct Pair {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    /// The names that it is for.
    pub(crate) names: Vec<String>,
    /// From when until when it is good, in seconds since 1970.
    pub(crate) begins_s: u64,
    pub(crate) ends_s: u64,
}

impl PartialEq for Pair {
    fn eq(&self, other: &Pair) -> bool {
        self.chain == other.chain && self.key == other.key
    }
}

impl Pair {
    /// Those of two files.
    pub(crate) fn read(cert: &Path, key: &Path) -> Result<Pair, PairError> {
        let read = |path: &Path| {
            std::fs::read(path).map_err(|source| PairError::File { path: path.to_owned(), source })
        };
        Pair::parse(&read(cert)?, &read(key)?)
    }

    /// Those of two texts in PEM.
    pub(crate) fn parse(cert: &[u8], key: &[u8]) -> Result<Pair, PairError> {
        let form = |what: &'static str, words: String| PairError::Form { what, words };
        let of_cert = |words: String| form("the certificate", words);
        let chain = CertificateDer::pem_slice_iter(cert).collect::<Result<Vec<_>, _>>();
        let chain = chain.map_err(|error| of_cert(error.to_string()))?;
        let first = chain.first().ok_or_else(|| of_cert("there is no certificate in it".to_owned()))?;
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|error| form("the key", error.to_string()))?;
        let read = Certificate::from_der(first).map_err(|error| of_cert(error.to_string()))?;
        let validity = read.tbs_certificate.validity;
        let (begins_s, ends_s) = (
            validity.not_before.to_unix_duration().as_secs(),
            validity.not_after.to_unix_duration().as_secs(),
        );
        let names = names_of(&read);
        Ok(Pair { chain, key, names, begins_s, ends_s })
    }

    /// What connections are encrypted by.
    pub(crate) fn config(&self) -> Result<ServerConfig, PairError> {
        let mut config = builder()?.with_single_cert(self.chain.clone(), self.key.clone_key())?;
        config.alpn_protocols = HTTP_PROTOCOLS.iter().map(|protocol| protocol.to_vec()).collect();
        // Whoever comes again needs no second look at the certificate, and the server remembers nobody.
        config.ticketer = aws_lc_rs::Ticketer::new()?;
        Ok(config)
    }
}

fn names_of(certificate: &Certificate) -> Vec<String> {
    let extensions = certificate.tbs_certificate.extensions.iter().flatten();
    let names =
        extensions.filter_map(|extension| SubjectAltName::from_der(extension.extn_value.as_bytes()).ok());
    let dns = |name: GeneralName| match name {
        GeneralName::DnsName(name) => Some(name.to_string()),
        _ => None,
    };
    names.flat_map(|names| names.0).filter_map(dns).collect()
}

fn builder() -> Result<ConfigBuilder<ServerConfig, WantsServerCert>, rustls::Error> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    Ok(builder.with_no_client_auth())
}

/// What an authority is shown that looks whether a name is ours: a certificate with the proof in it (RFC 8737, 3).
pub(crate) fn challenge(name: &str, proof: &[u8; 32]) -> Result<ServerConfig, PairError> {
    let form = |error: rcgen::Error| PairError::Form { what: "the proof", words: error.to_string() };
    let mut params = CertificateParams::new(vec![name.to_owned()]).map_err(form)?;
    params.custom_extensions = vec![CustomExtension::new_acme_identifier(proof)];
    let key = KeyPair::generate().map_err(form)?;
    let certificate = params.self_signed(&key).map_err(form)?;
    let key = PrivateKeyDer::try_from(key.serialize_der())
        .map_err(|words| PairError::Form { what: "the proof", words: words.to_owned() })?;
    // It is not looked at on its way: the mark of a proof is one that no other certificate may have.
    let key = aws_lc_rs::sign::any_supported_type(&key)?;
    let shown = CertifiedKey::new(vec![certificate.der().clone()], key);
    let mut config = builder()?.with_cert_resolver(Arc::new(SingleCertAndKey::from(shown)));
    config.alpn_protocols = vec![CHALLENGE_PROTOCOL.to_vec()];
    Ok(config)
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair};

    use super::{Pair, PairError};

    fn made(names: &[&str]) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        (CertificateParams::new(names).unwrap().self_signed(&key).unwrap().pem(), key.serialize_pem())
    }

    #[test]
    fn a_certificate_tells_its_names_and_its_end() {
        let (cert, key) = made(&["app.example", "www.app.example"]);
        let pair = Pair::parse(cert.as_bytes(), key.as_bytes()).unwrap();
        assert_eq!(pair.names, ["app.example", "www.app.example"]);
        assert!(pair.begins_s < pair.ends_s);
        assert_eq!(pair.config().unwrap().alpn_protocols, [b"h2".to_vec(), b"http/1.1".to_vec()]);
    }

    #[test]
    fn a_proof_can_be_shown() {
        let config = super::challenge("app.example", &[7; 32]).unwrap();
        assert_eq!(config.alpn_protocols, [b"acme-tls/1".to_vec()]);
    }

    #[test]
    fn a_key_of_another_certificate_is_refused() {
        let ((cert, key), (_, other)) = (made(&["app.example"]), made(&["app.example"]));
        let pair = Pair::parse(cert.as_bytes(), other.as_bytes()).unwrap();
        assert!(matches!(pair.config(), Err(PairError::Use(_))));
        for (cert, key, words) in [
            ("", key.as_str(), "the certificate"),
            (cert.as_str(), "", "the key"),
            (key.as_str(), key.as_str(), "the certificate"),
        ] {
            let error = Pair::parse(cert.as_bytes(), key.as_bytes()).err().unwrap().to_string();
            assert!(error.starts_with(words), "{error}");
        }
    }
}
