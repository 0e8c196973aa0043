//! Many rows changed a few at a time, where others go on working.
//!
//! By key, each piece in a transaction of its own: nobody waits for long, the server keeps no old rows for longer than a piece takes, and
//! what was done stays done when it is broken off. The step that holds it stands outside of transactions and may be run again, so the
//! change has to be one that leaves alone what it has changed before. A loop of the server's own, so that whoever reads the file
//! sees all that is done.

/// Rows that one transaction changes at most.
pub(super) const PIECE_ROWS: u32 = 5000;

/// What stands around the loop.
const QUOTES: &str = "$pieces$";

/// A table and the key by which it is walked.
pub(super) struct Walked<'a> {
    /// The table, under the name that the key's text knows it by.
    pub(super) rows: &'a str,
    /// Its key.
    pub(super) key: &'a str,
    /// The key's type.
    pub(super) ty: &'a str,
}

/// The loop, of an UPDATE whose last words are those of its WHERE, to which those before the condition's own are given. None: the update
/// has the loop's quotes in it and cannot stand there.
pub(super) fn in_pieces(of: &Walked<'_>, update: impl FnOnce(&str) -> String) -> Option<String> {
    let Walked { rows, key, ty } = of;
    let behind = format!("(piece.behind IS NULL OR {key} > piece.behind)");
    let update = update(&format!("{behind} AND {key} <= piece.till AND "));
    (!update.contains(QUOTES)).then(|| {
        format!(
            "DO {QUOTES}
#variable_conflict use_column
<<piece>>
DECLARE
  behind {ty};
  till {ty};
BEGIN
  LOOP
    SELECT page.key INTO piece.till
      FROM (SELECT {key} AS key FROM {rows} WHERE {behind} ORDER BY {key} LIMIT {PIECE_ROWS}) page
      ORDER BY page.key DESC LIMIT 1;
    EXIT WHEN piece.till IS NULL;
    {update};
    COMMIT;
    piece.behind := piece.till;
  END LOOP;
END piece {QUOTES}"
        )
    })
}
