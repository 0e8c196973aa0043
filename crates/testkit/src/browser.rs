//! A real Chromium for tests of pages, spoken to by its own protocol (that of its developer tools), so that no driver has to fit it.
//!
//! A browser is a process with a profile of its own and one page; it is gone when dropped. What a test asks of the page is
//! JavaScript, run in it; waiting is done there too, until something is so.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, bail};
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

/// What the program is called, wherever it comes from.
const NAMES: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "chrome"];

/// It needs neither a screen nor anything of the network beyond the test.
const FLAGS: [&str; 9] = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
    "--remote-debugging-port=0",
    "about:blank",
];

/// A test that waits longer has found a hang.
const PATIENCE: Duration = Duration::from_secs(30);

/// A browser with one page.
pub struct Browser {
    child: Child,
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    session: String,
    next: u64,
    _profile: TempDir,
}

impl Browser {
    /// Starts a browser on an empty page.
    ///
    /// # Errors
    /// When there is none, or it does not speak.
    pub async fn start() -> Result<Browser> {
        let profile = tempfile::tempdir()?;
        let (child, address) = NAMES
            .iter()
            .find_map(|name| spawn(name, &profile).transpose())
            .ok_or_else(|| anyhow!("no {} on the path: install Debian's `chromium`", NAMES.join(", ")))??;
        let (socket, _) = connect_async(&address).await.with_context(|| format!("speaking to {address}"))?;
        let mut browser = Browser { child, socket, session: String::new(), next: 0, _profile: profile };
        let targets = browser.call("Target.getTargets", json!({})).await?;
        let pages = targets["targetInfos"].as_array().into_iter().flatten();
        let page =
            pages.into_iter().find(|target| target["type"] == "page").context("no page")?["targetId"].clone();
        let attached =
            browser.call("Target.attachToTarget", json!({"targetId": page, "flatten": true})).await?;
        browser.session = attached["sessionId"].as_str().context("no session")?.to_owned();
        Ok(browser)
    }

    /// Goes to an address and waits until its document is there.
    ///
    /// # Errors
    /// When it cannot be reached.
    pub async fn open(&mut self, url: &str) -> Result<()> {
        let gone = self.call("Page.navigate", json!({"url": url})).await?;
        if let Some(why) = gone["errorText"].as_str() {
            bail!("{url}: {why}");
        }
        self.until(&format!("document.readyState === 'complete' && location.href.startsWith({})", json!(url)))
            .await
    }

    /// Runs JavaScript in the page; its value.
    ///
    /// # Errors
    /// What it throws.
    pub async fn run(&mut self, script: &str) -> Result<Value> {
        let asked =
            json!({"expression": script, "awaitPromise": true, "returnByValue": true, "userGesture": true});
        let answer = self.call("Runtime.evaluate", asked).await?;
        match answer.get("exceptionDetails") {
            Some(thrown) => bail!("{script}: {thrown}"),
            None => Ok(answer["result"]["value"].clone()),
        }
    }

    /// Waits in the page until an expression is true.
    ///
    /// # Errors
    /// When it is not in time, with the page's text.
    pub async fn until(&mut self, condition: &str) -> Result<()> {
        let ms = PATIENCE.as_millis() / 2;
        let script = format!(
            "new Promise(done => {{ const end = Date.now() + {ms}; (function look() {{
               let is; try {{ is = {condition} }} catch (error) {{ is = false }}
               if (is || Date.now() > end) done(!!is); else setTimeout(look, 10); }})() }})"
        );
        // The page may have gone on to another document meanwhile, and what was asked with the old one; and from there to a third.
        let begun = Instant::now();
        let found = loop {
            match self.run(&script).await {
                Ok(found) => break found,
                Err(error) if begun.elapsed() > PATIENCE / 2 => return Err(error),
                Err(_) => {}
            }
        };
        if found == json!(true) {
            return Ok(());
        }
        let text = self.run("document.body.innerText").await?;
        bail!("not in time: {condition}; the page shows {text}")
    }

    /// A command of the browser's own, such as an authenticator that answers by itself.
    ///
    /// # Errors
    /// What is wrong with it.
    pub async fn command(&mut self, method: &str, params: Value) -> Result<Value> {
        self.call(method, params).await
    }

    async fn call(&mut self, method: &str, params: Value) -> Result<Value> {
        self.next += 1;
        let id = self.next;
        let mut frame = json!({"id": id, "method": method, "params": params});
        if !self.session.is_empty() {
            frame["sessionId"] = json!(self.session);
        }
        self.socket.send(Message::Text(frame.to_string().into())).await?;
        let answer = async {
            loop {
                let message = self.socket.next().await.context("the browser is gone")??;
                let Message::Text(text) = message else { continue };
                let mut said: Value = serde_json::from_str(&text)?;
                // What happens in the page is told, too.
                if said["id"] != json!(id) {
                    continue;
                }
                return match said.get("error") {
                    Some(error) => Err(anyhow!("{method}: {error}")),
                    None => Ok(said["result"].take()),
                };
            }
        };
        tokio::time::timeout(PATIENCE, answer).await.with_context(|| format!("{method} is not answered"))?
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // It is gone either way.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Starts a program and reads where it can be spoken to; `None`: there is no such program.
fn spawn(name: &str, profile: &TempDir) -> Result<Option<(Child, String)>> {
    let mut command = Command::new(name);
    command.arg(format!("--user-data-dir={}", profile.path().display())).args(FLAGS);
    let mut child = match command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn() {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        spawned => spawned?,
    };
    let mut lines = BufReader::new(child.stderr.take().context("its errors are read")?).lines();
    let mut said = String::new();
    for line in lines.by_ref().map_while(std::result::Result::ok) {
        if let Some((_, address)) = line.split_once("DevTools listening on ") {
            let address = address.trim().to_owned();
            // Somebody has to read on, or it would wait for room in the pipe.
            std::thread::spawn(move || lines.for_each(drop));
            return Ok(Some((child, address)));
        }
        said.push_str(&line);
        said.push('\n');
    }
    child.wait()?;
    bail!("{name} has ended: {said}")
}
