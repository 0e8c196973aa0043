//! A PostgreSQL database that somebody else made.

use crate::harness::{Db, catalogue, told};

#[test]
fn what_others_made_is_told() {
    let db = Db::empty();
    let script = r#"
CREATE TYPE mood AS ENUM ('sad', 'Merry one');
CREATE DOMAIN isbn AS varchar(13) CHECK (VALUE ~ '^[0-9]+$');
CREATE TABLE genre (id serial PRIMARY KEY, name varchar(20) NOT NULL DEFAULT 'it''s' UNIQUE);
CREATE TABLE shelf (room text, number int, label text GENERATED ALWAYS AS (room || 'x') STORED, PRIMARY KEY (number, room));
CREATE TABLE book (
  isbn isbn PRIMARY KEY,
  copy bigint GENERATED ALWAYS AS IDENTITY,
  genre int REFERENCES genre ON DELETE CASCADE ON UPDATE SET NULL,
  room text, number int,
  pages int CONSTRAINT thick CHECK (pages > 0),
  price numeric(8,2), tags text[], mood mood, sold timestamptz,
  FOREIGN KEY (room, number) REFERENCES shelf (room, number)
);
COMMENT ON TABLE book IS 'What is read';
COMMENT ON COLUMN book.pages IS 'How many';
CREATE INDEX by_pages ON book (pages DESC, isbn) INCLUDE (price);
CREATE INDEX lowered ON book (lower(room), number);
CREATE UNIQUE INDEX rooms ON book (room) WHERE number > 3;
CREATE VIEW thick AS SELECT isbn FROM book WHERE pages > 900;
CREATE MATERIALIZED VIEW kept AS SELECT isbn FROM book;
CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
CREATE TRIGGER t AFTER DELETE ON book EXECUTE FUNCTION nothing();
CREATE TABLE event (at date) PARTITION BY RANGE (at);
CREATE TABLE event_old PARTITION OF event FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
CREATE SCHEMA other;
CREATE TABLE other.place (id int PRIMARY KEY);
ALTER TABLE shelf ADD place int; ALTER TABLE shelf ADD CONSTRAINT elsewhere FOREIGN KEY (place) REFERENCES other.place NOT VALID;
"#;
    db.database.script(script).unwrap();
    insta::assert_snapshot!(told(&catalogue(&db)), @r#"
    Plain book (isbn) -- What is read
      isbn isbn over character varying(13)
      copy bigint identity
      genre integer null
      room text null
      number integer null
      pages integer null -- How many
      price numeric(8,2) null
      tags text[] null
      mood mood null
      sold timestamp with time zone null
      book_genre_fkey: (genre) -> genre (id) Cascade SetNull
      book_room_number_fkey: (room, number) -> shelf (room, number) Restrict Restrict
      by_pages (-pages, isbn)
      lowered (number) expressions
      rooms (room) unique partial
      check "thick" CHECK ((pages > 0))
      trigger t
    Partitioned event ()
      at date null
    Partition event_old ()
      at date null
    Plain genre (id)
      id integer identity = nextval('genre_id_seq'::regclass)
      name character varying(20) = 'it''s'::character varying
      genre_name_key (name) unique constraint
    Plain shelf (number, room)
      room text
      number integer
      label text null generated
      place integer null
      elsewhere: (place) -> other.place (id) Restrict Restrict not validated
    materialized view kept: SELECT book.isbn FROM book;
    view thick: SELECT book.isbn FROM book WHERE (book.pages > 900);
    enum mood: ["sad", "Merry one"]
    "#);
}
