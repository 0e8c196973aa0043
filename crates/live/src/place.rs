//! A place in the change log, as a subscriber is told it: opaque, and of use to that subscriber alone.
//!
//! Between two positions lie lines in the order of their numbers, so a place is the two positions and the number of the last
//! line that was told. It goes out sealed: with a keyed hash, and bound to the caller, the subscription and the schema,
//! so that nobody reads the log from a place that somebody else was given. It says of which database it is a place: in another
//! one, such as what a restore has filled, the same numbers stand for other changes.

use std::io::Write as _;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use mainstay_engine::Position;
use mainstay_engine::error::{Error, Key};
use mainstay_lang::value::Timestamp;
use sha2::{Digest, Sha256};

/// Bytes of the hash that seals a place, and of what it is bound to.
const TAG_BYTES: usize = 16;
const BINDING_BYTES: usize = 16;
/// Bytes that tell databases apart.
const ORIGIN_BYTES: usize = 8;
/// Bytes of one block of the hash.
const BLOCK: usize = 64;

/// A place in the change log.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Place {
    /// When it was so, by the server's clock.
    pub(crate) at: Timestamp,
    /// Everything up to here was told,
    pub(crate) from: Position,
    /// and of what lies between here and there,
    pub(crate) to: Option<Position>,
    /// everything up to this number.
    pub(crate) seq: i64,
}

impl Place {
    /// Right at a position.
    pub(crate) fn at(now: Timestamp, position: &Position) -> Place {
        Place { at: now, from: position.clone(), to: None, seq: 0 }
    }
}

/// The key of all seals of a server; nodes that share it take each other's places.
#[derive(Clone)]
pub struct SealKey(Arc<Hashes>);

struct Hashes {
    inner: Sha256,
    outer: Sha256,
}

impl std::fmt::Debug for SealKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SealKey(…)")
    }
}

impl SealKey {
    /// A key for this purpose, made of a secret that serves others, too.
    pub fn derive(secret: &[u8]) -> SealKey {
        let mut hash = Sha256::new();
        hash.update(b"mainstay live place\0");
        hash.update(secret);
        let key = hash.finalize();
        // HMAC (RFC 2104): the padded key's blocks are hashed once for all seals.
        let padded = |pad: u8| {
            let mut block = [pad; BLOCK];
            block.iter_mut().zip(key.iter()).for_each(|(byte, key)| *byte ^= key);
            let mut hash = Sha256::new();
            hash.update(block);
            hash
        };
        SealKey(Arc::new(Hashes { inner: padded(0x36), outer: padded(0x5c) }))
    }

    fn tag(&self, bytes: &[u8]) -> [u8; TAG_BYTES] {
        let mut inner = self.0.inner.clone();
        inner.update(bytes);
        let mut outer = self.0.outer.clone();
        outer.update(inner.finalize());
        let mut tag = [0; TAG_BYTES];
        tag.copy_from_slice(&outer.finalize()[..TAG_BYTES]);
        tag
    }
}

/// What the places of one subscription are bound to, with the key.
#[derive(Debug)]
pub(crate) struct Seal {
    key: SealKey,
    origin: [u8; ORIGIN_BYTES],
    binding: [u8; BINDING_BYTES],
}

impl Seal {
    /// Of a database, bound to all of these.
    pub(crate) fn new(key: &SealKey, database: &str, bound_to: &[&[u8]]) -> Seal {
        let mut hash = Sha256::new();
        for piece in bound_to {
            hash.update((piece.len() as u64).to_le_bytes());
            hash.update(piece);
        }
        let mut binding = [0; BINDING_BYTES];
        binding.copy_from_slice(&hash.finalize()[..BINDING_BYTES]);
        let mut origin = [0; ORIGIN_BYTES];
        origin.copy_from_slice(&Sha256::digest(database)[..ORIGIN_BYTES]);
        Seal { key: key.clone(), origin, binding }
    }

    /// Writes the place as text behind another one.
    pub(crate) fn write_to(&self, place: &Place, text: &mut String) {
        let to = place.to.as_ref().map_or("", Position::text);
        let mut bytes = Vec::with_capacity(128);
        bytes.extend_from_slice(&[0; TAG_BYTES]);
        bytes.extend_from_slice(&self.origin);
        bytes.extend_from_slice(&self.binding);
        // Writing to memory does not fail.
        let _ = write!(bytes, "{}|{}|{to}|{}", place.at.0, place.from.text(), place.seq);
        let tag = self.key.tag(&bytes[TAG_BYTES..]);
        bytes[..TAG_BYTES].copy_from_slice(&tag);
        URL_SAFE_NO_PAD.encode_string(bytes, text);
    }

    /// A place that was written; `None`: for another caller, subscription or schema, or for this caller as it was before.
    ///
    /// # Errors
    /// [`Key::LiveSince`] when it was not written with this key, [`Key::LiveGone`] when it is a place of another database.
    pub(crate) fn read(&self, text: &str) -> Result<Option<Place>, Error> {
        let refused = || Error::new(Key::LiveSince, "`since` is no place that this server has given out.");
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| refused())?;
        let (tag, sealed) = bytes.split_at_checked(TAG_BYTES).ok_or_else(refused)?;
        let differs = self.key.tag(sealed).iter().zip(tag).fold(0, |differs, (a, b)| differs | (a ^ b));
        if differs != 0 {
            return Err(refused());
        }
        let (origin, sealed) = sealed.split_at_checked(ORIGIN_BYTES).ok_or_else(refused)?;
        if *origin != self.origin {
            let words = "The app's database is another one since then: subscribe without `since`.";
            return Err(Error::new(Key::LiveGone, words));
        }
        let (binding, text) = sealed.split_at_checked(BINDING_BYTES).ok_or_else(refused)?;
        if *binding != self.binding {
            return Ok(None);
        }
        let text = std::str::from_utf8(text).map_err(|_| refused())?;
        let mut pieces = text.split('|');
        let mut next = || pieces.next().ok_or_else(refused);
        let (at, from, to, seq) = (next()?, next()?, next()?, next()?);
        let number = |text: &str| text.parse::<i64>().map_err(|_| refused());
        Ok(Some(Place {
            at: Timestamp(number(at)?),
            from: Position::of(from),
            to: (!to.is_empty()).then(|| Position::of(to)),
            seq: number(seq)?,
        }))
    }
}

#[cfg(test)]
mod tests {
    use mainstay_engine::Position;
    use mainstay_engine::error::Key;
    use mainstay_lang::value::Timestamp;

    use super::{Place, Seal, SealKey};

    fn place() -> Place {
        let (from, to) = (Position::of("5:9:6,7"), Some(Position::of("8:12:")));
        Place { at: Timestamp(77), from, to, seq: 41 }
    }

    #[test]
    fn a_place_comes_back_to_those_it_was_given_to_alone() {
        let key = SealKey::derive(&[1; 32]);
        let seal = Seal::new(&key, "one", &[b"ann", b"Alert"]);
        let mut text = String::new();
        seal.write_to(&place(), &mut text);
        assert_eq!(seal.read(&text).unwrap(), Some(place()));
        // Pieces are told apart by their lengths.
        assert_eq!(Seal::new(&key, "one", &[b"annA", b"lert"]).read(&text).unwrap(), None);
        let key_of = |seal: Seal| seal.read(&text).unwrap_err().key;
        let bound_to: [&[u8]; 2] = [b"ann", b"Alert"];
        assert_eq!(key_of(Seal::new(&SealKey::derive(&[2; 32]), "one", &bound_to)), Key::LiveSince);
        assert_eq!(key_of(Seal::new(&key, "other", &bound_to)), Key::LiveGone);
    }

    #[test]
    fn a_place_that_was_changed_is_refused() {
        let seal = Seal::new(&SealKey::derive(&[1; 32]), "one", &[]);
        let mut text = String::new();
        seal.write_to(&place(), &mut text);
        for at in 0..text.len() {
            let mut changed = text.clone().into_bytes();
            changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
            assert!(seal.read(std::str::from_utf8(&changed).unwrap()).is_err(), "at {at}");
        }
        for text in ["", "x", "AAAA", "ä"] {
            assert!(seal.read(text).is_err(), "{text}");
        }
    }
}
