//! Requests of every common kind, each some hundred times, for a machine that counts instructions: `cargo xtask instructions`.
//!
//! Requests go to the service that a server gives its connections, in this process and without sockets, on a database in memory. What is
//! counted is what happens in [`counted`], on all threads: one call for each kind, in the order in which their names and numbers are
//! printed. It knows nothing of who counts, and runs by itself as well.
//!
//! Whatever could differ between two runs is the same in each: the rows, the order of requests, one thread for all of them. Each kind is
//! asked before it is counted until caches are full.

#[path = "instructions/client.rs"]
mod client;
#[path = "instructions/requests.rs"]
mod requests;
#[path = "instructions/rows.rs"]
mod rows;

use std::future::Future;
use std::pin::Pin;

use anyhow::Result;
use mainstay::App;
use mainstay::axum::body::Body;
use mainstay::axum::http::Request;
use mainstay::test::TestApp;
use tokio::runtime::{Builder, Runtime};

use crate::client::{Client, Listener};
use crate::requests::{Answer, KINDS, listened};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The app that is asked.
const APP: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/instructions/app");

/// How many listen.
const LISTENERS: usize = 1000;

fn main() -> Result<()> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let app = App::open(APP)?;
    let client = runtime.block_on(async {
        let app = TestApp::start(app).await;
        rows::make(&app).await;
        Client::new(app).await
    })?;
    let mut listeners = Vec::new();
    for kind in KINDS {
        if let Answer::Told = kind.answer {
            listeners = runtime.block_on(listen(&client))?;
        }
        let mut requests: Vec<_> =
            (0..kind.warm + kind.count).map(|at| (kind.request)(&client, at)).collect();
        let rest = requests.split_off(kind.warm);
        runtime.block_on(ask(&client, requests, &mut listeners))?;
        let told = listeners.get_mut(kind.warm..).unwrap_or_default();
        counted(&runtime, Box::pin(ask(&client, rest, told)))?;
        output(kind.name, kind.count);
    }
    Ok(())
}

/// Instructions are counted from here to its end.
#[inline(never)]
fn counted(runtime: &Runtime, work: Pin<Box<dyn Future<Output = Result<()>> + '_>>) -> Result<()> {
    runtime.block_on(work)
}

/// Asks one after the other. Where somebody listens, each request is for one of them, who is told before the next is asked.
async fn ask(client: &Client, requests: Vec<Request<Body>>, listeners: &mut [Listener]) -> Result<()> {
    let mut listeners = listeners.iter_mut();
    for request in requests {
        client.done(request).await?;
        if let Some(listener) = listeners.next() {
            listener.next().await?;
        }
    }
    Ok(())
}

async fn listen(client: &Client) -> Result<Vec<Listener>> {
    let mut listeners = Vec::new();
    for team in 0..LISTENERS {
        listeners.push(client.listen(&listened(team)).await?);
    }
    Ok(listeners)
}

#[expect(clippy::print_stdout, reason = "a program that is asked for names and numbers")]
fn output(name: &str, count: usize) {
    println!("{name} {count}");
}
