//! Drives any [`VuCurve`]: as many VUs as it says at a time, each running iterations one after the other.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::cancel::{Cancel, Phase};
use super::cell::CellRun;
use super::error::EngineError;
use super::stop::Stop;
use crate::load::{Closed, End, VuCurve};
use crate::metrics::Recorder;

/// How often the curve is looked at: often enough for ramps, rare enough to cost nothing.
const LOOK: Duration = Duration::from_millis(50);

/// Runs the VUs until the model is over or the run is stopped.
pub(super) async fn drive(
    run: &Arc<CellRun>,
    closed: &Closed,
    cancel: &Cancel,
) -> Result<(), EngineError> {
    let mut stop = Stop::new(cancel.clone(), run.cell.load.graceful_stop);
    let mut users = JoinSet::new();
    let mut active = vec![false; closed.most() as usize];
    loop {
        let elapsed = run.started.elapsed();
        let over = !closed.admits(run.begun(), elapsed) || run.is_over();
        if over && matches!(closed.end(), End::At(_)) {
            stop.drain();
        }
        if !over && !stop.is_draining() {
            let wanted = closed.vus(elapsed) as usize;
            let free = active.iter_mut().zip(0_u32..).take(wanted);
            for (active, vu) in free.filter(|(active, _)| !**active) {
                *active = true;
                users.spawn(user(
                    Arc::clone(run),
                    vu,
                    cancel.clone(),
                    stop.abort.clone(),
                ));
            }
        }
        if users.is_empty() && (over || stop.is_draining()) {
            return Ok(());
        }
        tokio::select! {
            Some(joined) = users.join_next() => match joined {
                Ok(vu) => {
                    if let Some(active) = active.get_mut(vu as usize) {
                        *active = false;
                    }
                }
                Err(error) => {
                    stop.abort.cancel();
                    return Err(run.panicked(&error));
                }
            },
            () = stop.changed() => {}
            () = tokio::time::sleep(LOOK), if !over && !stop.is_draining() => {}
        }
    }
}

/// One virtual user; gives its number back when the curve has no place for it any more.
async fn user(run: Arc<CellRun>, vu: u32, cancel: Cancel, abort: CancellationToken) -> u32 {
    let mut recorder = Recorder::new(run.aggregate());
    // In a closed model an iteration is due as soon as its VU is free.
    let mut planned = Instant::now();
    while cancel.phase() == Phase::Running && !abort.is_cancelled() && !run.is_over() {
        let Some(curve) = run
            .curve()
            .filter(|curve| vu < curve.vus(run.started.elapsed()))
        else {
            break;
        };
        let iteration = run.begin();
        if !curve.admits(iteration, run.started.elapsed()) || run.has_no_data(iteration) {
            break;
        }
        recorder.begin(run.figures(iteration, planned));
        run.iterate((iteration, vu), planned, &mut recorder, &abort)
            .await;
        planned = Instant::now();
    }
    vu
}
