//! [`Ports`]: the local ports of the machine. Linux only: elsewhere nothing is known.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::time::Duration;

use tokio::time::Instant;

/// The local ports of all programs that are in use or not free again yet, towards the address with the most:
/// towards another one they are free.
#[derive(Debug)]
pub(super) struct Ports {
    /// How many there are for connections to one address; 0 if that cannot be read.
    pub(super) limit: u64,
    /// The most that were taken at a time; where it is far from the limit, towards all addresses together.
    pub(super) peak: u64,
    /// When it was last found out towards which address.
    told_apart: Option<Instant>,
}

/// How often that is found out at most. A port that is not free again yet is so for a minute.
const APART: Duration = Duration::from_secs(5);

impl Ports {
    /// Begins with a look.
    pub(super) async fn new() -> Self {
        let mut ports = Self {
            limit: port_limit(),
            peak: 0,
            told_apart: None,
        };
        ports.look().await;
        ports
    }

    /// Looks how many are taken.
    ///
    /// To tell them apart takes a millisecond for each thousand, on another thread: that is done only while
    /// all together come near the limit, and seldom.
    ///
    /// # Cancel safety
    /// Safe: nothing is noted but what was seen.
    pub(super) async fn look(&mut self) {
        let read = |path| std::fs::read_to_string(path).unwrap_or_default();
        let all = taken(&read("/proc/net/sockstat")) + taken(&read("/proc/net/sockstat6"));
        if self.limit == 0 || all < self.limit / 2 {
            self.peak = self.peak.max(all);
        } else if self.told_apart.is_none_or(|last| last.elapsed() >= APART) {
            let most = tokio::task::spawn_blocking(towards_one).await;
            // A table that cannot be read tells no more than the sum.
            self.peak = self.peak.max(most.ok().flatten().unwrap_or(all));
            self.told_apart = Some(Instant::now());
        }
    }
}

/// How many local ports are taken towards the address with the most. Blocks.
fn towards_one() -> Option<u64> {
    let mut towards = HashMap::new();
    for table in ["/proc/net/tcp", "/proc/net/tcp6"] {
        if let Ok(table) = File::open(table) {
            count(BufReader::new(table), &mut towards);
        }
    }
    towards.into_values().max()
}

/// Counts the sockets of a table by their remote address and port; listening ones have none.
/// Source: `proc_net_tcp` of the kernel's documentation (number, local and remote address, state).
fn count(table: impl BufRead, towards: &mut HashMap<String, u64>) {
    const LISTENING: &str = "0A";
    for line in table.lines().map_while(Result::ok).skip(1) {
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
        count(table.concat().as_bytes(), &mut towards);
        assert_eq!(towards.get(here), Some(&2));
        assert_eq!(towards.get(there), Some(&1));
        assert_eq!(towards.len(), 3, "{towards:?}");
    }

    #[tokio::test]
    async fn ports_are_told_apart_only_where_all_together_come_near_the_limit() {
        let look = async |limit, told_apart| {
            let mut ports = Ports {
                limit,
                peak: 0,
                told_apart,
            };
            ports.look().await;
            ports
        };
        let far = look(u64::MAX, None).await;
        assert_eq!(far.told_apart, None);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let _connection = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let near = look(1, None).await;
        assert!(near.told_apart.is_some() && near.peak > 0, "{near:?}");
        let hour = Duration::from_hours(1);
        let later = Instant::now() + hour;
        let known = look(1, Some(later)).await;
        assert_eq!((known.peak, known.told_apart), (0, Some(later)));
        let long_ago = later.checked_sub(hour + APART);
        let again = look(1, long_ago).await;
        assert!(again.told_apart > long_ago && again.peak > 0, "{again:?}");
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
