//! Text with the structure that it was made with, so that it can be made smaller without being parsed.
//!
//! A phrase is what stands for one value in an expression. It knows its type and how many relations' scopes it stands
//! in: whatever is inside it with the same of both may take its place.

use mainstay_lang::types::Type;

/// A piece of an expression's text that stands for a value.
#[derive(Clone, Debug)]
pub struct Phrase {
    /// The kind of its value; see [`kind`].
    pub kind: Type,
    /// How many `any(…)` and their kin stand around it.
    pub depth: usize,
    /// Its text, in pieces.
    pub pieces: Vec<Piece>,
}

/// A piece of a [`Phrase`].
#[derive(Clone, Debug)]
pub enum Piece {
    /// As it stands.
    Text(String),
    /// A value inside.
    Phrase(Phrase),
}

/// A type without what does not matter for where a value may stand: lengths, digits.
pub fn kind(ty: &Type) -> Type {
    match ty {
        Type::Text { .. } => Type::Text { max: None },
        Type::Decimal { .. } => Type::Decimal { precision: 18, scale: 0 },
        other => other.clone(),
    }
}

impl Phrase {
    /// A phrase of one piece of text.
    pub fn word(kind: &Type, depth: usize, text: impl Into<String>) -> Phrase {
        Phrase { kind: kind.clone(), depth, pieces: vec![Piece::Text(text.into())] }
    }

    /// The text.
    pub fn text(&self) -> String {
        let mut out = String::new();
        self.write(&mut out);
        out
    }

    fn write(&self, out: &mut String) {
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => out.push_str(text),
                Piece::Phrase(phrase) => phrase.write(out),
            }
        }
    }

    /// How many values it is made of.
    pub fn size(&self) -> usize {
        1 + self.inside().map(Phrase::size).sum::<usize>()
    }

    fn inside(&self) -> impl Iterator<Item = &Phrase> {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Phrase(phrase) => Some(phrase),
            Piece::Text(_) => None,
        })
    }

    /// Smaller phrases that may mean something too, the smallest first.
    pub fn smaller(&self) -> Vec<Phrase> {
        let mut found = Vec::new();
        if self.kind == Type::Bool && self.size() > 1 {
            found.extend(["true", "false"].map(|word| Phrase::word(&self.kind, self.depth, word)));
        }
        self.collect_fitting(self, &mut found);
        for (at, piece) in self.pieces.iter().enumerate() {
            let Piece::Phrase(inner) = piece else { continue };
            for smaller in inner.smaller() {
                let mut copy = self.clone();
                copy.pieces[at] = Piece::Phrase(smaller);
                found.push(copy);
            }
        }
        found.sort_by_key(Phrase::size);
        found
    }

    fn collect_fitting(&self, place: &Phrase, found: &mut Vec<Phrase>) {
        for inner in self.inside() {
            if inner.kind == place.kind && inner.depth == place.depth {
                found.push(inner.clone());
            }
            inner.collect_fitting(place, found);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_phrase_shrinks_to_what_stands_inside_it() {
        let word = |text: &str| Piece::Phrase(Phrase::word(&Type::Bool, 0, text));
        let text = |text: &str| Piece::Text(text.to_owned());
        let pieces = vec![text("("), word("a"), text(" or "), word("b"), text(")")];
        let smaller: Vec<String> =
            Phrase { kind: Type::Bool, depth: 0, pieces }.smaller().iter().map(Phrase::text).collect();
        assert_eq!(smaller, ["true", "false", "a", "b"]);
    }
}
