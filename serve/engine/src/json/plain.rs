//! Lists of numbers, which are most of what large bodies hold: read without an event for each bracket and number.

use super::{Digits, Number, Parser, State};

impl<'a> Parser<'a> {
    /// Within a list: read on as long as numbers come, or lists of numbers nested to `shape`, and hand each number to
    /// `push` until that refuses one. Returns how many values it has read.
    ///
    /// It stops before anything else (the end of the list, a list of another shape, a malformed number, one that was
    /// refused), which the next event then is; the numbers of a list that it stopped in are `push`ed all the same.
    pub fn plain_values(&mut self, shape: &[i64], mut push: impl FnMut(Number<'a>) -> bool) -> usize {
        let mut count = 0;
        while self.open.last() == Some(&false) && matches!(self.state, State::Opened | State::After) {
            let position = self.position;
            let follows = self.state == State::Opened || self.eat_after_space(b',');
            if !follows || !self.plain_value(shape, &mut push) {
                self.position = position;
                break;
            }
            self.state = State::After;
            count += 1;
        }
        count
    }

    /// Read one of them; false if it is anything else.
    fn plain_value(&mut self, shape: &[i64], push: &mut impl FnMut(Number<'a>) -> bool) -> bool {
        match shape {
            [] => self.plain_number(push),
            // Not through the case above, which would be one more call for each list.
            [size] => self.plain_list(*size, |parser| parser.plain_number(push)),
            [size, inner @ ..] => self.plain_list(*size, |parser| parser.plain_value(inner, push)),
        }
    }

    fn plain_list(&mut self, size: i64, mut item: impl FnMut(&mut Self) -> bool) -> bool {
        self.eat_after_space(b'[')
            && (0..size).all(|index| (index == 0 || self.eat_after_space(b',')) && item(self))
            && self.eat_after_space(b']')
    }

    fn plain_number(&mut self, push: &mut impl FnMut(Number<'a>) -> bool) -> bool {
        self.skip_space();
        let rest = &self.text[self.position..];
        if let Some((digits, length)) = Digits::read(rest) {
            self.position += length;
            return push(Number { text: &rest[..length], digits: Some(digits) });
        }
        let may_be_number = matches!(rest.first(), Some(b'-' | b'0'..=b'9' | b'N' | b'I'));
        may_be_number && self.number_bytes().is_ok_and(|text| push(Number { text, digits: None }))
    }
}
