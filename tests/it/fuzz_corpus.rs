//! Mutations of every scenario go through all that happens before a run: no panic, bounded memory.
//!
//! They are the same each time. `SANDBENCH_FUZZ_SECONDS=600 cargo test --test it fuzz_corpus` goes on
//! with others for so long; `fuzz/` has the same target for `cargo fuzz`.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use allocation_counter::measure;
use rand::rngs::SmallRng;
use rand::seq::IndexedRandom as _;
use rand::{RngExt as _, SeedableRng as _};

#[path = "../../fuzz/judge.rs"]
mod target;

/// Mutations of each file.
const EACH: u64 = 12;
/// The most memory that a file of the corpus, a few KiB, may take at a time.
const MOST_BYTES: u64 = 48 << 20;
/// Pieces of the language that chance alone does not make.
const WORDS: &[&str] = &[
    "${{ ",
    " }}",
    "${{ vars.a }}",
    "vars.",
    "steps.x.stdout",
    "- use: \"#one\"\n",
    "use: a.yaml#one",
    "with: { a: 1 }",
    "matrix:",
    "include:",
    "exclude:",
    "- create: {}\n",
    "repeat: 1000000",
    "forEach: [1, 2]",
    "eventually: 1s",
    "retries: 100",
    "finally:",
    "setup:",
    "data: x.csv",
    "load: { vus: 1 }",
    "load: { rate: 5/s, duration: 1s }",
    "stages: []",
    "thresholds:",
    "failures: rate < 1%",
    "expect: { that: true }",
    "not: { not: ",
    "in: []",
    "collect: [events]",
    "parallel: x",
    "group: x",
    "steps:",
    "[[[[[[[[",
    "{{{{{{{{",
    "99999999999999999999",
    "-1",
    "1e999",
    "0s",
    "365d",
    "\u{feff}",
    "\t",
    "\r\n",
    "é",
    "\"",
    "'",
    "|",
    ">",
    "#",
    "---",
    "? ",
    ": ",
    "!!str ",
];

fn seeds(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).expect("the directory exists") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            seeds(&path, found);
        } else if path
            .extension()
            .is_some_and(|extension| extension == "yaml")
        {
            found.push(path);
        }
    }
}

/// One to four changes of a text.
fn mutated(seeds: &[Vec<u8>], seed: &[u8], rng: &mut SmallRng) -> Vec<u8> {
    let mut text = seed.to_vec();
    for _ in 0..rng.random_range(1..=4) {
        let at = rng.random_range(0..=text.len());
        let length = rng.random_range(0..=24).min(text.len() - at);
        match rng.random_range(0..8) {
            0 => drop(text.drain(at..at + length)),
            1 => {
                let word = WORDS.choose(rng).copied().unwrap_or_default();
                text.splice(at..at, word.bytes());
            }
            2 => {
                let word = WORDS.choose(rng).copied().unwrap_or_default();
                text.splice(at..at + length, word.bytes());
            }
            3 => text.truncate(at),
            4 => {
                let copy: Vec<u8> = text[at..at + length].to_vec();
                let to = rng.random_range(0..=text.len());
                text.splice(to..to, copy);
            }
            5 => {
                let other = seeds.choose(rng).map_or(seed, Vec::as_slice);
                let from = rng.random_range(0..=other.len());
                let end = (from + rng.random_range(0..=200)).min(other.len());
                text.splice(at..at, other[from..end].iter().copied());
            }
            6 => {
                let mut lines: Vec<Vec<u8>> =
                    text.split(|b| *b == b'\n').map(<[u8]>::to_vec).collect();
                let (a, b) = (
                    rng.random_range(0..lines.len()),
                    rng.random_range(0..lines.len()),
                );
                lines.swap(a, b);
                text = lines.join(&b'\n');
            }
            _ => {
                if let Some(byte) = text.get_mut(at) {
                    *byte = rng.random_range(b' '..=b'~');
                }
            }
        }
    }
    text.truncate(16 << 10);
    text
}

/// Judges a text; its own words for whoever looks for it again.
fn judge(text: &[u8], from: &str) {
    let used = std::panic::catch_unwind(|| measure(|| target::judge(text)));
    let shown = String::from_utf8_lossy(text);
    let used = used.unwrap_or_else(|_| panic!("panicked on a mutation of {from}:\n{shown}"));
    assert!(
        used.bytes_max < MOST_BYTES,
        "{} bytes for a mutation of {from}:\n{shown}",
        used.bytes_max
    );
}

#[test]
fn mutations_of_every_scenario_neither_panic_nor_take_much_memory() {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let mut paths = Vec::new();
    seeds(&root.join("scenarios"), &mut paths);
    seeds(&root.join("src/cli/examples"), &mut paths);
    paths.sort();
    let read = |path: &PathBuf| fs::read(path).expect("it can be read");
    let all: Vec<Vec<u8>> = paths.iter().map(read).collect();
    let seconds: u64 = std::env::var_os("SANDBENCH_FUZZ_SECONDS")
        .and_then(|text| text.into_string().ok()?.parse().ok())
        .unwrap_or(0);
    let until = Instant::now() + Duration::from_secs(seconds);
    let (mut round, mut count) = (0_u64, 0_u64);
    while round == 0 || Instant::now() < until {
        for (number, (path, seed)) in (0_u64..).zip(paths.iter().zip(&all)) {
            let mut rng = SmallRng::seed_from_u64(round << 32 | number);
            for _ in 0..EACH {
                judge(&mutated(&all, seed, &mut rng), &path.to_string_lossy());
                count += 1;
            }
        }
        round += 1;
    }
    println!("{count} mutations of {} files", paths.len());
}
