//! A load generator that is next to nothing: a thread per connection, which sleeps until a request is due, writes
//! it, and waits for the answer. What it sees beyond the law of `truth_server` is the machine's and the server's,
//! and no generator here sees less.
//!
//! `truth_probe ADDRESS RATE SECONDS` prints each latency in nanoseconds, from when the request was due, a line for
//! each. For laws that keep few requests waiting: there are 64 threads.

#![expect(clippy::print_stdout, reason = "the latencies are for the caller")]
#![expect(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "there is no runtime here: threads wait, which is the point"
)]

use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread::{self, ScopedJoinHandle};
use std::time::{Duration, Instant};

type Failure = Box<dyn std::error::Error + Send + Sync>;

const THREADS: u32 = 64;
/// Until the first request: all threads are there by then.
const BEGIN: Duration = Duration::from_millis(200);

/// Sends every 64th request, from this one on.
fn requests(
    address: &str,
    (first, count): (u32, u32),
    (begin, gap): (Instant, Duration),
) -> Result<Vec<Duration>, Failure> {
    // Otherwise the kernel may let a sleep last 50 µs longer, to wake up less often.
    rustix::thread::set_current_timer_slack(std::num::NonZeroU64::new(1))?;
    let mut connection = TcpStream::connect(address)?;
    connection.set_nodelay(true)?;
    let request = format!("GET / HTTP/1.1\r\nhost: {address}\r\n\r\n");
    let mut latencies = Vec::new();
    let mut answer = [0; 1024];
    for number in (first..count).step_by(THREADS as usize) {
        let due = begin + gap * number;
        thread::sleep(due.saturating_duration_since(Instant::now()));
        connection.write_all(request.as_bytes())?;
        let mut length = 0;
        while !answer[..length].ends_with(b"\r\n\r\n") {
            match connection.read(&mut answer[length..])? {
                0 => return Err("the server hung up, or says too much".into()),
                more => length += more,
            }
        }
        latencies.push(due.elapsed());
    }
    Ok(latencies)
}

fn main() -> Result<(), Failure> {
    let mut words = std::env::args().skip(1);
    let mut word = || words.next().ok_or("truth_probe ADDRESS RATE SECONDS");
    let (address, rate, seconds) = (word()?, word()?.parse::<u32>()?, word()?.parse::<u32>()?);
    let (begin, gap) = (Instant::now() + BEGIN, Duration::from_secs(1) / rate);
    let (address, count) = (address.as_str(), rate * seconds);
    let ended = thread::scope(|scope| {
        let one = |first| scope.spawn(move || requests(address, (first, count), (begin, gap)));
        let threads: Vec<_> = (0..THREADS).map(one).collect();
        let ended = threads.into_iter().map(ScopedJoinHandle::join);
        ended.collect::<Vec<_>>()
    });
    let mut lines = String::new();
    for latencies in ended {
        for latency in latencies.map_err(|_| "a thread panicked")?? {
            writeln!(lines, "{}", latency.as_nanos())?;
        }
    }
    print!("{lines}");
    Ok(())
}
