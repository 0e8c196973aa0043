//! A tree of steps while it grows.
//!
//! Spans are opened and closed by several threads; a tree is behind one lock, which is held for as long as it takes to add a step. It
//! is bounded: of a request that does a hundred thousand things the first ones are told, and how many there were.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use parking_lot::Mutex;
use tracing::field::{Field, Visit};

/// Steps of one tree.
const STEPS_MAX: usize = 1000;

/// Bytes of one value: a statement with a thousand columns is still told apart by its first ones.
const TEXT_BYTES_MAX: usize = 8 << 10;

/// What happened within one step, at most.
const NOTES_MAX: usize = 16;

/// The value of a field.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Told {
    Text(String),
    Int(i64),
    Float(f64),
    Bool(bool),
}

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Told::Text(text) => f.write_str(text),
            Told::Int(number) => number.fmt(f),
            Told::Float(number) => number.fmt(f),
            Told::Bool(truth) => truth.fmt(f),
        }
    }
}

/// Fields with their values, in the order in which they were given.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fields(pub(crate) Vec<(&'static str, Told)>);

impl Fields {
    pub(crate) fn get(&self, name: &str) -> Option<&Told> {
        self.0.iter().find(|(known, _)| *known == name).map(|(_, told)| told)
    }

    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        match self.get(name) {
            Some(Told::Text(text)) => Some(text),
            _ => None,
        }
    }

    fn set(&mut self, field: &Field, told: Told) {
        match self.0.iter_mut().find(|(known, _)| *known == field.name()) {
            Some((_, known)) => *known = told,
            None => self.0.push((field.name(), told)),
        }
    }
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        let end = value.floor_char_boundary(TEXT_BYTES_MAX);
        let cut = if end < value.len() { "…" } else { "" };
        self.set(field, Told::Text(format!("{}{cut}", &value[..end])));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.set(field, Told::Int(value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.set(field, Told::Int(i64::try_from(value).unwrap_or(i64::MAX)));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.set(field, Told::Float(value));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.set(field, Told::Bool(value));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.record_str(field, &format!("{value:?}"));
    }
}

/// Where a tree stands among those of other programs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) trace_id: u128,
    pub(crate) span_id: u64,
    pub(crate) parent: Option<u64>,
    pub(crate) state: Option<String>,
}

impl Place {
    /// As the fields of a root say it; none: nobody beyond this process hears of it.
    pub(crate) fn of(fields: &Fields) -> Option<Place> {
        let id = |name| u64::from_str_radix(fields.text(name)?, 16).ok();
        Some(Place {
            trace_id: u128::from_str_radix(fields.text("trace_id")?, 16).ok()?,
            span_id: id("span_id")?,
            parent: id("parent_span_id"),
            state: fields.text("tracestate").map(str::to_owned),
        })
    }
}

/// Something that was said within a step.
#[derive(Clone, Debug)]
pub(crate) struct Note {
    pub(crate) at: Duration,
    pub(crate) is_error: bool,
    pub(crate) fields: Fields,
}

/// One step.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    pub(crate) name: &'static str,
    /// The step that it is part of; the first one is part of none.
    pub(crate) parent: usize,
    pub(crate) begun: Duration,
    pub(crate) ended: Option<Duration>,
    pub(crate) fields: Fields,
    pub(crate) notes: Vec<Note>,
}

/// All steps, the root first, each behind the one that it is part of.
#[derive(Clone, Debug)]
pub(crate) struct Tree {
    pub(crate) begun_at: SystemTime,
    begun: Instant,
    pub(crate) place: Option<Place>,
    pub(crate) steps: Vec<Step>,
    /// Steps that it has no room for.
    pub(crate) left_out: usize,
}

/// A step of a tree that grows.
#[derive(Clone, Debug)]
pub(crate) struct Growing {
    tree: Arc<Mutex<Tree>>,
    at: usize,
}

impl Growing {
    /// A tree with its root.
    pub(crate) fn begin(name: &'static str, fields: Fields) -> Growing {
        let place = Place::of(&fields);
        let root = Step { name, parent: 0, begun: Duration::ZERO, ended: None, fields, notes: Vec::new() };
        let tree = Tree {
            begun_at: SystemTime::now(),
            begun: Instant::now(),
            place,
            steps: vec![root],
            left_out: 0,
        };
        Growing { tree: Arc::new(Mutex::new(tree)), at: 0 }
    }

    /// A step of this one; none: there is no room for more.
    pub(crate) fn step(&self, name: &'static str, fields: Fields) -> Option<Growing> {
        let mut tree = self.tree.lock();
        if tree.steps.len() >= STEPS_MAX {
            tree.left_out += 1;
            return None;
        }
        let begun = tree.begun.elapsed();
        tree.steps.push(Step { name, parent: self.at, begun, ended: None, fields, notes: Vec::new() });
        Some(Growing { tree: self.tree.clone(), at: tree.steps.len() - 1 })
    }

    /// More fields of this step.
    pub(crate) fn tell(&self, tell: impl FnOnce(&mut Fields)) {
        tell(&mut self.tree.lock().steps[self.at].fields);
    }

    /// Something was said within this step.
    pub(crate) fn note(&self, is_error: bool, fields: Fields) {
        let mut tree = self.tree.lock();
        let at = tree.begun.elapsed();
        let notes = &mut tree.steps[self.at].notes;
        if notes.len() < NOTES_MAX {
            notes.push(Note { at, is_error, fields });
        }
    }

    /// The step is over.
    pub(crate) fn end(&self) {
        let mut tree = self.tree.lock();
        let now = tree.begun.elapsed();
        tree.steps[self.at].ended = Some(now);
    }

    /// Of a root: the whole tree, once nobody adds to it any more.
    pub(crate) fn whole(self) -> Option<Tree> {
        if self.at > 0 {
            return None;
        }
        Some(Arc::try_unwrap(self.tree).map_or_else(|shared| shared.lock().clone(), Mutex::into_inner))
    }

    /// Reads the tree as it stands, and how long it has been growing.
    pub(crate) fn look<R>(&self, look: impl FnOnce(&Tree, Duration) -> R) -> R {
        let tree = self.tree.lock();
        look(&tree, tree.begun.elapsed())
    }
}
