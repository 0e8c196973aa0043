//! The mutants: what is broken, where, and which test has to notice.
//!
//! One row for each promise that a change could break without a word. Who makes a new one adds a row; who moves code moves
//! the text here.

use super::Mutant;
use super::Test::{Agreement, Live, Reads, Rest, Writes};

/// Every mutant, in the order in which requests meet them.
pub(super) const MUTANTS: &[Mutant] = &[
    Mutant {
        what: "rows are read without their rule",
        file: "crates/engine/src/resolve/constraint.rs",
        find: r"        filter.extend(rule);
",
        replace: r"        let _ = rule;
",
        test: Reads,
    },
    Mutant {
        what: "a nested list shows rows that may not be read",
        file: "crates/engine/src/resolve/output.rs",
        find: r"            let mut select = resolver.select(relation.target, part)?;
",
        replace: r"            let mut select = resolver.select(relation.target, part)?;
            select.filter.clear();
",
        test: Reads,
    },
    Mutant {
        what: "a nested row is shown though it may not be read",
        file: "crates/engine/src/resolve/output.rs",
        find: r"            let filter = resolver.seen_filter(target, part)?;
",
        replace: r"            let mut filter = resolver.seen_filter(target, part)?;
            filter.clear();
",
        test: Reads,
    },
    Mutant {
        what: "a list shows rows whose way back is hidden",
        file: "crates/engine/src/resolve/output.rs",
        find: r"            select.filter.extend(through);
",
        replace: r"            let _ = through;
",
        test: Reads,
    },
    Mutant {
        what: "nested groups count rows whose way back is hidden",
        file: "crates/engine/src/resolve/output.rs",
        find: r"                aggregate.filter.extend(through);
",
        replace: r"                let _ = through;
                let _ = &mut aggregate;
",
        test: Reads,
    },
    Mutant {
        what: "a guarded column is shown",
        file: "crates/engine/src/resolve/output.rs",
        find: r"            kind: OutputKind::Column(column.id),
            guard: self.guard.output_guard(table.id, column.id),
",
        replace: r"            kind: OutputKind::Column(column.id),
            guard: None,
",
        test: Reads,
    },
    Mutant {
        what: "a guarded relation shows its row",
        file: "crates/engine/src/resolve/output.rs",
        find: r"            kind: OutputKind::One { column: column.id, select: Box::new(select) },
            guard: self.guard.output_guard(table.id, column.id),
",
        replace: r"            kind: OutputKind::One { column: column.id, select: Box::new(select) },
            guard: None,
",
        test: Reads,
    },
    Mutant {
        what: "a filter sees guarded columns",
        file: "crates/engine/src/guard.rs",
        find: r"                    guards.extend(self.guard_at(&row, *table, *column));
",
        replace: r"                    guards.extend(self.guard_at(&row, *table, *column).filter(|_| false));
",
        test: Reads,
    },
    Mutant {
        what: "a path goes over guarded relations",
        file: "crates/engine/src/guard.rs",
        find: r"            guards.extend(self.guard_at(&seen, table, hop.column));
",
        replace: "",
        test: Reads,
    },
    Mutant {
        what: "a path sees rows that may not be read",
        file: "crates/engine/src/guard.rs",
        find: "visible: self.visible(hop.target, None), ..hop.clone()",
        replace: "visible: None, ..hop.clone()",
        test: Reads,
    },
    Mutant {
        what: "a question to many rows counts those that may not be read",
        file: "crates/engine/src/guard.rs",
        find: r"                let visible = self.visible_through(many.table, many.relation);
",
        replace: r"                let visible: Option<Arc<Expr>> = None;
",
        test: Reads,
    },
    Mutant {
        what: "a question to many rows counts those whose way back is hidden",
        file: "crates/engine/src/guard.rs",
        find: r"            RelationKind::Reverse { column } => self.output_guard(relation.target, column),
",
        replace: r"            RelationKind::Reverse { .. } => None,
",
        test: Reads,
    },
    Mutant {
        what: "rows are sorted by guarded columns",
        file: "crates/engine/src/guard.rs",
        find: r"                if !open || self.schema().table(table).column(column).secret {
",
        replace: r"                if !open && self.schema().table(table).column(column).secret {
",
        test: Reads,
    },
    Mutant {
        what: "rows are sorted over guarded relations",
        file: "crates/engine/src/guard.rs",
        find: r"                steps.push((table, hop.column));
",
        replace: "",
        test: Reads,
    },
    Mutant {
        what: "a table's own order tells guarded values",
        file: "crates/engine/src/resolve/order.rs",
        find: r#"            let by = self.guard.eyes_unguarded(table.id, &column_here(table, item.column), "").ok()?;
"#,
        replace: r"            let by = column_here(table, item.column);
",
        test: Reads,
    },
    Mutant {
        what: "groups compute with guarded values",
        file: "crates/engine/src/resolve/aggregate.rs",
        find: "found.arg.map(|arg| self.guard.eyes(table, &arg))",
        replace: "found.arg",
        test: Reads,
    },
    Mutant {
        what: "a count counts rows that may not be read",
        file: "crates/engine/src/read.rs",
        find: "table.id, &select.filter))),",
        replace: "table.id, &[]))),",
        test: Reads,
    },
    Mutant {
        what: "a nested count counts rows that may not be read",
        file: "crates/sql/src/select/nested.rs",
        find: r#"        let conditions = self.capture(|w| w.conditions(scope, &select.filter, false));
        self.text("(SELECT count(*)");
"#,
        replace: r#"        let conditions = self.capture(|w| w.conditions(scope, &[], false));
        self.text("(SELECT count(*)");
"#,
        test: Reads,
    },
    Mutant {
        what: "a filter that overflows tells of rows that may not be read",
        file: "crates/engine/src/resolve/constraint.rs",
        find: r"        let seen = seen.map(|condition| asked_behind(rule.as_ref(), condition));
",
        replace: "",
        test: Reads,
    },
    Mutant {
        what: "a rule in data that denies is not heard",
        file: "crates/engine/src/catalog/combine.rs",
        find: r"    match allowed {
        _ if conditions.is_empty() => return allowed,
",
        replace: r"    conditions.clear();
    match allowed {
        _ if conditions.is_empty() => return allowed,
",
        test: Reads,
    },
    Mutant {
        what: "a rule in data that allows and cannot be read allows",
        file: "crates/engine/src/overrides.rs",
        find: r"            let counts = of.effect == Effect::Deny || of.problems.is_empty();
",
        replace: r"            let counts = true;
",
        test: Reads,
    },
    Mutant {
        what: "a rule in data that denies and cannot be read is not heard",
        file: "crates/engine/src/overrides.rs",
        find: r"            let counts = of.effect == Effect::Deny || of.problems.is_empty();
",
        replace: r"            let counts = of.problems.is_empty();
",
        test: Reads,
    },
    Mutant {
        what: "a rule in data for a role is for everybody",
        file: "crates/engine/src/overrides/read.rs",
        find: r"        let mut conditions: Vec<Expr> = role.into_iter().chain(said.condition).collect();
",
        replace: r"        let _ = role;
        let mut conditions: Vec<Expr> = said.condition.into_iter().collect();
",
        test: Reads,
    },
    Mutant {
        what: "a rule in data denies links that go by the rule of changing the row in vain",
        file: "crates/engine/src/write/rules.rs",
        find: r"            if self.allows(table, &besides.open, row, Change::default()).await? {
",
        replace: r"            if self.allows(table, &Rule::Always, row, Change::default()).await? {
",
        test: Writes,
    },
    Mutant {
        what: "rows of other tenants are seen",
        file: "crates/engine/src/catalog.rs",
        find: r"        let Some(tenant) = &self.tenant else { return rule };
",
        replace: r"        let Some(tenant) = self.tenant.as_ref().filter(|_| false) else { return rule };
",
        test: Reads,
    },
    Mutant {
        what: "an administrator sees other tenants than that of the request",
        file: "crates/engine/src/guard.rs",
        find: r"            Some(scope) if self.ctx.tenant.is_some() => Rule::When(scope.clone()),
",
        replace: "",
        test: Reads,
    },
    Mutant {
        what: "a kept plan is used for every caller",
        file: "crates/engine/src/plan_cache.rs",
        find: "find(|(known, _)| *known == facts).map",
        replace: "find(|(known, _)| !known.is_empty() || *known == facts).map",
        test: Reads,
    },
    Mutant {
        what: "a kept plan forgets on which rules it depends",
        file: "crates/engine/src/guard.rs",
        find: r"            trace.add(condition);
",
        replace: r"            let _ = trace;
",
        test: Reads,
    },
    Mutant {
        what: "what never counts counts always",
        file: "crates/lang/src/fold.rs",
        find: r"            Node::Literal(Value::Bool(true)) => Some(None),
            Node::Literal(_) => None,
",
        replace: r"            Node::Literal(_) => Some(None),
",
        test: Agreement,
    },
    Mutant {
        what: "a cursor skips rows that tie",
        file: "crates/sql/src/select/keyset.rs",
        find: r#"    format!("({} OR ({} AND {}))", first.behind(), first.same(), chain(rest))
"#,
        replace: r"    let _ = (first.same(), chain(rest));
    first.behind()
",
        test: Reads,
    },
    Mutant {
        what: "a cursor skips the rows with null",
        file: "crates/sql/src/select/keyset.rs",
        find: r#"(true, false) => format!("({by} {sign} {value} OR ({by} IS NULL AND {value} IS NOT NULL))"),"#,
        replace: r#"(true, false) => format!("({by} {sign} {value})"),"#,
        test: Reads,
    },
    Mutant {
        what: "a key finds rows that may not be read",
        file: "crates/engine/src/write/run/find.rs",
        find: r"        if !is_among || !self.is_readable(table, &image).await? {
",
        replace: r"        if !is_among {
",
        test: Writes,
    },
    Mutant {
        what: "a write finds rows that may not be read",
        file: "crates/engine/src/write/resolve/find.rs",
        find: "resolver.seen_filter(table.id, &constraint)",
        replace: "resolver.conditions(table.id, &constraint)",
        test: Writes,
    },
    Mutant {
        what: "a write reaches rows whose way back is hidden",
        file: "crates/engine/src/write/run/find.rs",
        find: r"            images = self.seen_by(step.table, *column, images).await?;
",
        replace: r"            let _ = column;
            images.truncate(usize::MAX);
",
        test: Writes,
    },
    Mutant {
        what: "a write goes over guarded relations",
        file: "crates/engine/src/write/run/step.rs",
        find: r"                if !key.is_null() && self.is_column_readable(step.table, one.column, &current).await? {
",
        replace: r"                if !key.is_null() {
",
        test: Writes,
    },
    Mutant {
        what: "a relation may be set to rows that may not be read",
        file: "crates/engine/src/write/run/step.rs",
        find: r"                    self.require_readable(target, key, lock, &assign.path).await?;
",
        replace: r"                    let _ = target;
",
        test: Writes,
    },
    Mutant {
        what: "the rule of update is not asked before",
        file: "crates/engine/src/write/run/change.rs",
        find: r"        self.require(table, Operation::Update, &named, current, change, path).await?;
",
        replace: r"        let _ = change;
",
        test: Writes,
    },
    Mutant {
        what: "the rule of update is not asked after",
        file: "crates/engine/src/write/run.rs",
        find: r"                _ => Change { old: Some(&after.old), new: Some(&row) },
",
        replace: r"                _ => continue,
",
        test: Writes,
    },
    Mutant {
        what: "old is what is new",
        file: "crates/engine/src/write/run.rs",
        find: r"                _ => Change { old: Some(&after.old), new: Some(&row) },
",
        replace: r"                _ => Change { old: Some(&row), new: Some(&row) },
",
        test: Writes,
    },
    Mutant {
        what: "the rule of create is not asked",
        file: "crates/engine/src/write/run.rs",
        find: r"                Operation::Create => Change { old: None, new: Some(&row) },
",
        replace: r"                Operation::Create => continue,
",
        test: Writes,
    },
    Mutant {
        what: "the rule of create is not asked in nested parts",
        file: "crates/engine/src/write/run/step.rs",
        find: r"            self.ask_afters(mark).await?;
            if step.deletes {",
        replace: r"            if matches!(step.source, Source::Create) && step.path.matches('/').count() > 1 {
                self.afters.truncate(mark);
            }
            self.ask_afters(mark).await?;
            if step.deletes {",
        test: Writes,
    },
    Mutant {
        what: "rules of columns are not asked in writes",
        file: "crates/engine/src/write/rules.rs",
        find: r"        for column in named {
",
        replace: r"        for column in named.iter().take(0) {
",
        test: Writes,
    },
    Mutant {
        what: "a column that the row around fills is not asked for",
        file: "crates/engine/src/write/run/create.rs",
        find: r"            named.push(column);
",
        replace: "",
        test: Writes,
    },
    Mutant {
        what: "the rule of delete is not asked",
        file: "crates/engine/src/write/run/delete.rs",
        find: r"            self.require(step.table, Operation::Delete, &[], &image, change, &step.path).await?;
",
        replace: r"            let _ = change;
",
        test: Writes,
    },
    Mutant {
        what: "an unknown rule allows",
        file: "crates/engine/src/write/rules.rs",
        find: "Ok(self.truth(table, &test, row, change).await? == Some(true))",
        replace: "Ok(self.truth(table, &test, row, change).await? != Some(false))",
        test: Writes,
    },
    Mutant {
        what: "the rule of link asks the row at the wrong end",
        file: "crates/engine/src/write/run/list.rs",
        find: r"                        self.owner(step.table, &target.key).await?
",
        replace: r"                        (table, row.clone())
",
        test: Writes,
    },
    Mutant {
        what: "linking without a rule of its own is free",
        file: "crates/engine/src/write/run/list.rs",
        find: r"        if !is_asked && !self.is_creating(table, &row[0]) {
",
        replace: r"        if !is_asked && self.is_creating(table, &row[0]) {
",
        test: Writes,
    },
    Mutant {
        what: "the rule of link is that of unlink",
        file: "crates/engine/src/write/run/list.rs",
        find: "if change.added { Operation::Link } else { Operation::Unlink };",
        replace: "if change.added { Operation::Unlink } else { Operation::Link };",
        test: Writes,
    },
    Mutant {
        what: "replacing a list takes out what is not seen",
        file: "crates/engine/src/write/run/list.rs",
        find: " && self.is_seen(&joint, target, &key).await? {",
        replace: " {",
        test: Writes,
    },
    Mutant {
        what: "a check is not asked of rows that depend on what was written",
        file: "crates/engine/src/write/checks.rs",
        find: r"        for (way, images, path) in walks {
",
        replace: r"        for (way, images, path) in walks.into_iter().take(0) {
",
        test: Writes,
    },
    Mutant {
        what: "a check is not asked of rows whose links were written",
        file: "crates/engine/src/write/checks.rs",
        find: r"        for change in self.rows.links().to_vec() {
",
        replace: r"        for change in self.rows.links().iter().take(0).cloned().collect::<Vec<_>>() {
",
        test: Writes,
    },
    Mutant {
        what: "a check that is unknown fails",
        file: "crates/engine/src/write/checks.rs",
        find: r"Change::default()).await? != Some(false) {
                continue;",
        replace: r"Change::default()).await? == Some(true) {
                continue;",
        test: Writes,
    },
    Mutant {
        what: "accepting one warning accepts all",
        file: "crates/engine/src/write/checks.rs",
        find: "            if !accepted.contains(&warning.id) &&",
        replace: "            if accepted.is_empty() &&",
        test: Writes,
    },
    Mutant {
        what: "a row may be made in any tenant",
        file: "crates/engine/src/write/resolve/create.rs",
        find: "(Some(column.id) == table.tenant && !self.gives_tenant)",
        replace: "(Some(column.id) == table.tenant && false)",
        test: Writes,
    },
    Mutant {
        what: "an answer shows rows that may no longer be read",
        file: "crates/engine/src/write/answer.rs",
        find: r"        if !self.is_readable(shown.table, image).await? {
            return Ok(Local::Hidden);
        }
",
        replace: "",
        test: Writes,
    },
    Mutant {
        what: "an answer shows guarded columns",
        file: "crates/engine/src/write/answer.rs",
        find: r"        output.guard.is_none() && matches!(output.kind, OutputKind::Column(_))
",
        replace: r"        matches!(output.kind, OutputKind::Column(_))
",
        test: Writes,
    },
    Mutant {
        what: "who was changed keeps the old rights",
        file: "crates/engine/src/write.rs",
        find: r"            self.watch.touch();
",
        replace: "",
        test: Writes,
    },
    Mutant {
        what: "a row counts as new when it is made already",
        file: "crates/engine/src/write/run.rs",
        find: r"                self.creating.retain(|creating| *creating != key);
",
        replace: r"                let _ = key;
",
        test: Writes,
    },
    Mutant {
        what: "a version that was asked for is not looked at",
        file: "crates/engine/src/write/run/step.rs",
        find: r"        if let (Some(version), Some(updated)) = (find.if_updated, self.schema().table(step.table).updated)
",
        replace: r"        if let (Some(version), Some(updated)) = (find.if_updated.filter(|_| false), self.schema().table(step.table).updated)
",
        test: Writes,
    },
    Mutant {
        what: "an immutable column may be set",
        file: "crates/engine/src/write/resolve/change.rs",
        find: r"        } else if column.immutable || is_key {
",
        replace: r"        } else if is_key {
",
        test: Writes,
    },
    Mutant {
        what: "an immutable relation may be changed from its other side",
        file: "crates/engine/src/write/run/list.rs",
        find: r"        let problem = if declared.immutable {
",
        replace: r"        let problem = if declared.immutable && false {
",
        test: Writes,
    },
    Mutant {
        what: "a path sees rows that do not count",
        file: "crates/sql/src/expr/path.rs",
        find: r"        if let Some(visible) = &last.visible {
",
        replace: r"        if let Some(visible) = last.visible.as_ref().filter(|_| false) {
",
        test: Agreement,
    },
    Mutant {
        what: "a question to many rows counts those that do not count",
        file: "crates/sql/src/expr/many.rs",
        find: r"            if let Some(visible) = &visible {
",
        replace: r"            if let Some(visible) = visible.as_ref().filter(|_| false) {
",
        test: Agreement,
    },
    Mutant {
        what: "all holds where it is unknown",
        file: "crates/sql/src/expr/many.rs",
        find: r#"body.as_deref(), " IS NOT TRUE"),"#,
        replace: r#"body.as_deref(), " IS FALSE"),"#,
        test: Agreement,
    },
    Mutant {
        what: "null equals null in memory",
        file: "crates/lang/src/eval/step.rs",
        find: r"    if left.is_null() || right.is_null() {
        return Ok(None);
    }
",
        replace: r"    if left.is_null() && right.is_null() {
        return Ok(Some(Ordering::Equal));
    }
    if left.is_null() || right.is_null() {
        return Ok(None);
    }
",
        test: Agreement,
    },
    Mutant {
        what: "what is unknown decides in memory",
        file: "crates/lang/src/eval/step.rs",
        find: r"            Some(truth) if truth == decisive => return Ok(Some(decisive)),
            Some(_) => {}
            None => result = None,
",
        replace: r"            Some(truth) if truth == decisive => return Ok(Some(decisive)),
            Some(_) => {}
            None => result = Some(decisive),
",
        test: Agreement,
    },
    Mutant {
        what: "a rule that is unknown for a caller vanishes",
        file: "crates/lang/src/fold.rs",
        find: "        Some(literal(truth.map_or(Value::Null, Value::Bool), expr))",
        replace: "        Some(literal(Value::Bool(truth != Some(false)), expr))",
        test: Agreement,
    },
    Mutant {
        what: "REST forgets the filter",
        file: "crates/http/src/rest/list.rs",
        find: r#"        filter: parameters.text("where")?.map(str::to_owned),
"#,
        replace: r#"        filter: parameters.text("where")?.map(str::to_owned).filter(|_| false),
"#,
        test: Rest,
    },
    Mutant {
        what: "REST links where it should unlink",
        file: "crates/http/src/rest/link.rs",
        find: r#"        relation.keywords.push("remove");
        relation.remove.push(target);
"#,
        replace: r#"        relation.keywords.push("add");
        relation.add.push(target);
"#,
        test: Rest,
    },
    Mutant {
        what: "a change by REST of a row that is not there is done",
        file: "crates/http/src/rest/link.rs",
        find: r"    if only_entry(answer)?.row_count == 0 {",
        replace: r"    if only_entry(answer)?.row_count == 1000 {",
        test: Rest,
    },
    Mutant {
        what: "what was shown a moment ago lasts for ever",
        file: "crates/engine/src/ctx.rs",
        find: r"is_some_and(|until| self.now < until)",
        replace: r"is_some_and(|until| self.now < until || until.0 > 0)",
        test: Reads,
    },
    Mutant {
        what: "nobody who listens is read again when what was shown is too long ago",
        file: "crates/live/src/who.rs",
        find: r"ends: planning.confirmed_ends(&ctx),",
        replace: r"ends: None,",
        test: Live,
    },
    Mutant {
        what: "a second factor is taken for shown where the first was",
        file: "crates/engine/src/ctx.rs",
        find: r"            Factor::Second => self.confirmed_twice,
",
        replace: r"            Factor::Second => self.confirmed_twice.or(self.confirmed),
",
        test: Writes,
    },
];
