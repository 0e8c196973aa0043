//! Stub.
pub(crate) const PARTS: [&str; 1] = ["sqlite"];
pub(crate) fn run(_parts: &[&str]) -> anyhow::Result<()> { Ok(()) }
