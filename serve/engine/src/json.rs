//! A pull parser for request bodies: events straight from the bytes, no tree, no recursion.
//!
//! It accepts what upstream's parser accepts beyond JSON (NaN, Inf, Infinity and their negatives as bare tokens, bytes
//! after the closing brace, any depth of nesting) and words its errors alike.

mod number;
mod plain;
mod text;

use crate::error::{Error, Result};
pub use number::{Digits, Number};
use text::parse_hex;
pub use text::{Text, write_string};

/// What comes next in a document.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Event<'a> {
    StartObject,
    EndObject,
    StartArray,
    EndArray,
    Key(Text<'a>),
    Scalar(Scalar<'a>),
    /// The top-level value has ended; what follows it is not looked at.
    End,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Scalar<'a> {
    Null,
    Bool(bool),
    /// As it was written; NaN and infinities included.
    Number(&'a str),
    String(Text<'a>),
}

/// Reads one document.
#[derive(Clone)]
pub struct Parser<'a> {
    text: &'a [u8],
    position: usize,
    /// One entry for each open container: true for an object.
    open: Vec<bool>,
    state: State,
}

#[derive(Clone, Copy, PartialEq)]
enum State {
    /// A value must come.
    Value,
    /// Just after `[` or `{`: it may close at once.
    Opened,
    /// After a value within a container.
    After,
    /// After the top-level value.
    Done,
}

impl<'a> Parser<'a> {
    pub fn new(text: &'a [u8]) -> Parser<'a> {
        Parser { text, position: 0, open: Vec::new(), state: State::Value }
    }

    /// Where the next event starts at the earliest; with it a value's own text can be cut out of the document.
    pub fn position(&self) -> usize {
        self.position
    }

    /// The document's bytes from `start` to here, without the white space around them.
    pub fn text_since(&self, start: usize) -> &'a [u8] {
        self.text[start..self.position].trim_ascii()
    }

    /// The text of the value that began at `start`, where the comma before it may stand.
    pub fn value_since(&self, start: usize) -> &'a [u8] {
        let text = self.text_since(start);
        text.strip_prefix(b",").unwrap_or(text).trim_ascii()
    }

    /// The next event, or how the document is malformed.
    pub fn next(&mut self) -> Result<Event<'a>> {
        self.skip_space();
        match (self.state, self.open.last().copied()) {
            (State::Done, _) => Ok(Event::End),
            (State::Value, _) => self.value(),
            (State::Opened, Some(true)) if self.eat(b'}') => Ok(self.close(Event::EndObject)),
            (State::Opened, Some(true)) => self.key(),
            (State::Opened, _) if self.eat(b']') => Ok(self.close(Event::EndArray)),
            (State::Opened, _) => self.value(),
            (State::After, Some(true)) if self.eat(b'}') => Ok(self.close(Event::EndObject)),
            (State::After, Some(true)) if self.eat(b',') => {
                self.skip_space();
                self.key()
            }
            (State::After, Some(true)) => Err(self.error("Missing a comma or } after an object member.")),
            (State::After, _) if self.eat(b']') => Ok(self.close(Event::EndArray)),
            (State::After, _) if self.eat(b',') => {
                self.skip_space();
                self.value()
            }
            (State::After, _) => Err(self.error("Missing a comma or ] after an array element.")),
        }
    }

    /// Move past the value that `first` begins (a scalar is past already).
    pub fn skip_rest(&mut self, first: Event<'a>) -> Result<()> {
        if matches!(first, Event::StartObject | Event::StartArray) {
            let depth = self.open.len();
            while self.open.len() >= depth {
                self.plain_values(&[], |_| true);
                self.next()?;
            }
        }
        Ok(())
    }

    fn peek(&self) -> Option<u8> {
        self.text.get(self.position).copied()
    }

    fn eat(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.position += usize::from(found);
        found
    }

    fn eat_after_space(&mut self, byte: u8) -> bool {
        self.skip_space();
        self.eat(byte)
    }

    fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.position += 1;
        }
    }

    fn error(&self, reason: &str) -> Error {
        Error::invalid(format!("JSON Parse error: {reason} at offset: {}", self.position))
    }

    fn close(&mut self, event: Event<'a>) -> Event<'a> {
        self.open.pop();
        self.state = if self.open.is_empty() { State::Done } else { State::After };
        event
    }

    fn scalar(&mut self, scalar: Scalar<'a>) -> Event<'a> {
        self.state = if self.open.is_empty() { State::Done } else { State::After };
        Event::Scalar(scalar)
    }

    fn value(&mut self) -> Result<Event<'a>> {
        match self.peek() {
            Some(b'{') => Ok(self.start(true, Event::StartObject)),
            Some(b'[') => Ok(self.start(false, Event::StartArray)),
            Some(b'"') => {
                let text = self.string()?;
                Ok(self.scalar(Scalar::String(text)))
            }
            Some(b'-' | b'0'..=b'9' | b'N' | b'I') => {
                let number = self.number()?;
                Ok(self.scalar(Scalar::Number(number)))
            }
            None if self.open.is_empty() && self.text.trim_ascii().is_empty() => {
                Err(Error::invalid("JSON Parse error: The document is empty"))
            }
            _ => {
                for (word, scalar) in
                    [("true", Scalar::Bool(true)), ("false", Scalar::Bool(false)), ("null", Scalar::Null)]
                {
                    if self.eat_word(word) {
                        return Ok(self.scalar(scalar));
                    }
                }
                Err(self.error("Invalid value."))
            }
        }
    }

    fn start(&mut self, object: bool, event: Event<'a>) -> Event<'a> {
        self.position += 1;
        self.open.push(object);
        self.state = State::Opened;
        event
    }

    fn eat_word(&mut self, word: &str) -> bool {
        let found = self.text[self.position..].starts_with(word.as_bytes());
        self.position += if found { word.len() } else { 0 };
        found
    }

    fn key(&mut self) -> Result<Event<'a>> {
        if self.peek() != Some(b'"') {
            return Err(self.error("Missing a name for object member."));
        }
        let key = self.string()?;
        self.skip_space();
        if !self.eat(b':') {
            return Err(self.error("Missing a colon after a name of object member."));
        }
        self.state = State::Value;
        Ok(Event::Key(key))
    }

    fn string(&mut self) -> Result<Text<'a>> {
        self.position += 1;
        let start = self.position;
        let mut escaped = false;
        self.position += text::plain_prefix(&self.text[self.position..]);
        loop {
            match self.peek() {
                Some(b'"') => break,
                Some(b'\\') => {
                    escaped = true;
                    self.position += 1;
                    match self.peek() {
                        Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => {}
                        Some(b'u') if self.hex_digits(self.position + 1).is_some() => self.position += 4,
                        Some(b'u') => return Err(self.error("Incorrect hex digit after \\u escape in string.")),
                        _ => return Err(self.error("Invalid escape character in string.")),
                    }
                }
                None => return Err(self.error("Missing a closing quotation mark in string.")),
                Some(0..=0x1f) => return Err(self.error("Invalid encoding in string.")),
                Some(_) => {}
            }
            self.position += 1;
        }
        let raw = &self.text[start..self.position];
        self.position += 1;
        Ok(Text { raw, escaped })
    }

    fn hex_digits(&self, at: usize) -> Option<u32> {
        parse_hex(self.text.get(at..at + 4)?)
    }

    fn number(&mut self) -> Result<&'a str> {
        let number = self.number_bytes()?;
        std::str::from_utf8(number).map_err(|_| self.error("Invalid value."))
    }

    /// The same as bytes, all of them ASCII.
    fn number_bytes(&mut self) -> Result<&'a [u8]> {
        let start = self.position;
        self.eat(b'-');
        let mut scientific = false;
        let named = matches!(self.peek(), Some(b'N' | b'I'))
            && ["NaN", "Infinity", "Inf"].iter().any(|word| self.eat_word(word));
        if !named {
            if !self.eat(b'0') && self.digits() == 0 {
                return Err(self.error("Invalid value."));
            }
            if self.eat(b'.') && self.digits() == 0 {
                return Err(self.error("Miss fraction part in number."));
            }
            if self.eat(b'e') || self.eat(b'E') {
                scientific = true;
                let _ = self.eat(b'+') || self.eat(b'-');
                if self.digits() == 0 {
                    return Err(self.error("Miss exponent in number."));
                }
            }
        }
        let number = &self.text[start..self.position];
        // Only a long number can be beyond a double.
        let suspicious = scientific || number.len() > 300;
        if suspicious && fast_float2::parse(number).is_ok_and(f64::is_infinite) {
            return Err(self.error("Number too big to be stored in double."));
        }
        Ok(number)
    }

    fn digits(&mut self) -> usize {
        let rest = &self.text[self.position..];
        let count = rest.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(rest.len());
        self.position += count;
        count
    }
}

#[cfg(test)]
mod tests;
