//! [`Ports`]: the local ports of the machine. Linux only: elsewhere nothing is known.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rustix::process::setpriority_process;
use rustix::thread::gettid;
use rustix::time::{ClockId, clock_gettime};
use tokio::sync::oneshot;
use tokio::sync::oneshot::error::TryRecvError;
use tokio::time::Instant;

use crate::metrics::nanos;

/// The local ports of all programs that are in use or not free again yet, towards the address with the most:
/// towards another one they are free.
#[derive(Debug)]
pub(super) struct Ports {
    /// How many there are for connections to one address; 0 if that cannot be read.
    limit: u64,
    /// The most that were taken at a time; where it is far from the limit, towards all addresses together.
    peak: u64,
    /// How many were taken at the last look, towards all addresses together.
    all: u64,
    /// Who finds out towards which address.
    telling_apart: Option<oneshot::Receiver<Apart>>,
    /// When that may be found out again.
    not_before: Option<Instant>,
    /// The processor time of all who found it out so far, in nanoseconds.
    spent: Arc<AtomicU64>,
}

/// How many were taken towards the address with the most, and the processor time that it took to find out.
#[derive(Debug, PartialEq, Eq)]
struct Apart {
    /// `None`: the tables cannot be read.
    most: Option<u64>,
    cost: Duration,
}

/// How often they are told apart at most. A port that is not free again yet is so for a minute.
const PAUSE: Duration = Duration::from_secs(5);

/// Nor for more than this part of one processor's time.
const PART: u32 = 100;

/// How long the end of a run waits for who is telling them apart.
const PATIENCE: Duration = Duration::from_secs(2);

/// The lowest priority: whoever sends the load goes first. Source: setpriority(2).
const LOWEST: i32 = 19;

impl Ports {
    /// Begins with a look.
    pub(super) fn new() -> Self {
        let mut ports = Self {
            limit: port_limit(),
            peak: 0,
            all: 0,
            telling_apart: None,
            not_before: None,
            spent: Arc::default(),
        };
        ports.look();
        ports
    }

    /// Looks how many are taken.
    ///
    /// To tell them apart, the kernel's table of connections is read, each piece of which it looks up from the
    /// start: half a second of processor time for thirty thousand of them. That is done on a thread of its own,
    /// which gives way to all others, only while all together come near the limit, and seldom. What it saw is
    /// noted by a later look.
    pub(super) fn look(&mut self) {
        let read = |path| std::fs::read_to_string(path).unwrap_or_default();
        self.all = taken(&read("/proc/net/sockstat")) + taken(&read("/proc/net/sockstat6"));
        if let Some(seen) = self.telling_apart.as_mut().map(oneshot::Receiver::try_recv)
            && seen != Err(TryRecvError::Empty)
        {
            self.note(seen.ok());
        }
        if self.limit == 0 || self.all < self.limit / 2 {
            self.peak = self.peak.max(self.all);
        } else if self.telling_apart.is_none()
            && self.not_before.is_none_or(|time| time <= Instant::now())
        {
            self.telling_apart = Some(tell_apart(Arc::clone(&self.spent)));
        }
    }

    /// The processor time of this program that went into telling them apart, and that the load did not need.
    pub(super) fn spent(&self) -> Duration {
        Duration::from_nanos(self.spent.load(Ordering::Relaxed))
    }

    /// The most that were taken at a time, and the limit.
    ///
    /// # Cancel safety
    /// If dropped, they are lost.
    pub(super) async fn finish(mut self) -> (u64, u64) {
        if let Some(telling) = self.telling_apart.take() {
            match tokio::time::timeout(PATIENCE, telling).await {
                Ok(seen) => self.note(seen.ok()),
                Err(_) if self.not_before.is_none() => self.note(None),
                // What was found out before stands.
                Err(_) => {}
            }
        }
        (self.peak, self.limit)
    }

    /// Notes what was found out; where it could not be, nothing is known but the sum.
    fn note(&mut self, seen: Option<Apart>) {
        let most = seen.as_ref().and_then(|seen| seen.most);
        let cost = seen.map_or(Duration::ZERO, |seen| seen.cost);
        self.telling_apart = None;
        self.peak = self.peak.max(most.unwrap_or(self.all));
        self.not_before = Instant::now().checked_add(PAUSE.max(cost * PART));
    }
}

/// Finds out how many are taken towards the address with the most.
fn tell_apart(spent: Arc<AtomicU64>) -> oneshot::Receiver<Apart> {
    let (done, telling) = oneshot::channel();
    let work = move || {
        // If it is refused, the load is merely disturbed a little more.
        let _lowered = setpriority_process(Some(gettid()), LOWEST);
        let before = spent.load(Ordering::Relaxed);
        let cost = || Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap_or_default();
        let tell = || spent.store(before.saturating_add(nanos(cost())), Ordering::Relaxed);
        let most = towards_one(&tell);
        let cost = cost();
        // Nobody may be waiting any more.
        let _sent = done.send(Apart { most, cost });
    };
    let thread = std::thread::Builder::new().name("ports".to_owned());
    if let Err(error) = thread.spawn(work) {
        tracing::debug!(%error, "the ports are not told apart");
    }
    telling
}

/// How many local ports are taken towards the address with the most; `each` is called for each. Blocks.
fn towards_one(each: &impl Fn()) -> Option<u64> {
    let mut towards = HashMap::new();
    for table in ["/proc/net/tcp", "/proc/net/tcp6"] {
        if let Ok(table) = File::open(table) {
            count(BufReader::new(table), &mut towards, each);
        }
    }
    towards.into_values().max()
}

/// Counts the sockets of a table by their remote address and port; listening ones have none.
/// Source: `proc_net_tcp` of the kernel's documentation (number, local and remote address, state).
fn count(table: impl BufRead, towards: &mut HashMap<String, u64>, each: &impl Fn()) {
    const LISTENING: &str = "0A";
    for line in table.lines().map_while(Result::ok).skip(1) {
        each();
        let mut words = line.split_ascii_whitespace().skip(2);
        let (Some(remote), Some(state)) = (words.next(), words.next()) else {
            continue;
        };
        if state != LISTENING {
            *towards.entry(remote.to_owned()).or_default() += 1;
        }
    }
}

/// `TCP: inuse 27 orphan 0 tw 3 …` and `TCP6: inuse 4`.
fn taken(text: &str) -> u64 {
    let line = text.lines().find(|line| line.starts_with("TCP"));
    let mut words = line.unwrap_or_default().split_ascii_whitespace();
    let mut sum = 0;
    while let Some(word) = words.next() {
        if ["inuse", "tw"].contains(&word) {
            sum += words
                .next()
                .and_then(|count| count.parse().ok())
                .unwrap_or(0);
        }
    }
    sum
}

fn port_limit() -> u64 {
    let text = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range");
    range(&text.unwrap_or_default()).unwrap_or(0)
}

fn range(text: &str) -> Option<u64> {
    let mut ends = text.split_ascii_whitespace().map(str::parse::<u64>);
    let (first, last) = (ends.next()?.ok()?, ends.next()?.ok()?);
    Some(last.checked_sub(first)? + 1)
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn a_port_counts_towards_the_address_that_it_is_connected_to() {
        let socket = |local, remote, state| {
            format!("   0: {local} {remote} {state} 00000000:00000000 00:00000000\n")
        };
        let (here, there) = ("0200007F:22B8", "0300007F:22B8");
        let table = [
            "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when\n".to_owned(),
            socket(here, "00000000:0000", "0A"),
            socket(there, "00000000:0000", "0A"),
            socket("0100007F:9C40", here, "01"),
            socket("0100007F:9C41", here, "06"),
            socket("0100007F:9C41", there, "06"),
            socket(here, "0100007F:9C40", "01"),
            "   7: broken\n".to_owned(),
        ];
        let mut towards = HashMap::new();
        count(table.concat().as_bytes(), &mut towards, &|| {});
        assert_eq!(towards.get(here), Some(&2));
        assert_eq!(towards.get(there), Some(&1));
        assert_eq!(towards.len(), 3, "{towards:?}");
    }

    fn ports(limit: u64, not_before: Option<Instant>) -> Ports {
        Ports {
            limit,
            peak: 0,
            all: 0,
            telling_apart: None,
            not_before,
            spent: Arc::default(),
        }
    }

    #[tokio::test]
    async fn ports_are_told_apart_only_where_all_together_come_near_the_limit() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let _connection = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let mut far = ports(u64::MAX, None);
        far.look();
        assert!(far.telling_apart.is_none() && far.peak > 0, "{far:?}");
        let mut near = ports(1, None);
        near.look();
        assert!(near.telling_apart.is_some() && near.peak == 0, "{near:?}");
        let spent = Arc::clone(&near.spent);
        let (peak, limit) = near.finish().await;
        assert!(peak > 0 && limit == 1, "{peak} of {limit}");
        assert!(spent.load(Ordering::Relaxed) > 0);
    }

    #[tokio::test(start_paused = true)]
    async fn they_are_told_apart_again_after_a_hundred_times_what_it_took() {
        let mut known = ports(1, None);
        for (cost, pause) in [(1, PAUSE), (500, Duration::from_secs(50))] {
            known.note(Some(Apart {
                most: Some(7),
                cost: Duration::from_millis(cost),
            }));
            assert_eq!(known.not_before, Some(Instant::now() + pause));
        }
        assert_eq!(known.peak, 7);
        known.look();
        assert!(known.telling_apart.is_none(), "{known:?}");
        tokio::time::advance(Duration::from_secs(50)).await;
        known.look();
        assert!(known.telling_apart.is_some(), "{known:?}");
    }

    #[tokio::test]
    async fn what_cannot_be_told_apart_counts_as_one() {
        let _listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut unknown = ports(1, None);
        let (nobody, telling) = oneshot::channel();
        drop(nobody);
        unknown.telling_apart = Some(telling);
        unknown.look();
        assert!(
            unknown.peak > 0 && unknown.peak == unknown.all,
            "{unknown:?}"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn the_end_of_a_run_does_not_wait_for_long_and_keeps_what_was_found_out() {
        for (not_before, peak) in [(None, 900), (Some(Instant::now()), 7)] {
            let (_busy, telling) = oneshot::channel();
            let waiting = Ports {
                peak: 7,
                all: 900,
                telling_apart: Some(telling),
                ..ports(1_000, not_before)
            };
            assert_eq!(waiting.finish().await, (peak, 1_000));
        }
    }

    #[test]
    fn ports_in_use_and_those_not_free_again_are_taken() {
        let text =
            "sockets: used 300\nTCP: inuse 27 orphan 1 tw 30 alloc 40 mem 3\nUDP: inuse 5 mem 1\n";
        assert_eq!(taken(text), 57);
        assert_eq!(taken("TCP6: inuse 4\n"), 4);
        assert_eq!(taken("sockets: used 3\n"), 0);
        assert_eq!(range("32768\t60999\n"), Some(28_232));
        assert_eq!(range("32768"), None);
    }
}
