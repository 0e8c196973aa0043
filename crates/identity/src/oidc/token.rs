//! The statement of who somebody is: a JWT that the provider has signed (OpenID Connect Core §3.1.3.7).
//!
//! Signatures are checked by the library, under keys that the provider publishes and by algorithms with two keys alone: one that the app
//! could sign by itself, with what it knows, says nothing about the provider. Everything else in it has to be what was asked for.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, PublicKeyUse};
use jsonwebtoken::{Algorithm, AlgorithmFamily, DecodingKey, Validation, decode, decode_header};
use mainstay_engine::error::Error;
use serde_json::{Map, Value as Json};

use super::metadata::Known;
use super::not_vouched;
use crate::provider::outbound::Outbound;

/// Clocks may differ by so many seconds.
const LEEWAY_S: u64 = 60;

/// Bytes of a statement at most.
const TOKEN_BYTES_MAX: usize = 64 << 10;

/// What a statement has to say.
pub(super) struct Expected<'a> {
    pub(super) issuer: &'a str,
    pub(super) client_id: &'a str,
    pub(super) nonce: &'a str,
}

/// What a statement says, once it is believed.
///
/// # Errors
/// When it is not.
pub(super) async fn verified(
    expected: &Expected<'_>,
    token: &str,
    (known, outbound): (&Known, &Outbound),
) -> Result<Map<String, Json>, Error> {
    let unreadable = || not_vouched("its statement cannot be read");
    if token.len() > TOKEN_BYTES_MAX {
        return Err(unreadable());
    }
    let header = decode_header(token).map_err(|_| unreadable())?;
    if !is_of_two_keys(header.alg) {
        return Err(not_vouched("its statement is not signed with a key of its own"));
    }
    let fits = |key: &Jwk| {
        fits(key, header.alg) && header.kid.as_ref().is_none_or(|kid| key.common.key_id.as_ref() == Some(kid))
    };
    let keys = known.keys(outbound, fits).await?;
    let mut validation = Validation::new(header.alg);
    validation.leeway = LEEWAY_S;
    validation.validate_nbf = true;
    validation.set_audience(&[expected.client_id]);
    validation.set_issuer(&[expected.issuer]);
    validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
    // Where the statement does not say by which key, all that fit are tried.
    for key in &keys {
        let Ok(key) = DecodingKey::from_jwk(key) else { continue };
        match decode::<Map<String, Json>>(token, &key, &validation) {
            Ok(token) => return as_expected(expected, token.claims),
            Err(error) if matches!(error.kind(), jsonwebtoken::errors::ErrorKind::InvalidSignature) => {}
            Err(error) => {
                tracing::info!(%error, "a provider's statement is refused");
                return Err(not_vouched("its statement is too old, or not for this app"));
            }
        }
    }
    Err(not_vouched("its statement is not signed by it"))
}

/// What the library does not look at.
fn as_expected(expected: &Expected<'_>, claims: Map<String, Json>) -> Result<Map<String, Json>, Error> {
    let text = |name: &str| claims.get(name).and_then(Json::as_str);
    let nonce = text("nonce").unwrap_or_default();
    if verify_slices_are_equal(nonce.as_bytes(), expected.nonce.as_bytes()).is_err() {
        return Err(not_vouched("its statement is for another sign-in"));
    }
    // The library takes lists for what may be one alone.
    if text("iss") != Some(expected.issuer) || text("sub").is_none_or(str::is_empty) {
        return Err(not_vouched("its statement does not say who somebody is"));
    }
    let is_for_many = claims.get("aud").and_then(Json::as_array).is_some_and(|aud| aud.len() > 1);
    match text("azp") {
        Some(azp) if azp != expected.client_id => Err(not_vouched("its statement was made for another app")),
        None if is_for_many || claims.contains_key("azp") => {
            Err(not_vouched("its statement is for several apps"))
        }
        _ => Ok(claims),
    }
}

fn is_of_two_keys(alg: Algorithm) -> bool {
    [AlgorithmFamily::Rsa, AlgorithmFamily::Ec, AlgorithmFamily::Ed]
        .iter()
        .any(|family| family.algorithms().contains(&alg))
}

/// Whether a key is for signing, by an algorithm.
fn fits(key: &Jwk, alg: Algorithm) -> bool {
    let is_for_signing = key.common.public_key_use.as_ref().is_none_or(|of| *of == PublicKeyUse::Signature);
    let is_for_alg = key.common.key_algorithm.is_none_or(|of| of == alg.into());
    let is_of_kind = match &key.algorithm {
        AlgorithmParameters::RSA(_) => AlgorithmFamily::Rsa.algorithms().contains(&alg),
        AlgorithmParameters::EllipticCurve(of) => matches!(
            (&of.curve, alg),
            (EllipticCurve::P256, Algorithm::ES256) | (EllipticCurve::P384, Algorithm::ES384)
        ),
        AlgorithmParameters::OctetKeyPair(_) => alg == Algorithm::EdDSA,
        _ => false,
    };
    is_for_signing && is_for_alg && is_of_kind
}
