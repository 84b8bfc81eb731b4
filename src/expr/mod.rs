//! To be filled: see the architecture.
