//! PostgreSQL's binary `numeric`: digits of base 10,000 with a weight, to and from a mantissa and a scale.
//!
//! The format is not documented beyond its source, `numeric_send` and `numeric_recv` in
//! <https://github.com/postgres/postgres/blob/master/src/backend/utils/adt/numeric.c>, and has not changed since 7.4:
//! four 16-bit words (digits, weight of the first, sign, digits shown behind the point), then the digits. Nothing here
//! passes through floating point.

use bytes::BufMut;
use mainstay_lang::value::Decimal;

const BASE: u128 = 10_000;
const POSITIVE: u16 = 0x0000;
const NEGATIVE: u16 = 0x4000;

/// Appends a decimal.
pub(crate) fn write(value: Decimal, out: &mut impl BufMut) {
    // Groups of four digits behind the point; the last one is filled up with zeros.
    let groups = value.scale.div_ceil(4);
    let filled = u32::from(groups * 4 - value.scale);
    let mut rest = u128::from(value.mantissa.unsigned_abs()) * 10u128.pow(filled);
    let mut digits = [0u16; 12];
    let mut first = digits.len();
    while rest > 0 {
        first -= 1;
        digits[first] = (rest % BASE) as u16;
        rest /= BASE;
    }
    let count = digits.len() - first;
    let weight = count as i16 - 1 - i16::from(groups);
    let trailing = digits[first..].iter().rev().take_while(|digit| **digit == 0).count();
    let digits = &digits[first..first + count - trailing];
    out.put_i16(digits.len() as i16);
    out.put_i16(if digits.is_empty() { 0 } else { weight });
    out.put_u16(if value.mantissa < 0 { NEGATIVE } else { POSITIVE });
    out.put_u16(u16::from(value.scale));
    for digit in digits {
        out.put_u16(*digit);
    }
}

/// Reads a decimal at a scale. `None`: it is no finite number, has more digits behind the point, or does not fit.
pub(crate) fn read(raw: &[u8], scale: u8) -> Option<Decimal> {
    let word = |at: usize| raw.get(at * 2..at * 2 + 2).map(|word| u16::from_be_bytes([word[0], word[1]]));
    let (count, weight, sign) = (usize::from(word(0)?), word(1)?.cast_signed(), word(2)?);
    let negative = match sign {
        POSITIVE => false,
        NEGATIVE => true,
        _ => return None,
    };
    let mut mantissa: i128 = 0;
    for at in 0..count {
        let digit = i128::from(word(4 + at)?);
        // How many decimal digits the last of this group's four stands before the end of the mantissa.
        let behind = (i32::from(weight) - at as i32) * 4 + i32::from(scale);
        mantissa += if behind >= 0 {
            10i128.checked_pow(behind.unsigned_abs())?.checked_mul(digit)?
        } else {
            let cut = 10i128.checked_pow(behind.unsigned_abs())?;
            if digit % cut != 0 {
                return None;
            }
            digit / cut
        };
    }
    let mantissa = i64::try_from(if negative { -mantissa } else { mantissa }).ok()?;
    Some(Decimal { mantissa, scale })
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;
    use mainstay_lang::value::Decimal;
    use proptest::prelude::*;

    use super::{read, write};

    fn written(mantissa: i64, scale: u8) -> BytesMut {
        let mut out = BytesMut::new();
        write(Decimal { mantissa, scale }, &mut out);
        out
    }

    #[test]
    fn the_servers_own_examples() {
        // As `SELECT 12345.678::numeric(8, 3)` and the like come over the wire.
        let cases: [(i64, u8, &[u16]); 6] = [
            (0, 2, &[0, 0, 0, 2]),
            (12_345_678, 3, &[3, 1, 0, 3, 1, 2345, 6780]),
            (-5, 1, &[1, 0xffff, 0x4000, 1, 5000]),
            (10_000, 0, &[1, 1, 0, 0, 1]),
            (1, 18, &[1, 0xfffb, 0, 18, 100]),
            (100, 2, &[1, 0, 0, 2, 1]),
        ];
        for (mantissa, scale, words) in cases {
            let expect: Vec<u8> = words.iter().flat_map(|word| word.to_be_bytes()).collect();
            assert_eq!(&written(mantissa, scale)[..], expect, "{mantissa} at {scale}");
        }
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let half = written(5, 1);
        assert_eq!(read(&half, 0), None, "a digit would be lost");
        assert_eq!(read(&half, 3), Some(Decimal { mantissa: 500, scale: 3 }));
        assert_eq!(read(&written(i64::MAX, 0), 1), None, "too large at this scale");
        let not_a_number = [0, 0, 0, 0, 0xc0, 0, 0, 0];
        assert_eq!(read(&not_a_number, 0), None);
        assert_eq!(read(&half[..9], 1), None, "cut off");
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(mantissa in any::<i64>(), scale in 0u8..=18) {
            let back = read(&written(mantissa, scale), scale).map(|back| (back.mantissa, back.scale));
            prop_assert_eq!(back, Some((mantissa, scale)));
        }
    }
}
