//! The same seed gives the same arrivals, rows of data and bytes; another one gives others.

mod tests {
    use std::net::SocketAddr;
    use std::sync::{Arc, Mutex};
    use std::time::Duration;

    use sandbench::engine::CancelHandle;
    use sandbench::load::LoadModel;
    use sandbench::loopback::ClusterConfig;
    use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
    use tokio::net::{TcpListener, TcpStream};
    use tokio::task::JoinSet;

    use crate::paused;
    use crate::program::Place;

    const FILE: &str = "version: 1\nname: t\ntarget: { warmPool: p, mode: in-cluster-pod-ip }\n\
        scenarios:\n  a:\n    matrix: { size: [1KiB, 64KiB] }\n    data: { file: rows.csv, order: ORDER }\n    \
        load: { rate: 50/s, duration: 1m, arrival: poisson }\n    steps:\n      - create: {}\n      \
        - write: { path: '${{ data.name }}', size: '${{ matrix.size }}', seed: 3 }\n";

    fn place() -> Place {
        let place = Place::new();
        let rows: Vec<String> = (0..40).map(|row| format!("file-{row}")).collect();
        place.file("rows.csv", &format!("name\n{}\n", rows.join("\n")));
        place
    }

    /// Offset of every arrival and its row, for every cell.
    fn planned(order: &str, seed: u64) -> Vec<(Duration, String)> {
        let place = place();
        let plan = paused::plan(&place.file("f.yaml", &FILE.replace("ORDER", order)), seed);
        let mut all = Vec::new();
        for cell in &plan.cells {
            let LoadModel::Open(open) = &cell.load.model else {
                panic!("{:?}", cell.load.model)
            };
            let arrivals = open.arrivals(plan.seed.of_arrivals(&cell.name));
            for (offset, iteration) in arrivals.zip(0..) {
                let row = cell
                    .data
                    .as_ref()
                    .unwrap()
                    .row_of(iteration, plan.seed, &cell.name);
                all.push((offset, format!("{row:?}")));
            }
        }
        all
    }

    #[test]
    fn arrivals_and_rows_follow_the_seed_to_the_nanosecond() {
        for order in ["sequential", "shuffle", "random"] {
            let once = planned(order, 7);
            // A minute of independent users at 50/s, twice.
            assert!((5_600..=6_400).contains(&once.len()), "{}", once.len());
            assert_eq!(once, planned(order, 7), "{order}");
            let other = planned(order, 8);
            assert_ne!(once[..1000], other[..1000], "{order}");
            let rows = |all: &[(Duration, String)]| -> Vec<String> {
                all[..1000].iter().map(|(_, row)| row.clone()).collect()
            };
            assert_eq!(rows(&once) == rows(&other), order == "sequential");
        }
    }

    /// Keeps the body of every request on one connection.
    async fn keep(stream: TcpStream, bodies: Arc<Mutex<Vec<Vec<u8>>>>) -> std::io::Result<()> {
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
            bodies.lock().unwrap().push(body);
            let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
            stream.write_all(answer).await?;
        }
    }

    async fn keeper() -> (SocketAddr, Arc<Mutex<Vec<Vec<u8>>>>, JoinSet<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let bodies = Arc::default();
        let kept = Arc::clone(&bodies);
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(keep(stream, Arc::clone(&kept)));
            }
        });
        (address, bodies, tasks)
    }

    /// What a run sends: the number of each iteration, its row, and a file that it wrote and read.
    async fn sent(seed: u64) -> Vec<Vec<u8>> {
        let (address, bodies, _keeper) = keeper().await;
        let place = place();
        let rows = place.path("rows.csv");
        let text = format!(
            "version: 1\nname: t\ntarget: {{ warmPool: p, mode: in-cluster-pod-ip }}\nscenarios:\n  \
             a:\n    data: {{ file: '{}', order: random }}\n    load: {{ rate: 10/s, duration: 3s, \
             arrival: poisson }}\n    steps:\n      - create: {{}}\n      - write: {{ path: a.bin, size: \
             2KiB, seed: 3 }}\n      - read: a.bin\n        id: file\n      - http:\n          url: \
             http://{address}\n          method: POST\n          body: '${{{{ iteration.number }}}} \
             ${{{{ data.name }}}} ${{{{ steps.file.sha256 }}}}'\n",
            rows.display()
        );
        let config = ClusterConfig::default();
        paused::run(&text, config, seed, &CancelHandle::new()).await;
        let mut bodies = std::mem::take(&mut *bodies.lock().unwrap());
        bodies.sort();
        bodies
    }

    #[tokio::test(start_paused = true)]
    async fn what_a_run_sends_is_the_same_byte_for_byte() {
        let once = sent(7).await;
        assert!((15..=50).contains(&once.len()), "{}", once.len());
        assert_eq!(once, sent(7).await);
        assert_ne!(once, sent(8).await);
    }
}
