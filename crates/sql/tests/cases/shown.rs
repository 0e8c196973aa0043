//! Rows of values as JSON objects, by the shape that a statement says they have.

use std::sync::Arc;

use mainstay_lang::ops::cursor;
use mainstay_lang::types::Type;
use mainstay_lang::value::Value;
use mainstay_sql::statement::{Below, Encoding, JsonMember, JsonShape, Level};

/// What a result shows.
#[derive(Default)]
pub(crate) struct Shown {
    pub(crate) texts: Vec<String>,
    pub(crate) cursors: Vec<String>,
    /// Rows that came as values and stand in others.
    pub(crate) listed: usize,
}

/// The types of a result's columns; that of a key by which rows are told apart is null.
pub(crate) fn types(shape: &JsonShape) -> Vec<Type> {
    let mut types = member_types(&shape.members);
    types.extend(shape.cursor.iter().flat_map(|cursor| cursor.values.clone()));
    if let Some(Below { key, levels }) = &shape.below {
        assert_eq!(*key, types.len());
        types.push(Type::Null);
        for Level { key, first, members } in levels {
            assert_eq!((*key, *first), (types.len(), types.len() + 1));
            types.push(Type::Null);
            types.extend(member_types(members));
        }
    }
    types
}

fn member_types(members: &[JsonMember]) -> Vec<Type> {
    let mut types = Vec::new();
    for member in members {
        types.extend(member.guarded.then_some(Type::Bool));
        match &member.encoding {
            Encoding::Arrays(members) => {
                let items = members.iter().map(|member| Type::List(Arc::new(value_type(&member.encoding))));
                types.extend(items);
            }
            Encoding::Below => {}
            encoding => types.push(value_type(encoding)),
        }
    }
    types
}

fn value_type(encoding: &Encoding) -> Type {
    match encoding {
        Encoding::Raw => Type::Json,
        Encoding::Typed(ty) => ty.clone(),
        other => panic!("a value of its own: {other:?}"),
    }
}

/// The objects of all rows.
pub(crate) fn objects(shape: &JsonShape, rows: &[Vec<Value>]) -> Shown {
    let mut shown = Shown::default();
    let (key, levels) = match &shape.below {
        Some(below) => (Some(below.key), &below.levels[..]),
        None => (None, &[][..]),
    };
    for rows in rows.chunk_by(|a, b| key.is_some_and(|key| a[key] == b[key])) {
        let (text, behind) = object(&mut shown, &shape.members, 0, rows, levels);
        shown.texts.push(text);
        if let Some(cursor) = &shape.cursor {
            let values = rows[0][behind..behind + cursor.values.len()].to_vec();
            shown.cursors.push(cursor::encode(&cursor.tag, &Value::List(values).to_json()));
        }
    }
    shown
}

/// One object of the rows that repeat it, and the first column behind it.
fn object(
    shown: &mut Shown,
    members: &[JsonMember],
    first: usize,
    rows: &[Vec<Value>],
    levels: &[Level],
) -> (String, usize) {
    let mut column = first;
    let mut texts = Vec::new();
    for member in members {
        let is_shown = !member.guarded || rows[0][column] == Value::Bool(true);
        column += usize::from(member.guarded);
        let text = match &member.encoding {
            Encoding::Below => list(shown, rows, levels),
            Encoding::Arrays(members) => arrays(shown, members, &rows[0][column..]),
            _ => rows[0][column].to_json(),
        };
        column += member.encoding.columns();
        if is_shown {
            texts.push(format!("{}{text}", &member.key[1..]));
        }
    }
    (format!("{{{}}}", texts.join(",")), column)
}

fn list(shown: &mut Shown, rows: &[Vec<Value>], levels: &[Level]) -> String {
    let (Level { key, first, members }, levels) = levels.split_first().expect("a level below");
    let rows = rows.chunk_by(|a, b| a[*key] == b[*key]).filter(|rows| rows[0][*key] != Value::Null);
    let texts: Vec<String> = rows.map(|rows| object(shown, members, *first, rows, levels).0).collect();
    shown.listed += texts.len();
    format!("[{}]", texts.join(","))
}

fn arrays(shown: &mut Shown, members: &[JsonMember], columns: &[Value]) -> String {
    let items = |value: &Value| match value {
        Value::List(items) => items.clone(),
        Value::Null => Vec::new(),
        other => panic!("no array: {other:?}"),
    };
    let columns: Vec<Vec<Value>> = columns[..members.len()].iter().map(items).collect();
    let rows = columns.first().map_or(0, Vec::len);
    shown.listed += rows;
    let object = |row: usize| {
        let member = |(member, items): (&JsonMember, &Vec<Value>)| {
            format!("{}{}", &member.key[1..], items[row].to_json())
        };
        let members: Vec<String> = members.iter().zip(&columns).map(member).collect();
        format!("{{{}}}", members.join(","))
    };
    format!("[{}]", (0..rows).map(object).collect::<Vec<_>>().join(","))
}
