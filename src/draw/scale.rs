//! Axes: where ticks stand and how their values are written. A scale always holds its largest value.

/// A linear axis from 0.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Scale {
    /// The value at the far end.
    pub(super) end: f64,
    /// The distance of two ticks.
    pub(super) step: f64,
}

impl Scale {
    /// An axis that ends at `largest` itself, with at most `ticks` steps.
    pub(super) fn until(largest: f64, ticks: u32) -> Self {
        Self { end: largest, step: step(largest, ticks) }
    }

    /// The values that get a tick, 0 first.
    pub(super) fn ticks(&self) -> impl Iterator<Item = f64> + '_ {
        let count = (self.end / self.step + 1e-9).floor() as u32;
        (0..=count).map(|i| f64::from(i) * self.step)
    }

    /// How many digits after the point tell two ticks apart, when the values are divided by `unit`.
    pub(super) fn decimals(&self, unit: f64) -> usize {
        (-(self.step / unit).log10().floor()).clamp(0.0, 6.0) as usize
    }
}

/// The smallest of 1, 2 and 5 times a power of ten that divides `largest` into at most `ticks` steps.
fn step(largest: f64, ticks: u32) -> f64 {
    let rough = largest / f64::from(ticks);
    let power = 10f64.powf(rough.log10().floor());
    [1.0, 2.0, 5.0, 10.0]
        .into_iter()
        .map(|m| m * power)
        .find(|step| *step >= rough * (1.0 - 1e-9))
        .unwrap_or(10.0 * power)
}

/// The unit that bits per second up to `largest` are told in: its size and its name.
pub(super) fn bit_rate_unit(largest: f64) -> (f64, &'static str) {
    match largest {
        x if x >= 2e9 => (1e9, "Gbit/s"),
        x if x >= 2e6 => (1e6, "Mbit/s"),
        _ => (1e3, "kbit/s"),
    }
}

/// The unit that seconds up to `largest` are told in: its size and its name.
pub(super) fn time_unit(largest: f64) -> (f64, &'static str) {
    match largest {
        x if x >= 4.0 * 3600.0 => (3600.0, "h"),
        x if x >= 600.0 => (60.0, "min"),
        _ => (1.0, "s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_few_and_round() {
        for (largest, step) in [(102.0, 50.0), (95.0, 50.0), (1.0, 0.5), (0.03, 0.01), (1020.0, 500.0), (400.0, 200.0)]
        {
            let scale = Scale::until(largest, 3);
            assert!((scale.step - step).abs() < 1e-9 && scale.end == largest, "{largest}: {scale:?}");
        }
    }

    #[test]
    fn an_axis_ends_where_it_is_told() {
        let scale = Scale::until(46.2, 10);
        assert_eq!(scale.ticks().collect::<Vec<_>>(), (0..=9).map(|i| f64::from(i) * 5.0).collect::<Vec<_>>());
        assert_eq!((scale.end, scale.decimals(1.0)), (46.2, 0));
        assert_eq!(Scale::until(0.7, 5).decimals(1.0), 1);
    }
}
