//! A list of JSON objects, put together row by row: what stands in a row of an answer, in one call for each row.
//!
//! SQLite's own functions take one for each text, one for the object and one for the list, and print every number by their
//! `printf`; that was half of the time of a nested read. The first argument is the template of an object, the others are its
//! values in order. The template is JSON in which a mark stands for a value, always outside of string literals:
//!
//! | mark | the value | null |
//! |---|---|---|
//! | `*` | text that stands there as it is, however much of the object it is | nothing |
//! | `#` | JSON, or a whole number | `null` |
//! | `$` | a text, which is quoted and escaped | `null` |
//! | `@` | a text that needs no escape, which is quoted | `null` |
//! | `!` | a truth value | `null` |
//! | `%2` | the mantissa of a decimal of that scale | `null` |

use std::io::Write as _;

use super::{OpError, decimal};
use crate::value::write_string;

/// The name of the aggregate. It takes any number of arguments and counts what it puts together, as `ms_rows` does.
pub const OBJECTS: &str = "ms_objects";

/// A value as SQLite has it: texts are not looked at, because whoever reads the whole answer looks at all of it once.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ObjectArg<'a> {
    /// NULL
    Null,
    /// INTEGER
    Int(i64),
    /// TEXT
    Text(&'a [u8]),
    /// What no template asks for.
    Other,
}

/// A list that is being put together.
#[derive(Debug, Default)]
pub struct ObjectsState {
    /// The template and its pieces, read once for each list.
    template: Vec<u8>,
    pieces: Vec<Piece>,
    list: Vec<u8>,
}

/// A piece of a template: JSON up to a place, and the value behind it; none behind the last one.
#[derive(Clone, Copy, Debug)]
struct Piece {
    start: usize,
    end: usize,
    mark: Option<Mark>,
}

#[derive(Clone, Copy, Debug)]
enum Mark {
    Whole,
    Json,
    Text,
    Plain,
    Truth,
    Decimal(u8),
}

impl ObjectsState {
    /// Puts the next row into the list; `arg` answers an argument by its number.
    ///
    /// # Errors
    /// When a value is none of those that its mark stands for, or the template is none.
    pub fn push<'a>(&mut self, arg: impl Fn(usize) -> ObjectArg<'a>) -> Result<(), OpError> {
        if self.pieces.is_empty() {
            let ObjectArg::Text(template) = arg(0) else { return Err(OpError::Argument) };
            self.template = template.to_vec();
            self.pieces = pieces_of(template)?;
            self.list.push(b'[');
        } else {
            self.list.push(b',');
        }
        for (at, piece) in self.pieces.iter().enumerate() {
            self.list.extend_from_slice(&self.template[piece.start..piece.end]);
            if let Some(mark) = piece.mark {
                mark.write(&mut self.list, arg(at + 1))?;
            }
        }
        Ok(())
    }

    /// How long the list is so far.
    pub fn bytes(&self) -> usize {
        self.list.len()
    }

    /// The whole list; a group without rows has the default state.
    pub fn finish(mut self) -> Vec<u8> {
        if self.list.is_empty() {
            self.list.push(b'[');
        }
        self.list.push(b']');
        self.list
    }
}

impl Mark {
    fn write(self, out: &mut Vec<u8>, value: ObjectArg<'_>) -> Result<(), OpError> {
        match (self, value) {
            (Mark::Whole, ObjectArg::Null) => {}
            (_, ObjectArg::Null) => out.extend_from_slice(b"null"),
            (Mark::Whole | Mark::Json, ObjectArg::Text(text)) => out.extend_from_slice(text),
            (Mark::Whole | Mark::Json | Mark::Text, ObjectArg::Int(number)) => {
                serde_json::to_writer(out, &number).map_err(|_| OpError::Argument)?;
            }
            (Mark::Text, ObjectArg::Text(text)) if is_plain(text) => write_plain(out, text),
            (Mark::Text, ObjectArg::Text(text)) => match std::str::from_utf8(text) {
                Ok(text) => write_string(out, text),
                Err(_) => write_plain(out, text),
            },
            (Mark::Plain, ObjectArg::Text(text)) => write_plain(out, text),
            (Mark::Truth, ObjectArg::Int(value)) => out.extend_from_slice(match value {
                0 => b"false",
                1 => b"true",
                _ => b"null",
            }),
            (Mark::Decimal(scale), ObjectArg::Int(mantissa)) => {
                let number = decimal(mantissa, i64::from(scale))?;
                write!(out, "\"{number}\"").map_err(|_| OpError::Argument)?;
            }
            _ => return Err(OpError::Argument),
        }
        Ok(())
    }
}

/// Whether nothing of it has to be escaped, which is seen many bytes at a time.
fn is_plain(text: &[u8]) -> bool {
    text.iter().fold(true, |plain, byte| plain & (*byte >= b' ') & (*byte != b'"') & (*byte != b'\\'))
}

fn write_plain(out: &mut Vec<u8>, text: &[u8]) {
    out.push(b'"');
    out.extend_from_slice(text);
    out.push(b'"');
}

fn pieces_of(bytes: &[u8]) -> Result<Vec<Piece>, OpError> {
    let mut pieces = Vec::with_capacity(8);
    let (mut start, mut is_string, mut is_escaped) = (0, false, false);
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let is_quote = *byte == b'"' && !is_escaped;
        is_escaped = is_string && *byte == b'\\' && !is_escaped;
        is_string ^= is_quote;
        let end = at;
        at += 1;
        if is_string || is_quote {
            continue;
        }
        let mark = match byte {
            b'*' => Mark::Whole,
            b'#' => Mark::Json,
            b'$' => Mark::Text,
            b'@' => Mark::Plain,
            b'!' => Mark::Truth,
            b'%' => {
                let digits = bytes[at..].iter().take_while(|byte| byte.is_ascii_digit()).count();
                let scale =
                    std::str::from_utf8(&bytes[at..at + digits]).ok().and_then(|scale| scale.parse().ok());
                at += digits;
                Mark::Decimal(scale.ok_or(OpError::Argument)?)
            }
            _ => continue,
        };
        pieces.push(Piece { start, end, mark: Some(mark) });
        start = at;
    }
    pieces.push(Piece { start, end: bytes.len(), mark: None });
    Ok(pieces)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::{Decimal, Value};

    fn list(rows: &[&[ObjectArg<'_>]]) -> Result<String, OpError> {
        let mut state = ObjectsState::default();
        rows.iter().try_for_each(|row| state.push(|at| row.get(at).copied().unwrap_or(Other)))?;
        Ok(String::from_utf8(state.finish()).unwrap())
    }

    use ObjectArg::{Int, Null, Other};

    #[expect(non_snake_case, reason = "in the place of the variant, for texts")]
    fn Text(text: &str) -> ObjectArg<'_> {
        ObjectArg::Text(text.as_bytes())
    }

    #[test]
    fn rows_become_objects_in_their_order() {
        let template = Text(r#"{"id":#,"a\"*b\\":$,"at":@,"done":!,"price":%2*}"#);
        let first =
            [template, Int(-7), Text("x"), Text("2026-01-31"), Int(1), Int(-5), Text(r#","more":[]"#)];
        let second = [template, Null, Null, Null, Null, Null, Null];
        assert_eq!(
            list(&[&first, &second]).unwrap(),
            concat!(
                r#"[{"id":-7,"a\"*b\\":"x","at":"2026-01-31","done":true,"price":"-0.05","more":[]},"#,
                r#"{"id":null,"a\"*b\\":null,"at":null,"done":null,"price":null}]"#
            )
        );
        assert_eq!(list(&[&[Text("*"), Text("{}")], &[Text("*"), Text("[1]")]]).unwrap(), "[{},[1]]");
        assert_eq!(list(&[]).unwrap(), "[]");
    }

    #[test]
    fn values_are_written_as_anywhere_else() {
        let written = |mark: &str, value| list(&[&[Text(mark), value]]).unwrap();
        for text in ["", "a", "ä€😀", "\"", "\\", "a\u{1}b", "\n\r\t\u{8}\u{c}\u{1f}\u{7f}", "/"] {
            assert_eq!(written("$", Text(text)), format!("[{}]", Value::Text(text.to_owned()).to_json()));
        }
        for number in [0, 1, -1, i64::MAX, i64::MIN] {
            assert_eq!(written("#", Int(number)), format!("[{number}]"));
        }
        for (mantissa, scale) in [(0, 0), (5, 2), (-5, 2), (123_456, 3), (999_999_999_999_999_999, 18)] {
            let json = Value::Decimal(Decimal { mantissa, scale }).to_json();
            assert_eq!(written(&format!("%{scale}"), Int(mantissa)), format!("[{json}]"));
        }
        assert_eq!(written("!", Int(0)), "[false]");
    }

    #[test]
    fn what_no_template_asks_for_is_refused() {
        assert_eq!(list(&[&[Text("#"), Other]]), Err(OpError::Argument));
        assert_eq!(list(&[&[Text("$"), Other]]), Err(OpError::Argument));
        assert_eq!(list(&[&[Text("{\"a\":#}")]]), Err(OpError::Argument));
        assert_eq!(list(&[&[Int(1)]]), Err(OpError::Argument));
        assert_eq!(list(&[&[Text("%19"), Int(1)]]), Err(OpError::Argument));
    }
}
