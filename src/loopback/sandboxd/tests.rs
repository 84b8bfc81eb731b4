//! sandboxd over real sockets.
