//! Every default value of a run, each with its reason.

use std::time::Duration;

/// One iteration: the ready limit (180 s) plus time for the steps after it.
pub const ITERATION_TIMEOUT: Duration = Duration::from_mins(5);

/// Time to live of every claim beyond the longest planned iteration, the dead man's switch of a
/// killed run. Long enough for what comes after the iteration (`finally`, clean-up, a controller
/// under load), so that claims of iterations are never renewed; short enough not to be paid for
/// long. What lives longer, such as a sandbox of `setup`, is renewed while the run is alive.
pub const TIME_TO_LIVE_MARGIN: Duration = Duration::from_mins(10);

/// The namespace: what the SDKs and `kubectl` use.
pub const NAMESPACE: &str = "default";

/// How long a sandbox may take to be ready: as in the SDKs.
pub const READY_TIMEOUT: Duration = Duration::from_mins(3);

/// One exec or file call: as in the SDKs.
pub const REQUEST_TIMEOUT: Duration = Duration::from_mins(1);

/// `finally` steps run even after an abort; they must not hold a clean-up back for long.
pub const FINALLY_LIMIT: Duration = Duration::from_secs(30);

/// `teardown` steps run even after an abort; once per cell, so they may take longer than `finally`.
pub const TEARDOWN_LIMIT: Duration = Duration::from_mins(1);

/// Clean-up, of each iteration and at the end of the run. A pod may take its 30 s of grace to end,
/// and a controller after a load test has much to catch up with.
pub const CLEANUP_LIMIT: Duration = Duration::from_mins(2);

/// Cells without `load` that run side by side.
pub const JOBS: u32 = 8;

/// Port of the runtime in a sandbox: that of upstream's python-runtime.
pub const SERVER_PORT: u16 = 8888;
