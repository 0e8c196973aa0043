//! The invoices with their audit: `cargo run -p mainstay-example-audit` serves them.

use std::process::ExitCode;

use mainstay::prelude::*;
use mainstay_example_audit::Audit;

fn main() -> Result<ExitCode, mainstay::OpenError> {
    let app = App::open(concat!(env!("CARGO_MANIFEST_DIR"), "/app"))?;
    Ok(app.plugin(Audit { table: "Invoice", closed: "paid", to: "books@example.com" }).run())
}
