//! Which of the language's types a column of a SQLite database may have, the best first.
//!
//! What a column is declared as is a hint: a type is taken only when each of its values can be read as one. The hints are those of
//! <https://sqlite.org/datatype3.html>, and the words that other programs write.

use mainstay_lang::types::Type;

use crate::catalogue::FoundColumn;
use crate::pull::Candidate;

const TEXT: Type = Type::Text { max: None };
const DIGITS_MAX: u8 = 18;

pub(super) fn candidates(found: &FoundColumn) -> Vec<Candidate> {
    let declared = found.type_name.to_ascii_uppercase();
    let (name, arguments) = declared.split_once('(').unwrap_or((&declared, ""));
    let numbers: Vec<u32> = arguments
        .split(')')
        .next()
        .unwrap_or_default()
        .split(',')
        .filter_map(|number| number.trim().parse().ok())
        .collect();
    let has = |word: &str| name.contains(word);
    let text = Type::Text { max: numbers.first().copied().filter(|max| *max > 0) };
    let mut types = match () {
        () if has("BOOL") => vec![Type::Bool, Type::Int],
        () if has("DATETIME") || has("TIMESTAMP") => vec![Type::Timestamp],
        () if has("DATE") => vec![Type::Date, Type::Timestamp],
        () if name.trim() == "TIME" => vec![Type::Time],
        () if has("JSON") => vec![Type::Json],
        () if has("INT") => vec![Type::Int, Type::Float],
        () if has("CHAR") || has("CLOB") || has("TEXT") || has("UUID") || has("STRING") => vec![text],
        () if has("BLOB") => vec![Type::Bytes],
        () if has("REAL") || has("FLOA") || has("DOUB") => vec![Type::Float],
        () if has("DEC") || has("NUM") || has("MONEY") => decimals(&numbers),
        () => vec![Type::Int, Type::Float],
    };
    types.extend([TEXT, Type::Bytes]);
    types.dedup();
    let first = types[0].clone();
    types
        .into_iter()
        .map(|ty| {
            let is_first = ty == first;
            let candidate = Candidate::tried(ty);
            if is_first {
                return candidate;
            }
            let words = format!(
                "is declared as {} but holds values that are no {first}",
                if found.type_name.is_empty() { "nothing" } else { &found.type_name }
            );
            candidate.saying(words)
        })
        .collect()
}

fn decimals(numbers: &[u32]) -> Vec<Type> {
    let digits = |at: usize| numbers.get(at).and_then(|digits| u8::try_from(*digits).ok());
    let mut types = match (digits(0), digits(1).unwrap_or(0)) {
        (Some(precision), scale) if (1..=DIGITS_MAX).contains(&precision) && scale <= precision => {
            vec![Type::Decimal { precision, scale }]
        }
        (None, _) => vec![Type::Int],
        _ => Vec::new(),
    };
    types.extend([2, 4, 6].map(|scale| Type::Decimal { precision: DIGITS_MAX, scale }));
    types.push(Type::Float);
    types
}
