//! The tables that the platform brings to every app.

use mainstay_lang::source::Sources;

/// Who may sign in, and what they were granted.
const USERS: &str = include_str!("prelude/users.stay");

/// Who is connected.
const PRESENCE: &str = include_str!("prelude/presence.stay");

/// Rules that are added while an app runs.
const RULES: &str = include_str!("prelude/rules.stay");

/// Adds the platform's own files to those of an app.
pub fn load(mut sources: Sources) -> Sources {
    sources.add_platform("<users>", USERS);
    sources.add_capability("<presence>", "presence", PRESENCE);
    sources.add_capability("<rules>", "rules", RULES);
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

    #[test]
    fn tables_of_a_capability_are_there_where_it_is_used() {
        let check = |text: &str| {
            let mut sources = super::load(Sources::default());
            sources.add("app.stay", text);
            let analysis = analyse(&sources);
            assert!(analysis.diagnostics.is_empty(), "{text}: {:?}", analysis.diagnostics);
            analysis.schema.expect("nothing is wrong with it")
        };
        let has = |text: &str, table: &str, expect: bool| {
            assert_eq!(check(text).table_named(table).is_some(), expect, "{text}");
        };
        has("app x\nuse live", "Presence", false);
        has("app x\nuse live, presence\nextend Presence { allow read if signed_in }", "Presence", true);
        has("app x\nuse live", "RuleOverride", false);
        has("app x\nuse rules\nextend RuleOverride { allow read if signed_in }", "RuleOverride", true);
    }
}
