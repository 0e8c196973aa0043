//! Names within a table: spelling, reserved words, and that no two members share one.

use super::{Resolver, Style};
use crate::diagnostic::Diagnostic;
use crate::reserved;
use crate::schema::{Member, TableId};
use crate::syntax::Name;

impl Resolver<'_> {
    /// Gives a name to a column or relation of a table, or says why it cannot have it; false: another has it.
    pub(super) fn add_member(&mut self, table: TableId, name: &Name, member: Member) -> bool {
        let what = match member {
            Member::Column(_) => "a column",
            Member::Relation(_) => "a relation",
        };
        self.style(what, name, Style::SnakeCase);
        // Of the words of expressions, the parser has said it.
        if reserved::is_reserved(&name.text) && !reserved::is_expression_word(&name.text) {
            let message =
                format!("`{}` is a word of the query language: {what} cannot have this name", name.text);
            let help = format!("choose another name; `db \"{}\"` keeps it in the database", name.text);
            self.report(Diagnostic::error("name.reserved", name.span, message).help(help));
        }
        let of = &self.schema.tables[table.0 as usize];
        let clash = of.members.iter().find(|(known, _)| known.eq_ignore_ascii_case(&name.text));
        let Some((known, first)) = clash.map(|(known, first)| (known.clone(), *first)) else {
            self.schema.tables[table.0 as usize].members.insert(name.text.clone(), member);
            return true;
        };
        let (first_span, given) = match first {
            Member::Column(id) => (of.column(id).span, of.column(id).is_given() || of.tenant == Some(id)),
            Member::Relation(id) => (of.relation(id).span, false),
        };
        let owner = of.name.clone();
        if given {
            let message = format!("every row of `{owner}` has a column `{known}` already");
            self.error("name.duplicate", name.span, message);
        } else if known == name.text {
            self.duplicate(name.span, format!("`{owner}` has `{known}` already"), first_span);
        } else {
            let message = format!(
                "`{}` and `{known}` differ only in case, which databases do not tell apart",
                name.text
            );
            self.duplicate(name.span, message, first_span);
        }
        false
    }
}
