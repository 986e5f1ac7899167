//! Numbers of a JSON document as elements of tensors.

use crate::json::Number;

/// The powers of ten that a double holds exactly.
const POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20,
    1e21, 1e22,
];

/// Up to here a double holds every integer.
const MOST_EXACT: u64 = 1 << 53;

/// What a number is multiplied by to divide it by one of them, a little off.
const INVERSES: [f64; 23] = {
    let mut inverses = POWERS;
    let mut index = 0;
    while index < inverses.len() {
        inverses[index] = 1.0 / POWERS[index];
        index += 1;
    }
    inverses
};

/// The double nearest to a number.
pub fn double(number: Number) -> Option<f64> {
    // Where digits and power are exact, the quotient is rounded once.
    let exact = number.digits.filter(|digits| digits.value <= MOST_EXACT);
    match exact.and_then(|digits| Some((digits, POWERS.get(digits.places)?))) {
        Some((digits, power)) => Some(with_sign(digits.value as f64 / power, digits.negative)),
        None => parse(number.text),
    }
}

/// The float32 nearest to the double nearest to a number, which may be infinite: so upstream reads it.
#[inline]
pub fn single(number: Number) -> Option<f32> {
    match roughly(number).filter(|value| is_far_from_middle(*value)) {
        Some(value) => Some(value as f32),
        None => double(number).map(|value| value as f32),
    }
}

/// A number of few digits as a double that is at most four doubles off.
#[inline]
fn roughly(number: Number) -> Option<f64> {
    let digits = number.digits?;
    // Signed, which is converted by one instruction.
    let value = i64::try_from(digits.value).ok()? as f64;
    Some(with_sign(value * INVERSES.get(digits.places)?, digits.negative))
}

#[inline]
fn with_sign(value: f64, negative: bool) -> f64 {
    f64::from_bits(value.to_bits() | u64::from(negative) << 63)
}

/// Whether the doubles around `value`, some of them either way, all round to the same float32: it is not near the middle
/// between two of these, which is where the 29 bits that they lack are 1 and zeros.
///
/// `value` is 0 or far from the least normal float32, below which they would lack more bits.
#[inline]
fn is_far_from_middle(value: f64) -> bool {
    let lacking = value.to_bits() & ((1 << 29) - 1);
    lacking.abs_diff(1 << 28) > 8
}

/// A JSON number as double, NaN and infinities included.
pub fn parse(number: &[u8]) -> Option<f64> {
    match number {
        b"Infinity" | b"Inf" => Some(f64::INFINITY),
        b"-Infinity" | b"-Inf" => Some(f64::NEG_INFINITY),
        b"NaN" | b"-NaN" => Some(f64::NAN),
        number => fast_float2::parse(number).ok(),
    }
}

/// A number without point and exponent as an integer; None if it is beyond the type.
pub fn integer<N: TryFrom<i64> + std::str::FromStr>(number: Number) -> Option<N> {
    let digits = number.digits.filter(|digits| digits.places == 0);
    match digits.and_then(|digits| i64::try_from(digits.value).ok().filter(|_| !digits.negative)) {
        Some(value) => N::try_from(value).ok(),
        None => std::str::from_utf8(number.text).ok()?.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::Digits;
    use proptest::prelude::*;

    fn number(text: &str) -> Number<'_> {
        Number { text: text.as_bytes(), digits: Digits::read(text.as_bytes()).map(|(digits, _)| digits) }
    }

    fn check(text: &str) -> Result<(), TestCaseError> {
        let expected: f64 = text.parse().expect("a number");
        prop_assert_eq!(double(number(text)).map(f64::to_bits), Some(expected.to_bits()), "{}", text);
        prop_assert_eq!(single(number(text)).map(f32::to_bits), Some((expected as f32).to_bits()), "{}", text);
        Ok(())
    }

    proptest! {
        #[test]
        fn floats_as_python_prints_them_come_back(bits: u32) {
            let value = f32::from_bits(bits);
            prop_assume!(value.is_finite());
            check(&format!("{:?}", f64::from(value)))?;
        }

        #[test]
        fn decimals_are_rounded_to_double_and_then_to_float(text in "-?(0|[1-9][0-9]{0,8})(\\.[0-9]{1,20})?") {
            check(&text)?;
        }

        // As many digits as fit, so that some are within a double of the middle, on either side of it.
        #[test]
        fn the_middle_between_two_floats_is_rounded_through_double(bits in 0x3880_0000u32..0x4b00_0000, off in -9i64..10) {
            let middle = f64::from_bits(f64::from(f32::from_bits(bits)).to_bits() + (1 << 28)).to_bits();
            let value = f64::from_bits(middle.checked_add_signed(off).expect("far from zero"));
            for digits in [15, 16, 17, 18, 19] {
                let exponent = value.log10().floor() as i32;
                check(&format!("{value:.*}", (digits - 1 - exponent).clamp(1, 19) as usize))?;
            }
        }

        #[test]
        fn integers_are_those_that_rust_reads(value: i128, shift in 0u32..127) {
            let text = (value >> shift).to_string();
            prop_assert_eq!(integer::<i32>(number(&text)), text.parse().ok());
            prop_assert_eq!(integer::<i64>(number(&text)), text.parse().ok());
            prop_assert_eq!(integer::<u32>(number(&text)), text.parse().ok());
            prop_assert_eq!(integer::<u64>(number(&text)), text.parse().ok());
        }
    }

    #[test]
    fn a_point_or_an_exponent_makes_no_integer() {
        for text in ["1.0", "1e3", "-0.0", "NaN"] {
            assert_eq!(integer::<i64>(number(text)), None);
        }
        assert_eq!(integer::<i64>(number("-0")), Some(0));
        assert_eq!(integer::<u64>(number("18446744073709551615")), Some(u64::MAX));
    }
}
