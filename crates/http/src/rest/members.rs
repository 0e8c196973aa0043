//! The members of a row that the engine has written, found without parsing what they hold.
//!
//! Only for the engine's own text: it is valid JSON without white space between tokens, and names of columns have no
//! escapes. A client's text goes through a parser.

use memchr::memchr2;

/// One member of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Member<'a> {
    /// Its name.
    pub(super) name: &'a str,
    /// Its value as written.
    pub(super) value: &'a str,
    /// Where it begins in the object's text.
    pub(super) start: usize,
    /// Where it ends there, behind its value.
    pub(super) end: usize,
}

/// The members of an object in their order; ends with `None` where the text is not what the engine writes.
pub(super) fn members(row: &str) -> Members<'_> {
    Members { row, at: Some(0) }
}

/// The members of an object, one after the other.
pub(super) struct Members<'a> {
    row: &'a str,
    /// What stands before the next member, or behind the last; `None`: no more is to be said.
    at: Option<usize>,
}

impl<'a> Iterator for Members<'a> {
    type Item = Option<Member<'a>>;

    fn next(&mut self) -> Option<Option<Member<'a>>> {
        let at = self.at.take()?;
        match self.row.as_bytes().get(at..) {
            Some([b'{', b'}']) if at == 0 => return None,
            Some([b'}']) if at > 0 => return None,
            Some([b'{', ..]) if at == 0 => {}
            Some([b',', ..]) if at > 0 => {}
            _ => return Some(None),
        }
        let member = member_at(self.row, at + 1);
        self.at = member.map(|member| member.end);
        Some(member)
    }
}

fn member_at(row: &str, start: usize) -> Option<Member<'_>> {
    let bytes = row.as_bytes();
    // Names are short, so that looking byte by byte is faster than getting ready to look at many.
    let name = row.get(start..)?.strip_prefix('"')?;
    let name_end = start + 1 + name.bytes().position(|byte| byte == b'"')?;
    if *bytes.get(name_end + 1)? != b':' {
        return None;
    }
    let value_start = name_end + 2;
    let end = value_end(bytes, value_start)?;
    Some(Member { name: &row[start + 1..name_end], value: &row[value_start..end], start, end })
}

/// Where a value ends: at the comma or bracket that is not within it.
fn value_end(bytes: &[u8], start: usize) -> Option<usize> {
    let (mut depth, mut at) = (0_usize, start);
    loop {
        match *bytes.get(at)? {
            b'"' => at = string_end(bytes, at)?,
            b'{' | b'[' => depth += 1,
            b',' if depth == 0 => return Some(at),
            b'}' | b']' if depth == 0 => return Some(at),
            b'}' | b']' => depth -= 1,
            _ => {}
        }
        at += 1;
    }
}

/// The closing quote of a string.
fn string_end(bytes: &[u8], start: usize) -> Option<usize> {
    let mut at = start + 1;
    loop {
        at += memchr2(b'"', b'\\', bytes.get(at..)?)?;
        if bytes[at] == b'"' {
            return Some(at);
        }
        at += 2;
    }
}

#[cfg(test)]
mod tests {
    use super::members;

    #[test]
    fn members_are_found_whatever_they_hold() {
        let row = r#"{"id":"a\"b","n":-1.5,"list":["}",{"a":"]"}],"o":{},"none":null,"s":"\\"}"#;
        let found: Vec<(&str, &str)> =
            members(row).map(|member| member.map(|member| (member.name, member.value)).unwrap()).collect();
        let expect = [
            ("id", r#""a\"b""#),
            ("n", "-1.5"),
            ("list", r#"["}",{"a":"]"}]"#),
            ("o", "{}"),
            ("none", "null"),
            ("s", r#""\\""#),
        ];
        assert_eq!(found, expect);
        for member in members(row).flatten() {
            assert_eq!(&row[member.start..member.end], format!("\"{}\":{}", member.name, member.value));
        }
        assert_eq!(members("{}").count(), 0);
    }

    #[test]
    fn what_is_no_object_says_so_once() {
        for text in ["", "[]", "{\"a\"}", "{\"a\":\"b}", "{a:1}", "{\"a\":1"] {
            assert_eq!(members(text).collect::<Vec<_>>(), [None], "{text}");
        }
    }
}
