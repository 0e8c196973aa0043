//! Numbers, quoted text, dates and timestamps.
//!
//! A literal that is wrong is reported where it stands and still becomes a token, so that the parser goes on.

use super::{Lexer, span};
use crate::token::Kind;

impl Lexer<'_> {
    pub(super) fn number(&mut self) {
        let start = self.at;
        self.skip_while(|c| c.is_ascii_digit());
        let mut kind = Kind::Int;
        let mut after = self.rest().chars();
        if after.next() == Some('.') && after.next().is_some_and(|c| c.is_ascii_digit()) {
            kind = Kind::Number;
            self.at += 1;
            self.skip_while(|c| c.is_ascii_digit());
        }
        let end = self.at;
        self.push(kind, start);
        if self.peek().is_some_and(|c| c.is_alphabetic() || c == '_') {
            self.skip_while(|c| c.is_alphanumeric() || c == '_');
            self.report(start, "a number runs into a word").help =
                Some("put a space between them; a name does not begin with a digit".to_owned());
            self.at = end;
        }
    }

    pub(super) fn quoted(&mut self, quote: char) {
        let start = self.at;
        self.at += 1;
        loop {
            match self.peek() {
                Some(c) if c == quote => {
                    self.at += 1;
                    break;
                }
                Some('\\') => {
                    self.at += 1;
                    if let Some(c) = self.peek().filter(|c| *c != '\n') {
                        self.at += c.len_utf8();
                    }
                }
                Some('\n') | None => {
                    self.at = start + self.text[start..self.at].trim_end().len();
                    self.report(start, "the text is not closed").help = Some(
                        "it ends with `\"` on the same line; a line break inside is written `\\n`".to_owned(),
                    );
                    break;
                }
                Some(c) => self.at += c.len_utf8(),
            }
        }
        if quote == '\'' {
            self.report(start, "text stands in double quotes: `\"`");
        }
        let end = self.at;
        let file = self.file;
        let raw = &self.text[start..end];
        let mut wrong = Vec::new();
        unescape(raw, |from, to, message| wrong.push((from, to, message)));
        for (from, to, message) in wrong {
            self.report(start, message).span = span(file, start + from, start + to);
        }
        self.push(Kind::Text, start);
    }

    /// `@2026-01-31` or `@2026-01-31T10:00:00Z`.
    pub(super) fn instant(&mut self) {
        let start = self.at;
        self.at += 1;
        let rest = self.rest();
        let day_len = shape(rest, "dddd-dd-dd");
        let time_len = shape(&rest[day_len..], "Tdd:dd:dd");
        if day_len == 0 {
            self.skip_while(|c| c.is_ascii_alphanumeric());
            self.report(start, "`@` begins a date or a timestamp").help =
                Some("write `@2026-01-31` or `@2026-01-31T10:00:00Z`".to_owned());
            // Still a value, so that what stands around it is not reported too.
            self.push(Kind::Date, start);
            return;
        }
        self.at += day_len;
        if time_len == 0 {
            if self.rest().starts_with('T') {
                self.skip_while(|c| c.is_ascii_alphanumeric() || c == ':');
                self.report(start, "a timestamp is written to the second: `@2026-01-31T10:00:00Z`");
            } else if day(&rest[..day_len]).is_none() {
                self.report(start, format!("there is no day {}", &rest[..day_len]));
            }
            self.push(Kind::Date, start);
            return;
        }
        self.at += time_len;
        let fraction = self
            .rest()
            .strip_prefix('.')
            .map_or(0, |digits| digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len()));
        if fraction > 0 {
            self.at += 1 + fraction;
        }
        let zone = if self.rest().starts_with('Z') {
            1
        } else {
            shape(self.rest(), "+dd:dd").max(shape(self.rest(), "-dd:dd"))
        };
        self.at += zone;
        if zone == 0 {
            self.report(start, "a timestamp ends with its zone: `Z` for UTC");
        } else if day(&rest[..day_len]).is_none()
            || self.text[start + 1..self.at].parse::<jiff::Timestamp>().is_err()
        {
            self.report(start, format!("there is no instant {}", &self.text[start + 1..self.at]));
        }
        self.push(Kind::Timestamp, start);
    }
}

/// A day of the years that the language knows, 0001 to 9999.
fn day(text: &str) -> Option<jiff::civil::Date> {
    text.parse::<jiff::civil::Date>().ok().filter(|day| day.year() >= 1)
}

/// The length of a pattern at the start of a text (`d` is a digit, anything else itself), 0 when it does not stand there.
fn shape(text: &str, pattern: &str) -> usize {
    let fits = |(c, p): (u8, u8)| if p == b'd' { c.is_ascii_digit() } else { c == p };
    let stands = text.len() >= pattern.len() && text.bytes().zip(pattern.bytes()).all(fits);
    if stands { pattern.len() } else { 0 }
}

/// The text that a literal (with its quotes) stands for. `wrong` is told of each escape that means nothing: its range
/// within the literal and why.
pub(crate) fn unescape(literal: &str, mut wrong: impl FnMut(usize, usize, String)) -> String {
    let quote = if literal.starts_with('\'') { '\'' } else { '"' };
    let inner = literal.strip_prefix(quote).unwrap_or(literal);
    let mut out = String::with_capacity(inner.len());
    let mut chars = inner.char_indices();
    while let Some((at, c)) = chars.next() {
        // Offsets are into the literal: its opening quote is one byte.
        let from = at + 1;
        match c {
            '\0' => wrong(from, from + 1, "text may not contain U+0000".to_owned()),
            c if c == quote => break,
            '\\' => {
                let Some((_, escape)) = chars.next() else { break };
                let to = from + 1 + escape.len_utf8();
                match escape {
                    '\\' => out.push('\\'),
                    c if c == quote => out.push(c),
                    'n' => out.push('\n'),
                    't' => out.push('\t'),
                    'r' => out.push('\r'),
                    'u' => {
                        let (code, len) = unicode_escape(&literal[to..]);
                        for _ in 0..literal[to..to + len].chars().count() {
                            chars.next();
                        }
                        match code {
                            Some('\0') => wrong(from, to + len, "text may not contain U+0000".to_owned()),
                            Some(c) => out.push(c),
                            None => wrong(from, to + len, "a code point is written `\\u{20AC}`".to_owned()),
                        }
                    }
                    _ => wrong(
                        from,
                        to,
                        format!("`\\{escape}` means nothing; a backslash itself is written `\\\\`"),
                    ),
                }
            }
            c => out.push(c),
        }
    }
    out
}

/// Reads `{20AC}`: the character, if there is one, and how many bytes belong to the escape.
fn unicode_escape(text: &str) -> (Option<char>, usize) {
    let Some(digits) = text.strip_prefix('{') else { return (None, 0) };
    let len = digits.find(|c: char| !c.is_ascii_hexdigit()).unwrap_or(digits.len());
    if !digits[len..].starts_with('}') {
        return (None, 1 + len);
    }
    let code = u32::from_str_radix(&digits[..len], 16).ok().and_then(char::from_u32);
    (code.filter(|_| len <= 6), len + 2)
}
