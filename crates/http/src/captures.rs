//! The pieces of a path that its template leaves open, as places in it.
//!
//! Most have no escapes and are looked at once, so they stay where they stand; what has escapes is decoded when it is asked for.

use std::borrow::Cow;
use std::ops::Range;

use percent_encoding::percent_decode_str;

/// As many as a template has at most.
const PIECES_MAX: usize = 4;

/// The places of a path's open pieces, in order.
#[derive(Debug, Default)]
pub(crate) struct Captures {
    places: [Range<usize>; PIECES_MAX],
}

impl Captures {
    /// Of pieces that are slices of the path; `None` when one is not UTF-8 without its escapes.
    pub(crate) fn of<'p>(path: &'p str, pieces: impl Iterator<Item = &'p str>) -> Option<Captures> {
        let mut captures = Captures::default();
        for (place, piece) in captures.places.iter_mut().zip(pieces) {
            percent_decode_str(piece).decode_utf8().ok()?;
            let start = piece.as_ptr() as usize - path.as_ptr() as usize;
            *place = start..start + piece.len();
        }
        Some(captures)
    }

    /// A piece of the path without its escapes; empty where there are not so many.
    pub(crate) fn get<'p>(&self, path: &'p str, index: usize) -> Cow<'p, str> {
        let place = self.places.get(index).cloned().unwrap_or_default();
        percent_decode_str(path.get(place).unwrap_or_default()).decode_utf8_lossy()
    }
}

#[cfg(test)]
mod tests {
    use super::{Captures, PIECES_MAX};
    use crate::router::ROUTES;

    #[test]
    fn pieces_are_told_without_their_escapes() {
        let path = "/api/Item/a%2Fb%20%C3%BC";
        let captures = Captures::of(path, [&path[5..9], &path[10..]].into_iter()).unwrap();
        assert_eq!(
            (&*captures.get(path, 0), &*captures.get(path, 1), &*captures.get(path, 2)),
            ("Item", "a/b ü", "")
        );
        let path = "/%FF";
        assert!(Captures::of(path, [&path[1..]].into_iter()).is_none());
    }

    #[test]
    fn there_is_room_for_the_pieces_of_every_route() {
        let pieces = ROUTES.iter().map(|route| route.path.matches('{').count());
        assert_eq!(pieces.max(), Some(PIECES_MAX));
    }
}
