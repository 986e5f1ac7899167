use super::*;
use proptest::prelude::*;

fn events(text: &str) -> Result<Vec<String>> {
    let mut parser = Parser::new(text.as_bytes());
    let mut events = Vec::new();
    loop {
        match parser.next()? {
            Event::End => return Ok(events),
            Event::Key(key) => events.push(format!("key {}", key.to_text())),
            Event::Scalar(Scalar::String(text)) => events.push(format!("string {}", text.to_text())),
            Event::Scalar(Scalar::Number(number)) => events.push(format!("number {number}")),
            other => events.push(format!("{other:?}")),
        }
    }
}

#[test]
fn a_document_becomes_events_and_what_follows_is_ignored() {
    let text = r#" {"a" : [1, -2.5e3, NaN, -Infinity], "b\n": {"c": "\u00e9\ud83d\ude00"}} trailing ]"#;
    assert_eq!(
        events(text).expect("well-formed"),
        [
            "StartObject",
            "key a",
            "StartArray",
            "number 1",
            "number -2.5e3",
            "number NaN",
            "number -Infinity",
            "EndArray",
            "key b\n",
            "StartObject",
            "key c",
            "string é😀",
            "EndObject",
            "EndObject",
        ]
    );
}

#[test]
fn each_defect_has_upstreams_words_and_its_offset() {
    for (text, message) in [
        ("", "The document is empty"),
        ("  ", "The document is empty"),
        ("hi", "Invalid value. at offset: 0"),
        ("[1 2]", "Missing a comma or ] after an array element. at offset: 3"),
        (r#"{"a":1 "b"}"#, "Missing a comma or } after an object member. at offset: 7"),
        ("{a:1}", "Missing a name for object member. at offset: 1"),
        (r#"{"a" 1}"#, "Missing a colon after a name of object member. at offset: 5"),
        (r#"{"a"#, "Missing a closing quotation mark in string. at offset: 3"),
        (r#"["\x"]"#, "Invalid escape character in string. at offset: 3"),
        ("[1e999]", "Number too big to be stored in double. at offset: 6"),
        ("[1,]", "Invalid value. at offset: 3"),
    ] {
        assert_eq!(events(text).expect_err(text).message, format!("JSON Parse error: {message}"));
    }
}

#[test]
fn half_a_million_brackets_need_no_stack() {
    let text = "[".repeat(500_000) + &"]".repeat(500_000);
    let mut parser = Parser::new(text.as_bytes());
    let first = parser.next().expect("opens");
    parser.skip_rest(first).expect("closes");
    assert_eq!(parser.next().expect("at its end"), Event::End);
}

proptest! {
    #[test]
    fn any_bytes_end_in_events_or_an_error(text: Vec<u8>) {
        let mut parser = Parser::new(&text);
        while let Ok(event) = parser.next() {
            if event == Event::End {
                break;
            }
        }
    }

    #[test]
    fn a_string_comes_back(text: String) {
        let mut out = Vec::new();
        write_string(&mut out, text.as_bytes());
        let mut parser = Parser::new(&out);
        match parser.next().expect("well-formed") {
            Event::Scalar(Scalar::String(read)) => prop_assert_eq!(read.to_text(), text),
            other => prop_assert!(false, "{:?}", other),
        }
    }
}
