//! What follows a column's type: which modifier fits which column, and what those without an expression set.

use super::Resolver;
use crate::diagnostic::Diagnostic;
use crate::schema::{Column, Index, OnDelete, Pattern, TableId};
use crate::syntax::{self, Modifier, ModifierKind, Name, Text};
use crate::types::Type;

impl<'a> Resolver<'a> {
    pub(super) fn column_modifiers(
        &mut self,
        table: TableId,
        column: &mut Column,
        declared: &'a syntax::Column,
    ) {
        for modifier in &declared.modifiers {
            match misfit(&modifier.kind, column) {
                // Of a type that is not known nothing more is said.
                Some(_) if column.ty == Type::Null => {}
                Some(reason) => self.misplaced(modifier, reason),
                None => self.apply(table, column, modifier),
            }
        }
        let has = |test: fn(&ModifierKind) -> bool| declared.modifiers.iter().find(|m| test(&m.kind));
        let auto = has(|kind| matches!(kind, ModifierKind::Auto(_)));
        if let (Some(_), Some(default)) = (auto, has(|kind| matches!(kind, ModifierKind::Default(_)))) {
            self.misplaced(default, "a counter gives its own value");
        }
    }

    /// The key of a table takes fewer modifiers.
    pub(super) fn key_modifiers(&mut self, table: TableId, key: &mut Column, declared: &'a syntax::Column) {
        for modifier in &declared.modifiers {
            let reason = match &modifier.kind {
                ModifierKind::Unique | ModifierKind::Index => {
                    Some("a key is unique and has an index already")
                }
                ModifierKind::Immutable => Some("a key never changes"),
                ModifierKind::Secret | ModifierKind::Hidden => Some("a key is part of every answer"),
                kind => misfit(kind, key),
            };
            match reason {
                Some(reason) => self.misplaced(modifier, reason),
                None => self.apply(table, key, modifier),
            }
        }
    }

    pub(super) fn misplaced(&mut self, modifier: &Modifier, reason: &str) {
        let message = format!("`{}` does not fit here: {reason}", keyword(&modifier.kind));
        self.error("modifier.misplaced", modifier.span, message);
    }

    fn apply(&mut self, table: TableId, column: &mut Column, modifier: &Modifier) {
        match &modifier.kind {
            ModifierKind::Unique => {
                column.unique = true;
                let index = Index { columns: vec![column.id], span: modifier.span };
                self.schema.tables[table.0 as usize].uniques.push(index);
            }
            ModifierKind::Index => {
                let index = Index { columns: vec![column.id], span: modifier.span };
                self.schema.tables[table.0 as usize].indexes.push(index);
            }
            ModifierKind::Trim => column.trim = true,
            ModifierKind::Lower => column.lower = true,
            ModifierKind::MatchRegex(text) => column.pattern = self.regex(text),
            ModifierKind::MatchNamed(name) => column.pattern = self.named_pattern(name),
            ModifierKind::Immutable => column.immutable = true,
            ModifierKind::Secret => column.secret = true,
            ModifierKind::Hidden => column.hidden = true,
            ModifierKind::OnDelete(action) => self.on_delete(table, column, action),
            ModifierKind::Db(text) => {
                if let Some(name) = self.db_name(text) {
                    column.db_name = name;
                }
            }
            ModifierKind::Was(name) => column.was = Some(name.text.clone()),
            // These hold expressions, typed once all columns are known.
            ModifierKind::Default(_)
            | ModifierKind::Min(_)
            | ModifierKind::Max(_)
            | ModifierKind::Auto(_) => {}
        }
    }

    fn regex(&mut self, text: &Text) -> Option<Pattern> {
        match regex::Regex::new(&text.text) {
            Ok(regex) => Some(Pattern::Regex(regex)),
            Err(error) => {
                // The last line of the regex crate's message says what is wrong; those before draw the pattern again.
                let full = error.to_string();
                let reason = full.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
                self.error("regex.invalid", text.span, format!("this is no regular expression: {reason}"));
                None
            }
        }
    }

    fn named_pattern(&mut self, name: &Name) -> Option<Pattern> {
        match name.text.as_str() {
            "email" => Some(Pattern::Email),
            "url" => Some(Pattern::Url),
            _ => {
                let message =
                    format!("`match` knows email, url and \"a regular expression\", not `{}`", name.text);
                self.unknown(name, message, ["email", "url"]);
                None
            }
        }
    }

    fn on_delete(&mut self, table: TableId, column: &mut Column, action: &Name) {
        let is_stream = self.drafts[table.0 as usize].is_stream;
        let on_delete = match action.text.as_str() {
            "cascade" => OnDelete::Cascade,
            "restrict" => OnDelete::Restrict,
            "null" => OnDelete::Null,
            // Anything else the parser has refused.
            _ => return,
        };
        if is_stream && on_delete != OnDelete::Restrict {
            let message = "a stream changes only by its events, so its relations restrict deletion";
            self.error("modifier.misplaced", action.span, message);
        } else if on_delete == OnDelete::Null && !column.nullable {
            let help = format!("write `?` behind the type of `{}`", column.name);
            let diagnostic =
                Diagnostic::error("modifier.misplaced", action.span, "a required column cannot become null");
            self.report(diagnostic.help(help));
        } else {
            column.on_delete = on_delete;
        }
    }
}

/// Why a modifier does not fit a column; `None`: it does.
pub(super) fn misfit(kind: &ModifierKind, column: &Column) -> Option<&'static str> {
    let ty = &column.ty;
    let text = matches!(ty, Type::Text { .. });
    let (fits, reason) = match kind {
        ModifierKind::Trim
        | ModifierKind::Lower
        | ModifierKind::MatchRegex(_)
        | ModifierKind::MatchNamed(_) => (text, "it is for text"),
        ModifierKind::Unique | ModifierKind::Index => {
            (!matches!(ty, Type::Json | Type::List(_)), "json and lists have no index")
        }
        ModifierKind::Min(_) | ModifierKind::Max(_) => {
            let bounded = !matches!(
                ty,
                Type::Bool | Type::Uuid | Type::Json | Type::Enum(_) | Type::File | Type::Ref(_) | Type::Null
            );
            (bounded, "this type has neither an order nor a length")
        }
        ModifierKind::OnDelete(_) => (column.target().is_some(), "it is for a column that refers to a table"),
        ModifierKind::Auto(_) => {
            if column.nullable {
                (false, "a counter always has a value")
            } else {
                (*ty == Type::Int, "a counter is `int`")
            }
        }
        _ => (true, ""),
    };
    (!fits).then_some(reason)
}

/// A modifier as it is written.
pub(super) fn keyword(kind: &ModifierKind) -> &'static str {
    match kind {
        ModifierKind::Default(_) => "=",
        ModifierKind::Unique => "unique",
        ModifierKind::Index => "index",
        ModifierKind::Trim => "trim",
        ModifierKind::Lower => "lower",
        ModifierKind::Min(_) => "min",
        ModifierKind::Max(_) => "max",
        ModifierKind::MatchRegex(_) | ModifierKind::MatchNamed(_) => "match",
        ModifierKind::Immutable => "immutable",
        ModifierKind::Secret => "secret",
        ModifierKind::Hidden => "hidden",
        ModifierKind::OnDelete(_) => "on delete",
        ModifierKind::Db(_) => "db",
        ModifierKind::Was(_) => "was",
        ModifierKind::Auto(_) => "auto",
    }
}
