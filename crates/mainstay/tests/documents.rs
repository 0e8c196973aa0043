//! The documents, run: every command of README.md and of the book is typed into a shell and its answer compared.
//!
//! A ```` ```console ```` block is a dialogue: a line that begins with `$ ` is typed (`\` at its end goes on in the next
//! line), what follows is expected, where `…` stands for any text. `$ mainstay serve APP` runs beside the rest until the
//! next one or the end of the page. A ```` ```stay file=PATH ```` block (or json, toml) is written to that file first. One page is one
//! shell in one empty folder with a copy of `examples/`, so variables and files carry on.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed, and says where")]

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use mainstay_testkit::sources::copy_sources;

/// Printed by the shell behind each answer.
const MARK: &str = "--end-of-answer--";

#[test]
fn readme() {
    page(&root().join("README.md"));
}

#[test]
fn tutorial() {
    page(&root().join("docs/src/tutorial.md"));
}

#[test]
fn queries() {
    page(&root().join("docs/src/queries.md"));
}

#[test]
fn rest() {
    page(&root().join("docs/src/rest.md"));
}

#[test]
fn identity() {
    page(&root().join("docs/src/identity.md"));
}

#[test]
fn command_line() {
    page(&root().join("docs/src/command-line.md"));
}

#[test]
fn migrations() {
    page(&root().join("docs/src/migrations.md"));
}

#[test]
fn operations() {
    page(&root().join("docs/src/operations.md"));
}

#[test]
fn backups() {
    page(&root().join("docs/src/backups.md"));
}

#[test]
fn moving() {
    page(&root().join("docs/src/moving.md"));
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// A block of a page that matters here.
enum Block {
    File { path: String, text: String },
    Dialogue(Vec<(String, Vec<String>)>),
}

fn page(path: &Path) {
    let blocks = blocks(&fs::read_to_string(path).unwrap());
    assert!(
        blocks.iter().any(|block| matches!(block, Block::Dialogue(_))),
        "{}: no dialogue in it, so nothing would be proven",
        path.display()
    );
    let folder = tempfile::tempdir().unwrap();
    copy_sources(&root().join("examples"), &folder.path().join("examples")).unwrap();
    let mut shell = Shell::start(folder.path());
    for block in blocks {
        match block {
            Block::File { path, text } => {
                let path = folder.path().join(path);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, text).unwrap();
            }
            Block::Dialogue(exchanges) => {
                for (command, expected) in exchanges {
                    let answer = shell.run(&command);
                    let expected = shell.with_port(&expected.join("\n"));
                    assert!(
                        matches(&expected, &answer),
                        "{}\n$ {command}\nexpected:\n{expected}\nanswered:\n{answer}",
                        path.display()
                    );
                }
            }
        }
    }
}

fn blocks(text: &str) -> Vec<Block> {
    let mut found = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let Some(info) = line.strip_prefix("```") else { continue };
        let body: Vec<&str> = lines.by_ref().take_while(|line| !line.starts_with("```")).collect();
        if info.starts_with("console") {
            found.push(Block::Dialogue(exchanges(&body)));
        } else if let Some((_, path)) = info.split_once("file=") {
            found.push(Block::File { path: path.trim().to_owned(), text: body.join("\n") + "\n" });
        }
    }
    found
}

fn exchanges(body: &[&str]) -> Vec<(String, Vec<String>)> {
    let mut found: Vec<(String, Vec<String>)> = Vec::new();
    let mut continues = false;
    for line in body {
        if continues {
            let (command, _) = found.last_mut().unwrap();
            command.push('\n');
            command.push_str(line);
        } else if let Some(command) = line.strip_prefix("$ ") {
            found.push((command.to_owned(), Vec::new()));
        } else {
            found.last_mut().expect("a dialogue begins with a command").1.push((*line).to_owned());
        }
        continues = line.ends_with('\\') && found.last().unwrap().1.is_empty();
    }
    found
}

/// `…` stands for any text; white space at the ends does not count.
fn matches(expected: &str, answer: &str) -> bool {
    let mut rest = answer.trim();
    let pieces: Vec<&str> = expected.trim().split('…').collect();
    for (index, piece) in pieces.iter().enumerate() {
        let piece = if index == 0 { piece.trim_start() } else { piece };
        let at = match index {
            0 => rest.starts_with(piece).then_some(0),
            last if last == pieces.len() - 1 => rest.ends_with(piece).then(|| rest.len() - piece.len()),
            _ => rest.find(piece),
        };
        match at {
            Some(at) => rest = &rest[at + piece.len()..],
            None => return false,
        }
    }
    pieces.len() > 1 || rest.is_empty()
}

/// A shell that runs one page, and the server that runs beside it.
struct Shell {
    shell: Child,
    answers: BufReader<std::process::ChildStdout>,
    folder: PathBuf,
    port: u16,
    server: Option<Child>,
}

impl Shell {
    fn start(folder: &Path) -> Shell {
        let binary = Path::new(env!("CARGO_BIN_EXE_mainstay")).parent().unwrap().display().to_string();
        let path = format!("{binary}:{}", std::env::var("PATH").unwrap());
        let mut shell = Command::new("bash")
            .arg("--norc")
            .current_dir(folder)
            .env("PATH", path)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        let answers = BufReader::new(shell.stdout.take().unwrap());
        let mut started =
            Shell { shell, answers, folder: folder.to_owned(), port: free_port(), server: None };
        // People see both streams; so does the page.
        started.run("exec 2>&1");
        started
    }

    fn with_port(&self, text: &str) -> String {
        text.replace("127.0.0.1:4040", &format!("127.0.0.1:{}", self.port))
    }

    fn run(&mut self, command: &str) -> String {
        if let Some(words) = command.strip_prefix("mainstay serve ") {
            return self.serve(words);
        }
        let input = self.shell.stdin.as_mut().unwrap();
        let command = command.replace("127.0.0.1:4040", &format!("127.0.0.1:{}", self.port));
        writeln!(input, "{command}\necho; echo {MARK}").unwrap();
        input.flush().unwrap();
        let mut answer = String::new();
        loop {
            let mut line = String::new();
            assert!(
                self.answers.read_line(&mut line).unwrap() > 0,
                "the shell ended after {command:?}:\n{answer}"
            );
            if line.trim_end() == MARK {
                return answer;
            }
            answer.push_str(&line);
        }
    }

    /// Starts the server and reads what it says until it listens.
    fn serve(&mut self, words: &str) -> String {
        self.stop_server();
        let mut server = Command::new(env!("CARGO_BIN_EXE_mainstay"))
            .arg("serve")
            .args(words.split_whitespace())
            .args(["--listen", &format!("127.0.0.1:{}", self.port), "--log-level", "warn"])
            .current_dir(&self.folder)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(server.stderr.take().unwrap());
        let mut said = String::new();
        while !said.contains("listening on") {
            assert!(lines.read_line(&mut said).unwrap() > 0, "mainstay serve {words} ended:\n{said}");
        }
        // Somebody has to read on, or the server would wait for room in the pipe.
        std::thread::spawn(move || std::io::copy(&mut lines, &mut std::io::sink()));
        self.server = Some(server);
        said
    }

    fn stop_server(&mut self) {
        if let Some(mut server) = self.server.take() {
            server.kill().unwrap();
            server.wait().unwrap();
        }
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        drop(self.shell.kill());
        drop(self.shell.wait());
        if let Some(server) = &mut self.server {
            drop(server.kill());
            drop(server.wait());
        }
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Whoever copies an app from a page and runs `mainstay fmt` finds it unchanged.
#[test]
fn apps_are_laid_out_as_fmt_does() {
    let mut pages = vec![root().join("README.md")];
    let beside = fs::read_dir(root().join("docs/src")).unwrap().map(|entry| entry.unwrap().path());
    pages.extend(beside.filter(|path| path.extension().is_some_and(|ending| ending == "md")));
    let mut apps = 0;
    for page in pages {
        let text = fs::read_to_string(&page).unwrap();
        let mut lines = text.lines();
        while let Some(line) = lines.next() {
            if !line.starts_with("```") {
                continue;
            }
            let body: Vec<&str> = lines.by_ref().take_while(|line| !line.starts_with("```")).collect();
            if line.starts_with("```stay") {
                let app = body.join("\n") + "\n";
                let laid_out = mainstay_lang::format::format(&app).unwrap();
                assert_eq!(laid_out, app, "{}", page.display());
                apps += 1;
            }
        }
    }
    assert!(apps > 5, "{apps} apps were found");
}

#[test]
fn expectations_can_fail() {
    assert!(matches("a…c", "abbbc"));
    assert!(matches("…", "anything"));
    assert!(!matches("a…c", "abbb"));
    assert!(!matches("a", "ab"));
    assert!(!matches("ab", "a"));
    assert!(!matches("a…b…a", "aba ab"));
}
