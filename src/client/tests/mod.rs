//! Tests of the client against small scripted servers: exact requests, broken watches, lost
//! answers. No cluster is needed.

mod calls;
mod claims;
mod fake;
mod ways;
