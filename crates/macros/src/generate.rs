//! The code that stands for a schema.
//!
//! Values have the wire's form: a key, a date and a decimal are texts. A row reads and writes rows of hooks and
//! is read from answers; a new row and a patch are written into requests.

use std::fmt::Write as _;
use std::path::PathBuf;

use mainstay_lang::schema::{Column, ColumnId, Schema, Table};
use mainstay_lang::types::Type;

/// Words that cannot name a member as they are.
const KEYWORDS: &[&str] = &[
    "abstract", "as", "async", "await", "become", "box", "break", "const", "continue", "do", "dyn", "else",
    "enum", "extern", "false", "final", "fn", "for", "gen", "if", "impl", "in", "let", "loop", "macro",
    "match", "mod", "move", "mut", "override", "priv", "pub", "ref", "return", "static", "struct", "trait",
    "true", "try", "type", "typeof", "unsafe", "unsized", "use", "virtual", "where", "while", "yield",
];

const DERIVES: &str = "#[derive(Clone, Debug, PartialEq, ::mainstay::serde::Serialize, ::mainstay::serde::Deserialize)]\n#[serde(crate = \"::mainstay::serde\")]\n";

/// Types for every table of a schema; the compiler reads the files again when they change.
pub(crate) fn code(schema: &Schema, files: &[PathBuf]) -> String {
    let mut out = String::new();
    for file in files {
        // A file that is included is one that the compiler looks at.
        let path = file.display().to_string();
        let _ = writeln!(out, "const _: &[u8] = ::core::include_bytes!({path:?});");
    }
    for table in &schema.tables {
        write_table(&mut out, schema, table);
    }
    out
}

fn write_table(out: &mut String, schema: &Schema, table: &Table) {
    let name = &table.name;
    for column in &table.columns {
        if let Type::Enum(ty) = item(&column.ty) {
            let doc = format!("What `{name}.{}` may be.", column.name);
            let _ = write!(
                out,
                "#[doc = {doc:?}]\n#[derive(Eq, Copy, Hash)]\n{DERIVES}pub enum {} {{\n",
                enum_name(table, column)
            );
            for value in &ty.values {
                let _ =
                    writeln!(out, "#[doc = \"`{value}`\"]\n#[serde(rename = {value:?})]\n{},", camel(value));
            }
            out.push_str("}\n");
        }
    }
    let doc = format!("A row of `{name}`.");
    let _ = write!(out, "#[doc = {doc:?}]\n{DERIVES}pub struct {name} {{\n");
    for column in &table.columns {
        write_member(out, column, &whole_type(schema, table, column), false);
    }
    out.push_str("}\n");
    let doc = format!("What a new row of `{name}` is made with; what is left out gets its default.");
    let _ = write!(out, "#[doc = {doc:?}]\n{DERIVES}pub struct New{name} {{\n");
    for column in given(table, false) {
        let ty = rust_type(schema, table, column, &column.ty);
        let is_needed = !column.nullable && column.default.is_none() && column.id != ColumnId::ID;
        let ty = if is_needed { ty } else { format!("::core::option::Option<{ty}>") };
        write_member(out, column, &ty, !is_needed);
    }
    out.push_str("}\n");
    let doc = format!("What is changed of a row of `{name}`; what is left out stays.");
    let _ = write!(out, "#[doc = {doc:?}]\n#[derive(Default)]\n{DERIVES}pub struct {name}Patch {{\n");
    for column in given(table, true) {
        let ty = format!("::core::option::Option<{}>", whole_type(schema, table, column));
        write_member(out, column, &ty, true);
    }
    out.push_str("}\n");
    write_row_type(out, table);
    let doc = format!("Names of the columns of `{name}`.");
    let _ = writeln!(out, "#[doc = {doc:?}]\npub mod {} {{", snake(name));
    for column in &table.columns {
        let (text, upper) = (&column.name, column.name.to_uppercase());
        let _ = writeln!(out, "#[doc = \"`{text}`\"]\npub const {upper}: &str = {text:?};");
    }
    out.push_str("}\n");
}

/// Columns that a caller gives: at creation, or in a change.
fn given(table: &Table, is_change: bool) -> impl Iterator<Item = &Column> {
    table.columns.iter().filter(move |column| {
        let kept = column.is_managed() || Some(column.id) == table.tenant;
        let fixed = is_change && (column.immutable || column.id == ColumnId::ID);
        !kept && !fixed
    })
}

fn write_member(out: &mut String, column: &Column, ty: &str, may_lack: bool) {
    let doc = format!("`{}`", column.name);
    let name = member(&column.name);
    if may_lack {
        out.push_str("#[serde(default, skip_serializing_if = \"::core::option::Option::is_none\")]\n");
    }
    if name != column.name {
        let _ = writeln!(out, "#[serde(rename = {:?})]", column.name);
    }
    let _ = writeln!(out, "#[doc = {doc:?}]\npub {name}: {ty},");
}

fn write_row_type(out: &mut String, table: &Table) {
    let name = &table.name;
    let _ = write!(
        out,
        "impl ::mainstay::engine::hook::RowType for {name} {{\nconst TABLE: &'static str = {name:?};\n\
         fn read(row: &::mainstay::engine::hook::Row) -> ::core::result::Result<Self, ::mainstay::engine::error::Error> {{\n\
         ::core::result::Result::Ok({name} {{\n"
    );
    for column in &table.columns {
        let _ = writeln!(out, "{}: row.get({:?})?,", member(&column.name), column.name);
    }
    out.push_str(
        "})\n}\nfn write(&self, row: &mut ::mainstay::engine::hook::Row) -> ::core::result::Result<(), \
         ::mainstay::engine::error::Error> {\n",
    );
    for column in given(table, false).filter(|column| column.id != ColumnId::ID) {
        let _ = writeln!(out, "row.set({:?}, &self.{})?;", column.name, member(&column.name));
    }
    out.push_str("::core::result::Result::Ok(())\n}\n}\n");
}

fn whole_type(schema: &Schema, table: &Table, column: &Column) -> String {
    let ty = rust_type(schema, table, column, &column.ty);
    if column.nullable { format!("::core::option::Option<{ty}>") } else { ty }
}

fn rust_type(schema: &Schema, table: &Table, column: &Column, ty: &Type) -> String {
    let name = match ty {
        Type::Bool => "bool",
        Type::Int => "i64",
        Type::Float => "f64",
        Type::Json => "::mainstay::serde_json::Value",
        Type::Enum(_) => return enum_name(table, column),
        Type::List(of) => {
            return format!("::std::vec::Vec<{}>", rust_type(schema, table, column, of));
        }
        Type::Ref(target) => return rust_type(schema, table, column, schema.key_type(*target)),
        _ => "::std::string::String",
    };
    name.to_owned()
}

fn item(ty: &Type) -> &Type {
    match ty {
        Type::List(of) => of,
        other => other,
    }
}

fn enum_name(table: &Table, column: &Column) -> String {
    format!("{}{}", table.name, camel(&column.name))
}

fn member(name: &str) -> String {
    match name {
        "self" | "super" | "crate" => format!("{name}_"),
        _ if KEYWORDS.contains(&name) => format!("r#{name}"),
        _ => name.to_owned(),
    }
}

/// `in_work` → `InWork`
fn camel(name: &str) -> String {
    let mut out = String::new();
    for word in name.split('_').filter(|word| !word.is_empty()) {
        let mut letters = word.chars();
        out.extend(letters.next().map(|first| first.to_ascii_uppercase()));
        out.push_str(letters.as_str());
    }
    match out.chars().next() {
        // A name cannot begin with a digit, nor be this word.
        Some(first) if !first.is_ascii_digit() && out != "Self" => out,
        _ => format!("_{out}"),
    }
}

/// `OrderLine` → `order_line`
fn snake(name: &str) -> String {
    let mut out = String::new();
    for (place, letter) in name.char_indices() {
        if letter.is_ascii_uppercase() && place > 0 {
            out.push('_');
        }
        out.push(letter.to_ascii_lowercase());
    }
    member(&out)
}
