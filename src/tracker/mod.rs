//! Which peers to point at: swarms, peers, policy. Soft state, a plain struct that takes the time as an argument.
