//! Stage 2: a profile becomes a Kickstart file through Jinja templates; validation. Runs on the node.
