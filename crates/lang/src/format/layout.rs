//! From tokens and comments to lines.
//!
//! A member begins a line; the author's other line breaks are kept as continuation lines. The blocks of events, folds
//! and emits stand on one line when they fit and no comment is in them.

use super::align::{Class, Line};
use super::marks::Marks;
use crate::lexer::Lexed;
use crate::syntax::Comment;
use crate::token::{Kind, Token};

/// How wide a line with a block in it may be.
const WIDTH_MAX: usize = 100;

/// The lines of a file, unaligned.
pub(super) fn lines(text: &str, lexed: &Lexed, marks: &Marks) -> Vec<Line> {
    let mut layout = Layout {
        text,
        tokens: &lexed.tokens,
        comments: &lexed.comments,
        marks,
        lines: Vec::new(),
        blocks: Vec::new(),
        parens: 0,
        last_end: 0,
        last: None,
    };
    layout.run();
    separate_blocks(&mut layout.lines);
    layout.lines
}

/// What braces are open.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Block {
    /// Of members.
    Large,
    /// Of an event, a fold or an emit, with each part on a line.
    Small,
}

struct Layout<'a> {
    text: &'a str,
    tokens: &'a [Token],
    /// Those that have not been written yet.
    comments: &'a [Comment],
    marks: &'a Marks,
    lines: Vec<Line>,
    blocks: Vec<Block>,
    /// Open parentheses and brackets of the member that is being written.
    parens: usize,
    /// Where the last thing read ended.
    last_end: u32,
    /// The last token written.
    last: Option<Token>,
}

impl<'a> Layout<'a> {
    fn run(&mut self) {
        let mut index = 0;
        while let Some(token) = self.tokens.get(index).copied() {
            self.comments_before(token);
            if token.kind == Kind::End {
                // What stands behind the last token.
                while let [comment, rest @ ..] = self.comments {
                    self.comments = rest;
                    self.comment(comment, token);
                }
                return;
            }
            index += self.token(index, token);
            self.last_end = self.tokens[index - 1].span.end;
        }
    }

    fn comments_before(&mut self, token: Token) {
        while let [comment, rest @ ..] = self.comments
            && comment.span.start < token.span.start
        {
            self.comments = rest;
            self.comment(comment, token);
        }
    }

    fn comment(&mut self, comment: &Comment, next: Token) {
        let place = self.lines.last_mut().filter(|line| comment.trailing && line.comment.is_none());
        match place {
            Some(line) => line.comment = Some(comment.text.clone()),
            None => {
                let between = self.begins_line(next) || next.kind == Kind::End;
                let indent = if between { self.indent() } else { self.continuation_indent(next) };
                let blank = between && self.has_blank_line(comment.span.start);
                self.push(Class::Comment, indent, blank, &comment.text);
            }
        }
        self.last_end = comment.span.end;
    }

    /// Writes a token, or a whole small block; returns how many tokens that was.
    fn token(&mut self, index: usize, token: Token) -> usize {
        let place = token.span.start;
        match token.kind {
            Kind::Doc => {
                let words = self.slice(token)["///".len()..].trim_end();
                let words =
                    if words.starts_with(' ') || words.is_empty() { "" } else { " " }.to_owned() + words;
                let blank = self.has_blank_line(place);
                self.push(Class::Comment, self.indent(), blank, &format!("///{words}"));
            }
            Kind::Comma if self.is_separator(index) => {}
            Kind::LeftBrace => return self.open(index, token),
            Kind::RightBrace => self.close(token),
            _ if self.begins_line(token) => {
                self.parens = 0;
                let class = self.marks.lines.get(&place).copied().unwrap_or(Class::Plain);
                let blank = self.has_blank_line(place);
                self.push(class, self.indent(), blank, self.slice(token));
                self.last = Some(token);
            }
            _ => self.go_on(token),
        }
        1
    }

    /// Whether a token is the first of a member, of a part, or closes what holds them.
    fn begins_line(&self, token: Token) -> bool {
        let place = token.span.start;
        matches!(token.kind, Kind::Doc | Kind::RightBrace)
            || self.marks.lines.contains_key(&place)
            || self.marks.parts.contains(&place)
    }

    /// Whether a comma separates members or stands before a closing bracket: then it says nothing.
    fn is_separator(&self, index: usize) -> bool {
        let next = self.tokens[index + 1];
        matches!(next.kind, Kind::RightParen | Kind::RightBracket | Kind::Comma | Kind::End)
            || (self.parens == 0 && self.begins_line(next))
    }

    fn open(&mut self, index: usize, token: Token) -> usize {
        let commas = self.marks.small.get(&token.span.start).copied();
        if let Some((text, count)) = commas.and_then(|commas| self.small_block(index, commas)) {
            self.append_block(&text, token);
            self.last = Some(self.tokens[index + count - 1]);
            return count;
        }
        self.append_block("{", token);
        self.last = Some(token);
        self.blocks.push(if commas.is_some() { Block::Small } else { Block::Large });
        self.parens = 0;
        1
    }

    /// `{` stands on the line of what it belongs to, unless a comment ends that line.
    fn append_block(&mut self, block: &str, token: Token) {
        let indent = self.continuation_indent(token);
        match self.lines.last_mut() {
            Some(line) if line.comment.is_none() && line.class != Class::Comment => {
                if line.class == Class::Event && block != "{" && line.cells.len() == 1 {
                    line.cells.push(block.to_owned());
                } else if let Some(cell) = line.cells.last_mut() {
                    *cell += " ";
                    *cell += block;
                }
            }
            _ => self.push(Class::Continuation, indent, false, block),
        }
    }

    /// A small block on one line, and how many tokens it has; `None` when it does not fit or a comment is in it.
    fn small_block(&self, index: usize, commas: bool) -> Option<(String, usize)> {
        let count = 1 + self.tokens[index..].iter().position(|token| token.kind == Kind::RightBrace)?;
        let tokens = &self.tokens[index..index + count];
        let end = tokens.last()?.span.end;
        let has_comment = self.comments.first().is_some_and(|comment| comment.span.start < end);
        if has_comment || tokens.iter().any(|token| token.kind == Kind::Doc) {
            return None;
        }
        if count == 2 {
            return Some(("{}".to_owned(), count));
        }
        let mut out = String::from("{");
        let mut last = tokens[0];
        for (offset, token) in tokens.iter().enumerate().skip(1) {
            let is_part = self.marks.parts.contains(&token.span.start);
            let ends = offset + 1 == count;
            if token.kind == Kind::Comma && self.is_separator(index + offset) {
                continue;
            }
            out += match () {
                () if is_part && last.kind == Kind::LeftBrace => " ",
                () if is_part && commas => ", ",
                () if is_part => "  ",
                () if ends || self.has_space(last, *token) => " ",
                () => "",
            };
            out += self.slice(*token);
            last = *token;
        }
        let line = self.lines.last()?;
        let before: usize = line.cells.iter().map(|cell| cell.chars().count() + 1).sum();
        (line.indent + before + out.chars().count() <= WIDTH_MAX).then_some((out, count))
    }

    fn close(&mut self, token: Token) {
        let block = self.blocks.pop();
        let is_empty = block.is_some() && self.last.is_some_and(|last| last.kind == Kind::LeftBrace);
        let indent = self.indent();
        match self.lines.last_mut() {
            Some(line) if is_empty && line.comment.is_none() && line.class != Class::Comment => {
                if let Some(cell) = line.cells.last_mut() {
                    cell.push('}');
                }
            }
            _ => self.push(Class::Close, indent, false, "}"),
        }
        self.last = Some(token);
        self.parens = 0;
    }

    /// A token within a line: on it, or on a continuation line where the author broke it or a comment ends it.
    fn go_on(&mut self, token: Token) {
        let opens = matches!(token.kind, Kind::LeftParen | Kind::LeftBracket);
        let closes = matches!(token.kind, Kind::RightParen | Kind::RightBracket);
        let indent = self.continuation_indent(token);
        self.parens = if closes { self.parens.saturating_sub(1) } else { self.parens + usize::from(opens) };
        let text = self.slice(token);
        let space = self.last.is_some_and(|last| self.has_space(last, token));
        let is_cell = self.marks.cells.contains(&token.span.start);
        let ended =
            self.lines.last().is_none_or(|line| line.comment.is_some() || line.class == Class::Comment);
        if token.line_start || ended {
            self.push(Class::Continuation, indent, false, text);
        } else if let Some(line) = self.lines.last_mut() {
            match line.cells.last_mut() {
                Some(cell) if !is_cell => {
                    *cell += if space { " " } else { "" };
                    *cell += text;
                }
                _ => line.cells.push(text.to_owned()),
            }
        }
        self.last = Some(token);
    }

    fn has_space(&self, last: Token, token: Token) -> bool {
        let never_behind = matches!(last.kind, Kind::LeftParen | Kind::LeftBracket | Kind::Dot);
        let never_before = matches!(
            token.kind,
            Kind::RightParen | Kind::RightBracket | Kind::Comma | Kind::Dot | Kind::Question
        );
        let tight =
            self.marks.tight.contains(&token.span.start) || self.marks.unary.contains(&last.span.start);
        !(never_behind || never_before || tight)
    }

    /// In spaces.
    fn indent(&self) -> usize {
        2 * self.blocks.len()
    }

    fn continuation_indent(&self, token: Token) -> usize {
        match token.kind {
            Kind::RightParen | Kind::RightBracket => self.indent() + 2 * self.parens.saturating_sub(1),
            _ if self.parens > 0 => self.indent() + 2 * self.parens,
            _ => self.indent() + 4,
        }
    }

    fn push(&mut self, class: Class, indent: usize, blank_before: bool, text: &str) {
        let opened = self.lines.last().is_none_or(|line| {
            line.class != Class::Comment && line.cells.last().is_some_and(|cell| cell.ends_with('{'))
        });
        let blank_before = blank_before && !opened;
        self.lines.push(Line { class, indent, blank_before, cells: vec![text.to_owned()], comment: None });
    }

    /// Whether the author left a line empty before a place.
    fn has_blank_line(&self, place: u32) -> bool {
        let between = &self.text[self.last_end as usize..place as usize];
        between.bytes().filter(|byte| *byte == b'\n').count() > 1
    }

    fn slice(&self, token: Token) -> &'a str {
        &self.text[token.span.start as usize..token.span.end as usize]
    }
}

/// A block at the top stands by itself: a blank line before it (and the comments that belong to it) and after it.
fn separate_blocks(lines: &mut [Line]) {
    for index in 1..lines.len() {
        if lines[index].indent > 0
            || matches!(lines[index].class, Class::Comment | Class::Close | Class::Continuation)
        {
            continue;
        }
        let mut first = index;
        while first > 0 && !lines[first].blank_before && lines[first - 1].class == Class::Comment {
            first -= 1;
        }
        if first == 0 {
            continue;
        }
        let after_block = lines[first - 1].class == Class::Close || lines[first - 1].class == Class::Block;
        lines[first].blank_before |= after_block || lines[index].class == Class::Block;
    }
}
