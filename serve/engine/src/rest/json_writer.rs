//! Indented JSON, written call by call.

use crate::json::write_string;

/// Writes one document; commas and line breaks follow from the order of the calls.
#[derive(Default)]
pub struct Writer {
    out: Vec<u8>,
    depth: usize,
    /// Whether something stands already in the innermost array or object, so that a comma follows.
    continued: bool,
}

impl Writer {
    /// The document, which ends in a line break.
    pub fn finish(mut self) -> Vec<u8> {
        self.out.push(b'\n');
        self.out
    }

    pub fn object(&mut self, body: impl FnOnce(&mut Writer)) {
        self.nested(b'{', b'}', body);
    }

    pub fn array<T>(&mut self, items: impl IntoIterator<Item = T>, item: impl Fn(&mut Writer, T)) {
        self.nested(b'[', b']', |json| {
            for value in items {
                json.line();
                item(json, value);
            }
        });
    }

    pub fn key(&mut self, key: &str) -> &mut Writer {
        self.line();
        write_string(&mut self.out, key.as_bytes());
        self.out.extend_from_slice(b": ");
        self
    }

    pub fn string(&mut self, value: &str) {
        write_string(&mut self.out, value.as_bytes());
    }

    /// A number, or another token that is JSON as it stands.
    pub fn raw(&mut self, value: impl std::fmt::Display) {
        use std::io::Write;
        // Writing to a Vec cannot fail.
        let _ = write!(self.out, "{value}");
    }

    fn nested(&mut self, open: u8, close: u8, body: impl FnOnce(&mut Writer)) {
        self.out.push(open);
        self.depth += 1;
        self.continued = false;
        body(self);
        self.depth -= 1;
        if std::mem::replace(&mut self.continued, true) {
            self.out.push(b'\n');
            self.out.resize(self.out.len() + self.depth, b' ');
        }
        self.out.push(close);
    }

    fn line(&mut self) {
        if std::mem::replace(&mut self.continued, true) {
            self.out.push(b',');
        }
        self.out.push(b'\n');
        self.out.resize(self.out.len() + self.depth, b' ');
    }
}
