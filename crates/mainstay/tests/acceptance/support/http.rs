//! A client of HTTP/1.1 that sends what it is given, valid or not, and waits for an answer no longer than a hang takes
//! to be one.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::Value;

/// A test that waits longer has found a hang.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);

/// A request while it is put together.
pub(crate) struct Request {
    address: String,
    method: String,
    path: String,
    head: String,
    body: Vec<u8>,
}

/// An answer, read whole.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) text: String,
    headers: Vec<(String, String)>,
}

impl Request {
    /// A request to an address; without a token it is the anonymous caller's.
    pub(crate) fn to(address: &str, method: &str, path: &str) -> Request {
        Request {
            address: address.to_owned(),
            method: method.to_owned(),
            path: path.to_owned(),
            head: String::new(),
            body: Vec::new(),
        }
    }

    /// With a token; the empty one is none.
    pub(crate) fn bearer(self, token: &str) -> Request {
        if token.is_empty() { self } else { self.header("authorization", &format!("Bearer {token}")) }
    }

    /// With a header.
    pub(crate) fn header(mut self, name: &str, value: &str) -> Request {
        self.head.push_str(&format!("{name}: {value}\r\n"));
        self
    }

    /// With a JSON body.
    pub(crate) fn json(self, body: &Value) -> Request {
        self.body(body.to_string())
    }

    /// With a body as it is, said to be JSON.
    pub(crate) fn body(mut self, body: impl Into<Vec<u8>>) -> Request {
        self.body = body.into();
        self.header("content-type", "application/json")
    }

    /// Sends it and reads the whole answer.
    pub(crate) fn send(self) -> Answer {
        self.try_send().unwrap()
    }

    /// The same, for a server that may die meanwhile.
    pub(crate) fn try_send(self) -> std::io::Result<Answer> {
        let mut stream = TcpStream::connect(&self.address)?;
        stream.set_read_timeout(Some(ANSWER_TIMEOUT))?;
        stream.set_write_timeout(Some(ANSWER_TIMEOUT))?;
        let length = if self.body.is_empty() && self.method == "GET" {
            String::new()
        } else {
            format!("content-length: {}\r\n", self.body.len())
        };
        let head = format!(
            "{} {} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n{length}{}\r\n",
            self.method, self.path, self.address, self.head
        );
        stream.write_all(head.as_bytes())?;
        // A server that refuses a body by its length answers while it is still being sent.
        let sent = stream.write_all(&self.body);
        Answer::read(stream).or_else(|error| sent.and(Err(error)))
    }
}

impl Answer {
    fn read(stream: TcpStream) -> std::io::Result<Answer> {
        let mut reader = BufReader::new(stream);
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let bad = |words: &str| std::io::Error::other(format!("{words}: {line:?}"));
        let status =
            line.split(' ').nth(1).and_then(|text| text.parse().ok()).ok_or_else(|| bad("no status"))?;
        let mut headers = Vec::new();
        loop {
            let mut line = String::new();
            reader.read_line(&mut line)?;
            let Some((name, value)) = line.trim_end().split_once(':') else { break };
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        let mut answer = Answer { status, text: String::new(), headers };
        // The server says the length of all its answers that a test sees; a cut one must not pass for whole.
        if let Ok(length) = answer.header("content-length").parse() {
            let mut body = vec![0; length];
            reader.read_exact(&mut body)?;
            answer.text = String::from_utf8(body).map_err(std::io::Error::other)?;
        }
        Ok(answer)
    }

    /// A header's value; empty when there is none.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(header, _)| header == name).map_or("", |(_, value)| value)
    }

    /// The body of an answer with this status.
    #[track_caller]
    pub(crate) fn expect(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.text);
        serde_json::from_str(&self.text).unwrap_or(Value::Null)
    }

    /// The body of a 200.
    #[track_caller]
    pub(crate) fn ok(&self) -> Value {
        self.expect(200)
    }

    /// The problem of an answer with this status and key, whole: every member that a problem has is there.
    #[track_caller]
    pub(crate) fn problem(&self, status: u16, key: &str) -> Value {
        let problem = self.expect(status);
        assert_eq!(problem["key"], key, "{}", self.text);
        assert_eq!(problem["status"], status, "{}", self.text);
        assert_eq!(self.header("content-type"), "application/problem+json");
        let kind = problem["type"].as_str().unwrap();
        assert!(kind.ends_with(&format!("/errors#{key}")), "{kind}");
        assert!(!problem["title"].as_str().unwrap().is_empty());
        assert!(!problem["request_id"].as_str().unwrap().is_empty());
        problem
    }

    /// The problem's one error at this path, whose message it returns.
    #[track_caller]
    pub(crate) fn problem_at(&self, status: u16, key: &str, path: &str) -> String {
        let problem = self.problem(status, key);
        let errors = problem["errors"].as_array().unwrap_or_else(|| panic!("no errors: {}", self.text));
        let error = errors.iter().find(|error| error["path"] == path);
        let error = error.unwrap_or_else(|| panic!("nothing at {path}: {}", self.text));
        error["message"].as_str().unwrap().to_owned()
    }
}

/// A text as it stands in a path or parameter.
pub(crate) fn encode(text: &str) -> String {
    let byte = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(byte).collect()
}
