//! What a demonstration came to: numbers, a table, the picture and its page.

use super::Race;
use crate::cluster::{ByteSize, Rate};
use crate::draw::{Page, Run, Traffic};
use serde_json::{Value, json};

/// What came out of a demonstration.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// How many machines installed together.
    pub machines: usize,
    /// What each link carried.
    pub rate: Rate,
    /// Bytes of the largest install set.
    pub largest_bytes: u64,
    /// Bytes of all install sets together, each file counted once.
    pub union_bytes: u64,
    /// One machine alone, with the largest set.
    pub one: Race,
    /// All machines, everything over HTTP from the frontend.
    pub http: Race,
    /// All machines, through each other.
    pub swarm: Race,
}

impl Outcome {
    /// How much longer a run took than one machine alone.
    pub fn ratio(&self, race: &Race) -> f64 {
        race.secs / self.one.secs
    }

    /// How often the wanted packages left the frontend: its package bytes over the bytes of the union of the sets.
    pub fn copies(&self, race: &Race) -> f64 {
        race.frontend_bytes as f64 / self.union_bytes as f64
    }

    /// The numbers for programs.
    pub fn to_json(&self) -> Value {
        json!({
            "machines": self.machines,
            "one_secs": rounded(self.one.secs),
            "http_secs": rounded(self.http.secs),
            "swarm_secs": rounded(self.swarm.secs),
            "http_ratio": rounded(self.ratio(&self.http)),
            "swarm_ratio": rounded(self.ratio(&self.swarm)),
            "http_copies": rounded(self.copies(&self.http)),
            "swarm_copies": rounded(self.copies(&self.swarm)),
        })
    }

    /// The table's headings.
    pub const HEADINGS: [&'static str; 4] = ["run", "seconds", "ratio", "copies"];

    /// The table: one machine, all over HTTP, all as a swarm.
    pub fn rows(&self) -> Vec<Vec<String>> {
        let copies_of_one = self.one.frontend_bytes as f64 / self.largest_bytes as f64;
        let row = |name: &str, race: &Race, copies: f64| {
            vec![
                name.to_owned(),
                format!("{:.2}", race.secs),
                format!("{:.2}", self.ratio(race)),
                format!("{copies:.2}"),
            ]
        };
        vec![
            row("one machine", &self.one, copies_of_one),
            row("all over HTTP", &self.http, self.copies(&self.http)),
            row("all as a swarm", &self.swarm, self.copies(&self.swarm)),
        ]
    }

    /// The frontend's traffic over time, both runs of all machines.
    pub fn picture(&self) -> Traffic {
        let run = |name: &str, race: &Race| Run {
            name: name.to_owned(),
            note: format!(
                "{:.1} x the time of one machine, {:.2} copies left the frontend",
                self.ratio(race),
                self.copies(race)
            ),
            end_secs: Some(race.secs),
            samples: race.samples.clone(),
            taken: race.taken.clone(),
        };
        Traffic {
            title: "What left the frontend".into(),
            subtitle: self.circumstances(),
            link_bits_per_sec: Some(self.rate.bits_per_sec()),
            runs: vec![run("all over HTTP", &self.http), run("all as a swarm", &self.swarm)],
        }
    }

    /// The picture's page.
    pub fn page(&self) -> Page {
        let Self { machines, one, .. } = self;
        Page {
            title: format!("{machines} machines install"),
            paragraphs: vec![
                format!("{}. One machine alone took {:.1} s.", self.circumstances(), one.secs),
                "Ratio is the time of a run over that of one machine alone. Copies are the package bytes that left the \
                 frontend, over HTTP and from its seed, over the bytes of all machines' sets together."
                    .into(),
            ],
            headings: Self::HEADINGS.map(str::to_owned).to_vec(),
            rows: self.rows(),
            svg: self.picture().to_svg(),
            foot: "Made by rocks demo: real processes on loopback addresses, links limited by the program itself."
                .into(),
        }
    }

    fn circumstances(&self) -> String {
        let (largest, union) = (ByteSize::from_bytes(self.largest_bytes), ByteSize::from_bytes(self.union_bytes));
        format!("{} machines, sets of up to {largest} out of {union}, links of {} each way", self.machines, self.rate)
    }
}

/// Three digits after the point: more would be noise.
fn rounded(number: f64) -> f64 {
    (number * 1000.0).round() / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::draw::Sample;

    fn race(secs: f64, frontend_bytes: u64) -> Race {
        Race { secs, frontend_bytes, samples: vec![Sample { at_secs: secs, bytes: frontend_bytes }], taken: Vec::new() }
    }

    fn outcome() -> Outcome {
        Outcome {
            machines: 16,
            rate: Rate::from_bytes_per_sec(12_500_000),
            largest_bytes: 30_000_000,
            union_bytes: 31_000_000,
            one: race(2.5, 30_000_000),
            http: race(40.0, 479_500_000),
            swarm: race(2.75, 31_310_000),
        }
    }

    #[test]
    fn programs_get_exactly_these_keys() {
        assert_eq!(
            outcome().to_json().to_string(),
            "{\"machines\":16,\"one_secs\":2.5,\"http_secs\":40.0,\"swarm_secs\":2.75,\"http_ratio\":16.0,\
             \"swarm_ratio\":1.1,\"http_copies\":15.468,\"swarm_copies\":1.01}"
        );
    }

    #[test]
    fn the_page_has_the_table_and_the_picture() {
        let html = outcome().page().to_html();
        assert!(html.contains("<td>all as a swarm</td><td>2.75</td><td>1.10</td><td>1.01</td>"), "{html}");
        assert!(html.contains("16 machines, sets of up to 30 MB out of 31 MB, links of 100 Mbit/s each way"));
        assert!(html.contains("<svg "));
    }
}
