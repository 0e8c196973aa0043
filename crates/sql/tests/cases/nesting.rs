//! Nested reads: values of every type at any depth, links, guards, limits per parent, what stands beside a list.

use mainstay_lang::value::Value;
use mainstay_sql::plan::{Output, OutputKind, Select};

use crate::harness::{Db, Run, int, output};

const APP: &str = r#"
table Artist { name text(120), albums Album[] by artist, allow read }
table Album { title text(160), artist Artist?, tracks Track[] by album, allow read }
table Track { name text(200), album Album, number int, playlists Playlist[] by tracks, allow read }
table Playlist { name text(120), tracks Track[], allow read }
table Everything {
  parent Everything?
  children Everything[] by parent
  b bool?
  i int?
  f float?
  d decimal(10, 3)?
  t text?
  u uuid?
  day date?
  at time?
  stamp timestamp?
  span duration?
  j json?
  raw bytes?
  e enum(low, high)?
  list text[]?
  decimals decimal(4, 1)[]?
  allow read
}
"#;

fn music() -> Db {
    Db::new(APP)
}

fn filled() -> Db {
    let db = music();
    for artist in 1..=2 {
        let name = format!("\"Artist {artist}\"");
        let artist_id = db.insert("Artist", &[("name", &name)]);
        for album in 1..=artist {
            let title = format!("\"Album {artist}.{album} \\\"é\\n\"");
            let artist = format!("\"{artist_id}\"");
            let album_id = db.insert("Album", &[("title", &title), ("artist", &artist)]);
            for track in 1..=3 {
                let (name, number) = (format!("\"Track {track}\""), track.to_string());
                let album = format!("\"{album_id}\"");
                db.insert("Track", &[("name", &name), ("album", &album), ("number", &number)]);
            }
        }
    }
    db.insert("Album", &[("title", "\"Nobody's\"")]);
    db
}

fn many(db: &Db, table: &str, relation: &str, select: Select) -> Output {
    let kind = OutputKind::Many { relation: db.relation(table, relation), select: Box::new(select) };
    output(relation, kind)
}

fn one(db: &Db, table: &str, column: &str, select: Select) -> Output {
    let kind = OutputKind::One { column: db.column(table, column), select: Box::new(select) };
    output(column, kind)
}

#[test]
fn three_levels_come_from_one_statement() {
    let db = filled();
    let mut tracks = db.select("Track", &["number"]);
    tracks.order = vec![db.order("Track", "-number")];
    tracks.limit = Some(int(2));
    let mut albums = db.select("Album", &["title"]);
    albums.outputs.push(many(&db, "Album", "tracks", tracks));
    let mut artists = db.select("Artist", &["name"]);
    artists.outputs.push(many(&db, "Artist", "albums", albums));
    assert_eq!(
        db.rows(&artists),
        r#"[{"name":"Artist 1","albums":[{"title":"Album 1.1 \"é\n","tracks":[{"number":3},{"number":2}]}]},{"name":"Artist 2","albums":[{"title":"Album 2.1 \"é\n","tracks":[{"number":3},{"number":2}]},{"title":"Album 2.2 \"é\n","tracks":[{"number":3},{"number":2}]}]}]"#
    );
    assert_eq!(db.counted(), 3 + 6, "each nested row counts once, cut ones not");
}

#[test]
fn what_stands_behind_a_list_and_rows_without_rows_come_as_they_were_asked_for() {
    let db = filled();
    db.insert("Artist", &[("name", "\"Artist 0\"")]);
    db.insert("Artist", &[("name", "\"Artist 3\"")]);
    let third = db.rows(&Select {
        filter: vec![db.filter("Artist", "name == \"Artist 3\"")],
        ..db.select("Artist", &["id"])
    });
    let third = third.split('"').nth(3).unwrap().to_owned();
    db.insert("Album", &[("title", "\"Album 3.1\""), ("artist", &format!("\"{third}\""))]);
    let mut tracks = db.select("Track", &["number"]);
    tracks.order = vec![db.order("Track", "number")];
    tracks.limit = Some(int(1));
    let mut albums = db.select("Album", &[]);
    albums.order = vec![db.order("Album", "title")];
    albums.outputs = vec![many(&db, "Album", "tracks", tracks)];
    albums.outputs.extend(db.select("Album", &["title"]).outputs);
    let mut artists = db.select("Artist", &[]);
    artists.order = vec![db.order("Artist", "name")];
    artists.outputs = vec![many(&db, "Artist", "albums", albums)];
    artists.outputs.extend(db.select("Artist", &["name"]).outputs);
    let shown = |from: usize, to: usize| {
        let rows = [
            r#"{"albums":[],"name":"Artist 0"}"#,
            r#"{"albums":[{"tracks":[{"number":1}],"title":"Album 1.1 \"é\n"}],"name":"Artist 1"}"#,
            r#"{"albums":[{"tracks":[{"number":1}],"title":"Album 2.1 \"é\n"},{"tracks":[{"number":1}],"title":"Album 2.2 \"é\n"}],"name":"Artist 2"}"#,
            r#"{"albums":[{"tracks":[],"title":"Album 3.1"}],"name":"Artist 3"}"#,
        ];
        format!("[{}]", rows[from..to].join(","))
    };
    assert_eq!(db.rows(&artists), shown(0, 4));
    assert_eq!(db.counted(), 4 + 3);
    artists.limit = Some(int(2));
    artists.offset = Some(int(1));
    assert_eq!(db.rows(&artists), shown(1, 3));
    artists.limit_bound = Some(4);
    assert_eq!(db.rows(&artists), shown(1, 3), "a limit counts the outermost rows");
}

#[test]
fn a_missing_to_one_is_null_and_an_empty_to_many_is_an_empty_array() {
    let db = filled();
    let mut artist = db.select("Artist", &["name"]);
    artist.filter = vec![db.filter("Artist", "name == \"Artist 2\"")];
    artist.outputs.push(many(
        &db,
        "Artist",
        "albums",
        Select { filter: vec![db.filter("Album", "title == \"none\"")], ..db.select("Album", &["title"]) },
    ));
    let mut albums = db.select("Album", &["id"]);
    albums.outputs = vec![one(&db, "Album", "artist", artist.clone())];
    let hit = r#"{"artist":{"name":"Artist 2","albums":[]}}"#;
    let miss = r#"{"artist":null}"#;
    assert_eq!(db.rows(&albums), format!("[{miss},{hit},{hit},{miss}]"));

    // The same inside another row.
    let mut album = db.select("Album", &[]);
    album.outputs = vec![one(&db, "Album", "artist", artist)];
    let mut tracks = db.select("Track", &["number"]);
    tracks.outputs = vec![one(&db, "Track", "album", album)];
    tracks.filter = vec![db.filter("Track", "album.title ~ \"1.1\" and number == 1")];
    assert_eq!(db.rows(&tracks), r#"[{"album":{"artist":null}}]"#);
}

#[test]
fn links_are_read_from_both_sides() {
    let db = music();
    let album = format!("\"{}\"", db.insert("Album", &[("title", "\"A\"")]));
    let track = |name: &str| {
        db.insert("Track", &[("name", &format!("\"{name}\"")), ("album", &album), ("number", "1")])
    };
    let (a, b) = (track("a"), track("b"));
    let (x, y) = (db.insert("Playlist", &[("name", "\"x\"")]), db.insert("Playlist", &[("name", "\"y\"")]));
    for (playlist, track) in [(&x, &a), (&x, &b), (&y, &b)] {
        assert_eq!(db.link("Playlist", "tracks", playlist, track), 1);
        assert_eq!(db.link("Playlist", "tracks", playlist, track), 0, "a second time changes nothing");
    }
    let mut lists = db.select("Playlist", &["name"]);
    lists.outputs.push(many(&db, "Playlist", "tracks", db.select("Track", &["name"])));
    lists.outputs.push(Output {
        name: "ids".to_owned(),
        ..many(&db, "Playlist", "tracks", db.select("Track", &["id"]))
    });
    assert_eq!(
        db.rows(&lists),
        format!(
            r#"[{{"name":"x","tracks":[{{"name":"a"}},{{"name":"b"}}],"ids":[{{"id":"{a}"}},{{"id":"{b}"}}]}},{{"name":"y","tracks":[{{"name":"b"}}],"ids":[{{"id":"{b}"}}]}}]"#
        )
    );
    let mut tracks = db.select("Track", &["name"]);
    tracks.outputs.push(many(&db, "Track", "playlists", db.select("Playlist", &["name"])));
    assert_eq!(
        db.rows(&tracks),
        r#"[{"name":"a","playlists":[{"name":"x"}]},{"name":"b","playlists":[{"name":"x"},{"name":"y"}]}]"#
    );

    let relation = db.schema.table_named("Playlist").unwrap().relation_named("tracks").unwrap();
    let mainstay_lang::schema::RelationKind::Link(link) = &relation.kind else { panic!("a link") };
    let key = |id: &str| Value::from_json(&format!("\"{id}\""), &mainstay_lang::types::Type::Uuid).unwrap();
    let linked = |from_owner, id: &str| {
        db.values(&mainstay_sql::linked(&db.schema, db.dialect, link, from_owner), &Run::params(&[key(id)]))
    };
    assert_eq!(linked(true, &x), [[key(&a)], [key(&b)]]);
    assert_eq!(linked(false, &b), [[key(&x)], [key(&y)]]);
    let unlink = mainstay_sql::unlink(&db.schema, db.dialect, link);
    assert_eq!(db.write(&unlink, &Run::params(&[key(&x), key(&a)])), 1);
    assert_eq!(db.write(&unlink, &Run::params(&[key(&x), key(&a)])), 0);
    assert_eq!(linked(true, &x), [[key(&b)]]);
}

#[test]
fn a_guarded_member_is_absent_from_the_rows_that_do_not_show_it() {
    let db = filled();
    let guarded = |name: &str, guard: &str| Output {
        guard: Some(db.filter("Track", guard)),
        ..output(name, OutputKind::Column(db.column("Track", name)))
    };
    let mut tracks = db.select("Track", &[]);
    tracks.outputs = vec![guarded("number", "number < 3"), guarded("name", "number > 1")];
    tracks.order = vec![db.order("Track", "number")];
    let mut albums = db.select("Album", &[]);
    albums.filter = vec![db.filter("Album", "title ~ \"1.1\"")];
    albums.outputs = vec![many(&db, "Album", "tracks", tracks.clone())];
    let rows = r#"[{"number":1},{"number":2,"name":"Track 2"},{"name":"Track 3"}]"#;
    assert_eq!(db.rows(&albums), format!(r#"[{{"tracks":{rows}}}]"#));
    tracks.filter = vec![db.filter("Track", "album.title ~ \"1.1\"")];
    assert_eq!(db.rows(&tracks), rows, "the same at the top level");

    // No member at all.
    tracks.outputs = vec![guarded("number", "number > 3")];
    albums.outputs = vec![many(&db, "Album", "tracks", tracks)];
    assert_eq!(db.rows(&albums), r#"[{"tracks":[{},{},{}]}]"#);

    // What is nested behind a guard is not even read.
    let mut albums = db.select("Album", &[]);
    albums.outputs = vec![Output {
        guard: Some(db.filter("Album", "title ~ \"1.1\"")),
        ..many(&db, "Album", "tracks", db.select("Track", &["number"]))
    }];
    assert!(db.rows(&albums).contains("{},{}"));
    assert_eq!(db.counted(), 3);
}

/// Nested values are encoded by the database, top-level ones by `Value::write_json`: they must not differ.
#[test]
fn values_of_every_type_are_the_same_at_every_depth() {
    let db = music();
    let columns: Vec<String> = db
        .schema
        .table_named("Everything")
        .unwrap()
        .columns
        .iter()
        .map(|column| column.name.clone())
        .collect();
    let columns: Vec<&str> = columns.iter().map(String::as_str).collect();
    let rows: [&[(&str, &str)]; 3] = [
        &[],
        &[
            ("b", "true"),
            ("i", "-9223372036854775808"),
            ("f", "1e-7"),
            ("d", "\"-0.001\""),
            ("t", r#""\" \\ \u0001 \b \t é 😀 / \u007f""#),
            ("u", "\"0190fedc-0000-7000-8000-00000000abcd\""),
            ("day", "\"0001-01-01\""),
            ("at", "\"23:59:59.999999\""),
            ("stamp", "\"9999-12-31T23:59:59.999999Z\""),
            ("span", "\"-P1DT2H\""),
            ("j", r#"{"b":[1.0,null],"a":"\u00e9"}"#),
            ("raw", "\"AAH/\""),
            ("e", "\"high\""),
            ("list", r#"["a","\"b\""]"#),
            ("decimals", r#"["1.5","-2.0"]"#),
        ],
        &[
            ("b", "false"),
            ("i", "0"),
            ("f", "100.0"),
            ("d", "\"0.000\""),
            ("t", "\"\""),
            ("span", "\"PT0S\""),
            ("j", "null"),
            ("raw", "\"\""),
            ("list", "[]"),
        ],
    ];
    for row in rows {
        let id = db.insert("Everything", row);
        let parent = format!("\"{id}\"");
        db.insert("Everything", &[row, &[("parent", &parent)]].concat());
        let mut top = db.select("Everything", &columns[3..]);
        top.outputs.remove(0);
        let nested = top.clone();
        top.filter = vec![db.filter("Everything", &format!("parent.id == \"{id}\""))];
        let flat = db.rows(&top);
        let mut outer = db.select("Everything", &[]);
        outer.filter = vec![db.filter("Everything", &format!("id == \"{id}\""))];
        outer.outputs = vec![many(&db, "Everything", "children", nested.clone())];
        assert_eq!(db.rows(&outer), format!(r#"[{{"children":{flat}}}]"#));
        top.outputs = vec![one(&db, "Everything", "parent", nested)];
        assert_eq!(db.rows(&top), format!(r#"[{{"parent":{}}}]"#, &flat[1..flat.len() - 1]));
    }
}

#[test]
fn what_stands_beside_a_list_counts_all_and_points_behind_the_page() {
    let db = filled();
    let mut tracks = db.select("Track", &["number"]);
    tracks.order = vec![db.order("Track", "-number")];
    let beside = |limit: Option<i64>, offset: Option<i64>| {
        let select = Select { limit: limit.map(int), offset: offset.map(int), ..tracks.clone() };
        let mut albums = db.select("Album", &[]);
        albums.filter = vec![db.filter("Album", "title ~ \"2.2\"")];
        let relation = db.relation("Album", "tracks");
        albums.outputs = vec![output(
            "tracks@",
            OutputKind::Beside { relation, select: Box::new(select), count: true, next: true },
        )];
        db.rows(&albums)
    };
    assert_eq!(beside(None, None), r#"[{"tracks@":{"count":3,"next":null}}]"#);
    assert_eq!(beside(Some(3), None), r#"[{"tracks@":{"count":3,"next":null}}]"#);
    assert_eq!(beside(Some(2), Some(1)), r#"[{"tracks@":{"count":3,"next":null}}]"#);
    assert_eq!(beside(Some(0), None), r#"[{"tracks@":{"count":3,"next":null}}]"#);
    for (limit, offset, number) in [(2, None, 2), (1, Some(1), 2), (1, None, 3)] {
        let text = beside(Some(limit), offset);
        let cursor = text.split('"').nth_back(1).unwrap();
        let (tag, values) = mainstay_lang::ops::cursor::decode(cursor).unwrap();
        assert_eq!(tag, "tag");
        assert!(values.starts_with(&format!("[{number},\"01900000-")), "{values}");
    }
}

#[test]
fn rows_beyond_the_page_are_not_read_deeper() {
    let db = filled();
    let mut albums = db.select("Album", &["title"]);
    albums.outputs.push(many(&db, "Album", "tracks", db.select("Track", &["number"])));
    // No index has this order, so that every row goes through the sorter, worst first.
    albums.order = vec![db.order("Album", "-length(title)"), db.order("Album", "-title")];
    albums.limit = Some(int(1));
    albums.filter = vec![db.filter("Album", "artist != null")];
    let text = db.rows(&albums);
    assert!(text.starts_with(r#"[{"title":"Album 2.2"#), "{text}");
    assert_eq!(db.counted(), 3);
}

#[test]
fn more_members_than_a_function_takes_arguments() {
    let columns: String = (0..250).map(|n| format!("  c{n} int = {n}\n")).collect();
    let db = Db::new(&format!(
        "table Wide {{\n  parent Wide?\n  children Wide[] by parent\n{columns}  allow read\n}}"
    ));
    let parent = db.insert("Wide", &[]);
    db.insert("Wide", &[("parent", &format!("\"{parent}\""))]);
    let names: Vec<String> = (0..250).map(|n| format!("c{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut outer = db.select("Wide", &[]);
    outer.filter = vec![db.filter("Wide", "parent == null")];
    outer.outputs = vec![many(&db, "Wide", "children", db.select("Wide", &names))];
    let expect: Vec<String> = (0..250).map(|n| format!("\"c{n}\":{n}")).collect();
    assert_eq!(db.rows(&outer), format!(r#"[{{"children":[{{{}}}]}}]"#, expect.join(",")));
}
