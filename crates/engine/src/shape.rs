//! The shape of a part: everything about it but the values that become parameters.
//!
//! Two parts of one shape have one plan. The key is injective: every text in it has its length before it, every list its
//! number of items. What is not understood here has no shape, and is planned each time.

use crate::document::join_path;
use crate::part::{Field, Get, Part};
use crate::resolve::read::limit_bound;

/// Keys that are longer are of requests that will not come again.
const KEY_LENGTH_MAX: usize = 4096;

/// A value that the shape leaves out.
#[derive(Clone, Copy, Debug)]
pub(crate) enum ShapeValue<'p> {
    /// JSON text.
    Raw(&'p str),
    /// A number that a keyword gave.
    Number(u64),
}

/// A part's shape and the values that it leaves out, in order.
#[derive(Debug)]
pub(crate) struct Shape<'p> {
    pub(crate) key: Vec<u8>,
    pub(crate) values: Vec<ShapeValue<'p>>,
}

/// The shape of a part on a table; `None` when it is planned each time.
pub(crate) fn shape_of<'p>(table: &str, part: &'p Part) -> Option<Shape<'p>> {
    let mut walk = Walk { key: Vec::with_capacity(64), values: Vec::new(), places: None };
    walk.text(table);
    walk.part(part)?;
    (walk.key.len() <= KEY_LENGTH_MAX).then_some(Shape { key: walk.key, values: walk.values })
}

/// The shape of a part that makes a row or changes some, as far as what is shown of them depends on it: the members that it
/// names, which of them stand there as parts of their own, and what it asks for. `None` when parts say which rows are found:
/// they are read for the answer as well.
pub(crate) fn shape_of_written<'p>(
    table: &str,
    part: &Part,
    is_nested: impl Fn(&str, &Field) -> bool,
) -> Option<Shape<'p>> {
    let set = part.set.as_deref().unwrap_or_default();
    let mut walk = Walk { key: Vec::with_capacity(128), values: Vec::new(), places: None };
    walk.text(table);
    walk.count(part.fields.len() + set.len());
    for (name, field) in &part.fields {
        let is_nested = !matches!(field, Field::Scalar(_)) && is_nested(name, field);
        if is_nested && !part.create {
            return None;
        }
        walk.text(name);
        walk.key.push(if is_nested { b'{' } else { b'v' });
    }
    for (name, _) in set {
        walk.text(name);
        walk.key.push(b's');
    }
    walk.get(part.get.as_deref().unwrap_or_default());
    (walk.key.len() <= KEY_LENGTH_MAX).then_some(Shape { key: walk.key, values: Vec::new() })
}

/// Where the values of [`Shape::values`] stand: JSON pointers, in the same order.
pub(crate) fn places_of(part: &Part) -> Option<Vec<String>> {
    let mut walk = Walk { key: Vec::new(), values: Vec::new(), places: Some(Vec::new()) };
    walk.part(part)?;
    walk.places
}

struct Walk<'p> {
    key: Vec<u8>,
    values: Vec<ShapeValue<'p>>,
    places: Option<Vec<String>>,
}

impl<'p> Walk<'p> {
    fn count(&mut self, mut count: usize) {
        while count >= 0x80 {
            self.key.push((count & 0x7f) as u8 | 0x80);
            count >>= 7;
        }
        self.key.push((count & 0x7f) as u8);
    }

    fn text(&mut self, text: &str) {
        self.count(text.len());
        self.key.extend_from_slice(text.as_bytes());
    }

    fn texts<'t>(&mut self, texts: impl ExactSizeIterator<Item = &'t str>) {
        self.count(texts.len());
        texts.for_each(|text| self.text(text));
    }

    fn value(&mut self, value: ShapeValue<'p>, place: impl FnOnce() -> String) {
        self.values.push(value);
        if let Some(places) = &mut self.places {
            places.push(place());
        }
    }

    fn part(&mut self, part: &'p Part) -> Option<()> {
        // A cursor's values are of types that only the plan knows.
        if part.after.is_some() || part.set.is_some() || !part.add.is_empty() || !part.remove.is_empty() {
            return None;
        }
        self.texts(part.keywords.iter().copied());
        self.count(part.fields.len());
        for (name, field) in &part.fields {
            self.text(name);
            self.field(field, &|| join_path(&part.path, name))?;
        }
        match &part.get {
            None => self.key.push(b'-'),
            Some(items) => self.get(items),
        }
        let flags = [part.create, part.delete, part.required, part.count, part.all, part.by_key];
        self.key.extend(flags.map(u8::from));
        self.texts(part.filter.as_deref().into_iter().collect::<Vec<_>>().into_iter());
        self.count(part.params.len());
        for (name, raw) in &part.params {
            self.text(name);
            self.scalar(raw.get(), &|| join_path(&join_path(&part.path, "params"), name));
        }
        self.texts(part.order.iter().map(String::as_str));
        // Of a limit only its bound stands in the statement.
        let bound = part.limit.and_then(limit_bound).map_or(0, u64::trailing_zeros);
        self.count(bound as usize);
        for (word, number) in [("limit", part.limit), ("offset", part.offset)] {
            self.key.push(u8::from(number.is_some()));
            if let Some(number) = number {
                self.value(ShapeValue::Number(number), || join_path(&part.path, word));
            }
        }
        self.texts(part.aggregate.iter().map(|(name, _)| name.as_str()));
        self.texts(part.aggregate.iter().map(|(_, text)| text.as_str()));
        self.texts(part.group.iter().map(String::as_str));
        (self.key.len() <= KEY_LENGTH_MAX).then_some(())
    }

    fn field(&mut self, field: &'p Field, place: &dyn Fn() -> String) -> Option<()> {
        match field {
            Field::Scalar(raw) => self.scalar(raw.get(), place),
            Field::Array(_, items) => {
                self.key.push(b'[');
                self.count(items.len());
                for (index, item) in items.iter().enumerate() {
                    self.field(item, &|| format!("{}/{index}", place()))?;
                }
            }
            Field::Object(_, Ok(part)) => {
                self.key.push(b'{');
                self.part(part)?;
            }
            Field::Object(_, Err(_)) => return None,
        }
        Some(())
    }

    /// Null asks another question than any value.
    fn scalar(&mut self, raw: &'p str, place: &dyn Fn() -> String) {
        if raw == "null" {
            self.key.push(b'n');
        } else {
            self.key.push(b'v');
            self.value(ShapeValue::Raw(raw), place);
        }
    }

    fn get(&mut self, items: &[Get]) {
        self.key.push(b'(');
        self.count(items.len());
        for item in items {
            match item {
                Get::All => self.key.push(b'*'),
                Get::Member(name, members) => {
                    self.key.push(b'.');
                    self.text(name);
                    self.get(members);
                }
            }
        }
    }
}
