//! Flags and settings. They share their names: whoever asks for a value names it and no more.

use super::{Parsed, Resolver, Style};
use crate::check::{Checker, Place};
use crate::expr::Node;
use crate::schema::{Flag, Setting};
use crate::source::Span;
use crate::syntax::{self, Item, Name};
use crate::types::Type;
use crate::value::Value;
use std::collections::HashMap;

impl<'a> Resolver<'a> {
    pub(super) fn settings(&mut self) {
        let mut seen = HashMap::new();
        let files: &'a [Parsed] = self.files;
        for item in files.iter().flat_map(|file| &file.tree.items) {
            match item {
                Item::Flag(flag) => {
                    self.once_named("a flag", &flag.name, &mut seen);
                    self.flag(flag);
                }
                Item::Setting(setting) => {
                    self.once_named("a setting", &setting.name, &mut seen);
                    self.setting(setting);
                }
                _ => {}
            }
        }
    }

    fn once_named(
        &mut self,
        what: &'static str,
        name: &Name,
        seen: &mut HashMap<String, (&'static str, Span)>,
    ) {
        self.style(what, name, Style::SnakeCase);
        if let Some((first, span)) = seen.insert(name.text.clone(), (what, name.span)) {
            self.duplicate(name.span, format!("there is {first} `{}` already", name.text), span);
        }
    }

    fn flag(&mut self, flag: &syntax::Flag) {
        let Some(Value::Bool(default)) = self.constant(&flag.default, &Type::Bool) else { return };
        self.schema.flags.push(Flag {
            name: flag.name.text.clone(),
            default,
            description: flag
                .description
                .as_ref()
                .map_or_else(|| flag.docs.clone(), |text| text.text.clone()),
            span: flag.name.span,
        });
    }

    fn setting(&mut self, setting: &syntax::Setting) {
        let Some(ty) = self.value_type(&setting.ty) else { return };
        if let Type::Ref(_) = ty {
            self.error("type.argument", setting.ty.span, "a setting holds a value, not a row");
            return;
        }
        let Some(default) = self.constant(&setting.default, &ty) else { return };
        self.schema.settings.push(Setting {
            name: setting.name.text.clone(),
            ty,
            default,
            description: setting
                .description
                .as_ref()
                .map_or_else(|| setting.docs.clone(), |text| text.text.clone()),
            span: setting.name.span,
        });
    }

    /// A value known now.
    fn constant(&mut self, expr: &syntax::Expr, ty: &Type) -> Option<Value> {
        let mut checker = Checker::new(&self.schema, Place::constant(), &mut self.problems);
        let checked = checker.assigned(expr, ty)?;
        match checked.node {
            Node::Literal(Value::Null) => {
                self.error("literal.invalid", expr.span, "a flag or setting always has a value");
                None
            }
            Node::Literal(value) => Some(value),
            _ => {
                self.error("literal.invalid", expr.span, "a constant is expected here");
                None
            }
        }
    }
}
