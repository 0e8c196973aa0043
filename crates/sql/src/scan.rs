//! SQL text looked at from outside: where quotes, comments and parentheses begin and end, and statements with them.
//!
//! Enough to divide a script into its statements and to find a table's checks, for SQLite and PostgreSQL. Knows no grammar.

/// A piece of a text, as long as it goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Piece {
    /// A word or a number.
    Word,
    /// Something between quotes of any kind.
    Quoted,
    /// A comment.
    Comment,
    /// White space.
    Space,
    /// Any other character.
    Sign,
}

/// The pieces of a text, each with what it is.
fn pieces(text: &str) -> impl Iterator<Item = (Piece, &str)> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let first = rest.chars().next()?;
        let (piece, bytes) = piece(rest, first);
        let (taken, left) = rest.split_at(bytes);
        rest = left;
        Some((piece, taken))
    })
}

/// What begins here and how many bytes of it there are; what is never closed goes to the end.
fn piece(rest: &str, first: char) -> (Piece, usize) {
    let until =
        |skip: usize, end: &str| rest[skip..].find(end).map_or(rest.len(), |at| skip + at + end.len());
    let run = |is_part: fn(char) -> bool| rest.find(|c| !is_part(c)).unwrap_or(rest.len());
    match first {
        // A doubled quote ends one piece and begins another, which comes to the same.
        '\'' | '"' | '`' => (Piece::Quoted, until(1, &first.to_string())),
        '-' if rest.starts_with("--") => (Piece::Comment, rest.find('\n').unwrap_or(rest.len())),
        '/' if rest.starts_with("/*") => (Piece::Comment, until(2, "*/")),
        '$' => match dollar_tag(rest) {
            Some(tag) => (Piece::Quoted, until(tag.len(), tag)),
            None => (Piece::Sign, 1),
        },
        // A text in which a backslash escapes.
        'e' | 'E' if rest[1..].starts_with('\'') => (Piece::Quoted, escaped(rest)),
        first if first.is_whitespace() => (Piece::Space, run(char::is_whitespace)),
        first if is_word(first) => (Piece::Word, run(is_word)),
        first => (Piece::Sign, first.len_utf8()),
    }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// `$$` or `$name$` at the beginning.
fn dollar_tag(rest: &str) -> Option<&str> {
    let end = rest[1..].find('$')? + 1;
    let name = &rest[1..end];
    let is_name = name.chars().all(is_word) && !name.starts_with(|c: char| c.is_ascii_digit());
    is_name.then(|| &rest[..=end])
}

fn escaped(rest: &str) -> usize {
    let bytes = rest.as_bytes();
    let mut at = 2;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 2,
            b'\'' => return at + 1,
            _ => at += 1,
        }
    }
    rest.len()
}

/// The statements of a script, without the semicolons between them; comments stay with the statement that follows. The body of a
/// trigger (`BEGIN … END`) belongs to its statement.
pub fn statements(script: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let (mut start, mut at) = (0, 0);
    let (mut is_blank, mut is_trigger, mut depth) = (true, false, 0_usize);
    for (piece, text) in pieces(script) {
        at += text.len();
        match piece {
            Piece::Sign if text == ";" && depth == 0 => {
                if !is_blank {
                    found.push(script[start..at - 1].trim());
                }
                (start, is_blank, is_trigger) = (at, true, false);
            }
            Piece::Space | Piece::Comment => {}
            Piece::Word => {
                is_blank = false;
                let is = |word: &str| text.eq_ignore_ascii_case(word);
                is_trigger |= is("TRIGGER");
                if is_trigger && (is("BEGIN") || is("CASE")) {
                    depth += 1;
                } else if is_trigger && is("END") {
                    depth = depth.saturating_sub(1);
                }
            }
            _ => is_blank = false,
        }
    }
    if !is_blank {
        found.push(script[start..].trim());
    }
    found
}

/// The conditions of the checks in a table's definition, without their outer parentheses.
pub(crate) fn checks(definition: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut at = 0;
    let mut is_check = false;
    // Where the condition begins, and how deep in parentheses one is since.
    let mut open: Option<(usize, usize)> = None;
    for (piece, text) in pieces(definition) {
        let end = at + text.len();
        match (piece, open) {
            (Piece::Word, None) => is_check = text.eq_ignore_ascii_case("CHECK"),
            (Piece::Sign, None) if text == "(" && is_check => open = Some((end, 1)),
            (Piece::Sign, Some((start, depth))) if text == "(" => open = Some((start, depth + 1)),
            (Piece::Sign, Some((start, 1))) if text == ")" => {
                found.push(definition[start..at].trim().to_owned());
                (open, is_check) = (None, false);
            }
            (Piece::Sign, Some((start, depth))) if text == ")" => open = Some((start, depth - 1)),
            (Piece::Space | Piece::Comment, _) | (_, Some(_)) => {}
            (_, None) => is_check = false,
        }
        at = end;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::{checks, statements};

    #[test]
    fn scripts_are_divided_at_semicolons_that_end_a_statement() {
        let check = |script: &str, expect: &[&str]| assert_eq!(statements(script), expect, "{script}");
        check("", &[]);
        check("; -- nothing\n;", &[]);
        check("SELECT 1; SELECT 'a;b'", &["SELECT 1", "SELECT 'a;b'"]);
        check("SELECT 'it''s; one' -- ;\n; SELECT 2;", &["SELECT 'it''s; one' -- ;", "SELECT 2"]);
        check("SELECT \";\"; SELECT /* ; */ 1", &["SELECT \";\"", "SELECT /* ; */ 1"]);
        check("DO $$ BEGIN a; END $$; SELECT $1;", &["DO $$ BEGIN a; END $$", "SELECT $1"]);
        check("SELECT $b$ ; $$ ; $b$; SELECT E'\\';'; x", &["SELECT $b$ ; $$ ; $b$", "SELECT E'\\';'", "x"]);
        let trigger = "CREATE TRIGGER t AFTER INSERT ON a BEGIN SELECT CASE WHEN 1 THEN 2 END; SELECT 3; END";
        check(&format!("{trigger}; SELECT 4"), &[trigger, "SELECT 4"]);
    }

    #[test]
    fn checks_are_found_in_a_definition() {
        let table = "CREATE TABLE t (a int CHECK (a > (1 + 2)), \"check\" text, b text CHECK(b <> ')'), CONSTRAINT c CHECK (a < 9)) STRICT";
        assert_eq!(checks(table), ["a > (1 + 2)", "b <> ')'", "a < 9"]);
    }
}
