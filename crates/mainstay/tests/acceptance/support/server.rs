//! A running `mainstay serve`, killed when dropped.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};

use serde_json::Value;

use super::{Answer, App, Request};

/// A server on a free port.
pub(crate) struct Server {
    child: Child,
    address: String,
    said: Arc<Mutex<String>>,
}

impl Server {
    pub(super) fn start(app: &App, flags: &[&str]) -> Server {
        Server::of_folder(app, "APP", flags)
    }

    /// Serves another folder, from within the app's.
    pub(crate) fn of_folder(app: &App, folder: &str, flags: &[&str]) -> Server {
        let mut words = vec!["serve", folder, "--listen", "127.0.0.1:0"];
        if !flags.contains(&"--log-level") {
            words.extend(["--log-level", "error"]);
        }
        words.extend(flags);
        Server::listening(app, &words)
    }

    /// Serves an app that says itself what is logged.
    pub(crate) fn of_folder_as_set(app: &App) -> Server {
        Server::listening(app, &["serve", "APP", "--listen", "127.0.0.1:0"])
    }

    fn listening(app: &App, words: &[&str]) -> Server {
        let mut child = app.command(words).stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap());
        let mut said = String::new();
        let address = loop {
            let mut line = String::new();
            assert!(lines.read_line(&mut line).unwrap() > 0, "mainstay {words:?} ended:\n{said}");
            said.push_str(&line);
            let address = line.trim().strip_prefix("listening on http");
            if let Some(address) = address.and_then(|rest| rest.trim_start_matches('s').strip_prefix("://")) {
                break address.to_owned();
            }
        };
        let said = Arc::new(Mutex::new(said));
        let log = Arc::clone(&said);
        // Somebody has to read on, or the server would wait for room in the pipe.
        std::thread::spawn(move || {
            for line in lines.lines().map_while(Result::ok) {
                let mut log = log.lock().unwrap();
                log.push_str(&line);
                log.push('\n');
            }
        });
        Server { child, address, said }
    }

    /// `127.0.0.1:PORT`
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// What the server has said on standard error up to now.
    pub(crate) fn said(&self) -> String {
        self.said.lock().unwrap().clone()
    }

    /// The process's id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// A request; without a token it is the anonymous caller's.
    pub(crate) fn request(&self, method: &str, path: &str) -> Request {
        Request::to(&self.address, method, path)
    }

    /// `GET`
    pub(crate) fn get(&self, token: &str, path: &str) -> Answer {
        self.request("GET", path).bearer(token).send()
    }

    /// A query-language document.
    pub(crate) fn query(&self, token: &str, document: &Value) -> Answer {
        self.request("POST", "/query").bearer(token).json(document).send()
    }

    /// SIGKILL: nothing is finished, nothing is said.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGTERM.
    pub(crate) fn terminate(&self) {
        let killed = std::process::Command::new("kill").arg(self.id().to_string()).status().unwrap();
        assert!(killed.success());
    }

    /// Waits for the process to end by itself.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        self.child.wait().unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
