//! SVG: traffic over time, the configuration graph.
