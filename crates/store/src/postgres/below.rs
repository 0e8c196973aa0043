//! Flat results, where a row brings one row of each level: objects stay open while rows bring the same key for them.
//!
//! The rows that stand in one row follow each other, so a level is told by its key alone: where that changes, or the level above
//! has changed, an object ends and another begins.

use mainstay_sql::statement::{Below, JsonMember, Level};
use tokio_postgres::Row;

use super::json::{Written, get, write_object};
use crate::StoreError;

/// The objects that are open.
#[derive(Debug)]
pub(super) struct Nest<'q> {
    below: &'q Below,
    /// One for the top level, then one for each below.
    levels: Vec<Open>,
}

/// The object of one level.
#[derive(Debug, Default)]
struct Open {
    /// The key of its row; none: none is open.
    key: Option<Vec<u8>>,
    /// What its text ends with, behind the list of the level below.
    tail: Vec<u8>,
    /// Whether the list that it stands in has one already.
    follows: bool,
}

impl<'q> Nest<'q> {
    pub(super) fn new(below: &'q Below) -> Nest<'q> {
        let levels = std::iter::repeat_with(Open::default).take(below.levels.len() + 1).collect();
        Nest { below, levels }
    }

    /// Whether a row is of another top-level object than the one before.
    pub(super) fn begins(&self, row: &Row) -> Result<bool, StoreError> {
        Ok(self.levels[0].key.as_deref() != get(row, self.below.key)?.1)
    }

    /// Appends what a row brings that those before did not: an object of the top level, with these members, where it
    /// begins one. `behind` of what is answered is then that of the top level.
    pub(super) fn take(
        &mut self,
        out: &mut Vec<u8>,
        row: &Row,
        members: &[JsonMember],
        begins: bool,
    ) -> Result<Written, StoreError> {
        let mut written = Written::default();
        if begins {
            self.close(out, 0);
            written = self.open(out, row, 0, (self.below.key, members, 0))?;
        }
        for (depth, Level { key, first, members }) in (1..).zip(&self.below.levels) {
            let Some(found) = get(row, *key)?.1 else { break };
            if self.levels[depth].key.as_deref() != Some(found) {
                self.close(out, depth);
                written.nested += 1 + self.open(out, row, depth, (*key, members, *first))?.nested;
            }
        }
        Ok(written)
    }

    fn open(
        &mut self,
        out: &mut Vec<u8>,
        row: &Row,
        depth: usize,
        (key, members, first): (usize, &[JsonMember], usize),
    ) -> Result<Written, StoreError> {
        let level = &mut self.levels[depth];
        if level.follows {
            out.push(b',');
        }
        level.follows = true;
        level.key = Some(get(row, key)?.1.unwrap_or_default().to_vec());
        level.tail.clear();
        write_object(out, &mut level.tail, row, members, first)
    }

    /// Ends the objects of a level and of those below it.
    pub(super) fn close(&mut self, out: &mut Vec<u8>, depth: usize) {
        for (inner, level) in self.levels.iter_mut().enumerate().skip(depth).rev() {
            if level.key.take().is_some() {
                out.extend_from_slice(&level.tail);
            }
            // A list begins with the object around it.
            level.follows &= inner == depth;
        }
    }
}
