//! A tree of packages: repodata, package records, the closure that makes an install set, publishing.
