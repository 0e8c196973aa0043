//! The checksum of a table: the sum of its rows' checksums, so that the order in which they are read does not matter.
//!
//! A row's checksum is the first half of the SHA-256 of its tuple, and the sum is taken modulo 2^128. It tells damage and
//! loss, two equal rows from one, and the same on every database; against somebody who means harm it is no proof.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest as _, Sha256};

/// The checksum of any number of rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Checksum(u128);

impl Checksum {
    /// Counts one row in.
    pub(crate) fn add_row(&mut self, tuple: &[u8]) {
        let hash = Sha256::digest(tuple);
        let half = hash.first_chunk::<16>().expect("a SHA-256 has 32 bytes");
        self.0 = self.0.wrapping_add(u128::from_be_bytes(*half));
    }

    /// Counts other rows in.
    pub(crate) fn add(&mut self, other: Checksum) {
        self.0 = self.0.wrapping_add(other.0);
    }
}

/// Thirty-two hexadecimal digits.
impl fmt::Display for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl FromStr for Checksum {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Checksum, Self::Err> {
        u128::from_str_radix(text, 16).map(Checksum)
    }
}

#[cfg(test)]
mod tests {
    use super::Checksum;

    fn of(rows: &[&[u8]]) -> Checksum {
        let mut sum = Checksum::default();
        rows.iter().for_each(|row| sum.add_row(row));
        sum
    }

    #[test]
    fn order_does_not_matter_and_number_does() {
        assert_eq!(of(&[b"a", b"b"]), of(&[b"b", b"a"]));
        assert_ne!(of(&[b"a"]), of(&[b"a", b"a"]));
        assert_ne!(of(&[b"ab"]), of(&[b"a", b"b"]));
        let mut sum = of(&[b"a"]);
        sum.add(of(&[b"b"]));
        assert_eq!(sum, of(&[b"a", b"b"]));
        assert_eq!(sum.to_string().parse(), Ok(sum));
    }

    /// It stands in files that are kept for years.
    #[test]
    fn it_never_changes() {
        assert_eq!(of(&[b"abc"]).to_string(), "ba7816bf8f01cfea414140de5dae2223");
    }
}
