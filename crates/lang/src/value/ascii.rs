//! Short ASCII texts of fixed length on the stack.
//!
//! Timestamps are written for every row that is read or changed; this spares their allocation.

use std::fmt;

/// 00 to 99.
const PAIRS: [[u8; 2]; 100] = {
    let mut pairs = [[0; 2]; 100];
    let mut number = 0;
    while number < 100 {
        pairs[number] = [b'0' + (number / 10) as u8, b'0' + (number % 10) as u8];
        number += 1;
    }
    pairs
};

/// Exactly `N` ASCII characters.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Ascii<const N: usize>(pub(super) [u8; N]);

impl<const N: usize> Ascii<N> {
    /// The text.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("made of digits and ASCII punctuation alone")
    }

    /// The text as bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Writes `number` with leading zeros into `width` places from `at`, an even number of them: two at a time, as a
    /// timestamp has so many and every row has two.
    pub(super) fn put(&mut self, at: usize, width: usize, mut number: u32) {
        for end in (at + 2..=at + width).rev().step_by(2) {
            [self.0[end - 2], self.0[end - 1]] = PAIRS[(number % 100) as usize];
            number /= 100;
        }
    }
}

impl<const N: usize> fmt::Display for Ascii<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl<const N: usize> fmt::Debug for Ascii<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

/// Reads ASCII digits from the front of `text` as a number of exactly `width` digits.
pub(super) fn take_digits(text: &mut &[u8], width: usize) -> Option<i64> {
    let (digits, rest) = text.split_at_checked(width)?;
    let mut number = 0i64;
    for byte in digits {
        if !byte.is_ascii_digit() {
            return None;
        }
        number = number * 10 + i64::from(byte - b'0');
    }
    *text = rest;
    Some(number)
}

/// Takes one byte from the front of `text` when it is one of `wanted`.
pub(super) fn take_byte(text: &mut &[u8], wanted: &[u8]) -> Option<u8> {
    let (first, rest) = text.split_first()?;
    if !wanted.contains(first) {
        return None;
    }
    *text = rest;
    Some(*first)
}

/// Reads `.f` to `.ffffff` from the front of `text` as microseconds; no point: 0. More than six digits: `None`.
pub(super) fn take_fraction(text: &mut &[u8]) -> Option<i64> {
    if take_byte(text, b".").is_none() {
        return Some(0);
    }
    let width = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if !(1..=6).contains(&width) {
        return None;
    }
    Some(take_digits(text, width)? * 10i64.pow(6 - width as u32))
}
