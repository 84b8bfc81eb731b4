//! The grammar: YAML text to a [`ScenarioFile`] and a list of problems. No network, no clock.
//!
//! ```yaml
//! version: 1                        # of the language
//! name: lifecycle
//! vars: { greeting: hello }         # ${{ vars.greeting }}
//! target: { warmPool: python-pool, gateway: { name: external-http-gateway } }
//! scenarios:
//!   full-life:                      # an id: stable, for reports and --only
//!     matrix: { mode: [gateway, tunnel] }    # each combination is a cell of its own
//!     load: { vus: 2, iterations: 10 }       # without: one iteration
//!     compare: { across: mode, baseline: gateway, metrics: [exec_duration] }   # over rounds
//!     steps:
//!       - create: {}
//!       - exec: echo ${{ vars.greeting }}
//!         expect: { stdout: { contains: "${{ vars.greeting }}" } }
//!     finally:
//!       - delete: {}
//! traces:                           # what the traces of iterations are to have
//!   expect: [{ span: ReconcileSandboxClaim, under: create }, { hop: router, took: p95 < 20ms }]
//! ```
//!
//! `parse` decodes the fields, `check` looks at names: everything that is referred to exists,
//! everything that is declared is used. All problems of a file are found in one pass.

mod check;
mod compare;
mod data;
mod document;
mod expand;
mod load;
mod matrix;
mod parse;
mod schema;
mod target;
mod threshold;
mod traces;
mod used_files;

pub use compare::Compare;
pub use data::{Data, DataEnd, DataFormat, DataOrder};
pub use document::{Scenario, ScenarioFile};
pub use load::LoadTemplate;
pub use matrix::{Axis, Matrix, Pick};
pub use parse::{FILE, SCENARIO, parse};
pub use schema::schema;
pub use target::{GatewayTarget, RouterTarget, RuntimeName, Scheme, Target};
pub use threshold::DeclaredThreshold;
pub(crate) use threshold::series;
pub use traces::DeclaredExpectation;
pub use used_files::{open, with_used};

#[cfg(test)]
mod tests;
