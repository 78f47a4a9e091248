//! Bytes to messages and back: peer wire, HTTP and UDP announce. No sockets, no clock.
