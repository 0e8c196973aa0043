//! The one who writes: over one connection, one row after the other, at a pace.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::listen::{Way, now_us};

/// How fast is written, and how much.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    pub(super) per_second: f64,
    pub(super) count: usize,
}

/// How long writes took.
pub(super) struct Written {
    times: Vec<Duration>,
}

impl Written {
    pub(super) fn p50_ms(&self) -> f64 {
        self.times.get(self.times.len() / 2).map_or(f64::NAN, |time| time.as_secs_f64() * 1000.0)
    }
}

/// A connection that writes.
pub(super) struct Writer {
    stream: TcpStream,
    path: &'static str,
    channel: i64,
}

impl Writer {
    pub(super) async fn open(port: u16, way: Way, channel: i64) -> Result<Writer> {
        let stream = TcpStream::connect(("127.0.0.1", port)).await?;
        stream.set_nodelay(true)?;
        let path = match way {
            Way::Mainstay => "/api/Signal",
            Way::PocketBase => "/api/collections/signals/records",
        };
        Ok(Writer { stream, path, channel })
    }

    /// Writes at a pace; one that is late is not made up for by haste.
    pub(super) async fn write(&mut self, pace: Pace) -> Result<Written> {
        let mut times = Vec::with_capacity(pace.count);
        for _ in 0..pace.count {
            let began = Instant::now();
            self.one().await?;
            times.push(began.elapsed());
            let rest = Duration::from_secs_f64(1.0 / pace.per_second).saturating_sub(began.elapsed());
            if !rest.is_zero() {
                tokio::time::sleep(rest).await;
            }
        }
        times.sort_unstable();
        Ok(Written { times })
    }

    async fn one(&mut self) -> Result<()> {
        let row = json!({"channel": self.channel, "sent": now_us(), "text": "Somebody has to come to the main stage."});
        let (path, body) = (self.path, row.to_string());
        let request = format!(
            "POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        self.stream.write_all(request.as_bytes()).await?;
        let mut answer = Vec::new();
        loop {
            if self.stream.read_buf(&mut answer).await? == 0 {
                bail!("the server has hung up");
            }
            let text = String::from_utf8_lossy(&answer);
            let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
            let head = head.to_ascii_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
            let length: usize = length.context("no length")?.trim().parse()?;
            if body.len() >= length {
                if !head.starts_with("http/1.1 2") {
                    bail!("{text}");
                }
                return Ok(());
            }
        }
    }
}
