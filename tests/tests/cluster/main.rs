//! Real nodes, real clients, real sockets. One binary, so that it is linked once.

#![allow(clippy::unwrap_used)]

mod locks;
