//! The cluster database; the only room that knows redb.
