//! The store on real files: writes, reads, encodings, opening, several processes. One binary, which links once.

#![expect(clippy::unwrap_used, reason = "a step that fails is a test that fails")]

mod store {
    mod copies;
    mod encodings;
    mod faults;
    mod neighbours;
    mod opening;
    mod pooler;
    mod processes;
    mod reads;
    mod replica;
    mod replication;
    mod speed;
    mod speed_postgres;
    mod support;
    mod tail;
    mod tls;
    mod writes;
}
