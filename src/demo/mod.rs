//! Makes a throw-away cluster and its packages, starts the real processes and measures them.
