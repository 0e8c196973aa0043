//! Any text is compiled as a caller's filter, value and aggregate; what compiles is run as one.

#![no_main]

use libfuzzer_sys::fuzz_target;
use mainstay_engine::part::{Document, Entry, Operation, Part};
use mainstay_fuzz::World;
use mainstay_lang::filter::{compile_aggregate, compile_filter, compile_value};

thread_local! {
    static WORLD: World = World::open();
}

fuzz_target!(|text: &str| {
    WORLD.with(|world| {
        let schema = world.engine.schema();
        let task = schema.table_named("Task").expect("declared in world.stay").id;
        let _value = compile_value(schema, task, text);
        let _aggregate = compile_aggregate(schema, task, text);
        if compile_filter(schema, task, text).is_ok() {
            let part = Part {
                path: "/Task".to_owned(),
                keywords: vec!["where"],
                filter: Some(text.to_owned()),
                ..Part::default()
            };
            let entry = Entry { table: "Task".to_owned(), parts: vec![part] };
            let documents = vec![Document { entries: vec![entry] }];
            world.run(&Operation { documents, ..Operation::default() });
        }
    });
});
