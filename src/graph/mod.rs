//! Stage 1: graph files, node files and attributes become a profile.
