//! Any text is read, checked and laid out without a crash; what can be laid out is laid out the same again.

#![no_main]

use libfuzzer_sys::fuzz_target;
use mainstay_lang::analyse::analyse;
use mainstay_lang::diagnostic::render;
use mainstay_lang::format::format;

fuzz_target!(|text: &str| {
    let mut sources = mainstay_engine::prelude::load(mainstay_lang::source::Sources::default());
    sources.add("fuzz.stay", text);
    let analysis = analyse(&sources);
    // Pointing at a place must work for every place that a diagnostic names.
    let _words = render(&sources, &analysis.diagnostics, false);
    if let Ok(once) = format(text) {
        let twice = format(&once).expect("what was laid out can be read");
        assert_eq!(once, twice, "laying out again changes nothing");
    }
});
