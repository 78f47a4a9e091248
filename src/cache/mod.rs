//! The package cache of an installing node: verified pieces on disk or in memory; dies with the installation.
