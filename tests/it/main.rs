//! Integration tests: one binary, a module per area.

mod architecture;
mod cancel;
mod cli;
mod cluster;
mod faults;
mod invalid;
mod kubectl;
mod program;
