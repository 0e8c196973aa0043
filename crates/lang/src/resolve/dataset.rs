//! Datasets: the entity, its details and the tables read with it.
//!
//! A member must be connected: a detail by a relation with the entity or another detail, a reference by any member
//! that refers to it. Otherwise nobody could say which of its rows belong.

use super::{Parsed, Resolver, Style};
use crate::diagnostic::Diagnostic;
use crate::schema::{Dataset, DatasetMember, TableId};
use crate::source::Span;
use crate::syntax::{self, Item, Name};
use std::collections::{HashMap, HashSet};

impl<'a> Resolver<'a> {
    pub(super) fn datasets(&mut self) {
        let mut seen: HashMap<(String, String), Span> = HashMap::new();
        let files: &'a [Parsed] = self.files;
        for item in files.iter().flat_map(|file| &file.tree.items) {
            let Item::Dataset(dataset) = item else { continue };
            self.style("a dataset", &dataset.name, Style::SnakeCase);
            let key = (dataset.table.text.clone(), dataset.name.text.clone());
            if let Some(first) = seen.insert(key, dataset.name.span) {
                let message = format!("`{}.{}` is declared twice", dataset.table.text, dataset.name.text);
                self.duplicate(dataset.name.span, message, first);
            }
            self.dataset(dataset);
        }
    }

    fn dataset(&mut self, dataset: &syntax::Dataset) {
        let Some(entity) = self.table_id(&dataset.table) else { return };
        let mut members: Vec<(TableId, bool, &Name)> = Vec::new();
        for (name, reference) in &dataset.members {
            let Some(table) = self.table_id(name) else { return };
            if members.iter().any(|(known, ..)| *known == table) {
                self.error("name.duplicate", name.span, format!("`{}` stands here twice", name.text));
            } else {
                members.push((table, *reference, name));
            }
        }
        let Some(place) = members.iter().position(|(table, ..)| *table == entity) else {
            let message =
                format!("a dataset of `{}` lists `{0}` itself among its tables", dataset.table.text);
            self.error("dataset.entity", dataset.table.span, message);
            return;
        };
        let first = members.remove(place);
        if first.1 {
            self.error(
                "dataset.entity",
                first.2.span,
                "the entity of a dataset is written through it, so it is no reference",
            );
            return;
        }
        members.insert(0, first);
        self.connected(&members);
        self.schema.datasets.push(Dataset {
            table: entity,
            name: dataset.name.text.clone(),
            members: members
                .iter()
                .map(|(table, reference, _)| DatasetMember { table: *table, reference: *reference })
                .collect(),
            span: dataset.name.span,
        });
    }

    fn connected(&mut self, members: &[(TableId, bool, &Name)]) {
        let mut details: HashSet<TableId> = members.iter().take(1).map(|(table, ..)| *table).collect();
        loop {
            let found = members.iter().find(|(table, reference, _)| {
                !reference
                    && !details.contains(table)
                    && details.iter().any(|known| self.related(*known, *table))
            });
            match found {
                Some((table, ..)) => details.insert(*table),
                None => break,
            };
        }
        let mut known = details;
        loop {
            let found = members.iter().find(|(table, reference, _)| {
                *reference && !known.contains(table) && known.iter().any(|from| self.leads_to(*from, *table))
            });
            match found {
                Some((table, ..)) => known.insert(*table),
                None => break,
            };
        }
        let loose: Vec<(&Name, bool)> = members
            .iter()
            .filter(|(table, ..)| !known.contains(table))
            .map(|(_, reference, name)| (*name, *reference))
            .collect();
        for (name, reference) in loose {
            let message = if reference {
                format!("no table of this dataset refers to `{}`", name.text)
            } else {
                format!("no relation connects `{}` with the tables of this dataset", name.text)
            };
            let mut diagnostic = Diagnostic::error("dataset.unreachable", name.span, message);
            if !reference {
                diagnostic =
                    diagnostic.help("a detail has a column that refers to the entity or to another detail");
            }
            self.report(diagnostic);
        }
    }

    fn related(&self, one: TableId, other: TableId) -> bool {
        self.leads_to(one, other) || self.leads_to(other, one)
    }

    /// Whether a column or relation of one table leads to another.
    fn leads_to(&self, from: TableId, to: TableId) -> bool {
        let from = self.schema.table(from);
        from.columns.iter().any(|column| column.target() == Some(to))
            || from.relations.iter().any(|relation| relation.target == to)
    }
}
