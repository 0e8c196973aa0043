//! Templates: a folder of HTML and text, in which mails are rendered.
//!
//! A mail `welcome` is `welcome.html` and `welcome.txt`. The HTML begins with lines between `---`: the subject, itself a template, and a layout
//! that stands around it. What is shown is escaped in HTML and not in text; styles of `<style>` go into the elements, where mail programs
//! look for them. A template that loops has used up its fuel at some point. Knows nothing of who gets the mail.

use std::collections::BTreeMap;
use std::path::PathBuf;

use css_inline::CSSInliner;
use minijinja::value::Serde;
use minijinja::{Environment, Value, context};
use serde_json::Value as Json;

/// Steps that one rendering may take.
const FUEL: u64 = 2_000_000;

/// The templates of an app.
#[derive(Clone, Debug)]
pub struct Templates {
    folder: PathBuf,
    brought: BTreeMap<&'static str, &'static str>,
}

/// Files of templates that plugins bring, by name: `welcome.html`. A file of the app's own with that name stands before it.
#[derive(Clone, Debug, Default)]
pub struct BroughtTemplates(pub BTreeMap<&'static str, &'static str>);

/// A mail that was rendered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rendered {
    /// Its subject: one line.
    pub subject: String,
    /// Its HTML, with styles in its elements.
    pub html: String,
    /// Its text.
    pub text: String,
}

/// Why a mail could not be rendered: never better another time, unless somebody mends the template.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// A file of it is not there.
    #[error("there is no template mail/{file}{}", .nearest.as_ref().map(|name| format!("; did you mean {name}?")).unwrap_or_default())]
    Missing {
        /// The file.
        file: String,
        /// The nearest one that there is.
        nearest: Option<String>,
    },
    /// The lines at its beginning.
    #[error("mail/{file}: {expected}")]
    Head {
        /// The file.
        file: String,
        /// What was expected.
        expected: String,
    },
    /// It cannot be read, or shows what is not there.
    #[error("mail/{file}: {words}")]
    Render {
        /// The file.
        file: String,
        /// What is wrong.
        words: String,
    },
}

/// The lines at the beginning of a template.
#[derive(Debug, Default, PartialEq, Eq)]
struct Head {
    subject: String,
    layout: Option<String>,
}

impl Templates {
    /// Those of a folder, which need not be there.
    pub fn new(folder: impl Into<PathBuf>) -> Templates {
        Templates { folder: folder.into(), brought: BTreeMap::new() }
    }

    /// The same with those that plugins bring.
    #[must_use]
    pub fn with(&self, brought: Option<&BroughtTemplates>) -> Templates {
        let brought = brought.map(|brought| brought.0.clone()).unwrap_or_default();
        Templates { folder: self.folder.clone(), brought }
    }

    /// The names of the mails that there are.
    pub fn names(&self) -> Vec<String> {
        let files = std::fs::read_dir(&self.folder).into_iter().flatten().flatten();
        let names = files.filter_map(|file| file.file_name().into_string().ok());
        let mut names: Vec<String> = names
            .filter_map(|name| name.strip_suffix(".html").map(str::to_owned))
            .filter(|name| !name.starts_with('_'))
            .collect();
        names.sort();
        names
    }

    /// Renders a mail.
    ///
    /// # Errors
    /// What is wrong with its template.
    pub fn render(&self, name: &str, data: &Json) -> Result<Rendered, TemplateError> {
        let html_file = format!("{name}.html");
        let text_file = format!("{name}.txt");
        let (head, html) = head(&html_file, &self.read(&html_file)?)?;
        let text = self.read(&text_file)?;
        let mut environment = environment(self);
        let failed = |file: &str, error: &minijinja::Error| {
            // The chain says in which line, and of which file.
            let mut words = format!("{error:#}");
            if let Some(line) = error.line() {
                words = format!("{words} (line {line})");
            }
            TemplateError::Render { file: file.to_owned(), words }
        };
        let data = Value::from(Serde(data));
        environment
            .add_template_owned("subject.txt", head.subject)
            .map_err(|error| failed(&html_file, &error))?;
        environment.add_template_owned("own.html", html).map_err(|error| failed(&html_file, &error))?;
        environment.add_template_owned("own.txt", text).map_err(|error| failed(&text_file, &error))?;
        let render = |file: &str, template: &str, data: &Value| {
            let rendered =
                environment.get_template(template).and_then(|template| template.render(data.clone()));
            rendered.map_err(|error| failed(file, &error))
        };
        let subject = render(&html_file, "subject.txt", &data)?;
        let own = render(&html_file, "own.html", &data)?;
        let whole = match &head.layout {
            None => own,
            Some(layout) => {
                self.read(layout)?;
                let content = Value::from_safe_string(own);
                let around = context! { content, subject => subject.trim(), ..data.clone() };
                render(layout, layout, &around)?
            }
        };
        let inliner = CSSInliner::options().load_remote_stylesheets(false).build();
        let html = inliner
            .inline(&whole)
            .map_err(|error| TemplateError::Render { file: html_file.clone(), words: error.to_string() })?;
        let text = render(&text_file, "own.txt", &data)?;
        // A line break would begin another header.
        let subject = subject.split_whitespace().collect::<Vec<_>>().join(" ");
        Ok(Rendered { subject, html, text })
    }

    fn file(&self, name: &str) -> Option<String> {
        let own = std::fs::read_to_string(self.folder.join(name)).ok();
        own.or_else(|| self.brought.get(name).map(|text| (*text).to_owned()))
    }

    fn read(&self, file: &str) -> Result<String, TemplateError> {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        let text = if file.chars().all(is_plain) && !file.starts_with('.') { self.file(file) } else { None };
        text.ok_or_else(|| {
            let names = self.names();
            let stem = file.split('.').next().unwrap_or(file);
            let nearest = mainstay_lang::suggest::nearest(stem, names.iter().map(String::as_str));
            TemplateError::Missing { file: file.to_owned(), nearest: nearest.map(str::to_owned) }
        })
    }
}

fn environment(templates: &Templates) -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(minijinja::UndefinedBehavior::Strict);
    environment.set_fuel(Some(FUEL));
    let templates = templates.clone();
    environment.set_loader(move |name| {
        let is_plain = !name.contains(['/', '\\']) && !name.starts_with('.');
        Ok(if is_plain { templates.file(name) } else { None })
    });
    environment
}

/// Takes the lines at the beginning off a template.
fn head(file: &str, text: &str) -> Result<(Head, String), TemplateError> {
    let expected =
        |expected: &str| TemplateError::Head { file: file.to_owned(), expected: expected.to_owned() };
    let begin = "expected to begin with `---`, a line `subject: …` and another `---`";
    let rest = text.strip_prefix("---\n").ok_or_else(|| expected(begin))?;
    let (lines, body) = rest.split_once("\n---\n").ok_or_else(|| expected(begin))?;
    let mut members: BTreeMap<&str, &str> = BTreeMap::new();
    for line in lines.lines().filter(|line| !line.trim().is_empty()) {
        let (name, value) = line.split_once(':').ok_or_else(|| expected("expected `name: value`"))?;
        members.insert(name.trim(), value.trim());
    }
    let subject =
        members.remove("subject").ok_or_else(|| expected("expected a line `subject: …`"))?.to_owned();
    let layout = members.remove("layout").map(str::to_owned);
    if let Some(name) = members.keys().next() {
        return Err(expected(&format!("`{name}` is neither `subject` nor `layout`")));
    }
    Ok((Head { subject, layout }, body.to_owned()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{TemplateError, Templates};

    fn folder(files: &[(&str, &str)]) -> (tempfile::TempDir, Templates) {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        let templates = Templates::new(folder.path());
        (folder, templates)
    }

    #[test]
    fn a_mail_is_rendered_in_its_layout_with_its_styles_inside() {
        let (_folder, templates) = folder(&[
            (
                "hello.html",
                "---\nsubject: Hello {{ name }},\n  \nlayout: _layout.html\n---\n<p>Hi {{ name }}</p>",
            ),
            ("hello.txt", "Hi {{ name }}"),
            (
                "_layout.html",
                "<html><head><style>p { color: red }</style></head><body>{{ content }}</body></html>",
            ),
        ]);
        let mail = templates.render("hello", &json!({"name": "<Ann & Bob>\nBcc: all"})).unwrap();
        assert_eq!(mail.subject, "Hello <Ann & Bob> Bcc: all,", "one line, whatever is shown");
        assert!(mail.html.contains("Hi &lt;Ann &amp; Bob&gt;"), "{}", mail.html);
        assert!(mail.html.contains("<p style=\"color: red"), "{}", mail.html);
        assert_eq!(mail.text, "Hi <Ann & Bob>\nBcc: all");
        assert_eq!(templates.names(), ["hello"]);
    }

    #[test]
    fn what_is_wrong_with_a_template_is_told_with_its_file() {
        let (_folder, templates) = folder(&[
            ("welcome.html", "---\nsubject: x\n---\n{{ nobody.name }}"),
            ("welcome.txt", "x"),
            ("plain.html", "<p>"),
            (
                "loop.html",
                "---\nsubject: x\n---\n{% for a in range(9999) %}{% for b in range(9999) %}x{% endfor %}{% endfor %}",
            ),
            ("loop.txt", "x"),
            ("alone.html", "---\nsubject: x\n---\nx"),
        ]);
        let error = |name: &str| templates.render(name, &json!({})).unwrap_err();
        let missing =
            TemplateError::Missing { file: "welcom.html".to_owned(), nearest: Some("welcome".to_owned()) };
        assert_eq!(error("welcom"), missing);
        assert!(error("welcome").to_string().starts_with("mail/welcome.html: "), "{}", error("welcome"));
        assert!(matches!(error("plain"), TemplateError::Head { .. }));
        assert!(matches!(error("loop"), TemplateError::Render { .. }));
        assert!(error("alone").to_string().contains("mail/alone.txt"));
        assert!(matches!(error("../secret"), TemplateError::Missing { .. }));
    }
}
