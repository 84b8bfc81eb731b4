//! The truth test: a server that freezes for one second in every five. Under arrivals at a constant rate
//! the latency from the planned start is then known: a fifth of the arrivals wait evenly between 0 and
//! 1 s, so p95 is 750 ms and p99 is 950 ms beyond the usual. A generator that waits for its answers sees
//! almost nothing of it. The test takes real time, since sockets, processes and freezes do.

mod tests {
    use std::net::SocketAddr;
    use std::time::{Duration, Instant};

    use sandbench::metrics::{Reliability, Statistics, Summary, Warning};
    use serde_json::json;
    use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
    use tokio::net::{TcpListener, TcpStream};
    use tokio::task::JoinSet;

    use crate::cluster::Running;
    use crate::program::{Ended, Place, result};

    const EVERY: Duration = Duration::from_secs(5);
    const FROZEN: Duration = Duration::from_secs(1);

    /// How long the freeze of this moment still lasts.
    fn frozen(began: Instant) -> Duration {
        let nanos = began.elapsed().as_nanos() % EVERY.as_nanos();
        let inside = Duration::from_nanos(u64::try_from(nanos).unwrap());
        FROZEN.saturating_sub(inside)
    }

    /// Answers requests on one connection, none while it is frozen.
    async fn answer(stream: TcpStream, began: Instant) -> std::io::Result<()> {
        stream.set_nodelay(true)?;
        let mut stream = BufReader::new(stream);
        loop {
            let mut length = 0_usize;
            loop {
                let mut line = String::new();
                if stream.read_line(&mut line).await? == 0 {
                    return Ok(());
                }
                let line = line.trim().to_ascii_lowercase();
                if let Some(value) = line.strip_prefix("content-length:") {
                    length = value.trim().parse().unwrap();
                }
                if line.is_empty() {
                    break;
                }
            }
            let mut body = vec![0; length];
            stream.read_exact(&mut body).await?;
            tokio::time::sleep(frozen(began)).await;
            let body = json!({ "stdout": "hello\n", "stderr": "", "exit_code": 0 }).to_string();
            let head = format!(
                "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
                body.len()
            );
            stream.write_all(format!("{head}{body}").as_bytes()).await?;
        }
    }

    /// A router that freezes; ends with the set.
    async fn freezing_router() -> (SocketAddr, JoinSet<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let began = Instant::now();
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(answer(stream, began));
            }
        });
        (address, tasks)
    }

    async fn run(load: &str) -> Summary {
        let place = Place::new();
        let running = Running::start(&place).await;
        running.pool("p", 40, json!({})).await;
        let (address, _router) = freezing_router().await;
        let text = format!(
            "version: 1\nname: honest\ntarget: {{ warmPool: p, mode: direct, apiUrl: 'http://{address}' }}\n\
             scenarios:\n  a:\n    load: {load}\n    steps:\n      - create: {{}}\n      - exec: echo hello\n"
        );
        let file = place.file("f.yaml", &text);
        let json = place.path("result.json");
        let output = tokio::process::Command::from(place.command())
            .env("KUBECONFIG", &running.kubeconfig)
            .args([
                "run",
                file.to_str().unwrap(),
                "--cluster",
                "current",
                "--out",
            ])
            .arg(format!("json={}", json.display()))
            .output()
            .await
            .unwrap();
        Ended::of(&output).assert_code(0);
        let summary = result(&json);
        assert!(running.cluster.shutdown().await.is_empty());
        summary
    }

    fn figures(summary: &Summary, metric: &str) -> Statistics {
        let mut metrics = summary.cells[0].metrics.iter();
        let found = metrics.find(|m| m.metric == metric && m.step.is_none());
        found.unwrap().statistics.clone().unwrap()
    }

    const MS: u64 = 1_000_000;

    #[tokio::test(flavor = "multi_thread")]
    async fn an_open_load_shows_the_truth_about_a_server_that_freezes() {
        let summary = run("{ rate: 20/s, duration: 10s }").await;
        let cell = &summary.cells[0];
        assert_eq!((cell.iterations_passed, cell.iterations_dropped), (200, 0));
        let iteration = figures(&summary, "iteration_duration");
        assert!(iteration.p50_ns < 500 * MS, "{}", iteration.p50_ns);
        assert!(
            (550 * MS..1_300 * MS).contains(&iteration.p95_ns),
            "{}",
            iteration.p95_ns
        );
        assert!(
            (750 * MS..1_800 * MS).contains(&iteration.p99_ns),
            "{}",
            iteration.p99_ns
        );
        let hidden = |warning: &Warning| matches!(warning, Warning::ClosedLoad { .. });
        assert!(!summary.warnings.iter().any(hidden));
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn arrivals_without_room_are_dropped_counted_and_told() {
        let summary = run("{ rate: 20/s, duration: 6s, maxInFlight: 2 }").await;
        let cell = &summary.cells[0];
        assert!(cell.iterations_dropped > 0 && cell.vus <= 2);
        assert_eq!(cell.iterations_passed + cell.iterations_dropped, 120);
        assert_eq!(
            summary.doubt.verdict.max(Reliability::Degraded),
            summary.doubt.verdict
        );
        let told = |warning: &Warning| matches!(warning, Warning::Dropped { .. });
        assert!(summary.warnings.iter().any(told));
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_closed_load_that_waits_with_the_server_says_what_it_hides() {
        let summary = run("{ vus: 2, duration: 10s }").await;
        let iteration = figures(&summary, "iteration_duration");
        assert!(iteration.p95_ns < 500 * MS, "{}", iteration.p95_ns);
        let hidden = summary.warnings.iter().find_map(|warning| match warning {
            Warning::ClosedLoad { hidden, .. } => Some(*hidden),
            _ => None,
        });
        assert!(hidden.unwrap() > 10, "{hidden:?}");
        assert!(summary.doubt.verdict >= Reliability::Degraded);
    }
}
