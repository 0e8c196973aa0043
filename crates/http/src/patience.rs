//! A connection whose other end takes what is sent to it, or is closed: who reads slowly is waited for, who reads nothing is not.
//!
//! Time counts while something waits to be sent and none of it is taken. How much there is of it does not matter, so a slow line gets even
//! a long answer. It knows nothing of what travels; answers, events and frames of sockets are all the same to it.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Sleep, sleep};

/// Bytes that the system takes before they are on their way: as long as there are more it says that there is no room, and each few
/// thousand that go make some. Without this bound it takes megabytes, says so once a third of them has gone, and whoever reads slowly
/// seems to read nothing for minutes.
const UNSENT_BYTES_MAX: u32 = 128 << 10;

/// A connection, and how long it waits for its other end.
pub(crate) struct Patient<S> {
    io: S,
    patience: Duration,
    /// Since the last attempt to send found no room: when that has lasted too long.
    stalled: Option<Pin<Box<Sleep>>>,
}

impl<S> Patient<S> {
    pub(crate) fn new(io: S, patience: Duration) -> Patient<S> {
        Patient { io, patience, stalled: None }
    }

    fn judge<T>(&mut self, context: &mut Context<'_>, sent: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if sent.is_ready() {
            self.stalled = None;
            return sent;
        }
        let patience = self.patience;
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(sleep(patience)));
        ready!(stalled.as_mut().poll(context));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "nothing of what was sent is taken")))
    }
}

/// Lets the system say soon that some of what waited has gone, where it can.
pub(crate) fn bound_unsent(stream: &TcpStream) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    socket2::SockRef::from(stream).set_tcp_notsent_lowat(UNSENT_BYTES_MAX)?;
    Ok(())
}

impl<S: AsyncRead + Unpin> AsyncRead for Patient<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(context, into)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Patient<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let sent = Pin::new(&mut self.io).poll_write(context, bytes);
        self.judge(context, sent)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let sent = Pin::new(&mut self.io).poll_write_vectored(context, pieces);
        self.judge(context, sent)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;
    use std::pin::pin;
    use std::task::Waker;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

    use super::*;

    #[tokio::test]
    async fn who_takes_nothing_is_given_up() {
        let (near, far) = duplex(16);
        let mut patient = Patient::new(near, Duration::from_millis(20));
        let sent = patient.write_all(&[0; 64]).await;
        assert_eq!(sent.unwrap_err().kind(), ErrorKind::TimedOut);
        drop(far);
    }

    #[tokio::test]
    async fn who_takes_a_little_is_waited_for_anew() {
        let (near, mut far) = duplex(16);
        let mut patient = Patient::new(near, Duration::from_secs(3600));
        let mut context = Context::from_waker(Waker::noop());
        assert_eq!(patient.write(&[0; 16]).await.unwrap(), 16);
        for _ in 0..3 {
            assert!(pin!(patient.write(&[0; 16])).poll(&mut context).is_pending());
            let since = patient.stalled.as_ref().unwrap().deadline();
            assert!(pin!(patient.write(&[0; 16])).poll(&mut context).is_pending());
            assert_eq!(patient.stalled.as_ref().unwrap().deadline(), since, "one wait");
            far.read_exact(&mut [0; 1]).await.unwrap();
            assert_eq!(patient.write(&[0; 16]).await.unwrap(), 1);
            assert!(patient.stalled.is_none());
        }
    }
}
