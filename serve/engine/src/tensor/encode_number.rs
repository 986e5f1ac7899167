//! Numbers as upstream writes them in JSON.

use std::io::Write as _;

use crate::tensorflow::DataType;

/// Write the element of a plain number type whose bytes, in native order, are `element`.
pub fn write_number(out: &mut Vec<u8>, dtype: DataType, element: &[u8]) {
    let mut word = [0u8; 8];
    word[..element.len()].copy_from_slice(element);
    let unsigned = u64::from_ne_bytes(word);
    let unused = 64 - 8 * element.len() as u32;
    let signed = ((unsigned << unused) as i64) >> unused;
    match dtype {
        DataType::Float => write_float(out, f64::from(f32::from_bits(unsigned as u32)), Precision::SINGLE),
        DataType::Double => write_float(out, f64::from_bits(unsigned), Precision::DOUBLE),
        DataType::Bool => out.extend_from_slice(if unsigned == 0 { b"false" } else { b"true" }),
        DataType::Uint8 | DataType::Uint32 | DataType::Uint64 => write_display(out, unsigned),
        _ => write_display(out, signed),
    }
}

/// One float32 as in a reply.
pub fn write_single(out: &mut Vec<u8>, value: f32) {
    write_float(out, f64::from(value), Precision::SINGLE);
}

fn write_display(out: &mut Vec<u8>, number: impl std::fmt::Display) {
    // Writing to a Vec cannot fail.
    let _ = write!(out, "{number}");
}

/// Significant digits with which every value of a type comes back, and whether to shorten as float or as double.
#[derive(Clone, Copy)]
struct Precision {
    digits: usize,
    single: bool,
}

impl Precision {
    const SINGLE: Precision = Precision { digits: 9, single: true };
    const DOUBLE: Precision = Precision { digits: 17, single: false };
    /// Tried first (`%g`).
    const SHORT: usize = 6;
}

/// As `%g` with six significant digits if these read back to the same value, else with as many as any value needs; `.0`
/// is added where neither a point nor an exponent says that this is no integer.
fn write_float(out: &mut Vec<u8>, value: f64, precision: Precision) {
    if !value.is_finite() {
        out.extend_from_slice(if value.is_nan() {
            b"NaN"
        } else if value > 0.0 {
            b"Infinity"
        } else {
            b"-Infinity"
        });
        return;
    }
    let mut text = Scientific::default();
    if six_digits_are_enough(&mut text, value, precision) {
        write_general(out, text.bytes(), Precision::SHORT as i32);
    } else {
        text.set(format_args!("{value:.*e}", precision.digits - 1));
        write_general(out, text.bytes(), precision.digits as i32);
    }
}

/// Whether six significant digits read back to `value`, which is finite; if so, these are in `text`.
fn six_digits_are_enough(text: &mut Scientific, value: f64, precision: Precision) -> bool {
    let normal = if precision.single { (value as f32).is_normal() } else { value.is_normal() };
    if normal || value == 0.0 {
        // Six digits survive the way into a normal float and back, so the shortest form tells whether six are enough.
        if precision.single {
            text.set(format_args!("{:e}", value as f32));
        } else {
            text.set(format_args!("{value:e}"));
        }
        let digits = text.bytes().iter().take_while(|byte| **byte != b'e').filter(|byte| byte.is_ascii_digit()).count();
        return digits <= Precision::SHORT;
    }
    text.set(format_args!("{value:.*e}", Precision::SHORT - 1));
    if precision.single {
        text.parse::<f32>().is_some_and(|read| f64::from(read) == value)
    } else {
        text.parse::<f64>() == Some(value)
    }
}

/// A number in scientific notation, on the stack: a reply may hold millions.
#[derive(Default)]
struct Scientific {
    text: [u8; 32],
    length: usize,
}

impl Scientific {
    /// The longest is a double with 17 digits, `-1.2345678901234567e-308`.
    fn set(&mut self, number: std::fmt::Arguments) {
        let mut rest = &mut self.text[..];
        let written = rest.write_fmt(number);
        debug_assert!(written.is_ok());
        self.length = 32 - rest.len();
    }

    fn bytes(&self) -> &[u8] {
        &self.text[..self.length]
    }

    fn parse<T: std::str::FromStr>(&self) -> Option<T> {
        std::str::from_utf8(self.bytes()).ok()?.parse().ok()
    }
}

/// `-d.ddde-x` as C's `%.<significant>g` writes it, without trailing zeros.
fn write_general(out: &mut Vec<u8>, scientific: &[u8], significant: i32) {
    let negative = scientific.first() == Some(&b'-');
    let split = scientific.iter().position(|byte| *byte == b'e').unwrap_or(scientific.len());
    let exponent: i32 = scientific
        .get(split + 1..)
        .and_then(|text| std::str::from_utf8(text).ok())
        .and_then(|text| text.parse().ok())
        .unwrap_or_default();
    let mut digits = [0u8; 20];
    let mut count = 0;
    for byte in scientific[..split].iter().filter(|byte| byte.is_ascii_digit()) {
        digits[count] = *byte;
        count += 1;
    }
    while count > 1 && digits[count - 1] == b'0' {
        count -= 1;
    }
    let digits = &digits[..count];
    if negative {
        out.push(b'-');
    }
    if exponent < -4 || exponent >= significant {
        out.push(digits[0]);
        if count > 1 {
            out.push(b'.');
            out.extend_from_slice(&digits[1..]);
        }
        let _ = write!(out, "e{}{:02}", if exponent < 0 { '-' } else { '+' }, exponent.abs());
    } else if exponent < 0 {
        out.extend_from_slice(b"0.");
        out.resize(out.len() + (-exponent - 1) as usize, b'0');
        out.extend_from_slice(digits);
    } else {
        let whole = exponent as usize + 1;
        for index in 0..whole {
            out.push(digits.get(index).copied().unwrap_or(b'0'));
        }
        out.push(b'.');
        out.extend_from_slice(if count > whole { &digits[whole..] } else { b"0" });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn single(value: f32) -> String {
        let mut out = Vec::new();
        write_float(&mut out, f64::from(value), Precision::SINGLE);
        String::from_utf8(out).expect("ASCII")
    }

    #[test]
    fn floats_are_written_as_upstream_writes_them() {
        for (value, text) in [
            (3.0, "3.0"),
            (0.1, "0.1"),
            (9e6, "9e+06"),
            (3e-5, "3e-05"),
            (1.0 / 3.0, "0.333333343"),
            (-0.0, "-0.0"),
            (0.0001, "0.0001"),
            (1_234_567.0, "1234567.0"),
            (100_000.0, "100000.0"),
            (f32::NAN, "NaN"),
            (f32::NEG_INFINITY, "-Infinity"),
            (f32::MIN_POSITIVE, "1.17549435e-38"),
            (f32::from_bits(1), "1.4013e-45"),
        ] {
            assert_eq!(single(value), text);
        }
    }

    proptest! {
        #[test]
        fn every_float_comes_back(bits: u32) {
            let value = f32::from_bits(bits);
            prop_assume!(value.is_finite());
            prop_assert_eq!(single(value).parse::<f32>().expect("a number").to_bits(), bits);
        }

        #[test]
        fn every_double_comes_back(bits: u64) {
            let value = f64::from_bits(bits);
            prop_assume!(value.is_finite());
            let mut out = Vec::new();
            write_float(&mut out, value, Precision::DOUBLE);
            let text = String::from_utf8(out).expect("ASCII");
            prop_assert_eq!(text.parse::<f64>().expect("a number").to_bits(), bits);
        }
    }
}
