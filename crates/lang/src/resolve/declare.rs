//! The first look at all files: the app, `use`, the names of tables, and which lines belong to which table.

use super::{Draft, Parsed, Resolver, Style};
use crate::capability;
use crate::diagnostic::Diagnostic;
use crate::schema::{Table, TableId};
use crate::source::Span;
use crate::syntax::{self, Item};
use std::collections::HashMap;

impl<'a> Resolver<'a> {
    pub(super) fn declare(&mut self) {
        self.app();
        self.uses();
        // The platform's first: a clash is then reported at the app's own table.
        let files: &'a [Parsed] = self.files;
        // The platform's tables are not in a database that others made.
        let platform_too: &[bool] = if self.schema.existing { &[false] } else { &[true, false] };
        for &platform in platform_too {
            for file in files.iter().filter(|file| file.platform == platform) {
                for item in &file.tree.items {
                    match item {
                        Item::Table(table) => self.declare_table(table, false, platform),
                        Item::Stream(table) => self.declare_table(table, true, platform),
                        _ => {}
                    }
                }
            }
        }
        for file in files {
            for item in &file.tree.items {
                if let Item::Extend(extension) = item {
                    self.extend(extension);
                }
            }
        }
        self.unique_db_names();
    }

    fn app(&mut self) {
        self.schema.app = "app".into();
        let mut first: Option<Span> = None;
        let files: &'a [Parsed] = self.files;
        for app in files.iter().filter_map(|file| file.tree.app.as_ref()) {
            if let Some(first) = first {
                self.duplicate(app.span, "an app says its name once".into(), first);
                continue;
            }
            first = Some(app.span);
            self.style("an app", &app.name, Style::SnakeCase);
            self.schema.existing = app.existing.is_some();
            self.schema.app.clone_from(&app.name.text);
            self.schema.title =
                app.title.as_ref().map_or_else(|| app.name.text.clone(), |title| title.text.clone());
        }
        if first.is_none() {
            self.schema.title = "App".into();
        }
    }

    fn uses(&mut self) {
        let files: &'a [Parsed] = self.files;
        for name in files.iter().flat_map(|file| &file.tree.uses) {
            let found = capability::find(&name.text);
            if found.is_some_and(|found| found.has_tables && self.schema.existing) {
                let message = format!(
                    "`{}` stands on tables of the platform's, which a database that others made does not have",
                    name.text
                );
                self.error("existing.without", name.span, message);
            } else if found.is_none() {
                let message = format!("the platform has no capability `{}`", name.text);
                self.unknown(name, message, capability::CAPABILITIES.iter().map(|known| known.name));
            } else if !self.schema.uses.contains(&name.text) {
                self.schema.uses.push(name.text.clone());
            }
        }
    }

    fn declare_table(&mut self, declaration: &'a syntax::Table, is_stream: bool, platform: bool) {
        let name = &declaration.name;
        let what = if is_stream { "a stream" } else { "a table" };
        self.style(what, name, Style::UpperCamel);
        let clash = self.drafts.iter().position(|draft| draft.name.text.eq_ignore_ascii_case(&name.text));
        if let Some(index) = clash {
            self.table_clash(declaration, index);
            return;
        }
        let id = TableId(u32::try_from(self.drafts.len()).expect("an app has fewer than 2^32 tables"));
        let db_name = declaration.db.as_ref().and_then(|db| self.db_name(db));
        self.schema.table_names.insert(name.text.clone(), id);
        self.schema.tables.push(Table {
            id,
            name: name.text.clone(),
            db_name: db_name.unwrap_or_else(|| name.text.clone()),
            was: declaration.was.as_ref().map(|was| was.text.clone()),
            docs: declaration.docs.clone(),
            columns: Vec::new(),
            created: None,
            updated: None,
            key_of: Vec::new(),
            relations: Vec::new(),
            members: foldhash::HashMap::default(),
            label: None,
            indexes: Vec::new(),
            uniques: Vec::new(),
            order: Vec::new(),
            history: None,
            rules: Vec::new(),
            checks: Vec::new(),
            warns: Vec::new(),
            tenant: None,
            stream: None,
            platform,
            span: name.span,
        });
        self.drafts.push(Draft {
            name,
            declaration,
            is_stream,
            members: declaration.members.iter().collect(),
            columns: Vec::new(),
            relations: Vec::new(),
        });
    }

    fn table_clash(&mut self, declaration: &syntax::Table, index: usize) {
        let first = self.drafts[index].name;
        let name = &declaration.name;
        if self.schema.tables[index].platform {
            let message = format!("`{}` is a table of the platform", first.text);
            let help = format!("to add to it, write `extend {} {{ … }}`", first.text);
            self.report(Diagnostic::error("name.duplicate", name.span, message).help(help));
            return;
        }
        let message = if first.text == name.text {
            format!("`{}` is declared twice", name.text)
        } else {
            format!(
                "`{}` and `{}` differ only in case, which databases do not tell apart",
                name.text, first.text
            )
        };
        self.duplicate(name.span, message, first.span);
    }

    fn extend(&mut self, extension: &'a syntax::Table) {
        if let Some(span) = extension.tenant {
            self.error("extend.misplaced", span, "`(tenant)` belongs to the table's own declaration");
        }
        if let Some(db) = &extension.db {
            self.error("extend.misplaced", db.span, "`db` belongs to the table's own declaration");
        }
        if let Some(was) = &extension.was {
            self.error("extend.misplaced", was.span, "`was` belongs to the table's own declaration");
        }
        let Some(table) = self.table_id(&extension.name) else { return };
        if self.schema.tables[table.0 as usize].is_system() {
            let misplaced = extension.members.iter().filter_map(|member| match member {
                syntax::Member::Column(column) => Some(column.span),
                syntax::Member::Index { span, .. } | syntax::Member::Unique { span, .. } => Some(*span),
                _ => None,
            });
            for span in misplaced {
                let message = format!(
                    "`{}` stands over a table of the system: it takes rules, no columns and no indexes",
                    extension.name.text
                );
                self.error("extend.misplaced", span, message);
            }
        }
        self.drafts[table.0 as usize].members.extend(&extension.members);
    }

    fn unique_db_names(&mut self) {
        let mut seen: HashMap<String, usize> = HashMap::new();
        for index in 0..self.schema.tables.len() {
            let table = &self.schema.tables[index];
            let (span, db_name) = (table.span, table.db_name.clone());
            if (db_name.starts_with('_') && !table.platform)
                || db_name.to_ascii_lowercase().starts_with("sqlite_")
            {
                let message =
                    format!("`{db_name}` is a name that the platform or the database keeps for itself");
                self.error("name.reserved", span, message);
            }
            if let Some(first) = seen.insert(self.told_apart(&db_name), index) {
                let first = self.schema.tables[first].span;
                self.duplicate(span, format!("two tables are called `{db_name}` in the database"), first);
            }
        }
    }
}
