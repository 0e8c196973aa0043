//! Operations on text: bytes and code points, no locale.
//!
//! Letters change and compare without case in ASCII alone, because databases agree on nothing beyond it.

use std::borrow::Cow;
use std::collections::HashMap;

use super::OpError;

/// White space that `trim` removes.
const SPACE: [char; 6] = [' ', '\t', '\n', '\r', '\x0c', '\x0b'];

/// Up to this length, comparing at each place beats the making of copies that a search in linear time needs.
const NAIVE_BYTES_MAX: usize = 64;

/// Whether `needle` stands somewhere in `text`, ASCII letters without regard to case. Linear in both lengths: callers
/// choose both, and a database cannot interrupt a function.
pub fn contains(text: &str, needle: &str) -> bool {
    if needle.len() > NAIVE_BYTES_MAX {
        return lower(text).contains(&*lower(needle));
    }
    let (text, needle) = (text.as_bytes(), needle.as_bytes());
    let Some(first) = needle.first() else { return true };
    let Some(last_start) = text.len().checked_sub(needle.len()) else { return false };
    let (lower, upper) = (first.to_ascii_lowercase(), first.to_ascii_uppercase());
    text[..=last_start].iter().enumerate().any(|(at, byte)| {
        (*byte == lower || *byte == upper) && text[at..at + needle.len()].eq_ignore_ascii_case(needle)
    })
}

/// Whether all of `text` matches: `%` stands for any text, `_` for one code point, `\` makes the next character
/// itself; a `\` at the very end is itself. Case-sensitive.
///
/// # Errors
/// When a pattern with `_` has more than [`WILD_PATTERN_MAX`] characters.
pub fn like(text: &str, pattern: &str) -> Result<bool, OpError> {
    like_in_steps(text, pattern, &mut Steps::default())
}

/// Characters of a pattern that may have a `_`. Nothing finds such a pattern in time that is linear in both lengths, and a
/// caller chooses both. Without `_` a pattern may be as long as it likes.
pub const WILD_PATTERN_MAX: usize = 1000;

/// The work that a search was: characters looked at, or 64 of them at a time.
#[derive(Debug, Default)]
pub(super) struct Steps(pub(super) u64);

impl Steps {
    fn add(&mut self, steps: usize) {
        self.0 += steps as u64;
    }
}

pub(super) fn like_in_steps(text: &str, pattern: &str, steps: &mut Steps) -> Result<bool, OpError> {
    if pattern.len() <= NAIVE_BYTES_MAX {
        return Ok(like_by_retries(text, pattern, steps));
    }
    if pattern.len() > WILD_PATTERN_MAX && has_wild(pattern) && pattern.chars().count() > WILD_PATTERN_MAX {
        return Err(OpError::PatternTooLong);
    }
    Ok(like_by_pieces(text, pattern, steps))
}

/// Whether a `_` of the pattern stands for any character.
fn has_wild(pattern: &str) -> bool {
    let mut characters = pattern.chars();
    while let Some(character) = characters.next() {
        match character {
            '_' => return true,
            '\\' => drop(characters.next()),
            _ => {}
        }
    }
    false
}

/// Without a copy of anything; never slower than the product of both lengths, of which the pattern's is small.
fn like_by_retries(text: &str, pattern: &str, steps: &mut Steps) -> bool {
    let (mut text, mut pattern) = (text, pattern);
    // Where to go on when a character doesn't match: behind the last `%`, one character further in the text. An
    // earlier `%` never needs another try, for the last one can take over whatever it would take.
    let mut retry: Option<(&str, &str)> = None;
    loop {
        steps.add(1);
        if let Some(behind) = pattern.strip_prefix('%') {
            pattern = behind;
            retry = Some((text, behind));
            continue;
        }
        let mut text_rest = text.chars();
        let matched = match (text_rest.next(), next_of(pattern)) {
            (None, None) => return true,
            (Some(_), Some((None, rest))) => Some(rest),
            (Some(given), Some((Some(wanted), rest))) if given == wanted => Some(rest),
            (None, Some(_)) => return false,
            _ => None,
        };
        if let Some(rest) = matched {
            (text, pattern) = (text_rest.as_str(), rest);
            continue;
        }
        let Some((from, behind)) = retry else { return false };
        let mut from_rest = from.chars();
        from_rest.next();
        (text, pattern) = (from_rest.as_str(), behind);
        retry = Some((text, behind));
    }
}

/// The next character that a pattern wants (`None`: any) and the pattern behind it.
fn next_of(pattern: &str) -> Option<(Option<char>, &str)> {
    let mut rest = pattern.chars();
    match rest.next()? {
        '_' => Some((None, rest.as_str())),
        '\\' => match rest.next() {
            Some(escaped) => Some((Some(escaped), rest.as_str())),
            None => Some((Some('\\'), "")),
        },
        other => Some((Some(other), rest.as_str())),
    }
}

/// What stands between two `%` is looked for from left to right, each piece where it is found first: a later place can
/// only leave less text to those behind it. A piece without `_` is found in linear time; one with `_` takes a step
/// for each 64 of its characters and each of the text's.
pub(super) fn like_by_pieces(text: &str, pattern: &str, steps: &mut Steps) -> bool {
    let (piece, mut rest) = piece_of(pattern);
    steps.add(pattern.len());
    let Some(mut text) = piece.strip_start(text) else { return false };
    if rest.is_none() {
        return text.is_empty();
    }
    while let Some(pattern) = rest {
        let (piece, behind) = piece_of(pattern);
        if behind.is_none() {
            return piece.ends(text);
        }
        let Some(left) = piece.find(text, steps) else { return false };
        (text, rest) = (left, behind);
    }
    true
}

/// What stands between two `%`: characters, `None` for any.
struct Piece {
    wanted: Vec<Option<char>>,
    /// The piece as text when no `_` is in it.
    literal: Option<String>,
}

/// The piece up to the next `%`, and the pattern behind that.
fn piece_of(pattern: &str) -> (Piece, Option<&str>) {
    let mut wanted = Vec::new();
    let mut characters = pattern.chars();
    let mut behind = None;
    while let Some(character) = characters.next() {
        wanted.push(match character {
            '%' => {
                behind = Some(characters.as_str());
                break;
            }
            '_' => None,
            '\\' => Some(characters.next().unwrap_or('\\')),
            other => Some(other),
        });
    }
    let literal = wanted.iter().copied().collect();
    (Piece { wanted, literal }, behind)
}

impl Piece {
    /// The text behind the piece at its beginning.
    fn strip_start<'t>(&self, text: &'t str) -> Option<&'t str> {
        let mut characters = text.chars();
        let matches = self.wanted.iter().all(|wanted| match (characters.next(), wanted) {
            (Some(given), Some(wanted)) => given == *wanted,
            (given, None) => given.is_some(),
            (None, _) => false,
        });
        matches.then_some(characters.as_str())
    }

    /// The text behind the first place where the piece stands.
    fn find<'t>(&self, text: &'t str, steps: &mut Steps) -> Option<&'t str> {
        let Some(literal) = &self.literal else { return self.find_wild(text, steps) };
        let at = text.find(literal);
        steps.add(at.map_or(text.len(), |at| at + literal.len()));
        at.map(|at| &text[at + literal.len()..])
    }

    /// Baeza-Yates and Gonnet's shift-and: bit `n` of the state says that the first `n + 1` characters of the piece
    /// stand right before this place.
    fn find_wild<'t>(&self, text: &'t str, steps: &mut Steps) -> Option<&'t str> {
        let words = self.wanted.len().div_ceil(64);
        let mut any = vec![0u64; words];
        for (n, _) in self.wanted.iter().enumerate().filter(|(_, wanted)| wanted.is_none()) {
            any[n / 64] |= 1 << (n % 64);
        }
        let mut fits: HashMap<char, Vec<u64>> = HashMap::new();
        for (n, wanted) in self.wanted.iter().enumerate() {
            if let Some(wanted) = wanted {
                fits.entry(*wanted).or_insert_with(|| any.clone())[n / 64] |= 1 << (n % 64);
            }
        }
        let last = self.wanted.len() - 1;
        let mut state = vec![0u64; words];
        let mut characters = text.chars();
        while let Some(character) = characters.next() {
            let fits = fits.get(&character).unwrap_or(&any);
            let mut carry = 1;
            for (held, fits) in state.iter_mut().zip(fits) {
                let next = ((*held << 1) | carry) & fits;
                carry = *held >> 63;
                *held = next;
            }
            steps.add(words);
            if state[last / 64] >> (last % 64) & 1 == 1 {
                return Some(characters.as_str());
            }
        }
        None
    }

    /// Whether the text ends with the piece.
    fn ends(&self, text: &str) -> bool {
        let mut characters = text.chars().rev();
        self.wanted.iter().rev().all(|wanted| match (characters.next(), wanted) {
            (Some(given), Some(wanted)) => given == *wanted,
            (given, None) => given.is_some(),
            (None, _) => false,
        })
    }
}

/// ASCII letters in lower case.
pub fn lower(text: &str) -> Cow<'_, str> {
    if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
        Cow::Owned(text.to_ascii_lowercase())
    } else {
        Cow::Borrowed(text)
    }
}

/// ASCII letters in upper case.
pub fn upper(text: &str) -> Cow<'_, str> {
    if text.bytes().any(|byte| byte.is_ascii_lowercase()) {
        Cow::Owned(text.to_ascii_uppercase())
    } else {
        Cow::Borrowed(text)
    }
}

/// Without space, `\t`, `\n`, `\r`, `\f`, `\v` at both ends.
pub fn trim(text: &str) -> &str {
    text.trim_matches(SPACE)
}

/// Code points.
pub fn length(text: &str) -> i64 {
    text.chars().count() as i64
}
