//! A statement ready to be run: text, where each bind comes from, and how its result is read.
//!
//! Made once for a plan and kept; run many times with other parameters, callers and clocks. Values never stand in
//! the text, so the text alone is the key of every cache of prepared statements.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use mainstay_lang::expr::{CallerFact, Clock};
use mainstay_lang::schema::ColumnId;
use mainstay_lang::types::Type;
use mainstay_lang::value::Value;

/// SQL text with its binds and the reading of its result.
#[derive(Clone, Debug)]
pub struct Statement {
    /// The text, with numbered placeholders.
    pub sql: Arc<str>,
    /// Where the value of each placeholder comes from, the first placeholder first.
    pub binds: Vec<Bind>,
    /// How a row of the result is read.
    pub result: ResultShape,
}

impl Statement {
    /// Where the cap on nested rows stands among the binds, which whoever runs the statement fills in.
    pub fn row_cap(&self) -> Option<usize> {
        match &self.result {
            ResultShape::Json(shape) => shape.row_cap,
            ResultShape::Values(_) | ResultShape::Nothing | ResultShape::Changes(_) => None,
        }
    }
}

/// Where the value of a placeholder comes from.
#[derive(Clone, Debug, PartialEq)]
pub enum Bind {
    /// Known when the statement was made.
    Value(Value),
    /// A parameter of the run.
    Param(u32),
    /// A parameter of the run that is a list of values of a storage type, or null, and goes to the database as an array:
    /// [`crate::Dialect::has_arrays`].
    Array {
        /// Which.
        param: u32,
        /// The storage type of its items.
        ty: Type,
    },
    /// A column of the caller's row, or of a row reached from it by to-one relations.
    User {
        /// The relations followed.
        hops: Vec<ColumnId>,
        /// The column of the row reached.
        column: ColumnId,
    },
    /// Another fact about the caller.
    Caller(CallerFact),
    /// The request's clock.
    Clock(Clock),
    /// A column of the row before the change.
    Old(ColumnId),
    /// A column of the row after the change.
    New(ColumnId),
    /// The value of one column within a key that is put together from several: [`crate::forms::key_part`].
    KeyPart {
        /// Where the key comes from.
        key: Box<Bind>,
        /// Which column, counted from 0.
        part: usize,
        /// Its storage type.
        ty: Type,
    },
}

/// How a row of a result is read.
#[derive(Clone, Debug)]
pub enum ResultShape {
    /// Typed values, one for each type: [`crate::plan::Images`], tests, counters.
    Values(Vec<Type>),
    /// JSON objects for the answer.
    Json(JsonShape),
    /// No rows come back.
    Nothing,
    /// Some rows are written, and typed values come back of each; of none where there are no types. Where no row is written, what the
    /// statement was made for is another than was thought, and its transaction is run again.
    Changes(Vec<Type>),
}

/// How a row becomes a JSON object.
///
/// The result's columns are, in order: for each member its guard (when `guarded`) and its value; then, when `cursor`
/// is set, the values that the row's cursor is made of; then those of the levels `below`.
#[derive(Clone, Debug)]
pub struct JsonShape {
    /// The object's members in order.
    pub members: Vec<JsonMember>,
    /// How a row's cursor is made, when cursors are wanted.
    pub cursor: Option<CursorShape>,
    /// Set when one row more than the limit was asked for, to learn if more follow: the index into
    /// [`Statement::binds`] of the limit itself, so that whoever reads the result knows which row is the one too many.
    pub probes_more: Option<usize>,
    /// Set where the statement itself has to know how many nested rows there may be: the index into [`Statement::binds`] of
    /// that number, which whoever runs the statement fills in.
    pub row_cap: Option<usize>,
    /// Set when a row of the result is one row of each level of lists that stand in each other.
    pub below: Option<Below>,
    /// How long the text of its rows was.
    pub length: Length,
}

/// Texts of more bytes are long.
const LONG: usize = 64 << 10;

/// How long the text of a statement's rows was the last time, so that whoever reads them again has room for all of it at once: a text that
/// grows is moved again and again, and leaves behind it all the places where it was. Copies of a statement share it.
#[derive(Clone, Debug, Default)]
pub struct Length(Arc<AtomicUsize>);

impl Length {
    /// Bytes to make room for; `usual`: where it was not long.
    pub fn room(&self, usual: usize) -> usize {
        match self.0.load(Ordering::Relaxed) {
            last if last > LONG => last + last / 16,
            _ => usual,
        }
    }

    /// It had so many bytes.
    pub fn note(&self, bytes: usize) {
        // Of short ones there are many at a time, which leave it as it is.
        if bytes > LONG || self.0.load(Ordering::Relaxed) > LONG {
            self.0.store(bytes, Ordering::Relaxed);
        }
    }
}

/// Lists that stand in each other as one flat result: each of its rows repeats the columns of the rows around it, and the rows
/// that stand in one follow each other. A row in which nothing stands comes once, with null for what is below it.
#[derive(Clone, Debug)]
pub struct Below {
    /// The column that has the key of the outermost row.
    pub key: usize,
    /// The levels inside of it, the outermost first. Each is the list of the member above it that is [`Encoding::Below`].
    pub levels: Vec<Level>,
}

/// One level of a flat result.
#[derive(Clone, Debug)]
pub struct Level {
    /// The column that has its row's key; null: there is no row.
    pub key: usize,
    /// The column of its first member.
    pub first: usize,
    /// The members of its rows.
    pub members: Vec<JsonMember>,
}

/// How a row's cursor is made: [`mainstay_lang::ops::cursor::encode`] of the tag and a JSON array of the values that
/// stand behind the members. Only the last row of a page needs one, so the database does not make it.
#[derive(Clone, Debug)]
pub struct CursorShape {
    /// What the cursor carries beside its values.
    pub tag: Box<str>,
    /// The type of each value.
    pub values: Vec<Type>,
}

/// One member of a JSON object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JsonMember {
    /// `,"name":`, quoted, with its colon and the comma before it, ready to be copied: from the second byte where it is the first.
    pub key: Box<str>,
    /// How the column becomes JSON.
    pub encoding: Encoding,
    /// Whether a boolean column stands before it and the member is left out unless that is true.
    pub guarded: bool,
}

/// How a column of a result becomes JSON; null is always `null`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// The database's text is JSON already.
    Raw,
    /// A value of this type.
    Typed(Type),
    /// A list of objects: a column for each of these members, none guarded, with an array of its values. All arrays are
    /// equally long; null: the list is empty.
    Arrays(Vec<JsonMember>),
    /// The rows of the level below, and no column. One member of a level has it at most.
    Below,
}

impl Encoding {
    /// How many columns it takes.
    pub fn columns(&self) -> usize {
        match self {
            Encoding::Raw | Encoding::Typed(_) => 1,
            Encoding::Arrays(members) => members.len(),
            Encoding::Below => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{LONG, Length};

    #[test]
    fn there_is_room_for_as_much_as_there_was_where_that_was_long() {
        let length = Length::default();
        let copy = length.clone();
        let room_after = |bytes: usize| {
            length.note(bytes);
            copy.room(256)
        };
        assert_eq!(room_after(LONG), 256);
        assert!((5_000_000..6_000_000).contains(&room_after(5_000_000)));
        assert_eq!(room_after(100), 256, "it was long once");
    }
}
