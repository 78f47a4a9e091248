//! Sizes and rates as administrators type them: `32MB`, `325MiB`, `100mbit`, `1gbit`, `12.5MB/s`.

use super::InvalidNoun;

/// The largest size or rate: an exabyte, which a 64-bit count of bytes holds with room to spare.
const BYTES_MAX: f64 = 1e18;

/// A number of bytes: `32MB` (decimal), `32MiB` (binary), `4096`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ByteSize(u64);

/// A number of bytes a second: `100mbit`, `1gbit/s` (bits), `12.5MB`, `800kB/s` or a plain number (bytes).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rate(u64);

impl ByteSize {
    /// Reads a size.
    pub fn parse(text: &str) -> Result<Self, InvalidNoun> {
        let bad = |why| InvalidNoun::new("size", text, why);
        let (number, unit) = split(text).ok_or_else(|| bad("is not a number with a unit"))?;
        let unit =
            byte_unit(&unit).ok_or_else(|| bad("has a unit that is none of B, kB, MB, GB, TB, KiB, MiB, GiB"))?;
        whole(number * unit).map(Self).ok_or_else(|| bad("is more than an exabyte"))
    }

    /// That many bytes.
    pub fn from_bytes(bytes: u64) -> Self {
        Self(bytes)
    }

    /// The bytes.
    pub fn bytes(self) -> u64 {
        self.0
    }
}

impl Rate {
    /// Reads a rate.
    pub fn parse(text: &str) -> Result<Self, InvalidNoun> {
        let bad = |why| InvalidNoun::new("rate", text, why);
        let bare = text.trim().to_ascii_lowercase();
        let bare = bare.strip_suffix("/s").or_else(|| bare.strip_suffix("ps")).unwrap_or(&bare);
        let (number, unit) = split(bare).ok_or_else(|| bad("is not a number with a unit"))?;
        let unit = match unit.as_str() {
            "bit" => Some(0.125),
            "kbit" => Some(125.0),
            "mbit" => Some(125e3),
            "gbit" => Some(125e6),
            unit => byte_unit(unit),
        };
        let unit = unit.ok_or_else(|| bad("has a unit that is none of kbit, mbit, gbit, kB, MB, GB"))?;
        let rate = whole(number * unit).ok_or_else(|| bad("is more than an exabyte a second"))?;
        if rate == 0 { Err(bad("is less than a byte a second")) } else { Ok(Self(rate)) }
    }

    /// That many bytes a second; at least one.
    pub fn from_bytes_per_sec(bytes_per_sec: u64) -> Self {
        Self(bytes_per_sec.max(1))
    }

    /// The bytes a second.
    pub fn bytes_per_sec(self) -> u64 {
        self.0
    }

    /// The bits a second.
    pub fn bits_per_sec(self) -> f64 {
        self.0 as f64 * 8.0
    }
}

/// A number and the unit behind it, in lower case.
fn split(text: &str) -> Option<(f64, String)> {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    Some((text[..end].parse().ok()?, text[end..].trim().to_ascii_lowercase()))
}

fn byte_unit(unit: &str) -> Option<f64> {
    Some(match unit {
        "" | "b" => 1.0,
        "k" | "kb" => 1e3,
        "m" | "mb" => 1e6,
        "g" | "gb" => 1e9,
        "t" | "tb" => 1e12,
        "kib" => 1024.0,
        "mib" => 1024.0 * 1024.0,
        "gib" => 1024.0 * 1024.0 * 1024.0,
        _ => return None,
    })
}

fn whole(bytes: f64) -> Option<u64> {
    (0.0..=BYTES_MAX).contains(&bytes).then_some(bytes.round() as u64)
}

/// Three figures and the largest decimal unit that leaves at least one before the point.
fn write_scaled(f: &mut std::fmt::Formatter<'_>, value: f64, unit: &str) -> std::fmt::Result {
    let (scale, prefix) = match value {
        v if v >= 1e12 => (1e12, "T"),
        v if v >= 1e9 => (1e9, "G"),
        v if v >= 1e6 => (1e6, "M"),
        v if v >= 1e3 => (1e3, "k"),
        _ => (1.0, ""),
    };
    let scaled = value / scale;
    let decimals = if scaled >= 100.0 || scale == 1.0 { 0 } else { 1 };
    let number = format!("{scaled:.decimals$}");
    let number = number.strip_suffix(".0").unwrap_or(&number);
    f.pad(&format!("{number} {prefix}{unit}"))
}

impl std::fmt::Display for ByteSize {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write_scaled(f, self.0 as f64, "B")
    }
}
impl std::fmt::Display for Rate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write_scaled(f, self.bits_per_sec(), "bit/s")
    }
}
impl std::str::FromStr for ByteSize {
    type Err = InvalidNoun;
    fn from_str(text: &str) -> Result<Self, InvalidNoun> {
        Self::parse(text)
    }
}
impl std::str::FromStr for Rate {
    type Err = InvalidNoun;
    fn from_str(text: &str) -> Result<Self, InvalidNoun> {
        Self::parse(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_in_decimal_and_binary_units() {
        for (text, bytes) in [("32MB", 32_000_000), ("1 MiB", 1 << 20), ("1.5g", 1_500_000_000), ("0", 0), ("17", 17)] {
            assert_eq!(ByteSize::parse(text).map(ByteSize::bytes), Ok(bytes), "{text}");
        }
        for text in ["", "MB", "-1", "1e9", "3 parsec", "9999999999GB", "nan", "1.2.3", "10mbit"] {
            assert!(ByteSize::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn rates_are_bits_where_they_say_so() {
        let cases =
            [("100mbit", 12_500_000), ("1Gbit/s", 125_000_000), ("12.5MB", 12_500_000), ("800kBps", 800_000), ("9", 9)];
        for (text, rate) in cases {
            assert_eq!(Rate::parse(text).map(Rate::bytes_per_sec), Ok(rate), "{text}");
        }
        for text in ["", "fast", "-1mbit", "0", "10parsec", "1e9", "nan"] {
            assert!(Rate::parse(text).is_err(), "{text}");
        }
        let none = Rate::parse("0mbit").expect_err("nothing moves");
        assert_eq!(none.to_string(), "rate '0mbit' is less than a byte a second");
    }

    #[test]
    fn both_are_shown_in_three_figures() {
        let shown =
            [ByteSize(31_970_000), ByteSize(999), ByteSize(32_000_000), ByteSize(325_400_000)].map(|s| s.to_string());
        assert_eq!(shown, ["32 MB", "999 B", "32 MB", "325 MB"]);
        assert_eq!([Rate(12_500_000), Rate(1_187_500)].map(|r| r.to_string()), ["100 Mbit/s", "9.5 Mbit/s"]);
    }
}
