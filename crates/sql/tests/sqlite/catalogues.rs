//! A SQLite database that somebody else made.

use crate::harness::{Db, catalogue, told};

#[test]
fn what_others_made_is_told() {
    let db = Db::empty();
    let script = r#"
CREATE TABLE genre (id INTEGER PRIMARY KEY, name VARCHAR(20) NOT NULL DEFAULT 'it''s' UNIQUE);
CREATE TABLE shelf (room TEXT, number INT, label TEXT GENERATED ALWAYS AS (room || number) STORED, PRIMARY KEY (number, room)) WITHOUT ROWID;
CREATE TABLE book (
  isbn TEXT PRIMARY KEY NOT NULL,
  genre INT REFERENCES genre ON DELETE CASCADE ON UPDATE SET NULL,
  room TEXT, number INT,
  pages INT CHECK (pages > 0),
  FOREIGN KEY (room, number) REFERENCES shelf (room, number)
);
CREATE INDEX by_pages ON book (pages DESC, isbn);
CREATE INDEX lowered ON book (lower(isbn));
CREATE UNIQUE INDEX rooms ON book (room) WHERE number > 3;
CREATE VIEW thick AS SELECT isbn FROM book WHERE pages > 900;
CREATE TRIGGER t AFTER DELETE ON book BEGIN DELETE FROM genre; END;
"#;
    db.database.script(script).unwrap();
    insta::assert_snapshot!(told(&catalogue(&db)), @r#"
    Plain book (isbn)
      isbn TEXT
      genre INT null
      room TEXT null
      number INT null
      pages INT null
      1: (genre) -> genre (id) Cascade SetNull
      0: (room, number) -> shelf (room, number) Restrict Restrict
      by_pages (-pages, isbn)
      lowered () expressions
      rooms (room) unique partial
      check "" pages > 0
      trigger t
    Plain genre (id)
      id INTEGER
      name VARCHAR(20) = 'it''s'
      sqlite_autoindex_genre_1 (name) unique constraint
    Plain shelf (number, room)
      room TEXT
      number INT
      label TEXT null generated
    view thick: CREATE VIEW thick AS SELECT isbn FROM book WHERE pages > 900
    "#);
}
