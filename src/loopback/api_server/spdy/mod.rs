//! Port-forward over SPDY/3.1, as `kubectl` and the Go client speak it: plain, or inside the binary
//! messages of a WebSocket.
//!
//! Facts: the SPDY/3 draft of 2012, and `portforward.k8s.io` of the Kubernetes API server. For each
//! connection the client opens two streams with one `requestid`: `error`, which stays empty while
//! all is well, and `data`. There is no flow control but that of TCP: who does not read is not sent to.

mod frame;
mod headers;
mod session;
mod tunnel;

#[cfg(test)]
mod tests;

pub(super) use session::forward;
pub(super) use tunnel::forward_in_websocket;
