//! End-to-end tests of the commands, one module a command.
