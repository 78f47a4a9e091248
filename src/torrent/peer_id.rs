//! The name a client gives itself in a swarm.

/// Twenty bytes that name a client for as long as it runs (BEP 3); the first eight say which program it is (BEP 20).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerId(pub [u8; 20]);

impl PeerId {
    /// What our own ids begin with: `RK` of version 0.1.0.0.
    pub const PREFIX: [u8; 8] = *b"-RK0100-";

    /// Our own id with these twelve bytes, which the caller draws.
    pub fn new(unique: [u8; 12]) -> Self {
        let mut id = [0; 20];
        id[..8].copy_from_slice(&Self::PREFIX);
        id[8..].copy_from_slice(&unique);
        Self(id)
    }

    /// Whether it is one of ours, of any version.
    pub fn is_rocks(&self) -> bool {
        self.0.starts_with(b"-RK") && self.0[7] == b'-'
    }
}

impl std::fmt::Display for PeerId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0[..8].escape_ascii().fmt(f)?;
        self.0[8..].iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}
impl std::fmt::Debug for PeerId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PeerId({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_ids_are_known_by_their_prefix() {
        let id = PeerId::new([0xab; 12]);
        assert!(id.is_rocks());
        assert_eq!(id.to_string(), format!("-RK0100-{}", "ab".repeat(12)));
        assert!(!PeerId(*b"-TR3000-abcdefghijkl").is_rocks());
    }
}
