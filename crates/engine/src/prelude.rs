//! The tables that the platform brings to every app.

use mainstay_lang::source::Sources;

/// Who may sign in, and what they were granted.
const USERS: &str = include_str!("prelude/users.stay");

/// Adds the platform's own files to those of an app.
pub fn load(mut sources: Sources) -> Sources {
    sources.add_platform("<users>", USERS);
    sources
}

#[cfg(test)]
mod tests {
    use mainstay_lang::analyse::analyse;
    use mainstay_lang::source::Sources;

    #[test]
    fn an_app_without_tables_is_a_schema() {
        let analysis = analyse(&super::load(Sources::default()));
        assert!(analysis.schema.is_some(), "{:?}", analysis.diagnostics);
    }
}
