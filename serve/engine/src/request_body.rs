//! The top level of a REST request's body.

use crate::error::{Error, Result};
use crate::json::{Event, Parser, Scalar};
use crate::tensor::elements::quote;

/// A body that is a well-formed JSON object, cut into the members that matter.
pub struct Members<'a, const N: usize> {
    /// `signature_name`; empty if there is none.
    pub signature: String,
    /// The texts of the members asked for.
    pub values: [Option<&'a [u8]>; N],
    /// The whole body, for messages.
    pub text: &'a [u8],
}

impl<'a, const N: usize> Members<'a, N> {
    /// Scan the whole document for `signature_name` and the members `names`. Of equal keys the first counts.
    pub fn parse(text: &'a [u8], names: [&str; N]) -> Result<Members<'a, N>> {
        let mut parser = Parser::new(text);
        let first = parser.next()?;
        if first != Event::StartObject {
            parser.skip_rest(first)?;
            return Err(Error::invalid(format!("JSON Value: {} Is not object", quote(parser.text_since(0)))));
        }
        let (mut signature, mut values) = (None, [None; N]);
        while let Event::Key(key) = parser.next()? {
            let start = parser.position();
            let value = parser.next()?;
            parser.skip_rest(value)?;
            if key.is("signature_name") {
                signature.get_or_insert(value);
            } else if let Some(index) = names.iter().position(|name| key.is(name)) {
                values[index].get_or_insert(parser.text_since(start));
            }
        }
        let text = parser.text_since(0);
        let signature = match signature {
            None => String::new(),
            Some(Event::Scalar(Scalar::String(name))) => name.to_text(),
            Some(_) => {
                return Err(Error::invalid(format!(
                    "JSON Value: {} not formatted correctly. 'signature_name' key must be a string value.",
                    quote(text)
                )));
            }
        };
        Ok(Members { signature, values, text })
    }
}
