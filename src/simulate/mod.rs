//! A virtual clock and virtual links that run the real tracker and thousands of real sessions in one process.
