//! Finds the `:authority` of each request in the bytes of an HTTP/2 connection (RFC 9113, RFC 7541), wherever reads cut
//! them.

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const FRAME_HEAD: usize = 9;
const HEADERS: u8 = 1;
const CONTINUATION: u8 = 9;
const PADDED: u8 = 0x8;
const PRIORITY: u8 = 0x20;
const PRIORITY_BYTES: usize = 5;

const AUTHORITY: &[u8] = b":authority";
/// Where `:authority` stands in HPACK's static table.
const AUTHORITY_INDEX: usize = 1;

/// Makes each `%` of an authority a `-`. What is no HTTP/2, as the bytes of TLS, stays as it is.
#[derive(Default)]
pub struct AuthorityCleaner {
    at: At,
    frame: Frame,
    fields: Fields,
}

#[derive(Clone, Copy)]
enum At {
    /// So many bytes of the connection's preface have come.
    Preface(usize),
    /// So many bytes of a frame's head.
    Head(usize),
    PadLength,
    Payload,
    /// Not HTTP/2.
    Elsewhere,
}

impl Default for At {
    fn default() -> At {
        At::Preface(0)
    }
}

/// What is still to come of a frame's payload: bytes of no interest, header fields, padding.
#[derive(Default)]
struct Frame {
    head: [u8; FRAME_HEAD],
    before: usize,
    fields: usize,
    padding: usize,
}

impl AuthorityCleaner {
    /// Clean the bytes that come next on the connection.
    pub fn clean(&mut self, mut bytes: &mut [u8]) {
        while let [first, ..] = bytes {
            let used = match self.at {
                At::Elsewhere => return,
                At::Preface(count) => {
                    self.at = match PREFACE.get(count) {
                        Some(expected) if expected != first => At::Elsewhere,
                        _ if count + 1 == PREFACE.len() => At::Head(0),
                        _ => At::Preface(count + 1),
                    };
                    1
                }
                At::Head(count) => {
                    self.frame.head[count] = *first;
                    self.at = if count + 1 == FRAME_HEAD { self.begin_frame() } else { At::Head(count + 1) };
                    1
                }
                At::PadLength => {
                    self.frame.padding = usize::from(*first).min(self.frame.fields);
                    self.frame.fields -= self.frame.padding;
                    self.at = At::Payload;
                    1
                }
                At::Payload => self.payload(bytes),
            };
            bytes = &mut bytes[used..];
            if matches!(self.at, At::Payload) && self.frame.is_over() {
                self.at = At::Head(0);
            }
        }
    }

    fn begin_frame(&mut self) -> At {
        let [high, middle, low, kind, flags, ..] = self.frame.head;
        let length = usize::from(high) << 16 | usize::from(middle) << 8 | usize::from(low);
        let frame = &mut self.frame;
        (frame.before, frame.fields, frame.padding) = (length, 0, 0);
        if kind == HEADERS {
            self.fields = Fields::default();
            let prefix = if flags & PRIORITY != 0 { PRIORITY_BYTES } else { 0 };
            let pad_length = usize::from(flags & PADDED != 0);
            frame.before = prefix.min(length);
            frame.fields = length.saturating_sub(prefix + pad_length);
            if pad_length == 1 {
                return At::PadLength;
            }
        } else if kind == CONTINUATION {
            (frame.before, frame.fields) = (0, length);
        }
        At::Payload
    }

    /// Take the part of the payload that `bytes` begins with; returns its length.
    fn payload(&mut self, bytes: &mut [u8]) -> usize {
        let frame = &mut self.frame;
        if frame.before == 0 && frame.fields > 0 {
            let used = bytes.len().min(frame.fields);
            bytes[..used].iter_mut().for_each(|byte| self.fields.next(byte));
            frame.fields -= used;
            return used;
        }
        let left = if frame.before > 0 { &mut frame.before } else { &mut frame.padding };
        let used = bytes.len().min(*left);
        *left -= used;
        used
    }
}

impl Frame {
    fn is_over(&self) -> bool {
        self.before == 0 && self.fields == 0 && self.padding == 0
    }
}

/// Reads a block of header fields byte by byte.
#[derive(Default)]
struct Fields {
    state: Field,
    /// Bytes of the current name that are those of AUTHORITY; None after one that is not.
    matched: Option<usize>,
    is_authority: bool,
}

#[derive(Clone, Copy, Default)]
enum Field {
    /// A field begins.
    #[default]
    Start,
    /// Within the number of an entry of the tables. A literal has a value of its own.
    Index { number: Number, is_literal: bool },
    /// The length of a text begins: of a name, or of a value.
    Length { is_name: bool },
    /// Within that length.
    LongLength { number: Number, is_name: bool, is_plain: bool },
    /// So many bytes of the text are left. One that is not plain is in Huffman's code.
    Text { left: usize, is_name: bool, is_plain: bool },
}

/// An integer of several bytes (RFC 7541, section 5.1).
#[derive(Clone, Copy)]
struct Number {
    value: usize,
    shift: u32,
}

impl Number {
    /// The number with its next byte, and whether it was the last one.
    fn with(self, byte: u8) -> (Number, bool) {
        let more = usize::from(byte & 0x7f).checked_shl(self.shift).unwrap_or(usize::MAX);
        (Number { value: self.value.saturating_add(more), shift: self.shift.saturating_add(7) }, byte & 0x80 == 0)
    }
}

impl Fields {
    fn next(&mut self, byte: &mut u8) {
        self.state = match self.state {
            Field::Start => {
                // Entries of the tables; literals that enter them; the size of a table; literals that do not.
                let (mask, is_literal) = match *byte {
                    0x80.. => (0x7f, false),
                    0x40.. => (0x3f, true),
                    0x20.. => (0x1f, false),
                    _ => (0x0f, true),
                };
                let value = usize::from(*byte & mask);
                match value == usize::from(mask) {
                    true => Field::Index { number: Number { value, shift: 0 }, is_literal },
                    false => self.indexed(value, is_literal),
                }
            }
            Field::Index { number, is_literal } => match number.with(*byte) {
                (number, true) => self.indexed(number.value, is_literal),
                (number, false) => Field::Index { number, is_literal },
            },
            Field::Length { is_name } => {
                let (value, is_plain) = (usize::from(*byte & 0x7f), *byte & 0x80 == 0);
                match value {
                    0x7f => Field::LongLength { number: Number { value, shift: 0 }, is_name, is_plain },
                    left => self.text(left, is_name, is_plain),
                }
            }
            Field::LongLength { number, is_name, is_plain } => match number.with(*byte) {
                (number, true) => self.text(number.value, is_name, is_plain),
                (number, false) => Field::LongLength { number, is_name, is_plain },
            },
            Field::Text { left, is_name, is_plain } => {
                if is_name {
                    let expected = self.matched.filter(|count| is_plain && AUTHORITY.get(*count) == Some(byte));
                    self.matched = expected.map(|count| count + 1);
                } else if self.is_authority && is_plain && *byte == b'%' {
                    *byte = b'-';
                }
                self.text(left - 1, is_name, is_plain)
            }
        };
    }

    fn indexed(&mut self, index: usize, is_literal: bool) -> Field {
        if !is_literal {
            return Field::Start;
        }
        (self.matched, self.is_authority) = (Some(0), index == AUTHORITY_INDEX);
        Field::Length { is_name: index == 0 }
    }

    /// With so many bytes of a text left.
    fn text(&mut self, left: usize, is_name: bool, is_plain: bool) -> Field {
        if left > 0 {
            return Field::Text { left, is_name, is_plain };
        }
        if !is_name {
            return Field::Start;
        }
        self.is_authority = self.matched == Some(AUTHORITY.len());
        Field::Length { is_name: false }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
        let length = (payload.len() as u32).to_be_bytes();
        [&length[1..], &[kind, flags, 0, 0, 0, 1], payload].concat()
    }

    fn literal(head: &[u8], value: &str) -> Vec<u8> {
        [head, &[value.len() as u8], value.as_bytes()].concat()
    }

    /// A connection with requests as different encoders write them.
    fn connection(authority: &str) -> Vec<u8> {
        let by_index = literal(&[0x41], authority);
        let by_name = [literal(&[0x40], ":authority"), literal(&[], authority)].concat();
        let other = literal(&[0x44], "/%2F");
        let path = [literal(&[0x00], ":authorita"), literal(&[], "%")].concat();
        let fields = [&[0x83][..], &other, &path, &by_name].concat();
        let padded = [&[3][..], &[0; 5], &by_index, &[b'%'; 3]].concat();
        [
            PREFACE,
            &frame(4, 0, b"%%%%%%"),
            &frame(HEADERS, 4, &fields),
            &frame(0, 1, b"%A%"),
            &frame(HEADERS, PADDED | PRIORITY | 4, &padded),
            &frame(HEADERS, 0, &by_index[..5]),
            &frame(CONTINUATION, 4, &by_index[5..]),
        ]
        .concat()
    }

    #[test]
    fn only_authorities_change() {
        let mut bytes = connection("%2Ftmp%2Fs");
        AuthorityCleaner::default().clean(&mut bytes);
        assert_eq!(bytes, connection("-2Ftmp-2Fs"));
    }

    #[test]
    fn other_protocols_pass() {
        let hello = connection("%2Ftmp").split_off(1);
        let mut bytes = hello.clone();
        AuthorityCleaner::default().clean(&mut bytes);
        assert_eq!(bytes, hello);
    }

    proptest! {
        #[test]
        fn reads_may_cut_anywhere(mut cuts in prop::collection::vec(0usize..200, 0..20)) {
            let mut bytes = connection("%2Ftmp%2Fs");
            let mut cleaner = AuthorityCleaner::default();
            cuts.sort_unstable();
            let mut from = 0;
            for cut in cuts.into_iter().chain([usize::MAX]) {
                let to = cut.clamp(from, bytes.len());
                cleaner.clean(&mut bytes[from..to]);
                from = to;
            }
            prop_assert_eq!(bytes, connection("-2Ftmp-2Fs"));
        }

        #[test]
        fn any_bytes_pass(after: Vec<u8>) {
            let mut bytes = [PREFACE, &after].concat();
            AuthorityCleaner::default().clean(&mut bytes);
            prop_assert_eq!(bytes.len(), PREFACE.len() + after.len());
        }
    }
}
