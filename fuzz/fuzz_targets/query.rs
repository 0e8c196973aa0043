//! Any bytes are read as a query document and, when they are one, run: whatever they ask, the server is not at fault.

#![no_main]

use libfuzzer_sys::fuzz_target;
use mainstay_engine::document::{parse, parse_rows};
use mainstay_engine::part::Operation;
use mainstay_fuzz::World;

thread_local! {
    static WORLD: World = World::open();
}

fuzz_target!(|body: &[u8]| {
    let _rows = parse_rows(body);
    if let Ok(documents) = parse(body) {
        let operation = Operation { documents, explain: true, ..Operation::default() };
        WORLD.with(|world| world.run(&operation));
    }
});
