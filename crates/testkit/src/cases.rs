//! How many random cases a run makes, and from which seed: a few thousand in CI, a million by a variable.

use std::env;
use std::time::Duration;

/// Number of cases, unless said.
pub fn cases(usual: usize) -> usize {
    number("MAINSTAY_ORACLE_CASES").and_then(|cases| usize::try_from(cases).ok()).unwrap_or(usual)
}

/// Seed of the first case. The same in every run, so that a run's outcome does not depend on chance.
pub fn first_seed() -> u64 {
    number("MAINSTAY_ORACLE_SEED").unwrap_or(1)
}

/// How long one failing case is made smaller.
pub fn shrinking() -> Duration {
    Duration::from_secs(number("MAINSTAY_ORACLE_SHRINK").unwrap_or(25))
}

/// # Panics
/// When the variable holds no number: silence would look like a run that it was not.
fn number(name: &str) -> Option<u64> {
    let text = env::var(name).ok()?;
    let number = text.replace('_', "").parse();
    Some(number.unwrap_or_else(|_| panic!("{name} must be a number, not {text:?}")))
}
