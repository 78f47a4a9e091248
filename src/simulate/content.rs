//! The files of a simulated distribution, and which appliance wants which. No bytes: only a layout.

use super::outcome::SimulationError;
use super::scenario::Scenario;
use crate::swarm::Generator;
use crate::torrent::{Layout, MetainfoBuilder, PieceIndex, fitting_piece_length_bytes};
use std::sync::Arc;

/// The mean size of a package, and the spread of the log-normal distribution that sizes follow.
const FILE_BYTES_MEAN: u64 = 774_000;
const FILE_SIGMA: f64 = 1.6;
/// Files of one part at most; beyond, files are larger.
const FILES_MAX: u64 = 4096;

/// The files of a distribution.
pub(super) struct Content {
    pub(super) layout: Arc<Layout>,
    /// Of each appliance: the pieces of each of its files, in the order in which an installer asks for them.
    pub(super) sets: Vec<Vec<Vec<PieceIndex>>>,
    /// The payload of everything.
    pub(super) union_bytes: u64,
}

impl Content {
    /// A common part that all appliances want, and one of its own for each.
    pub(super) fn make(scenario: &Scenario) -> Result<Self, SimulationError> {
        let appliances = u64::from(scenario.appliances);
        let bytes = scenario.size.bytes();
        let common_bytes = if appliances == 1 { bytes } else { (bytes as f64 * scenario.overlap) as u64 };
        let own_bytes = bytes - common_bytes;
        let union_bytes = common_bytes + own_bytes * appliances;
        let fitting = || fitting_piece_length_bytes(union_bytes);
        let piece_length_bytes = scenario.piece_length_bytes.unwrap_or_else(fitting);
        let mut random = Generator::new(scenario.seed_value ^ 0xc0_57e7);
        let mut files: Vec<(String, u64, Option<u32>)> = Vec::new();
        let owners = std::iter::once(None).chain((0..scenario.appliances).map(Some));
        for owner in owners {
            let part_bytes = if owner.is_none() { common_bytes } else { own_bytes };
            for (n, length) in sizes(part_bytes, &mut random).into_iter().enumerate() {
                // Names spread over the alphabet, so that the parts mix as packages of a real distribution do.
                let letter = char::from(b'a' + random.below(26) as u8);
                let owner_name = owner.map_or(appliances, u64::from);
                files.push((format!("Packages/{letter}/package-{owner_name}-{n}.rpm"), length, owner));
            }
        }
        files.sort();
        let invalid = |error| SimulationError::Content { why: format!("{error}") };
        let mut builder = MetainfoBuilder::new("simulated", piece_length_bytes).map_err(invalid)?;
        for (path, length, _) in &files {
            let pieces = length.div_ceil(u64::from(piece_length_bytes)) as usize;
            builder.file(path, *length, vec![[0; 20]; pieces]).map_err(invalid)?;
        }
        let metainfo = builder.finish().map_err(invalid)?;
        let layout = Arc::new(metainfo.layout().clone());
        let sets = (0..scenario.appliances)
            .map(|appliance| {
                let mine = files.iter().filter(|(.., owner)| owner.is_none_or(|owner| owner == appliance));
                let file = |path: &str| layout.file(path).map(|file| layout.pieces_of(file).collect::<Vec<_>>());
                mine.filter_map(|(path, ..)| file(path)).filter(|pieces| !pieces.is_empty()).collect()
            })
            .collect();
        Ok(Self { layout, sets, union_bytes })
    }

    /// All pieces of an appliance.
    pub(super) fn set(&self, appliance: u32) -> Vec<PieceIndex> {
        self.sets[appliance as usize].iter().flatten().copied().collect()
    }
}

/// File sizes that add up to `bytes`.
fn sizes(bytes: u64, random: &mut Generator) -> Vec<u64> {
    if bytes == 0 {
        return Vec::new();
    }
    let count = (bytes / FILE_BYTES_MEAN).clamp(8, FILES_MAX).min(bytes);
    let weights: Vec<f64> = (0..count).map(|_| (FILE_SIGMA * normal(random)).exp()).collect();
    let total: f64 = weights.iter().sum();
    let mut sizes: Vec<u64> = weights.iter().map(|weight| ((weight / total * bytes as f64) as u64).max(1)).collect();
    let sum: u64 = sizes.iter().sum();
    match sizes.iter_mut().max() {
        Some(largest) if sum <= bytes => *largest += bytes - sum,
        Some(largest) => *largest = largest.saturating_sub(sum - bytes).max(1),
        None => {}
    }
    sizes
}

/// A number of the standard normal distribution (Irwin and Hall: twelve evenly drawn numbers).
fn normal(random: &mut Generator) -> f64 {
    (0..12).map(|_| random.unit()).sum::<f64>() - 6.0
}
