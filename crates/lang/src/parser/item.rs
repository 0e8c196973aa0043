//! What stands at the top of a file.

use super::Parser;
use super::words::Holder;
use crate::diagnostic::Diagnostic;
use crate::source::Span;
use crate::suggest::nearest;
use crate::syntax::{App, Dataset, File, Flag, Item, Name, Setting, Table};
use crate::token::Kind;

const WORDS: &[&str] = &["app", "use", "table", "extend", "stream", "dataset", "flag", "setting"];

impl Parser<'_> {
    pub(super) fn file(&mut self) -> File {
        let mut file = File::default();
        loop {
            let (docs, docs_span) = self.docs();
            if self.peek().kind == Kind::End {
                self.lose_docs(docs_span);
                return file;
            }
            let before = self.at;
            self.declaration(&mut file, docs, docs_span);
            if self.is_stuck() || self.at == before {
                self.skip_member(before);
            }
        }
    }

    fn declaration(&mut self, file: &mut File, docs: String, docs_span: Option<Span>) {
        let word = self.top_word();
        if matches!(word, Some("app" | "use")) {
            self.lose_docs(docs_span);
        }
        match word {
            Some("app") => self.app(file),
            Some("use") => self.uses(file),
            Some("table") => file.items.extend(self.table(docs, Holder::Table).map(Item::Table)),
            Some("extend") => file.items.extend(self.table(docs, Holder::Table).map(Item::Extend)),
            Some("stream") => file.items.extend(self.table(docs, Holder::Stream).map(Item::Stream)),
            Some("dataset") => file.items.extend(self.dataset(docs).map(Item::Dataset)),
            Some("flag") => file.items.extend(self.flag(docs).map(Item::Flag)),
            Some("setting") => file.items.extend(self.setting(docs).map(Item::Setting)),
            _ => {
                self.lose_docs(docs_span);
                self.no_declaration();
            }
        }
    }

    /// The keyword that stands here or was probably meant to.
    fn top_word(&mut self) -> Option<&'static str> {
        let word = self.word();
        if let Some(known) = WORDS.iter().find(|known| **known == word) {
            return Some(known);
        }
        let meant = nearest(word, WORDS.iter().copied()).filter(|_| self.nth(1).kind == Kind::Name)?;
        let message = format!("`{word}` begins no declaration");
        self.report(Diagnostic::error("syntax", self.peek().span, message).suggest(Some(meant)));
        Some(meant)
    }

    fn no_declaration(&mut self) {
        let token = self.peek();
        let message = match token.kind {
            Kind::RightBrace => "this `}` closes nothing".to_owned(),
            _ => format!("expected a declaration, found `{}`", self.slice(token)),
        };
        let mut problem = Diagnostic::error("syntax", token.span, message);
        if token.kind == Kind::RightBrace {
            self.bump();
        } else {
            problem = problem.help(format!("a declaration begins with one of: {}", WORDS.join(", ")));
            self.failed_at = Some(self.at);
        }
        self.report(problem);
    }

    fn app(&mut self, file: &mut File) {
        let start = self.bump().span;
        let Some(name) = self.name("the name of the app") else { return };
        let title = self.text_if_any();
        let existing = (!self.peek().line_start && self.eat_word("existing")).then(|| self.last_span());
        let app = App { name, title, existing, span: start.to(self.last_span()) };
        match &file.app {
            Some(first) => {
                let problem = Diagnostic::error("app.twice", app.span, "the app is named twice");
                let problem = problem.related(first.span, "it is named here already");
                self.report(problem);
            }
            None => file.app = Some(app),
        }
    }

    fn uses(&mut self, file: &mut File) {
        self.bump();
        loop {
            let Some(name) = self.name("the name of a platform capability") else { return };
            file.uses.push(name);
            if !self.eat(Kind::Comma) {
                return;
            }
        }
    }

    fn table(&mut self, docs: String, holder: Holder) -> Option<Table> {
        let start = self.bump();
        let what = self.slice(start).to_owned();
        // Without a name the members are still read, for the problems in them.
        let name = self.name("the name of a table");
        let (mut tenant, mut db, mut was) = (None, None, None);
        loop {
            if self.peek().kind == Kind::LeftParen {
                let open = self.bump().span;
                if !self.eat_word("tenant") {
                    self.error(
                        "expected `tenant`: nothing else stands in parentheses behind the name of a table",
                    );
                    self.skip_list(open, Kind::RightParen);
                } else if self.expect(Kind::RightParen, "`)`") {
                    tenant = Some(open.to(self.last_span()));
                }
            } else if self.eat_word("db") {
                db = self.text("the name in the database, in quotes");
            } else if self.eat_word("was") {
                was = self.name("the name that the table had before");
            } else {
                break;
            }
            if self.is_stuck() {
                break;
            }
        }
        if self.is_stuck() && name.is_none() && self.nth(1).kind == Kind::LeftBrace {
            self.bump();
        }
        let shown = name.as_ref().map_or_else(|| format!("the {what}"), |name| format!("`{}`", name.text));
        let members = self.block(&shown, |parser| parser.member(holder));
        let span = start.span.to(self.last_span());
        Some(Table { docs, name: name?, tenant, db, was, members, span })
    }

    fn dataset(&mut self, docs: String) -> Option<Dataset> {
        let start = self.bump().span;
        let table = self.name("a table and a name, as in `dataset Order.main`")?;
        let named = self.expect(Kind::Dot, "`.` and the name of the dataset");
        let name = if named { self.name("the name of the dataset") } else { None };
        let members = self.block("the dataset", Parser::dataset_member);
        Some(Dataset { docs, table, name: name?, members, span: start.to(self.last_span()) })
    }

    fn dataset_member(&mut self) -> Option<(Name, bool)> {
        let (_, docs_span) = self.docs();
        self.lose_docs(docs_span);
        if self.peek().kind == Kind::RightBrace {
            return None;
        }
        let table = self.name("a table or `}`")?;
        let reference = self.eat_word("reference");
        let token = self.peek();
        if token.kind == Kind::Name && !token.line_start && !self.is_type(token) {
            let word = self.slice(token);
            let problem =
                Diagnostic::error("syntax", token.span, format!("expected `reference`, found `{word}`"));
            self.report(problem.suggest(nearest(word, ["reference"])));
            self.bump();
        }
        Some((table, reference))
    }

    fn flag(&mut self, docs: String) -> Option<Flag> {
        let start = self.bump().span;
        let name = self.name("the name of the flag")?;
        self.expect(Kind::Assign, "`=` and the value until somebody changes it");
        let default = self.expr();
        let description = self.text_if_any();
        Some(Flag { docs, name, default, description, span: start.to(self.last_span()) })
    }

    fn setting(&mut self, docs: String) -> Option<Setting> {
        let start = self.bump().span;
        let name = self.name("the name of the setting")?;
        let ty = self.ty("the setting", name.span);
        if self.peek().kind == Kind::Question {
            let span = self.bump().span;
            self.report(Diagnostic::error("syntax", span, "a setting always has a value: it cannot be null"));
        }
        self.expect(Kind::Assign, "`=` and the value until somebody changes it");
        let default = self.expr();
        let description = self.text_if_any();
        Some(Setting { docs, name, ty, default, description, span: start.to(self.last_span()) })
    }
}
