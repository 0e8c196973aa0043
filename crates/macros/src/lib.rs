//! `schema!("app.stay")`: an app's tables as Rust types, made when the app's code is compiled.
//!
//! Reads the files, lets `lang` understand them, and writes types; what is wrong with the files is the compiler's error, with
//! the file, the line and an excerpt. Knows no database and no engine: the types it writes name `mainstay`'s.

mod generate;
mod read;

use proc_macro::TokenStream;

/// The tables of an app as Rust types: for each table a row, a new row, a patch, its columns' names, its enums.
///
/// Takes the path of a `.stay` file, or of a folder of them, from the folder of the crate's `Cargo.toml`; further paths name
/// tables that plugins bring.
///
/// ```ignore
/// mainstay::schema!("app");
/// ```
#[proc_macro]
pub fn schema(input: TokenStream) -> TokenStream {
    let code = match read::paths(input).and_then(|paths| read::schema(&paths)) {
        Ok(found) => generate::code(&found.schema, &found.files),
        Err(words) => format!("::core::compile_error!({words:?});"),
    };
    code.parse().unwrap_or_else(|error| {
        let words = format!("the types of the schema cannot be written: {error}");
        format!("::core::compile_error!({words:?});").parse().unwrap_or_default()
    })
}
