//! Streams: events, commands and folds.
//!
//! Events and the parameters of commands come first, for commands and folds name them. A command that creates must,
//! through the folds of what it emits, fill every required column: the row would fail only when somebody calls it.

use super::{Resolver, Style};
use crate::check::{Checker, Place, literal};
use crate::diagnostic::Diagnostic;
use crate::expr::{Expr, Node};
use crate::naming;
use crate::schema::{ColumnId, Command, Emit, Event, Field, Fold, Stream, TableId};
use crate::source::Span;
use crate::syntax::{self, CommandLine, Member as Line, Name};
use crate::value::Value;

impl Resolver<'_> {
    pub(super) fn streams(&mut self) {
        for (table, members) in self.tables() {
            if !self.drafts[table.0 as usize].is_stream {
                self.no_stream_lines(&members);
                continue;
            }
            let problems = self.problems.len();
            let mut stream = Stream { events: Vec::new(), commands: Vec::new(), folds: Vec::new() };
            for line in &members {
                if let Line::Event(event) = line {
                    self.event(&mut stream, event);
                }
            }
            for line in &members {
                match line {
                    Line::Command(command) => self.command(table, &mut stream, command),
                    Line::On(on) => self.fold(table, &mut stream, on),
                    _ => {}
                }
            }
            // Of what is wrong already, nobody can say what it lacks.
            if self.problems.len() == problems {
                self.filled(table, &stream);
            }
            self.schema.tables[table.0 as usize].stream = Some(stream);
        }
    }

    fn no_stream_lines(&mut self, members: &[&syntax::Member]) {
        for line in members {
            let (word, span) = match line {
                Line::Event(event) => ("event", event.span),
                Line::Command(command) => ("command", command.span),
                Line::On(on) => ("on", on.span),
                _ => continue,
            };
            let message = format!("`{word}` belongs to a stream; this is a table");
            self.error("stream.misplaced", span, message);
        }
    }

    fn fields(&mut self, what: &str, declared: &[syntax::Field]) -> Vec<Field> {
        let mut fields: Vec<Field> = Vec::new();
        for field in declared {
            self.style(what, &field.name, Style::SnakeCase);
            if let Some(first) = fields.iter().find(|known| known.name == field.name.text) {
                let first = first.span;
                self.duplicate(field.name.span, format!("`{}` stands here twice", field.name.text), first);
                continue;
            }
            if what == "a parameter" && field.name.text == "user" {
                let message = "a parameter `user` would hide the caller: give it another name";
                self.error("name.reserved", field.name.span, message);
            }
            let Some(ty) = self.value_type(&field.ty) else { continue };
            let (name, span) = (field.name.text.clone(), field.name.span);
            fields.push(Field { name, ty, nullable: field.nullable, span });
        }
        fields
    }

    fn event(&mut self, stream: &mut Stream, event: &syntax::Event) {
        self.style("an event", &event.name, Style::UpperCamel);
        if let Some(first) = stream.events.iter().find(|known| known.name == event.name.text) {
            let first = first.span;
            self.duplicate(
                event.name.span,
                format!("there is an event `{}` already", event.name.text),
                first,
            );
            return;
        }
        let fields = self.fields("a field", &event.fields);
        if let Some(field) = fields.iter().find(|field| field.name == "at") {
            self.error(
                "name.reserved",
                field.span,
                "`event.at` is the time of every event: give the field another name",
            );
        }
        stream.events.push(Event { name: event.name.text.clone(), fields, span: event.name.span });
    }

    fn command(&mut self, table: TableId, stream: &mut Stream, declared: &syntax::Command) {
        self.style("a command", &declared.name, Style::SnakeCase);
        if let Some(first) = stream.commands.iter().find(|known| known.name == declared.name.text) {
            let first = first.span;
            self.duplicate(
                declared.name.span,
                format!("there is a command `{}` already", declared.name.text),
                first,
            );
        }
        let params = self.fields("a parameter", &declared.params);
        let mut command = Command {
            name: declared.name.text.clone(),
            params,
            creates: declared.creates,
            allows: Vec::new(),
            requires: Vec::new(),
            emits: Vec::new(),
            span: declared.name.span,
        };
        for line in &declared.body {
            match line {
                CommandLine::Allow(None, _) => command.allows.push(None),
                CommandLine::Allow(Some(condition), _) => {
                    if let Some(condition) = self.command_condition(table, &command, condition) {
                        command.allows.push(Some(condition));
                    }
                }
                CommandLine::Require(check) => {
                    if let Some(condition) = self.command_condition(table, &command, &check.condition) {
                        command.requires.push((condition, check.message.text.clone()));
                    }
                }
                CommandLine::Emit { event, values, span } => {
                    if let Some(emit) = self.emit(table, stream, &command, event, values, *span) {
                        command.emits.push(emit);
                    }
                }
            }
        }
        stream.commands.push(command);
    }

    fn command_condition(&mut self, table: TableId, command: &Command, expr: &syntax::Expr) -> Option<Expr> {
        let place = Place::command(table, command.creates, &command.params);
        Checker::new(&self.schema, place, &mut self.problems).condition(expr)
    }

    fn event_index(&mut self, stream: &Stream, name: &Name) -> Option<usize> {
        let index = stream.events.iter().position(|event| event.name == name.text);
        if index.is_none() {
            let message = format!("this stream has no event `{}`", name.text);
            self.unknown(name, message, stream.events.iter().map(|event| event.name.as_str()));
        }
        index
    }

    fn emit(
        &mut self,
        table: TableId,
        stream: &Stream,
        command: &Command,
        name: &Name,
        values: &[(Name, Option<syntax::Expr>)],
        span: Span,
    ) -> Option<Emit> {
        let event = self.event_index(stream, name)?;
        let fields = &stream.events[event].fields;
        let mut given: Vec<Option<Expr>> = fields.iter().map(|_| None).collect();
        let mut named: Vec<bool> = vec![false; fields.len()];
        for (field, value) in values {
            let Some(index) = fields.iter().position(|known| known.name == field.text) else {
                let message = format!("`{}` has no field `{}`", name.text, field.text);
                self.unknown(field, message, fields.iter().map(|known| known.name.as_str()));
                continue;
            };
            if named[index] {
                self.error("name.duplicate", field.span, format!("`{}` is given twice", field.text));
                continue;
            }
            named[index] = true;
            given[index] = self.emitted(table, command, field, value.as_ref(), &fields[index]);
        }
        for (index, field) in fields.iter().enumerate() {
            if named[index] {
                continue;
            }
            if field.nullable {
                given[index] = Some(literal(Value::Null, field.ty.clone(), span));
            } else {
                let message = format!("`{}` needs a value for `{}`", name.text, field.name);
                self.report(
                    Diagnostic::error("emit.missing", span, message).related(field.span, "the field"),
                );
            }
        }
        Some(Emit { event, values: given.into_iter().collect::<Option<Vec<Expr>>>()? })
    }

    /// The value of one field: what is written, or the parameter of the field's name.
    fn emitted(
        &mut self,
        table: TableId,
        command: &Command,
        name: &Name,
        value: Option<&syntax::Expr>,
        field: &Field,
    ) -> Option<Expr> {
        let place = Place::command(table, command.creates, &command.params);
        if let Some(value) = value {
            let checked = Checker::new(&self.schema, place, &mut self.problems).assigned(value, &field.ty)?;
            return self.not_null(checked, field.nullable, value.span);
        }
        let Some(param) = command.params.iter().find(|param| param.name == name.text) else {
            let message = format!("`{}` has no parameter `{}`", command.name, name.text);
            let diagnostic = Diagnostic::error("name.unknown", name.span, message);
            let help =
                naming::did_you_mean(&name.text, command.params.iter().map(|param| param.name.as_str()))
                    .unwrap_or_else(|| format!("write `{} = …`", name.text));
            self.report(diagnostic.help(help));
            return None;
        };
        if param.nullable && !field.nullable {
            let message = format!("the parameter `{}` may be null, the field may not", name.text);
            self.error("type.mismatch", name.span, message);
            return None;
        }
        let written = syntax::Expr { kind: syntax::ExprKind::Name(name.clone()), span: name.span };
        Checker::new(&self.schema, place, &mut self.problems).assigned(&written, &field.ty)
    }

    fn not_null(&mut self, expr: Expr, nullable: bool, span: Span) -> Option<Expr> {
        if !nullable && matches!(expr.node, Node::Literal(Value::Null)) {
            self.error("type.mismatch", span, "null cannot stand here: it is required");
            return None;
        }
        Some(expr)
    }

    fn fold(&mut self, table: TableId, stream: &mut Stream, on: &syntax::On) {
        let Some(event) = self.event_index(stream, &on.event) else { return };
        if stream.folds.iter().any(|fold| fold.event == event) {
            self.error(
                "name.duplicate",
                on.event.span,
                format!("there is an `on {}` already", on.event.text),
            );
            return;
        }
        let fields = &stream.events[event].fields;
        let mut sets: Vec<(ColumnId, Expr)> = Vec::new();
        for (name, value) in &on.sets {
            let Some(column) = self.column_of(table, name) else { continue };
            let declared = self.schema.table(table).column(column);
            let (ty, nullable) = (declared.ty.clone(), declared.nullable);
            if declared.is_given() || declared.is_managed() || self.schema.table(table).tenant == Some(column)
            {
                self.error("stream.fold", name.span, format!("`{}` is set by the platform", name.text));
                continue;
            }
            if sets.iter().any(|(known, _)| *known == column) {
                self.error("name.duplicate", name.span, format!("`{}` is set twice", name.text));
                continue;
            }
            let place = Place::fold(table, fields);
            let checked = Checker::new(&self.schema, place, &mut self.problems).assigned(value, &ty);
            if let Some(checked) = checked
                && let Some(checked) = self.fold_value(checked, nullable, fields, value.span)
            {
                sets.push((column, checked));
            }
        }
        stream.folds.push(Fold { event, sets });
    }

    fn fold_value(&mut self, expr: Expr, nullable: bool, fields: &[Field], span: Span) -> Option<Expr> {
        if let Node::Param(index) = expr.node
            && !nullable
            && fields.get(index as usize).is_some_and(|field| field.nullable)
        {
            self.error("type.mismatch", span, "the event's field may be null, the column may not");
            return None;
        }
        self.not_null(expr, nullable, span)
    }

    /// Every required column of a row that a command creates is set by the folds of its events.
    fn filled(&mut self, table: TableId, stream: &Stream) {
        let mut problems = Vec::new();
        for command in stream.commands.iter().filter(|command| command.creates) {
            let folds = || {
                let emitted = |event| command.emits.iter().any(|emit| emit.event == event);
                stream.folds.iter().filter(move |fold| emitted(fold.event))
            };
            if command.emits.is_empty() {
                problems.push((command.span, format!("`{}` creates a row but emits no event", command.name)));
                continue;
            }
            let of = self.schema.table(table);
            for column in &of.columns {
                let given = column.is_given() || column.is_managed() || of.tenant == Some(column.id);
                if given || column.nullable || column.default.is_some() {
                    continue;
                }
                if !folds().any(|fold| fold.sets.iter().any(|(set, _)| *set == column.id)) {
                    let message = format!(
                        "`{}` creates a row without `{}`: no `on` block of its events sets it",
                        command.name, column.name
                    );
                    problems.push((command.span, message));
                }
            }
        }
        for (span, message) in problems {
            self.error("stream.required", span, message);
        }
    }
}
