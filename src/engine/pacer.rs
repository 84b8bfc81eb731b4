//! [`Pacer`]: tells when arrivals are due, more exactly than the runtime's timers.
//!
//! The runtime's timer wheel turns once per millisecond. A timer of the kernel is exact, and as a file
//! it is waited for together with the sockets: an arrival wakes the worker that will run it, no thread in
//! between. It rings a little early, since an idle core takes its time to wake up. Where there is no such
//! file, a thread of its own sleeps in the kernel. Arrivals are told by a counter: those that are due
//! together are told at once, and nothing is queued. A stop is looked for a few times a second.

use std::io;
use std::num::NonZeroU64;
#[cfg(target_os = "linux")]
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use rustix::thread::Timespec;
#[cfg(target_os = "linux")]
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, timerfd_create, timerfd_settime,
};
#[cfg(target_os = "linux")]
use tokio::io::Interest;
#[cfg(target_os = "linux")]
use tokio::io::unix::AsyncFd;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::load::Open;

/// The longest sleep: a stop is seen after that.
const LONGEST_SLEEP: Duration = Duration::from_millis(50);
/// An idle core needs some time to wake up. The kernel's alarm rings earlier by that, and the rest of the wait is spent
/// awake: by this at the most,
const MOST_EARLY: Duration = Duration::from_micros(200);
/// and by one part in so many of the wait, so that no more than 2 % of a core are spent on it.
const EARLY_SHARE: u32 = 50;

/// What tells when arrivals are due.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Pacing {
    /// The kernel's timers: late by some ten microseconds on an idle machine.
    #[default]
    Kernel,
    /// The runtime's timers: late by about a millisecond, but they follow a clock that is paused.
    Timers,
}

/// What paces and its listener share. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(super) struct Pacer(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    due: AtomicU64,
    over: AtomicBool,
    stopped: AtomicBool,
    wake: Notify,
}

impl Pacer {
    /// How many arrivals are due by now.
    pub(super) fn due(&self) -> u64 {
        self.0.due.load(Ordering::Acquire)
    }

    /// Whether no further arrival will be due.
    pub(super) fn is_over(&self) -> bool {
        self.0.over.load(Ordering::Acquire)
    }

    /// Waits for more arrivals or the end.
    ///
    /// # Cancel safety
    /// Safe: a wake-up that nobody waited for is kept.
    pub(super) async fn woken(&self) {
        self.0.wake.notified().await;
    }

    /// Ends the pacing soon.
    pub(super) fn stop(&self) {
        self.0.stopped.store(true, Ordering::Release);
    }

    /// Begins to pace the arrivals of a model; what does so is added to the tasks.
    pub(super) fn start(
        &self,
        tasks: &mut JoinSet<()>,
        pacing: Pacing,
        (open, seed): (Open, u64),
        begins: Instant,
    ) {
        let pacer = self.clone();
        let alarm = match pacing {
            Pacing::Kernel => Alarm::of_kernel(),
            Pacing::Timers => Ok(Alarm::Runtime),
        };
        match alarm {
            Ok(alarm) => {
                tasks.spawn(async move {
                    pacer.pace_by(alarm, begins, open.arrivals(seed)).await;
                });
            }
            Err(error) => {
                tracing::debug!("arrivals are paced by a thread: {error}");
                tasks.spawn_blocking(move || pacer.pace(begins, open.arrivals(seed)));
            }
        }
    }

    /// The same as [`Pacer::pace`] without a thread.
    async fn pace_by(
        &self,
        alarm: Alarm,
        started: Instant,
        offsets: impl Iterator<Item = Duration>,
    ) {
        let mut due = 0;
        for offset in offsets {
            let planned = started + offset;
            if Instant::now() < planned {
                self.tell(due);
            }
            if !self.wait_until(planned, &alarm).await {
                break;
            }
            due += 1;
        }
        self.0.over.store(true, Ordering::Release);
        self.tell(due);
    }

    /// Whether it was not stopped in between.
    async fn wait_until(&self, planned: Instant, alarm: &Alarm) -> bool {
        let left = || planned.saturating_duration_since(Instant::now());
        while !self.is_stopped() {
            let time = left();
            if time.is_zero() {
                return true;
            }
            let early = alarm.early(time);
            alarm
                .ring_in(time.saturating_sub(early).min(LONGEST_SLEEP))
                .await;
            // The runtime's other work goes on meanwhile.
            while (Duration::from_nanos(1)..=early).contains(&left()) {
                tokio::task::yield_now().await;
            }
        }
        false
    }

    /// Paces until the offsets end or it is stopped. Blocks its thread.
    pub(super) fn pace(&self, started: Instant, offsets: impl Iterator<Item = Duration>) {
        let slack = fine_timers();
        let mut due = 0;
        for offset in offsets {
            let planned = started + offset;
            if Instant::now() < planned {
                self.tell(due);
            }
            if !self.sleep_until(planned) {
                break;
            }
            due += 1;
        }
        self.0.over.store(true, Ordering::Release);
        self.tell(due);
        restore_timers(slack);
    }

    fn is_stopped(&self) -> bool {
        self.0.stopped.load(Ordering::Acquire)
    }

    fn tell(&self, due: u64) {
        let before = self.0.due.swap(due, Ordering::AcqRel);
        if before != due || self.is_over() {
            self.0.wake.notify_one();
        }
    }

    /// Whether it was not stopped in between.
    fn sleep_until(&self, planned: Instant) -> bool {
        loop {
            if self.is_stopped() {
                return false;
            }
            let left = planned.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return true;
            }
            let Ok(sleep) = Timespec::try_from(left.min(LONGEST_SLEEP)) else {
                return false;
            };
            // A signal may end a sleep early; another one follows.
            if let rustix::thread::NanosleepRelativeResult::Err(_) =
                rustix::thread::nanosleep(&sleep)
            {
                return false;
            }
        }
    }
}

/// What an arrival is waited for with.
enum Alarm {
    /// A timer of the kernel that the runtime waits for together with its sockets.
    #[cfg(target_os = "linux")]
    Kernel(AsyncFd<OwnedFd>),
    /// The runtime's timers.
    Runtime,
}

impl Alarm {
    #[cfg(target_os = "linux")]
    #[expect(
        deprecated,
        reason = "unsound only for what changes its descriptor, which an `OwnedFd` never does; its successor \
                  is `unsafe`"
    )]
    fn of_kernel() -> io::Result<Self> {
        let flags = TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK;
        let timer = timerfd_create(TimerfdClockId::Monotonic, flags)?;
        AsyncFd::with_interest(timer, Interest::READABLE).map(Self::Kernel)
    }

    #[cfg(not(target_os = "linux"))]
    fn of_kernel() -> io::Result<Self> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// How much earlier it should ring that is to wait for so long.
    fn early(&self, time: Duration) -> Duration {
        match self {
            #[cfg(target_os = "linux")]
            Self::Kernel(_) => (time / EARLY_SHARE).min(MOST_EARLY),
            // It rings late by a millisecond, or at once where the clock is paused.
            Self::Runtime => Duration::ZERO,
        }
    }

    /// Waits for that time, which is more than none; now and then shorter.
    async fn ring_in(&self, time: Duration) {
        #[cfg(target_os = "linux")]
        if let Self::Kernel(timer) = self
            && ring(timer, time).await.is_ok()
        {
            return;
        }
        tokio::time::sleep(time).await;
    }
}

#[cfg(target_os = "linux")]
async fn ring(timer: &AsyncFd<OwnedFd>, time: Duration) -> io::Result<()> {
    let never = Timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    let once = Itimerspec {
        it_interval: never,
        it_value: Timespec::try_from(time).map_err(io::Error::other)?,
    };
    // Setting it also forgets that it rang before.
    timerfd_settime(timer, TimerfdTimerFlags::empty(), &once)?;
    timer.readable().await?.clear_ready();
    Ok(())
}

/// Asks the kernel not to round this thread's timers (it adds up to 50 µs); gives what was before.
#[cfg(target_os = "linux")]
fn fine_timers() -> Option<NonZeroU64> {
    let before = rustix::thread::current_timer_slack().ok()?;
    rustix::thread::set_current_timer_slack(NonZeroU64::new(1)).ok()?;
    NonZeroU64::new(before)
}

#[cfg(target_os = "linux")]
fn restore_timers(slack: Option<NonZeroU64>) {
    if rustix::thread::set_current_timer_slack(slack).is_err() {
        tracing::debug!("the timer slack of a thread could not be restored");
    }
}

#[cfg(not(target_os = "linux"))]
fn fine_timers() -> Option<NonZeroU64> {
    None
}

#[cfg(not(target_os = "linux"))]
fn restore_timers(_slack: Option<NonZeroU64>) {}

#[cfg(test)]
mod tests {
    use tokio::task::JoinSet;

    use super::*;

    /// Listens to what a pacer tells of arrivals 300 µs apart, until all are told.
    async fn listen(pacer: &Pacer, started: Instant, number: u64) {
        let mut seen = 0;
        while seen < number {
            pacer.woken().await;
            let due = pacer.due();
            assert!(due >= seen);
            if due > 0 {
                assert!(started.elapsed() >= Duration::from_micros((due - 1) * 300));
            }
            seen = due;
        }
    }

    fn offsets(number: u64) -> impl Iterator<Item = Duration> + Send {
        (0..number).map(|index| Duration::from_micros(index * 300))
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn no_arrival_is_told_before_it_is_due_and_none_is_lost() {
        let pacer = Pacer::default();
        let started = Instant::now();
        let mut threads = JoinSet::new();
        let thread = pacer.clone();
        threads.spawn_blocking(move || thread.pace(started, offsets(200)));
        listen(&pacer, started, 200).await;
        threads.join_next().await.unwrap().unwrap();
        assert!(pacer.is_over());
    }

    #[cfg(target_os = "linux")]
    #[tokio::test(flavor = "multi_thread")]
    async fn so_it_is_with_a_timer_that_is_waited_for_like_a_socket() {
        let pacer = Pacer::default();
        let started = Instant::now();
        let mut tasks = JoinSet::new();
        let (task, alarm) = (pacer.clone(), Alarm::of_kernel().unwrap());
        tasks.spawn(async move { task.pace_by(alarm, started, offsets(200)).await });
        listen(&pacer, started, 200).await;
        tasks.join_next().await.unwrap().unwrap();
        assert!(pacer.is_over());
    }

    #[cfg(target_os = "linux")]
    #[tokio::test(flavor = "multi_thread")]
    async fn a_stop_ends_it_too_when_it_has_nothing_to_do_for_long() {
        let pacer = Pacer::default();
        pacer.stop();
        let far = std::iter::once(Duration::from_hours(1));
        let alarm = Alarm::of_kernel().unwrap();
        pacer.pace_by(alarm, Instant::now(), far).await;
        assert!(pacer.is_over() && pacer.due() == 0);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_stop_ends_a_thread_that_has_nothing_to_do_for_long() {
        let pacer = Pacer::default();
        let started = Instant::now();
        let mut threads = JoinSet::new();
        let thread = pacer.clone();
        let far = std::iter::once(Duration::from_hours(1));
        threads.spawn_blocking(move || thread.pace(started, far));
        pacer.stop();
        threads.join_next().await.unwrap().unwrap();
        assert!(pacer.is_over() && pacer.due() == 0);
    }
}
