//! A TCP proxy that loses connections where a test wants it to, and counts round trips.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Result;
use parking_lot::Mutex;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// Between clients and a server on 127.0.0.1. Its connections end when it goes.
#[derive(Debug)]
pub struct Proxy {
    port: u16,
    shared: Arc<Shared>,
    listening: JoinHandle<()>,
}

#[derive(Debug)]
struct Shared {
    cut: Mutex<Option<Cut>>,
    round_trips: AtomicU64,
}

/// When a connection is lost.
#[derive(Clone, Copy, Debug)]
enum Cut {
    /// A request with these bytes does not reach the server.
    Request(&'static [u8]),
    /// A request with these bytes reaches the server, whose answer does not come back.
    Answer(&'static [u8]),
}

impl Proxy {
    /// Begins to listen on a free port.
    pub async fn start(server: u16) -> Result<Proxy> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let port = listener.local_addr()?.port();
        let shared = Arc::new(Shared { cut: Mutex::default(), round_trips: AtomicU64::new(0) });
        let listening = tokio::spawn(listen(listener, server, shared.clone()));
        Ok(Proxy { port, shared, listening })
    }

    /// The TCP port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Loses the next request that holds these bytes, with its connection.
    pub fn cut_request(&self, with: &'static [u8]) {
        *self.shared.cut.lock() = Some(Cut::Request(with));
    }

    /// Loses the answer to the next request that holds these bytes, with its connection.
    pub fn cut_answer(&self, to: &'static [u8]) {
        *self.shared.cut.lock() = Some(Cut::Answer(to));
    }

    /// How often a client has sent something after it was told something.
    pub fn round_trips(&self) -> u64 {
        self.shared.round_trips.load(Ordering::Relaxed)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

async fn listen(listener: TcpListener, server: u16, shared: Arc<Shared>) {
    let mut connections = tokio::task::JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        let shared = shared.clone();
        connections.spawn(async move {
            // However it ends, both sides see their connection end.
            carry(client, server, &shared).await.ok();
        });
    }
}

/// Carries bytes both ways until either side ends or the connection is to be lost.
async fn carry(mut client: TcpStream, server: u16, shared: &Shared) -> std::io::Result<()> {
    let mut server = TcpStream::connect(SocketAddr::from(([127, 0, 0, 1], server))).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (mut request, mut answer) = (vec![0; 65536], vec![0; 65536]);
    let mut swallowing = false;
    let mut was_told = true;
    loop {
        tokio::select! {
            read = client.read(&mut request) => {
                let bytes = &request[..read?];
                if bytes.is_empty() {
                    return Ok(());
                }
                if std::mem::take(&mut was_told) {
                    shared.round_trips.fetch_add(1, Ordering::Relaxed);
                }
                match shared.cut_at(bytes) {
                    Some(Cut::Request(_)) => return Ok(()),
                    Some(Cut::Answer(_)) => swallowing = true,
                    None => {}
                }
                server.write_all(bytes).await?;
            }
            read = server.read(&mut answer) => {
                let bytes = &answer[..read?];
                if bytes.is_empty() || swallowing {
                    return Ok(());
                }
                was_told = true;
                client.write_all(bytes).await?;
            }
        }
    }
}

impl Shared {
    /// What is to be done about a request; it is done once.
    fn cut_at(&self, request: &[u8]) -> Option<Cut> {
        let mut cut = self.cut.lock();
        let (Cut::Request(needle) | Cut::Answer(needle)) = (*cut)?;
        if request.windows(needle.len()).any(|window| window == needle) { cut.take() } else { None }
    }
}
