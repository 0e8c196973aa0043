//! What an operation answers, before a protocol gives it a form.

/// The answer to an [`crate::part::Operation`].
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Response {
    /// One answer for each document.
    pub documents: Vec<DocumentAnswer>,
    /// Whether anything was written.
    pub wrote: bool,
    /// With `?explain`: the SQL, its plan and timings, as JSON text.
    pub explain: Option<String>,
}

/// The answer to one document: one flat array for each table, in document order.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct DocumentAnswer {
    /// The entries in document order.
    pub entries: Vec<EntryAnswer>,
}

/// The rows of one table.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct EntryAnswer {
    /// The table's name.
    pub table: String,
    /// JSON objects, joined by commas, without the array's brackets.
    pub rows: String,
    /// How many objects stand in `rows`.
    pub row_count: u64,
    /// `count`: of all rows that the part matches, without regard to its limit.
    pub count: Option<u64>,
    /// Cursor behind the last row when more rows follow; what `after` takes.
    pub next: Option<String>,
    /// Whether a cursor was to be given at all (a read with an order and a limit).
    pub paged: bool,
}
