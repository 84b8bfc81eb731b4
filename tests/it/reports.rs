//! Reports as people use them: of every kind, later, of a run that was killed, of several generators; and
//! progress on terminals, in logs and in a browser.

mod tests {
    use std::fs::{self, File};
    use std::io::{BufRead as _, BufReader, Read as _, Write as _};
    use std::net::TcpStream;
    use std::path::{Path, PathBuf};
    use std::process::{Command, Stdio};
    use std::time::{Duration, Instant};

    use rustix::process::{Pid, Signal, kill_process};
    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
    use rustix::termios::{Winsize, tcsetwinsize};
    use sandbench::metrics::Verdict;

    use crate::program::{Ended, Place, result, samples};

    const KINDS: [&str; 8] = [
        "json", "jsonl", "html", "junit", "md", "csv", "prom", "hlog",
    ];

    /// A load of so many iterations that each take a while.
    fn scenario(load: &str, command: &str) -> String {
        format!(
            "version: 1\nname: reported\ntarget: {{ warmPool: p, mode: in-cluster-pod-ip }}\n\
             scenarios:\n  reported:\n    load: {load}\n    steps:\n      - create: {{}}\n      - exec: {command}\n        expect: {{ stdout: \"a\\n\" }}\n"
        )
    }

    fn quick(place: &Place) -> PathBuf {
        place.file(
            "quick.yaml",
            &scenario("{ vus: 2, iterations: 12 }", "echo a"),
        )
    }

    /// One that runs until it is stopped.
    fn long(place: &Place) -> PathBuf {
        let load = "{ vus: 2, duration: 10m, gracefulStop: 1s }";
        place.file("long.yaml", &scenario(load, "sh -c 'sleep 0.2; echo a'"))
    }

    fn text(path: &Path) -> String {
        path.to_str().unwrap().to_owned()
    }

    fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
        let deadline = Instant::now() + Duration::from_secs(90);
        while !holds() {
            assert!(Instant::now() < deadline, "not within 90 s: {what}");
            std::thread::yield_now();
        }
    }

    #[test]
    fn every_kind_is_written_and_made_again_from_the_result_alone() {
        let place = Place::new();
        let file = quick(&place);
        let mut arguments = vec!["run".to_owned(), text(&file)];
        for kind in KINDS {
            let path = place.path(&format!("run.{kind}"));
            arguments.extend(["--out".to_owned(), format!("{kind}={}", path.display())]);
        }
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        place.run(&arguments).assert_code(0);
        assert!(!place.path("run.json.partial.jsonl").exists());
        let summary = result(&place.path("run.json"));
        assert_eq!(samples(&summary, 0, "exec_duration"), 12);
        let windows = summary.cells[0].windows.iter();
        assert_eq!(windows.map(|window| window.iterations).sum::<u64>(), 12);
        for from in ["json", "jsonl"] {
            for kind in KINDS {
                let out = place.path(&format!("again.{kind}"));
                let saved = text(&place.path(&format!("run.{from}")));
                let out_argument = format!("{kind}={}", out.display());
                place
                    .run(&["report", &saved, "--out", &out_argument])
                    .assert_code(0);
                let first = fs::read_to_string(place.path(&format!("run.{kind}"))).unwrap();
                assert_eq!(fs::read_to_string(&out).unwrap(), first, "{kind} of {from}");
            }
        }
        place.assert_nothing_left();
    }

    #[test]
    fn a_run_that_was_killed_is_reported_from_its_windows() {
        let place = Place::new();
        let file = long(&place);
        let out = place.path("killed.json");
        let partial = place.path("killed.json.partial.jsonl");
        let argument = format!("json={}", out.display());
        let mut child = place.start(&["run", &text(&file), "--out", &argument]);
        wait_until("three windows on disk", || {
            let lines = fs::read_to_string(&partial).unwrap_or_default();
            lines.matches("\"kind\":\"window\"").count() >= 3
        });
        child.kill().unwrap();
        child.wait().unwrap();
        place
            .run(&["report", &text(&out)])
            .assert_code(104)
            .assert_says("killed.json.partial.jsonl");
        let json = place.path("report.json");
        let html = place.path("report.html");
        let ended = place.run(&[
            "report",
            &text(&partial),
            "--out",
            &format!("json={}", json.display()),
            "--out",
            &format!("html={}", html.display()),
        ]);
        ended.assert_code(0);
        let summary = result(&json);
        assert_eq!(summary.verdict, Verdict::Interrupted);
        assert!(summary.cells[0].iterations_passed > 0);
        assert!(samples(&summary, 0, "exec_duration") >= summary.cells[0].iterations_passed);
        assert!(
            summary.doubt.reasons[0].contains("cut off"),
            "{:?}",
            summary.doubt
        );
        assert!(fs::read_to_string(&html).unwrap().contains("cut off"));
        place
            .run(&["report", &text(&partial)])
            .assert_code(0)
            .assert_says("STOPPED reported");
        place.assert_nothing_left();
    }

    #[test]
    fn a_file_that_is_no_result_is_refused_with_what_it_is() {
        let place = Place::new();
        let example = concat!(env!("CARGO_MANIFEST_DIR"), "/reports/example.json");
        let example = fs::read_to_string(example).unwrap();
        let newer = example.replacen("\"format_version\": 1", "\"format_version\": 7", 1);
        let cases = [
            ("empty", "", "the file is empty"),
            ("cut", &example[..example.len() / 3], "ends in the middle"),
            ("yaml", "version: 1\n", "is no JSON"),
            ("foreign", "{\"items\": []}", "no result of sandbench"),
            ("newer", &newer, "format version 7"),
        ];
        for (name, content, says) in cases {
            let file = text(&place.file(name, content));
            for command in ["report", "merge"] {
                let mut arguments = vec![command, &file];
                if command == "merge" {
                    arguments.push(&file);
                }
                place.run(&arguments).assert_code(104).assert_says(says);
            }
        }
        place
            .run(&["report", "nowhere.json"])
            .assert_code(104)
            .assert_says("nowhere.json");
        place.run(&["report", "/"]).assert_code(104);
    }

    #[test]
    fn results_of_two_generators_add_up() {
        let place = Place::new();
        let file = text(&quick(&place));
        let results = ["a.json", "b.json"].map(|name| text(&place.path(name)));
        for path in &results {
            place
                .run(&["run", &file, "--out", &format!("json={path}")])
                .assert_code(0);
        }
        let sum = place.path("sum.json");
        let out = format!("json={}", sum.display());
        place
            .run(&["merge", &results[0], &results[1], "--out", &out])
            .assert_code(0);
        let merged = result(&sum);
        assert_eq!(samples(&merged, 0, "exec_duration"), 24);
        assert_eq!(merged.cells[0].iterations_passed, 24);
        assert_eq!(merged.run.parts.len(), 2);
        place
            .run(&["merge", &results[0], &results[0]])
            .assert_code(2)
            .assert_says("is there twice");
    }

    #[test]
    fn a_path_that_cannot_be_written_ends_the_run_before_it_begins() {
        let place = Place::new();
        let file = text(&quick(&place));
        let ended = place.run(&["run", &file, "--out", "html=/proc/nowhere/r.html"]);
        ended.assert_code(2).assert_says("/proc/nowhere/r.html");
        assert!(!ended.stderr.contains("running"), "{}", ended.stderr);
    }

    #[test]
    fn a_full_disk_is_told_and_the_other_reports_are_written() {
        let place = Place::new();
        let file = text(&quick(&place));
        let html = place.path("r.html");
        let ended = place.run(&[
            "run",
            &file,
            "--out",
            "json=/dev/full",
            "--out",
            &format!("html={}", html.display()),
        ]);
        ended
            .assert_code(96)
            .assert_says("/dev/full")
            .assert_says("PASS reported");
        ended.assert_says("r.html.partial.jsonl");
        assert!(fs::read_to_string(&html).unwrap().contains("</html>"));
        place.assert_nothing_left();
    }

    #[test]
    fn a_reader_that_has_gone_is_no_failure() {
        let place = Place::new();
        let example = concat!(env!("CARGO_MANIFEST_DIR"), "/reports/example.json");
        let script = format!(
            "set -o pipefail; {} report {example} --out html=- | head -c 10",
            env!("CARGO_BIN_EXE_sandbench")
        );
        let mut command = Command::new("bash");
        command.arg("-c").arg(script).env("HOME", place.path(""));
        let ended = Ended::of(&command.output().unwrap());
        ended.assert_code(0);
        assert_eq!(ended.stdout.len(), 10);
        assert!(!ended.stderr.contains("panicked"), "{}", ended.stderr);
    }

    #[test]
    fn several_files_have_reports_of_their_own() {
        let place = Place::new();
        let (one, other) = (quick(&place), place.path("other.yaml"));
        fs::copy(&one, &other).unwrap();
        let (one, other) = (text(&one), text(&other));
        let same = format!("junit={}", place.path("r.xml").display());
        place
            .run(&["run", &one, &other, "--out", &same])
            .assert_code(2)
            .assert_says("{name}");
        let named = format!("junit={}", place.path("r-{name}.xml").display());
        place
            .run(&["run", &one, &other, "--out", &named])
            .assert_code(0);
        for name in ["r-quick.xml", "r-other.xml"] {
            let xml = fs::read_to_string(place.path(name)).unwrap();
            assert!(xml.contains("<testsuite name=\"reported\""), "{xml}");
        }
    }

    #[test]
    fn github_gets_its_summary_and_the_places_of_the_failures() {
        let place = Place::new();
        let wrong = scenario("{ vus: 2, iterations: 4 }", "echo b");
        let file = place.file("wrong.yaml", &wrong);
        let summary = place.path("summary.md");
        fs::write(&summary, "before\n").unwrap();
        let output = place
            .command()
            .args(["run", &text(&file)])
            .env("GITHUB_ACTIONS", "true")
            .env("GITHUB_STEP_SUMMARY", &summary)
            .env("GITHUB_WORKSPACE", place.path("").canonicalize().unwrap())
            .output()
            .unwrap();
        let ended = Ended::of(&output);
        ended.assert_code(100);
        let annotations: Vec<&str> = ended
            .stderr
            .lines()
            .filter(|line| line.starts_with("::error "))
            .collect();
        assert_eq!(annotations.len(), 1, "{}", ended.stderr);
        assert!(
            annotations[0].starts_with("::error file=wrong.yaml,line=10,col=27,"),
            "{annotations:?}"
        );
        let markdown = fs::read_to_string(&summary).unwrap();
        assert!(
            markdown.starts_with("before\n## ❌ FAIL reported"),
            "{markdown}"
        );
    }

    /// The program on a terminal of this size; what it wrote until `until` was on the screen and `then`
    /// was typed, and until its end.
    fn on_terminal((columns, rows): (u16, u16), place: &Place, file: &Path) -> String {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap();
        let slave: File = File::options()
            .read(true)
            .write(true)
            .open(name.to_str().unwrap())
            .unwrap();
        let size = Winsize {
            ws_row: rows,
            ws_col: columns,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        tcsetwinsize(&slave, size).unwrap();
        let end = |file: &File| Stdio::from(file.try_clone().unwrap());
        let mut child = Command::new("setsid")
            .args(["-c", env!("CARGO_BIN_EXE_sandbench"), "run", &text(file)])
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", place.path(""))
            .env("TMPDIR", place.path("tmp"))
            .env("TERM", "xterm")
            .stdin(end(&slave))
            .stderr(end(&slave))
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        drop(slave);
        let mut screen = File::from(master);
        let mut shown = String::new();
        let mut typed = false;
        let mut stopped = false;
        let mut buffer = [0_u8; 4096];
        // The terminal is gone when the program is: reading then fails.
        while let Ok(read @ 1..) = screen.read(&mut buffer) {
            shown.push_str(&String::from_utf8_lossy(&buffer[..read]));
            if !typed && shown.contains("reported") {
                typed = screen.write_all(b"t").is_ok();
            }
            let answered = shown.contains(" in flight\r\n") || shown.contains("long.yaml:");
            if typed && answered && !stopped && shown.matches("reported").count() > 20 {
                stopped = true;
                screen.write_all(&[3]).unwrap();
            }
        }
        child.wait().unwrap();
        shown
    }

    /// What stands in one line of the screen, without the sequences that move the cursor or colour.
    fn lines(shown: &str) -> Vec<String> {
        let mut plain = String::new();
        let mut characters = shown.chars().peekable();
        while let Some(c) = characters.next() {
            if c != '\u{1b}' {
                plain.push(c);
                continue;
            }
            characters.next_if_eq(&'[');
            // Whatever moves the cursor begins a piece of its own.
            let last = characters.find(char::is_ascii_alphabetic);
            plain.push_str(if last == Some('m') { "" } else { "\n" });
        }
        plain.split(['\n', '\r']).map(str::to_owned).collect()
    }

    #[test]
    fn on_a_terminal_there_are_live_lines_and_t_tells_what_is_in_flight() {
        let place = Place::new();
        let file = long(&place);
        let shown = on_terminal((100, 24), &place, &file);
        assert!(shown.contains("in flight"), "{shown}");
        assert!(
            shown.contains("long.yaml:"),
            "no line of the file in\n{shown}"
        );
        assert!(shown.contains("interrupted: no new iterations"), "{shown}");
        place.assert_nothing_left();
    }

    #[test]
    fn a_narrow_terminal_has_lines_that_fit() {
        let place = Place::new();
        let file = long(&place);
        let shown = on_terminal((20, 10), &place, &file);
        let live = lines(&shown);
        let live: Vec<&String> = live
            .iter()
            .filter(|line| line.starts_with("reported"))
            .collect();
        assert!(live.len() > 5, "{shown}");
        // A row that is full goes on in the next one without a line break: its last column is free.
        for line in live.iter().filter(|line| !line.starts_with("reported:")) {
            let row: String = line.chars().take(20).collect();
            assert!(row.trim_end().chars().count() < 20, "{line:?}");
        }
        place.assert_nothing_left();
    }

    #[test]
    fn in_a_log_there_is_a_line_per_stage_and_a_signal_tells_what_is_in_flight() {
        let place = Place::new();
        let file = long(&place);
        let mut child = place.start(&["run", &text(&file), "--color", "never"]);
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let mut said = String::new();
        while !said.contains("running  reported") {
            assert!(stderr.read_line(&mut said).unwrap() > 0, "{said}");
        }
        let pid = Pid::from_child(&child);
        kill_process(pid, Signal::USR1).unwrap();
        while !said.contains(" in flight") {
            assert!(stderr.read_line(&mut said).unwrap() > 0, "{said}");
        }
        kill_process(pid, Signal::INT).unwrap();
        stderr.read_to_string(&mut said).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(105));
        assert!(!said.contains('\x1b') && !said.contains('\r'), "{said:?}");
        assert!(said.lines().count() < 20, "{said}");
        place.assert_nothing_left();
    }

    fn get(address: &str, path: &str) -> (String, TcpStream) {
        let mut stream = TcpStream::connect(address).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(30)))
            .unwrap();
        let request =
            format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        let mut first = String::new();
        BufReader::new(stream.try_clone().unwrap())
            .read_line(&mut first)
            .unwrap();
        (first, stream)
    }

    #[test]
    fn a_browser_sees_the_run_if_it_has_the_link() {
        let place = Place::new();
        let file = long(&place);
        let mut child = place.start(&["run", &text(&file), "--web", "127.0.0.1:0"]);
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let mut said = String::new();
        while !said.contains("http://") {
            assert!(stderr.read_line(&mut said).unwrap() > 0, "{said}");
        }
        let link = said.split("http://").nth(1).unwrap().trim().to_owned();
        let (address, token) = link.split_once('/').unwrap();
        assert!(get(address, "/").0.contains(" 404 "));
        assert!(get(address, "/00000000/events").0.contains(" 404 "));
        assert!(get(address, &format!("/{token}")).0.contains(" 200 "));
        let (status, stream) = get(address, &format!("/{token}events"));
        assert!(status.contains(" 200 "), "{status}");
        let mut events = BufReader::new(stream);
        let mut seen = String::new();
        while !seen.contains("\"in_flight\":2") {
            assert!(events.read_line(&mut seen).unwrap() > 0, "{seen}");
        }
        kill_process(Pid::from_child(&child), Signal::INT).unwrap();
        stderr.read_to_string(&mut said).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(105));
        place
            .run(&["run", &text(&file), "--web", "0.0.0.0:0"])
            .assert_code(2)
            .assert_says("--web-anywhere");
        place.assert_nothing_left();
    }
}
