//! Integration tests: one binary, a module per area.
#![expect(
    clippy::unwrap_used,
    clippy::tests_outside_test_module,
    clippy::disallowed_types,
    unreachable_pub,
    reason = "this whole binary is a test, and its clock is the wall's"
)]

mod allocations;
mod api_rules;
mod architecture;
mod authority;
mod blocking;
mod breakpoint;
mod cancel;
mod catalogue;
mod cli;
mod cluster;
mod compare;
mod examples;
mod fault_table;
mod faults;
mod flow;
mod fuzz_corpus;
mod gone;
mod google;
mod honest;
mod invalid;
mod kubectl;
mod language;
mod measure;
mod moves;
mod paused;
mod places;
mod program;
mod reap;
mod receiver;
mod reports;
mod sandboxd;
mod scale;
mod schema;
mod seed;
mod snapshots;
mod telemetry;
mod timing;
mod traces;
mod transfer;
