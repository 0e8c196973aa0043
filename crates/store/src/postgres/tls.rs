//! TLS to the server, by rustls with the one crypto provider that everything else uses.
//!
//! Three degrees of trust as libpq has them: anybody, one whose certificate is signed by a root, and one whose
//! certificate is also made out to the name that was connected to.

use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use tokio_postgres::config::SslMode;
use tokio_postgres_rustls::MakeRustlsConnect;

use super::url::{PostgresUrl, Roots, Trust};
use crate::StoreError;

/// What makes TLS of a connection when the server offers it and the URL wants it.
pub(super) fn connector(url: &PostgresUrl) -> Result<MakeRustlsConnect, StoreError> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|error| StoreError::Other(format!("TLS cannot be set up: {error}")))?;
    let needs_roots = url.trust != Trust::Anybody && url.config.get_ssl_mode() != SslMode::Disable;
    let inner = match needs_roots {
        false => None,
        true => Some(
            WebPkiServerVerifier::builder_with_provider(Arc::new(roots(&url.roots)?), provider.clone())
                .build()
                .map_err(|error| StoreError::Other(format!("sslrootcert: {error}")))?,
        ),
    };
    let verifier = Arc::new(Verifier { trust: url.trust, inner, provider });
    let config = builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth();
    Ok(MakeRustlsConnect::new(config))
}

fn roots(roots: &Roots) -> Result<RootCertStore, StoreError> {
    let mut store = RootCertStore::empty();
    match roots {
        Roots::System => {
            let loaded = rustls_native_certs::load_native_certs();
            for error in loaded.errors {
                tracing::warn!(%error, "some root certificates of the system cannot be read");
            }
            store.add_parsable_certificates(loaded.certs);
        }
        Roots::File(path) => {
            let unreadable = |error: &dyn std::fmt::Display| StoreError::Io {
                detail: format!("sslrootcert {}: {error}", path.display()),
            };
            for certificate in CertificateDer::pem_file_iter(path).map_err(|error| unreadable(&error))? {
                store
                    .add(certificate.map_err(|error| unreadable(&error))?)
                    .map_err(|error| unreadable(&error))?;
            }
        }
    }
    Ok(store)
}

/// Believes as far as it was told to. Signatures of the handshake are always checked.
#[derive(Debug)]
struct Verifier {
    trust: Trust,
    /// None: there are no roots, and anybody is believed.
    inner: Option<Arc<WebPkiServerVerifier>>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let Some(inner) = &self.inner else { return Ok(ServerCertVerified::assertion()) };
        let verified = inner.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        match verified {
            // The chain is looked at before the name, so that nothing but the name is wrong here.
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) if self.trust == Trust::Signed => Ok(ServerCertVerified::assertion()),
            verified => verified,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
