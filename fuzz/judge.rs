//! What is fuzzed: bytes as a scenario file, through everything that happens before a run.
//!
//! Shared by the target of `cargo fuzz` and by the fixed corpus of the tests.

use std::path::Path;
use std::sync::Arc;

use sandbench::source::{Colour, SourceFile, render_all};
use sandbench::{plan, scenario};

/// Reads, checks and plans a file; panics where sandbench would.
pub fn judge(bytes: &[u8]) {
    // `SourceFile::load` refuses what is not UTF-8.
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let file = SourceFile::from_text("fuzzed.yaml", text);
    // Whatever file it uses is this same text: so that uses of uses come about.
    let file = scenario::with_used(file, |path: &Path| {
        Ok(SourceFile::from_text(path.to_string_lossy(), text))
    });
    let (document, problems) = scenario::parse(&file);
    assert_eq!(document.is_none(), problems.has_errors());
    let shown = render_all(&file, &problems, Colour::Plain);
    assert!(shown.len() < 1 << 20, "{} bytes of diagnosis", shown.len());
    let Some(document) = document else { return };
    let file = Arc::new(file);
    let overrides = plan::Overrides {
        run_id: "r-0123456789abcdef".to_owned(),
        seed: 7,
        ..plan::Overrides::default()
    };
    if let Err(problems) = plan::resolve(&document, &file, &overrides) {
        assert!(problems.has_errors());
        render_all(&file, &problems, Colour::Plain);
    }
}
