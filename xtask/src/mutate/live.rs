//! The mutants of subscriptions: what is broken about who is told what. See [`super::table`].

use super::Mutant;
use super::Test::Live;

/// Every mutant of subscriptions.
pub(super) const MUTANTS: &[Mutant] = &[
    Mutant {
        what: "live: a caller that has changed stays who it was",
        file: "crates/live/src/hub/dispatch.rs",
        find: r"        self.freeze_touched(batch);
",
        replace: r"        let _ = Hub::freeze_touched;
",
        test: Live,
    },
    Mutant {
        what: "live: grants make no other caller",
        file: "crates/engine/src/tail.rs",
        find: r"            rows.extend(images.map(|image| (users.id, image.values[column.id.0 as usize].clone())));
",
        replace: r"            let _ = (images, users, column);
",
        test: Live,
    },
    Mutant {
        what: "live: rows that others decide over are not asked for",
        file: "crates/live/src/hub/dispatch.rs",
        find: r"                let Some(reach) = trail.reach(&schema, change) else { continue };
",
        replace: r"                let Some(reach) = trail.reach(&schema, change).filter(|_| false) else { continue };
",
        test: Live,
    },
    Mutant {
        what: "live: what has left a route is not looked for there",
        file: "crates/live/src/registry.rs",
        find: r"            for image in before.iter().chain(after) {
",
        replace: r"            for image in after.iter() {
                let _ = before;
",
        test: Live,
    },
    Mutant {
        what: "live: a row is shown from an image past its rule",
        file: "crates/live/src/view.rs",
        find: r"            if condition.test(&env).map_err(failed)? != Some(true) {
",
        replace: r"            if condition.test(&env).map_err(failed)? == Some(false) {
",
        test: Live,
    },
    Mutant {
        what: "live: rows do not find those who wait at the rows they lead to",
        file: "crates/live/src/registry.rs",
        find: r"            for (_, key) in row.keys.iter().filter(|(by, _)| *by == *pattern.by) {
",
        replace: r"            for (_, key) in row.keys.iter().filter(|(by, _)| by.is_everything() && *by == *pattern.by) {
",
        test: Live,
    },
    Mutant {
        what: "live: rows do not find those whom they were shown to",
        file: "crates/live/src/hub/dispatch.rs",
        find: r"            for id in holders.chain(found) {
",
        replace: r"            let _ = holders;
            for id in found {
",
        test: Live,
    },
    Mutant {
        what: "live: a hidden column travels",
        file: "crates/engine/src/watch.rs",
        find: r"            OutputKind::Column(column) | OutputKind::One { column, .. } => !table.column(column).hidden,
",
        replace: r"            OutputKind::Column(column) | OutputKind::One { column, .. } => table.columns.len() > column.0 as usize,
",
        test: Live,
    },
    Mutant {
        what: "live: callers with other rights are taken for alike",
        file: "crates/live/src/view.rs",
        find: r#"                Some(value) => hash.update(format!("{value:?}")),
"#,
        replace: r"                Some(_) => {}
",
        test: Live,
    },
    Mutant {
        what: "live: other parameters are taken for alike",
        file: "crates/live/src/view.rs",
        find: r#"    hash.update(format!("{:?}{:?}", watch.select, watch.params));
"#,
        replace: r#"    hash.update(format!("{:?}", watch.select));
"#,
        test: Live,
    },
];
