//! Every file in `scenarios/invalid/` is refused with exactly the diagnosis in the `.stderr` file
//! beside it. `SANDBENCH_BLESS=1 cargo test --test it invalid` writes the diagnoses anew; look at
//! the difference before you commit it.

use std::fs;
use std::path::{Path, PathBuf};

use sandbench::source::{Colour, render_all};
use sandbench::{plan, scenario};

/// The diagnosis of a file as `sandbench check` prints it, with paths below `directory`.
fn diagnosis(directory: &Path, path: &Path) -> String {
    let text = match scenario::open(path) {
        Err(error) => {
            let help = error
                .help()
                .map(|help| format!("  = help: {help}\n"))
                .unwrap_or_default();
            format!("error: failed to {error}\n{help}")
        }
        Ok(file) => {
            let (scenario, mut problems) = scenario::parse(&file);
            if let Some(scenario) = scenario {
                problems = plan::check_data(&scenario, &file);
            }
            assert!(problems.has_errors(), "{} is accepted", path.display());
            render_all(&file, &problems, Colour::Plain)
        }
    };
    let prefix = format!("{}/", directory.display());
    text.replace(&prefix, "")
}

/// Every scenario file below a directory, those in `invalid` left out.
pub(crate) fn valid_files(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).expect("the directory exists") {
        let path = entry.expect("an entry").path();
        if path.is_dir() && !path.ends_with("invalid") {
            valid_files(&path, found);
        } else if path
            .extension()
            .is_some_and(|extension| extension == "yaml")
        {
            found.push(path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_other_scenario_is_valid() {
        let directory = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("scenarios");
        let mut files = Vec::new();
        valid_files(&directory, &mut files);
        assert!(!files.is_empty());
        for path in files {
            let file = scenario::open(&path).expect("it can be read");
            let (scenario, problems) = scenario::parse(&file);
            let complaints = render_all(&file, &problems, Colour::Plain);
            assert!(scenario.is_some() && problems.is_empty(), "{complaints}");
        }
    }

    #[test]
    fn every_invalid_scenario_gets_exactly_its_diagnosis() {
        let directory = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("scenarios/invalid");
        let bless = std::env::var_os("SANDBENCH_BLESS").is_some();
        let mut files: Vec<PathBuf> = fs::read_dir(&directory)
            .expect("the directory exists")
            .map(|entry| entry.expect("an entry").path())
            .filter(|path| {
                path.extension()
                    .is_some_and(|extension| extension == "yaml")
            })
            .collect();
        files.sort();
        assert!(files.len() >= 60, "only {} cases", files.len());
        let mut wrong = Vec::new();
        for path in &files {
            let actual = diagnosis(&directory, path);
            let expected_path = path.with_extension("stderr");
            if bless {
                fs::write(&expected_path, &actual).expect("the diagnosis can be written");
                continue;
            }
            let expected = fs::read_to_string(&expected_path).unwrap_or_default();
            if actual != expected {
                wrong.push(format!(
                    "{}\n--- expected\n{expected}\n--- actual\n{actual}",
                    path.display()
                ));
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }
}
