//! Arithmetic of `int`, `float` and `decimal`; durations count as ints.
//!
//! Every result is in the range of its type or an error, and no float is infinite, NaN or the negative zero.

use super::OpError;
use crate::expr::ArithmeticOp;
use crate::value::Decimal;

/// The operation in words, for error messages.
pub fn name(op: ArithmeticOp) -> &'static str {
    match op {
        ArithmeticOp::Add => "addition",
        ArithmeticOp::Sub => "subtraction",
        ArithmeticOp::Mul => "multiplication",
        ArithmeticOp::Div => "division",
        ArithmeticOp::Rem => "remainder",
    }
}

/// `a op b` of ints; null when dividing by zero.
pub fn int(op: ArithmeticOp, a: i64, b: i64) -> Result<Option<i64>, OpError> {
    let result = match op {
        ArithmeticOp::Add => a.checked_add(b),
        ArithmeticOp::Sub => a.checked_sub(b),
        ArithmeticOp::Mul => a.checked_mul(b),
        ArithmeticOp::Div | ArithmeticOp::Rem if b == 0 => return Ok(None),
        ArithmeticOp::Div => a.checked_div(b),
        // The remainder of the least int by -1 is 0; only the quotient that the processor makes with it overflows.
        ArithmeticOp::Rem => Some(a.checked_rem(b).unwrap_or(0)),
    };
    result.map(Some).ok_or(OpError::overflow(name(op)))
}

/// `a op b` of floats; null when dividing by zero.
pub fn float(op: ArithmeticOp, a: f64, b: f64) -> Result<Option<f64>, OpError> {
    let result = match op {
        ArithmeticOp::Add => a + b,
        ArithmeticOp::Sub => a - b,
        ArithmeticOp::Mul => a * b,
        ArithmeticOp::Div | ArithmeticOp::Rem if b == 0.0 => return Ok(None),
        ArithmeticOp::Div => a / b,
        ArithmeticOp::Rem => a % b,
    };
    finite(result, name(op)).map(Some)
}

/// `a op b` of decimals with the result at `scale`; null when dividing by zero.
pub fn decimal(op: ArithmeticOp, a: Decimal, b: Decimal, scale: u8) -> Result<Option<Decimal>, OpError> {
    let result = match op {
        ArithmeticOp::Add => a.checked_add(b),
        ArithmeticOp::Sub => a.checked_sub(b),
        ArithmeticOp::Mul => a.checked_mul(b, scale),
        ArithmeticOp::Div | ArithmeticOp::Rem if b.mantissa == 0 => return Ok(None),
        ArithmeticOp::Div => a.checked_div(b, scale),
        ArithmeticOp::Rem => a.checked_rem(b),
    };
    result.and_then(|result| result.rescale(scale)).map(Some).ok_or(OpError::overflow(name(op)))
}

/// `-a`
pub fn int_negate(a: i64) -> Result<i64, OpError> {
    a.checked_neg().ok_or(OpError::overflow("negation"))
}

/// Magnitude.
pub fn int_abs(a: i64) -> Result<i64, OpError> {
    a.checked_abs().ok_or(OpError::overflow("abs"))
}

/// A decimal at another scale, rounded half away from zero.
pub fn decimal_rescale(a: Decimal, scale: u8) -> Result<Decimal, OpError> {
    a.rescale(scale).ok_or(OpError::overflow("a conversion to decimal"))
}

/// An int as a decimal.
pub fn int_to_decimal(a: i64, scale: u8) -> Result<Decimal, OpError> {
    let power = 10i128.pow(u32::from(scale.min(Decimal::DIGITS_MAX)));
    Decimal::new(i128::from(a) * power, scale).ok_or(OpError::overflow("a conversion to decimal"))
}

/// A float rounded half away from zero to `digits` after the point; a negative number rounds before it.
pub fn float_round(a: f64, digits: i64) -> Result<f64, OpError> {
    // Beyond these every float is whole, or nothing: the clamp keeps the conversion exact.
    let power = 10f64.powi(digits.unsigned_abs().min(400) as i32);
    let rounded = if digits >= 0 {
        let scaled = a * power;
        if scaled.is_finite() { scaled.round() / power } else { a }
    } else if power.is_finite() {
        (a / power).round() * power
    } else {
        0.0
    };
    finite(rounded, "round")
}

/// A decimal rounded half away from zero to `digits` after the point (a negative number rounds before it), at `scale`.
pub fn decimal_round(a: Decimal, digits: i64, scale: u8) -> Result<Decimal, OpError> {
    let rounded = match u8::try_from(digits) {
        Ok(digits) if digits < a.scale => a.rescale(digits),
        Ok(_) => Some(a),
        Err(_) if digits > 0 => Some(a),
        Err(_) => round_before_point(a, digits.unsigned_abs()),
    };
    rounded.and_then(|rounded| rounded.rescale(scale)).ok_or(OpError::overflow("round"))
}

/// An int rounded half away from zero to a power of ten when `digits` is negative.
pub fn int_round(a: i64, digits: i64) -> Result<i64, OpError> {
    if digits >= 0 {
        return Ok(a);
    }
    let Some(power) = power_of_ten(digits.unsigned_abs()) else { return Ok(0) };
    let rounded = round_to(i128::from(a), power);
    i64::try_from(rounded).map_err(|_| OpError::overflow("round"))
}

fn round_before_point(a: Decimal, digits: u64) -> Option<Decimal> {
    // Twenty digits before the point are more than any decimal has: what is left is nothing.
    let Some(power) = power_of_ten(digits) else { return Decimal::new(0, 0) };
    let unit = power * 10i128.pow(u32::from(a.scale));
    Decimal::new(round_to(a.mantissa.into(), unit) / 10i128.pow(u32::from(a.scale)), 0)
}

fn power_of_ten(digits: u64) -> Option<i128> {
    (digits < 20).then(|| 10i128.pow(digits as u32))
}

/// The multiple of `unit` nearest to `number`; of two the one farther from zero.
fn round_to(number: i128, unit: i128) -> i128 {
    let half = unit / 2;
    (number + if number < 0 { -half } else { half }) / unit * unit
}

/// The float, if it is one that the language has.
pub fn finite(number: f64, operation: &'static str) -> Result<f64, OpError> {
    // Adding zero makes the negative zero positive.
    if number.is_finite() { Ok(number + 0.0) } else { Err(OpError::overflow(operation)) }
}

/// The shortest text that reads back as the same float, as on the wire.
pub fn float_text(number: f64) -> Result<String, OpError> {
    let number = finite(number, "a float")?;
    Ok(serde_json::to_string(&number).expect("a finite float has a JSON form"))
}
