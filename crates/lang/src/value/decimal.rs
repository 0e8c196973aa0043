//! Exact decimals of at most 18 digits.
//!
//! A mantissa in 64 bits with a scale; every operation works in 128 bits and answers `None` when the result has more
//! than 18 digits, never a rounded one unless the name says so. Rounding is half away from zero throughout.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};

/// `mantissa / 10^scale`, exact. Stored as its mantissa: the column's type knows the scale.
#[derive(Clone, Copy, Debug)]
pub struct Decimal {
    /// All digits as an integer; fewer than 10^18 in magnitude.
    pub mantissa: i64,
    /// Digits after the point, at most 18.
    pub scale: u8,
}

/// Why a text is no [`Decimal`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecimalError {
    /// Other characters than `-`, digits and one point between digits.
    #[error("must be a decimal number such as 1000.50")]
    Format,
    /// More digits after the point than can be kept.
    #[error("has too many digits after the point")]
    Scale,
    /// More than 18 digits.
    #[error("has more than 18 digits")]
    Range,
}

impl Decimal {
    /// Most digits, and most digits after the point.
    pub const DIGITS_MAX: u8 = 18;
    /// Mantissas are smaller than this in magnitude.
    pub const MANTISSA_LIMIT: i64 = 1_000_000_000_000_000_000;

    /// A decimal of a wide mantissa; `None` beyond 18 digits.
    pub fn new(mantissa: i128, scale: u8) -> Option<Decimal> {
        let mantissa = i64::try_from(mantissa).ok()?;
        (mantissa.unsigned_abs() < Decimal::MANTISSA_LIMIT as u64 && scale <= Decimal::DIGITS_MAX)
            .then_some(Decimal { mantissa, scale })
    }

    /// Reads `-12.50`: the scale is the number of digits after the point.
    pub fn parse(text: &str) -> Result<Decimal, DecimalError> {
        if text.contains(['e', 'E']) {
            return Err(DecimalError::Format);
        }
        Decimal::parse_number(text)
    }

    /// Reads a JSON number exactly, exponent included: `1e-7` has scale 7, `1.5e3` is 1500 at scale 0.
    pub fn parse_number(text: &str) -> Result<Decimal, DecimalError> {
        let (plain, exponent) = match text.split_once(['e', 'E']) {
            Some((plain, exponent)) => (plain, exponent.parse::<i32>().map_err(|_| DecimalError::Format)?),
            None => (text, 0),
        };
        let (negative, magnitude) = match plain.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, plain),
        };
        let (whole, fraction) = magnitude.split_once('.').unwrap_or((magnitude, "0"));
        let all_digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        if !all_digits(whole) || !all_digits(fraction) {
            return Err(DecimalError::Format);
        }
        let fraction = if magnitude.contains('.') { fraction } else { "" };
        let digits = collect_digits(whole, fraction, exponent)?;
        let mantissa = if negative { -digits.mantissa } else { digits.mantissa };
        Decimal::new(mantissa, digits.scale).ok_or(DecimalError::Range)
    }

    /// The same number with `scale` digits after the point, if that loses none and has no more than 18 digits.
    pub fn rescale_exact(self, scale: u8) -> Option<Decimal> {
        self.rescale(scale).filter(|rescaled| *rescaled == self)
    }

    /// The number with `scale` digits after the point, rounded half away from zero; `None` beyond 18 digits.
    pub fn rescale(self, scale: u8) -> Option<Decimal> {
        Decimal::new(rescale_wide(i128::from(self.mantissa), self.scale.into(), scale)?, scale)
    }

    /// The sum at the larger scale; `None` on overflow.
    pub fn checked_add(self, other: Decimal) -> Option<Decimal> {
        let (a, b, scale) = self.align(other);
        Decimal::new(a + b, scale)
    }

    /// The difference at the larger scale; `None` on overflow.
    pub fn checked_sub(self, other: Decimal) -> Option<Decimal> {
        let (a, b, scale) = self.align(other);
        Decimal::new(a - b, scale)
    }

    /// The product rounded to `scale`; `None` on overflow.
    pub fn checked_mul(self, other: Decimal, scale: u8) -> Option<Decimal> {
        let product = i128::from(self.mantissa) * i128::from(other.mantissa);
        Decimal::new(rescale_wide(product, u32::from(self.scale) + u32::from(other.scale), scale)?, scale)
    }

    /// The quotient rounded to `scale`; `None` on overflow or by zero.
    pub fn checked_div(self, other: Decimal, scale: u8) -> Option<Decimal> {
        if other.mantissa == 0 {
            return None;
        }
        let (dividend, divisor) = (i128::from(self.mantissa), i128::from(other.mantissa));
        let shift = i32::from(scale) - i32::from(self.scale) + i32::from(other.scale);
        let power = 10i128.pow(shift.unsigned_abs());
        // A dividend too large for 128 bits has a quotient beyond 18 digits, because a divisor has at most 18.
        let (dividend, divisor) =
            if shift < 0 { (dividend, divisor * power) } else { (dividend.checked_mul(power)?, divisor) };
        Decimal::new(divide_rounded(dividend, divisor), scale)
    }

    /// The remainder at the larger scale, with the sign of the dividend; `None` by zero.
    pub fn checked_rem(self, other: Decimal) -> Option<Decimal> {
        let (a, b, scale) = self.align(other);
        Decimal::new(a.checked_rem(b)?, scale)
    }

    /// The nearest double.
    pub fn to_f64(self) -> f64 {
        // The text form is parsed with correct rounding, which a division of two doubles does not give.
        self.to_string().parse().expect("the text of a decimal is a number")
    }

    fn align(self, other: Decimal) -> (i128, i128, u8) {
        let scale = self.scale.max(other.scale);
        let scaled = |d: Decimal| i128::from(d.mantissa) * 10i128.pow(u32::from(scale - d.scale));
        (scaled(self), scaled(other), scale)
    }
}

struct Digits {
    mantissa: i128,
    scale: u8,
}

/// Digits before and after the point, moved by the exponent; zeros at the end go where there are too many digits.
fn collect_digits(whole: &str, fraction: &str, exponent: i32) -> Result<Digits, DecimalError> {
    let fraction_kept = if fraction.len() > 18 { fraction.trim_end_matches('0') } else { fraction };
    let scale = fraction_kept.len() as i64 - i64::from(exponent);
    let mut mantissa = 0i128;
    for byte in whole.bytes().chain(fraction_kept.bytes()) {
        // Thirty-six digits are more than any later step can bring back under eighteen.
        if mantissa >= 10i128.pow(36) {
            return Err(if scale > 18 { DecimalError::Scale } else { DecimalError::Range });
        }
        mantissa = mantissa * 10 + i128::from(byte - b'0');
    }
    if mantissa == 0 {
        return Ok(Digits { mantissa, scale: scale.clamp(0, 18) as u8 });
    }
    if scale < 0 {
        if scale < -18 {
            return Err(DecimalError::Range);
        }
        let mantissa = mantissa.checked_mul(10i128.pow(scale.unsigned_abs() as u32));
        return Ok(Digits { mantissa: mantissa.ok_or(DecimalError::Range)?, scale: 0 });
    }
    let mut scale = scale;
    while (mantissa >= i128::from(Decimal::MANTISSA_LIMIT) || scale > 18) && scale > 0 && mantissa % 10 == 0 {
        mantissa /= 10;
        scale -= 1;
    }
    match u8::try_from(scale) {
        Ok(scale) if scale <= 18 => Ok(Digits { mantissa, scale }),
        _ => Err(DecimalError::Scale),
    }
}

fn rescale_wide(mantissa: i128, from: u32, to: u8) -> Option<i128> {
    let to = u32::from(to);
    if to >= from {
        mantissa.checked_mul(10i128.pow(to - from))
    } else {
        Some(divide_rounded(mantissa, 10i128.pow(from - to)))
    }
}

/// Half away from zero.
fn divide_rounded(dividend: i128, divisor: i128) -> i128 {
    let quotient = dividend / divisor;
    let rest = (dividend % divisor).unsigned_abs();
    let size = divisor.unsigned_abs();
    // `rest >= size - rest` is `2 * rest >= size` without its overflow.
    if rest >= size - rest {
        quotient + if (dividend < 0) == (divisor < 0) { 1 } else { -1 }
    } else {
        quotient
    }
}

/// Numeric: `1.50` equals `1.5`.
impl PartialEq for Decimal {
    fn eq(&self, other: &Decimal) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Decimal {}

impl PartialOrd for Decimal {
    fn partial_cmp(&self, other: &Decimal) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Decimal {
    fn cmp(&self, other: &Decimal) -> Ordering {
        let (a, b, _) = self.align(*other);
        a.cmp(&b)
    }
}

/// Of the number, not of its scale, as [`PartialEq`] asks.
impl Hash for Decimal {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let (mut mantissa, mut scale) = (self.mantissa, self.scale);
        while scale > 0 && mantissa % 10 == 0 {
            mantissa /= 10;
            scale -= 1;
        }
        (mantissa, scale).hash(state);
    }
}

/// Characters of the longest text: 19 digits, a zero before the point, the point and the sign.
const TEXT_MAX: usize = 22;

/// All digits of its scale: `1000.50`.
impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Digit by digit from the last one on: formatting two integers, of which one is padded, takes some 350 instructions more, and
        // a list of prices has a decimal in each row.
        let mut text = [0; TEXT_MAX];
        let mut start = TEXT_MAX;
        let mut rest = self.mantissa.unsigned_abs();
        let mut digits = 0;
        while rest > 0 || digits <= self.scale {
            if digits == self.scale && digits > 0 {
                start -= 1;
                text[start] = b'.';
            }
            start -= 1;
            text[start] = b'0' + (rest % 10) as u8;
            rest /= 10;
            digits += 1;
        }
        if self.mantissa < 0 {
            start -= 1;
            text[start] = b'-';
        }
        f.write_str(std::str::from_utf8(&text[start..]).expect("digits are ASCII"))
    }
}
