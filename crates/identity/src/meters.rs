//! What identities are measured by. The names stand in the table of `mainstay-http`; nothing here tells who somebody is.

use std::time::Duration;

use mainstay_engine::error::Error;

/// How a sign-in ended.
#[derive(Clone, Copy, Debug)]
pub(crate) enum SignIn {
    Done,
    Refused,
    /// A second factor is asked for.
    Asked,
}

/// Counts a sign-in by a method, a value of the column `method`.
pub(crate) fn signed_in(method: &str, how: SignIn) {
    let outcome = match how {
        SignIn::Done => "ok",
        SignIn::Refused => "refused",
        SignIn::Asked => "second_factor",
    };
    metrics::counter!("mainstay_identity_sign_ins_total", "method" => method.to_owned(), "outcome" => outcome)
        .increment(1);
}

/// Counts a refresh, by what refused it.
pub(crate) fn refreshed<T>(result: &Result<T, Error>) {
    let outcome = result.as_ref().map_or_else(|error| error.key.text(), |_| "ok");
    metrics::counter!("mainstay_identity_refreshes_total", "outcome" => outcome).increment(1);
}

/// Counts an attempt that was refused because too many had failed.
pub(crate) fn throttled() {
    metrics::counter!("mainstay_identity_throttled_total").increment(1);
}

/// One hash more that waits.
pub(crate) fn hash_waits() {
    metrics::gauge!("mainstay_identity_password_queue").increment(1.0);
}

/// One that waits no more: it is begun, or nobody wants it.
pub(crate) fn hash_waits_no_more() {
    metrics::gauge!("mainstay_identity_password_queue").decrement(1.0);
}

/// Somebody has begun with a hash, after so long a wait.
pub(crate) fn hash_begun(waited: Duration) {
    metrics::histogram!("mainstay_identity_password_wait_seconds").record(waited.as_secs_f64());
}

/// A hash was made.
pub(crate) fn hashed(took: Duration) {
    metrics::histogram!("mainstay_identity_password_seconds").record(took.as_secs_f64());
}

/// Counts a hash that was refused because too many waited.
pub(crate) fn hash_refused() {
    metrics::counter!("mainstay_identity_password_refused_total").increment(1);
}
