//! The numbers of a document.

/// A number as it was written, NaN and infinities included.
#[derive(Clone, Copy, Debug)]
pub struct Number<'a> {
    pub text: &'a [u8],
    /// What the text says, if it is as short and plain as nearly all are.
    pub digits: Option<Digits>,
}

/// `-1.25`: negative, the digits 125, two places behind the point.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Digits {
    pub negative: bool,
    pub value: u64,
    /// 0 for a number without a point.
    pub places: usize,
}

/// So many digits always fit `Digits::value`.
const MOST_DIGITS: usize = 19;

impl Digits {
    /// Read the number that `text` begins with; its length comes with it.
    ///
    /// None if it has an exponent or too many digits, or is no number: then it takes a closer look.
    #[inline(always)]
    pub fn read(text: &[u8]) -> Option<(Digits, usize)> {
        let negative = text.first() == Some(&b'-');
        let start = usize::from(negative);
        let (mut value, mut end) = (0u64, start);
        while let Some(digit) = text.get(end).map(|byte| byte.wrapping_sub(b'0')).filter(|digit| *digit < 10) {
            value = value.wrapping_mul(10).wrapping_add(u64::from(digit));
            end += 1;
        }
        let whole = end - start;
        if whole == 0 || (whole > 1 && text[start] == b'0') {
            return None;
        }
        let mut places = 0;
        if text.get(end) == Some(&b'.') {
            places = read_places(&text[end + 1..], &mut value);
            if places == 0 {
                return None;
            }
            end += 1 + places;
        }
        let fits = places + whole <= MOST_DIGITS || (places <= MOST_DIGITS && text[start] == b'0');
        let has_exponent = matches!(text.get(end), Some(b'e' | b'E'));
        (fits && !has_exponent).then_some((Digits { negative, value, places }, end))
    }
}

/// Append the digits that `text` begins with to `value`, which may overflow, eight at a time; returns how many.
#[inline]
fn read_places(text: &[u8], value: &mut u64) -> usize {
    let mut count = 0;
    while let Some(word) = text[count..].first_chunk().map(|word| u64::from_le_bytes(*word)) {
        let digits = leading_digits(word);
        if digits == 8 {
            *value = value.wrapping_mul(POWERS[8]).wrapping_add(number_of(word));
            count += 8;
            continue;
        }
        // Zeros in front of them make them eight; with none at all it is 64 bits that go.
        let padded = word << (56 - 8 * digits) << 8 | EIGHT_ZEROS >> (8 * digits);
        *value = value.wrapping_mul(POWERS[digits]).wrapping_add(number_of(padded));
        return count + digits;
    }
    for byte in text[count..].iter().take_while(|byte| byte.is_ascii_digit()) {
        *value = value.wrapping_mul(10).wrapping_add(u64::from(byte - b'0'));
        count += 1;
    }
    count
}

const EIGHT_ZEROS: u64 = u64::from_le_bytes(*b"00000000");
const POWERS: [u64; 9] = [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000];

/// How many of the eight characters, the first in the lowest byte, are digits before another one comes.
fn leading_digits(word: u64) -> usize {
    const HIGH: u64 = u64::from_le_bytes([0xf0; 8]);
    const SIX: u64 = u64::from_le_bytes([6; 8]);
    // A digit has 3 in its upper half, and still has it when 6 is added. A carry out of a byte only reaches later ones.
    let others = (word ^ EIGHT_ZEROS | word.wrapping_add(SIX) ^ EIGHT_ZEROS) & HIGH;
    others.trailing_zeros() as usize / 8
}

/// The number that eight digits make: neighbours are joined to pairs, those to fours, those to eight.
fn number_of(word: u64) -> u64 {
    let ones = word & u64::from_le_bytes([0x0f; 8]);
    let pairs = ones.wrapping_mul(10).wrapping_add(ones >> 8) & 0x00ff_00ff_00ff_00ff;
    let fours = pairs.wrapping_mul(100).wrapping_add(pairs >> 16) & 0x0000_ffff_0000_ffff;
    fours.wrapping_mul(10_000).wrapping_add(fours >> 32) & 0xffff_ffff
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn digits_are_those_that_were_written(negative: bool, whole in 0u64..1_000_000_000, tail in "[0-9]{1,10}", rest in "([],} ][],0-9.eE]{0,9})?") {
            let sign = if negative { "-" } else { "" };
            let value: u64 = format!("{whole}{tail}").parse().expect("at most 19 digits");
            let text = format!("{sign}{whole}.{tail}{rest}");
            let expected = Digits { negative, value, places: tail.len() };
            prop_assert_eq!(Digits::read(text.as_bytes()), Some((expected, sign.len() + format!("{whole}.{tail}").len())));
            let text = format!("{sign}{whole}{rest}");
            let expected = Digits { negative, value: whole, places: 0 };
            prop_assert_eq!(Digits::read(text.as_bytes()), Some((expected, sign.len() + whole.to_string().len())));
        }

        #[test]
        fn what_is_read_is_a_number_of_json(text in "-?[0-9]{0,12}(\\.[0-9]{0,24})?([eE][+-]?[0-9]{0,3})?.{0,3}") {
            if let Some((digits, length)) = Digits::read(text.as_bytes()) {
                let number = &text[..length];
                let plain = number.strip_prefix('-').unwrap_or(number);
                prop_assert!(plain == "0" || !plain.starts_with('0') || plain.starts_with("0."));
                prop_assert!(!text[length..].starts_with(|next: char| next.is_ascii_digit() || "eE".contains(next)));
                prop_assert_eq!(plain.split_once('.').map_or(0, |(_, places)| places.len()), digits.places);
                prop_assert_eq!(plain.replace('.', "").parse::<u64>().expect("few digits"), digits.value);
            }
        }
    }

    #[test]
    fn what_is_unusual_is_left_to_others() {
        for text in
            ["", "-", "x", "01", "1.", "1.x", "1e5", "0.5E1", "NaN", "12345678901234567890", "1.1234567890123456789"]
        {
            assert_eq!(Digits::read(text.as_bytes()), None, "{text}");
        }
    }
}
