//! The edges: the only room with sockets, tasks and a clock.
