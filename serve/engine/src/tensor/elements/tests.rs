use super::super::{decode_json::read_nested, numbers::parse};
use super::*;
use proptest::prelude::*;

/// Read a value of a float input: its shape and numbers.
fn read(text: &str) -> Result<(Vec<i64>, Vec<f32>)> {
    let mut parser = Parser::new(text.as_bytes());
    let first = parser.next()?;
    let mut elements = Elements::new(DataType::Float);
    let dims = read_nested(&mut parser, 0, first, &mut elements)?;
    assert_eq!(parser.next()?, Event::End);
    let (numbers, rest) = elements.numbers.as_chunks();
    assert!(rest.is_empty());
    Ok((dims, numbers.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()))
}

/// Numbers as nested lists of shape `dims`, with `space` before each token.
fn write(dims: &[usize], numbers: &mut impl Iterator<Item = String>, space: &str) -> String {
    match dims.split_first() {
        None => format!("{space}{}", numbers.next().expect("as many as the shape says")),
        Some((size, inner)) => {
            let items: Vec<_> = (0..*size).map(|_| write(inner, numbers, space)).collect();
            format!("{space}[{}{space}]", items.join(&format!("{space},")))
        }
    }
}

fn number() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("0.0".to_owned()),
        any::<i16>().prop_map(|number| number.to_string()),
        any::<f32>().prop_map(|number| format!("{:?}", f64::from(number))),
        any::<f32>().prop_map(|number| format!("{number:e}")),
    ]
    .prop_map(|text| text.replace("inf", "Infinity"))
}

/// A shape, as many numbers as it has elements, and white space.
fn lists() -> impl Strategy<Value = (Vec<usize>, Vec<String>, &'static str)> {
    let shape = prop::collection::vec(0usize..5, 0..5);
    shape.prop_flat_map(|shape| {
        let count = shape.iter().product::<usize>();
        let space = prop_oneof![Just(""), Just(" "), Just("\r\n\t ")];
        (Just(shape), prop::collection::vec(number(), count), space)
    })
}

proptest! {
    #[test]
    fn nested_lists_have_their_shape_and_numbers((shape, numbers, space) in lists()) {
        let (dims, values) = read(&write(&shape, &mut numbers.iter().cloned(), space)).expect("well-formed");
        // Lists below one that is empty are not there to be counted.
        let known = shape.iter().position(|size| *size == 0).map_or(shape.len(), |first| first + 1);
        prop_assert_eq!(dims, shape[..known].iter().map(|size| *size as i64).collect::<Vec<_>>());
        let expected = numbers.iter().map(|text| parse(text.as_bytes()).expect("a number") as f32);
        prop_assert_eq!(values.iter().map(|value| value.to_bits()).collect::<Vec<_>>(),
            expected.map(f32::to_bits).collect::<Vec<_>>());
    }

    #[test]
    fn one_value_that_does_not_fit_is_found_wherever_it_stands(
        (shape, numbers, space) in lists(), place: prop::sample::Index, odd in 0usize..5
    ) {
        prop_assume!(numbers.len() > 1);
        let (odd, reason) = [
            ("null", "JSON Value: null Type: Null is not of expected type: float"),
            ("\"1\"", "JSON Value: \"1\" Type: String is not of expected type: float"),
            ("[7]", "Encountered list at unexpected"),
            ("1 2", "Missing a comma or ] after an array element."),
            ("-", "Invalid value."),
        ][odd];
        let mut numbers = numbers;
        // Not the first one, which says what the shape is.
        let place = 1 + place.index(numbers.len() - 1);
        numbers[place] = odd.to_owned();
        let message = read(&write(&shape, &mut numbers.into_iter(), space)).expect_err(odd).message;
        prop_assert!(message.contains(reason), "{}", message);
    }
}
