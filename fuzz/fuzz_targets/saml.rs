//! Any bytes are given to where answers of SAML are taken, and stand in an assertion that the provider has signed.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| mainstay_identity::fuzzing::saml_response(bytes));
