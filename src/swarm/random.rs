//! A small generator of our own (SplitMix64): the same seed value gives the same run on every machine and release.

/// Draws numbers from a seed value. Not for secrets.
#[derive(Debug, Clone)]
pub struct Generator(u64);

impl Generator {
    /// Begins at this seed value.
    pub fn new(seed_value: u64) -> Self {
        Self(seed_value ^ 0x9e37_79b9_7f4a_7c15)
    }

    /// The next number.
    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        scatter(self.0)
    }

    /// A number below `end`; 0 if `end` is 0.
    pub fn below(&mut self, end: u64) -> u64 {
        ((u128::from(self.next_u64()) * u128::from(end)) >> 64) as u64
    }

    /// A number in 0..1.
    pub fn unit(&mut self) -> f64 {
        (self.next_u64() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// A duration between a half and one and a half of this one.
    pub fn around(&mut self, duration: std::time::Duration) -> std::time::Duration {
        duration.mul_f64(0.5 + self.unit())
    }

    /// Puts a slice into random order.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last as u64 + 1) as usize);
        }
    }
}

/// Maps a number to another one, one to one, with no visible relation.
pub(super) fn scatter(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_draws_evenly_and_repeats_itself() {
        let (mut a, mut b) = (Generator::new(7), Generator::new(7));
        let mut counts = [0; 10];
        for _ in 0..10_000 {
            let n = a.below(10);
            assert_eq!(n, b.below(10));
            counts[n as usize] += 1;
        }
        assert!(counts.iter().all(|&count| (850..1150).contains(&count)), "{counts:?}");
        assert_eq!(a.below(0), 0);
        let mut order: Vec<u32> = (0..100).collect();
        a.shuffle(&mut order);
        assert!(order.iter().enumerate().any(|(at, &n)| at != n as usize));
        order.sort_unstable();
        assert!(order.iter().enumerate().all(|(at, &n)| at == n as usize));
    }
}
