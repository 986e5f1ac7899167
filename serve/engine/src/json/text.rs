//! The strings of a document.

use std::borrow::Cow;

/// A string between its quotation marks, escapes not yet resolved (but known to be well-formed).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Text<'a> {
    pub(super) raw: &'a [u8],
    pub(super) escaped: bool,
}

pub(super) fn parse_hex(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0, |number, digit| Some(number * 16 + char::from(*digit).to_digit(16)?))
}

/// How many bytes, at least, stand for themselves before one that does not: in blocks, which are compared at once.
pub(super) fn plain_prefix(text: &[u8]) -> usize {
    let is_special = |byte: &u8| (*byte < 0x20) | (*byte == b'"') | (*byte == b'\\');
    let (blocks, _) = text.as_chunks::<32>();
    let plain = blocks.iter().take_while(|block| !block.iter().fold(false, |found, byte| found | is_special(byte)));
    32 * plain.count()
}

impl<'a> Text<'a> {
    /// The bytes of the string. Bytes that are no UTF-8 pass as they are, as upstream lets them.
    pub fn bytes(&self) -> Cow<'a, [u8]> {
        if self.escaped { Cow::Owned(unescape(self.raw)) } else { Cow::Borrowed(self.raw) }
    }

    pub fn is(&self, expected: &str) -> bool {
        *self.bytes() == *expected.as_bytes()
    }

    pub fn to_text(self) -> String {
        String::from_utf8_lossy(&self.bytes()).into_owned()
    }
}

/// Resolve the escapes of a string that the parser has accepted. A lone surrogate becomes U+FFFD.
fn unescape(raw: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(raw.len());
    let mut rest = raw;
    while let [first, tail @ ..] = rest {
        rest = tail;
        if *first != b'\\' {
            out.push(*first);
            continue;
        }
        let [letter, tail @ ..] = rest else { break };
        rest = tail;
        match letter {
            b'b' => out.push(0x08),
            b'f' => out.push(0x0c),
            b'n' => out.push(b'\n'),
            b'r' => out.push(b'\r'),
            b't' => out.push(b'\t'),
            b'u' => {
                let character = unescape_unicode(&mut rest);
                out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
            }
            other => out.push(*other),
        }
    }
    out
}

/// The character of one `\uXXXX`, whose digits `rest` begins with, or of a surrogate pair.
fn unescape_unicode(rest: &mut &[u8]) -> char {
    let Some((digits, tail)) = rest.split_at_checked(4) else { return char::REPLACEMENT_CHARACTER };
    *rest = tail;
    let high = parse_hex(digits).unwrap_or(0xfffd);
    if !(0xd800..0xdc00).contains(&high) {
        return char::from_u32(high).unwrap_or(char::REPLACEMENT_CHARACTER);
    }
    let low = rest.strip_prefix(b"\\u").and_then(|tail| tail.split_at_checked(4));
    match low.and_then(|(digits, tail)| Some((parse_hex(digits)?, tail))) {
        Some((low, tail)) if (0xdc00..0xe000).contains(&low) => {
            *rest = tail;
            char::from_u32(0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00)).unwrap_or(char::REPLACEMENT_CHARACTER)
        }
        _ => char::REPLACEMENT_CHARACTER,
    }
}

/// A JSON string literal, written into `out`. Bytes that are no UTF-8 pass as they are.
pub fn write_string(out: &mut Vec<u8>, bytes: &[u8]) {
    out.push(b'"');
    for byte in bytes {
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            0x08 => out.extend_from_slice(b"\\b"),
            0x0c => out.extend_from_slice(b"\\f"),
            0..=0x1f => out.extend_from_slice(format!("\\u{byte:04X}").as_bytes()),
            _ => out.push(*byte),
        }
    }
    out.push(b'"');
}
