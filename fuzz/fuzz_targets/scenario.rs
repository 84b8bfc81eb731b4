//! `cargo fuzz run scenario`: any bytes as a scenario file. `fuzz/seeds` makes the corpus.
#![no_main]

#[path = "../judge.rs"]
mod judge;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| judge::judge(bytes));
