//! Install tokens, signatures (Ed25519) and the cluster's certificate authority; pure, given keys and the time.
