//! From a package list to the packages it installs: a small solver that decides as dnf's does on an empty root.
//!
//! It goes forward only: what must be is installed first, then what has one best candidate, then what has several, then
//! what is recommended. A decision that turns out wrong (its needs cannot be met) is remembered as one to avoid, and
//! all begins again; so it ends, after at most [`RESTARTS_MAX`] beginnings. Where dnf would give up, it leaves
//! out what cannot be met: an install set is what to fetch ahead, and what is missed is fetched when asked for.

use super::dependency::Dependency;
use super::index::Index;
use super::policy::{self, Opinion};
use super::pool::{ArchRank, DependencyId, PackageId, Pool};
use super::request::PackageRequest;
use super::select::{Selection, Want, select};
use crate::cluster::InstallSet;
use std::collections::HashSet;

/// How often the solver begins anew before it stops avoiding mistakes.
const RESTARTS_MAX: usize = 500;

/// Closes a package list over the dependencies of an index.
pub(super) fn close(index: &Index, pool: &Pool, request: &PackageRequest) -> InstallSet {
    let selection = select(index, pool, request);
    let mut memory = Memory::default();
    let mut solver = Solver::new(pool, &selection, request.weak_dependencies);
    for restart in 0..=RESTARTS_MAX {
        solver.reset();
        solver.lenient = restart == RESTARTS_MAX;
        if solver.run(&mut memory).is_ok() && !solver.reconsider(&mut memory) {
            break;
        }
    }
    let mut set = InstallSet { unknown: selection.unknown.iter().cloned().collect(), ..InstallSet::default() };
    for id in &solver.installed {
        let package = &index.packages()[pool.package(*id).entry].package;
        set.hrefs.push(package.href.clone());
        set.bytes += package.size_bytes;
    }
    set.hrefs.sort();
    set.hrefs.dedup();
    set
}

/// What earlier beginnings have taught.
#[derive(Default)]
struct Memory {
    /// Candidates whose needs cannot be met, or that were not needed in the end.
    avoided: HashSet<PackageId>,
    /// Jobs that cannot be done.
    dropped: HashSet<usize>,
    /// Needs that cannot be met at all.
    broken: HashSet<(PackageId, DependencyId)>,
}

/// The solver has learned something and must begin anew.
struct Restart;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    Installed,
    Forbidden,
}

/// Why a package is installed.
#[derive(Debug, Clone, Copy)]
enum Reason {
    Job { job: usize, chosen: bool },
    Need { by: PackageId, chosen: bool },
    Weak { by: Option<PackageId> },
}

/// Something that must be met.
#[derive(Debug, Clone, Copy)]
enum Need {
    Job(usize),
    Dependency { by: PackageId, dependency: DependencyId },
}

/// How a need stands.
enum Verdict {
    /// It is met and stays so.
    Met,
    /// It asks for nothing now, but may later.
    Dormant,
    /// One of these would meet it.
    OneOf(Vec<PackageId>),
}

struct Solver<'a> {
    pool: &'a Pool,
    selection: &'a Selection,
    weak: bool,
    /// Take even what should be avoided.
    lenient: bool,
    state: Vec<State>,
    reasons: Vec<Option<Reason>>,
    /// Because of which package another cannot be installed.
    forbidden_by: Vec<Option<PackageId>>,
    installed: Vec<PackageId>,
    needs: Vec<Need>,
    recommended: HashSet<PackageId>,
    suggested: HashSet<PackageId>,
    /// How many installed packages have told what they recommend.
    told: usize,
    /// Packages taken from several candidates, with the others.
    choices: Vec<(PackageId, Vec<PackageId>)>,
}

impl<'a> Solver<'a> {
    fn new(pool: &'a Pool, selection: &'a Selection, weak: bool) -> Self {
        Self {
            pool,
            selection,
            weak,
            lenient: false,
            state: Vec::new(),
            reasons: Vec::new(),
            forbidden_by: Vec::new(),
            installed: Vec::new(),
            needs: Vec::new(),
            recommended: HashSet::new(),
            suggested: HashSet::new(),
            told: 0,
            choices: Vec::new(),
        }
    }

    fn reset(&mut self) {
        let count = self.pool.packages.len();
        self.state = vec![State::Open; count];
        for id in &self.selection.excluded {
            self.state[*id as usize] = State::Forbidden;
        }
        self.reasons = vec![None; count];
        self.forbidden_by = vec![None; count];
        self.installed.clear();
        self.needs.clear();
        self.recommended.clear();
        self.suggested.clear();
        self.told = 0;
        self.choices.clear();
    }

    fn run(&mut self, memory: &mut Memory) -> Result<(), Restart> {
        self.needs.extend((0..self.selection.jobs.len()).filter(|job| !memory.dropped.contains(job)).map(Need::Job));
        loop {
            self.must(memory)?;
            if self.decide(memory)? {
                continue;
            }
            if !self.weak || !self.take_weak(memory)? {
                return Ok(());
            }
        }
    }

    /// Installs all that has no alternative, to the end.
    fn must(&mut self, memory: &mut Memory) -> Result<(), Restart> {
        loop {
            let before = self.installed.len();
            let mut at = 0;
            let mut kept = Vec::new();
            while let Some(need) = self.needs.get(at).copied() {
                at += 1;
                match self.verdict(need, memory) {
                    Verdict::Met => {}
                    Verdict::Dormant => kept.push(need),
                    Verdict::OneOf(candidates) => match candidates[..] {
                        [] => self.fail(need, memory)?,
                        [only] => {
                            self.install(only, Self::reason(need, false), memory)?;
                            // One part of it is met; there may be others.
                            kept.push(need);
                        }
                        _ => kept.push(need),
                    },
                }
            }
            self.needs = kept;
            if self.installed.len() == before {
                return Ok(());
            }
        }
    }

    /// Meets one need that has several candidates: the first with a best one, else the first. False where none is left.
    fn decide(&mut self, memory: &mut Memory) -> Result<bool, Restart> {
        self.listen();
        let mut first: Option<(Need, Vec<PackageId>)> = None;
        let mut needs = self.needs.clone();
        // Jobs first, then by the needing package, the last of the metadata first: the order of dnf's rules.
        needs.sort_by_key(|need| match need {
            Need::Job(_) => (0, 0),
            Need::Dependency { by, .. } => (1, PackageId::MAX - by),
        });
        for need in needs {
            let Verdict::OneOf(mut candidates) = self.verdict(need, memory) else { continue };
            policy::choose(self.pool, self, &mut candidates);
            if let [only] = candidates[..] {
                self.install(only, Self::reason(need, true), memory)?;
                return Ok(true);
            }
            first.get_or_insert((need, candidates));
        }
        let Some((need, candidates)) = first else { return Ok(false) };
        self.choices.push((candidates[0], candidates[1..].to_vec()));
        self.install(candidates[0], Self::reason(need, true), memory)?;
        Ok(true)
    }

    /// Installs what is recommended now; false where nothing is.
    fn take_weak(&mut self, memory: &mut Memory) -> Result<bool, Restart> {
        let before = self.installed.len();
        let usable = |solver: &Self, memory: &Memory, id: PackageId| {
            solver.state[id as usize] == State::Open && !memory.avoided.contains(&id)
        };
        let mut supplementing: Vec<PackageId> = self.pool.supplementing.clone();
        supplementing.retain(|id| usable(self, memory, *id) && self.any_holds(&self.pool.package(*id).supplements));
        let mut all = supplementing.clone();
        for id in &self.installed {
            for dependency in &self.pool.package(*id).recommends {
                if let Verdict::OneOf(candidates) = self.weigh(self.pool.dependency(*dependency), memory) {
                    all.extend(candidates);
                }
            }
        }
        all.sort_unstable();
        all.dedup();
        policy::best(self.pool, &mut all);
        let best: HashSet<PackageId> = all.into_iter().collect();
        for id in supplementing {
            if best.contains(&id) && usable(self, memory, id) {
                self.install(id, Reason::Weak { by: None }, memory)?;
                self.must(memory)?;
            }
        }
        for by in self.installed.clone() {
            for dependency in &self.pool.package(by).recommends {
                let Verdict::OneOf(mut candidates) = self.weigh(self.pool.dependency(*dependency), memory) else {
                    continue;
                };
                candidates.retain(|id| best.contains(id));
                self.listen();
                policy::choose(self.pool, self, &mut candidates);
                if let Some(first) = candidates.first() {
                    self.install(*first, Reason::Weak { by: Some(by) }, memory)?;
                    self.must(memory)?;
                }
            }
        }
        Ok(self.installed.len() > before)
    }

    /// Looks for choices that were not needed in the end, because an alternative came in by itself; true where one is
    /// to be avoided from now on.
    fn reconsider(&self, memory: &mut Memory) -> bool {
        if self.lenient {
            return false;
        }
        let is_installed = |id: &PackageId| self.state[*id as usize] == State::Installed;
        let needless = |(taken, others): &&(PackageId, Vec<PackageId>)| {
            others.iter().any(is_installed) && !memory.avoided.contains(taken)
        };
        let found = self.choices.iter().find(needless).map(|(taken, _)| *taken);
        found.is_some_and(|taken| memory.avoided.insert(taken))
    }

    fn reason(need: Need, chosen: bool) -> Reason {
        match need {
            Need::Job(job) => Reason::Job { job, chosen },
            Need::Dependency { by, .. } => Reason::Need { by, chosen },
        }
    }

    fn verdict(&self, need: Need, memory: &Memory) -> Verdict {
        match need {
            Need::Job(job) => match &self.selection.jobs[job] {
                Want::OneOf(candidates) => self.among(candidates, memory),
                Want::Rule(rule) => self.weigh(rule, memory),
            },
            Need::Dependency { by, dependency } if memory.broken.contains(&(by, dependency)) => Verdict::Met,
            Need::Dependency { dependency, .. } => self.weigh(self.pool.dependency(dependency), memory),
        }
    }

    fn among(&self, candidates: &[PackageId], memory: &Memory) -> Verdict {
        if candidates.iter().any(|id| self.state[*id as usize] == State::Installed) {
            return Verdict::Met;
        }
        let usable = |id: &&PackageId| {
            self.state[**id as usize] == State::Open && (self.lenient || !memory.avoided.contains(*id))
        };
        Verdict::OneOf(candidates.iter().filter(usable).copied().collect())
    }

    fn weigh(&self, dependency: &Dependency, memory: &Memory) -> Verdict {
        match dependency {
            Dependency::Name(relation) => self.among(self.pool.providers(relation), memory),
            Dependency::With(_) | Dependency::Without(..) => self.among(&self.matching(dependency), memory),
            Dependency::And(parts) => {
                let mut dormant = false;
                for part in parts {
                    match self.weigh(part, memory) {
                        Verdict::Met => {}
                        Verdict::Dormant => dormant = true,
                        open => return open,
                    }
                }
                if dormant { Verdict::Dormant } else { Verdict::Met }
            }
            Dependency::Or(parts) => {
                let mut candidates = Vec::new();
                for part in parts {
                    match self.weigh(part, memory) {
                        Verdict::OneOf(more) => candidates.extend(more),
                        settled => return settled,
                    }
                }
                candidates.sort_unstable();
                candidates.dedup();
                Verdict::OneOf(candidates)
            }
            Dependency::If(this, condition, otherwise) => match otherwise {
                _ if self.holds(condition) => self.weigh(this, memory),
                // To bring the condition about is a way to meet it, too.
                Some(otherwise) => match (self.weigh(otherwise, memory), self.weigh(condition, memory)) {
                    (Verdict::OneOf(mut one), Verdict::OneOf(other)) => {
                        one.extend(other);
                        Verdict::OneOf(one)
                    }
                    (verdict, _) => Self::for_now(verdict),
                },
                None => Verdict::Dormant,
            },
            Dependency::Unless(this, condition, otherwise) => match otherwise {
                _ if !self.holds(condition) => Self::for_now(self.weigh(this, memory)),
                Some(otherwise) => self.weigh(otherwise, memory),
                None => Verdict::Met,
            },
        }
    }

    fn for_now(verdict: Verdict) -> Verdict {
        if matches!(verdict, Verdict::Met) { Verdict::Dormant } else { verdict }
    }

    /// Whether a dependency is met by what is installed.
    fn holds(&self, dependency: &Dependency) -> bool {
        let any_installed = |ids: &[PackageId]| ids.iter().any(|id| self.state[*id as usize] == State::Installed);
        match dependency {
            Dependency::Name(relation) => any_installed(self.pool.providers(relation)),
            Dependency::With(_) | Dependency::Without(..) => any_installed(&self.matching(dependency)),
            Dependency::And(parts) => parts.iter().all(|part| self.holds(part)),
            Dependency::Or(parts) => parts.iter().any(|part| self.holds(part)),
            Dependency::If(this, condition, otherwise) => match otherwise {
                _ if self.holds(condition) => self.holds(this),
                Some(otherwise) => self.holds(otherwise),
                None => true,
            },
            Dependency::Unless(this, condition, otherwise) => match otherwise {
                _ if !self.holds(condition) => self.holds(this),
                Some(otherwise) => self.holds(otherwise),
                None => false,
            },
        }
    }

    fn any_holds(&self, dependencies: &[DependencyId]) -> bool {
        dependencies.iter().any(|id| self.holds(self.pool.dependency(*id)))
    }

    /// The single packages that meet a dependency by themselves.
    fn matching(&self, dependency: &Dependency) -> Vec<PackageId> {
        match dependency {
            Dependency::Name(relation) => self.pool.providers(relation).to_vec(),
            Dependency::With(parts) => {
                let mut sets = parts.iter().map(|part| self.matching(part));
                let first = sets.next().unwrap_or_default();
                sets.fold(first, |mut left, set| {
                    left.retain(|id| set.contains(id));
                    left
                })
            }
            Dependency::Without(this, that) => {
                let that = self.matching(that);
                let mut left = self.matching(this);
                left.retain(|id| !that.contains(id));
                left
            }
            Dependency::Or(parts) => parts.iter().flat_map(|part| self.matching(part)).collect(),
            Dependency::And(_) | Dependency::If(..) | Dependency::Unless(..) => Vec::new(),
        }
    }

    fn install(&mut self, id: PackageId, reason: Reason, memory: &mut Memory) -> Result<(), Restart> {
        if self.state[id as usize] == State::Installed {
            return Ok(());
        }
        self.state[id as usize] = State::Installed;
        self.reasons[id as usize] = Some(reason);
        self.installed.push(id);
        let package = self.pool.package(id);
        for dependency in &package.requires {
            self.needs.push(Need::Dependency { by: id, dependency: *dependency });
        }
        for rival in self.rivals(id) {
            match self.state[rival as usize] {
                State::Installed => self.blame(&[id, rival], memory)?,
                State::Open => {
                    self.state[rival as usize] = State::Forbidden;
                    self.forbidden_by[rival as usize] = Some(id);
                }
                State::Forbidden => {}
            }
        }
        Ok(())
    }

    /// The packages that cannot be installed together with one.
    fn rivals(&self, id: PackageId) -> Vec<PackageId> {
        let (pool, package) = (self.pool, self.pool.package(id));
        let mut rivals: Vec<PackageId> = Vec::new();
        for other in pool.named(&package.name) {
            let twin = pool.package(*other);
            let side_by_side = twin.evr == package.evr
                && twin.arch != package.arch
                && twin.arch != ArchRank::NoArch
                && package.arch != ArchRank::NoArch;
            if !side_by_side {
                rivals.push(*other);
            }
        }
        for relation in &package.obsoletes {
            rivals.extend(pool.named(&relation.name).iter().filter(|other| pool.obsoletes(id, **other)));
        }
        let obsoleting = pool.obsoleted_by.get(&package.name).into_iter().flatten();
        rivals.extend(obsoleting.map(|(other, _)| *other).filter(|other| pool.obsoletes(*other, id)));
        for dependency in &package.conflicts {
            if let Dependency::Name(relation) = pool.dependency(*dependency) {
                rivals.extend(pool.providers(relation));
            }
        }
        let own_name =
            super::dependency::Relation::new(&package.name, super::dependency::Range::exactly(package.evr.clone()));
        for brought in package.provides.iter().chain([&own_name]) {
            let conflicting = pool.conflicted_by.get(&brought.name).into_iter().flatten();
            rivals.extend(conflicting.filter(|(_, range)| range.meets(&brought.range)).map(|(other, _)| *other));
        }
        rivals.retain(|other| *other != id);
        rivals
    }

    /// A need cannot be met: something that led to it is avoided from now on; else the need is given up.
    fn fail(&mut self, need: Need, memory: &mut Memory) -> Result<(), Restart> {
        match need {
            Need::Job(job) => {
                // What is left of it is what conflicts with the rest: there is nothing to take back but the job.
                memory.dropped.insert(job);
                Ok(())
            }
            Need::Dependency { by, dependency } => {
                let mut suspects = vec![by];
                names_in(self.pool.dependency(dependency), &mut |relation| {
                    let forbidders = self.pool.providers(relation).iter().map(|id| self.forbidden_by[*id as usize]);
                    suspects.extend(forbidders.flatten());
                });
                self.blame(&suspects, memory)?;
                memory.broken.insert((by, dependency));
                Ok(())
            }
        }
    }

    /// Takes back the latest decision that led to one of the suspects, else the job that wanted the first; goes on where
    /// there is nothing to take back.
    fn blame(&self, suspects: &[PackageId], memory: &mut Memory) -> Result<(), Restart> {
        if self.lenient {
            return Ok(());
        }
        let decisions = suspects.iter().flat_map(|suspect| self.chain(*suspect)).filter(|id| {
            let decided = matches!(
                self.reasons[*id as usize],
                Some(Reason::Weak { .. } | Reason::Need { chosen: true, .. } | Reason::Job { chosen: true, .. })
            );
            decided && !memory.avoided.contains(id)
        });
        if let Some(latest) = decisions.max_by_key(|id| self.installed.iter().position(|there| there == id)) {
            memory.avoided.insert(latest);
            return Err(Restart);
        }
        let wanted = suspects.first().and_then(|suspect| self.chain(*suspect).last());
        match wanted.and_then(|id| self.reasons[id as usize]) {
            Some(Reason::Job { job, .. }) if memory.dropped.insert(job) => Err(Restart),
            _ => Ok(()),
        }
    }

    /// A package and, one after the other, the packages because of which it is installed.
    fn chain(&self, id: PackageId) -> impl Iterator<Item = PackageId> {
        std::iter::successors(Some(id), |id| match self.reasons[*id as usize] {
            Some(Reason::Need { by, .. } | Reason::Weak { by: Some(by) }) => Some(by),
            _ => None,
        })
        .take(self.installed.len() + 1)
    }

    /// Takes note of what newly installed packages recommend and suggest.
    fn listen(&mut self) {
        while let Some(id) = self.installed.get(self.told) {
            let package = self.pool.package(*id);
            for (dependencies, set) in
                [(&package.recommends, &mut self.recommended), (&package.suggests, &mut self.suggested)]
            {
                for dependency in dependencies {
                    names_in(self.pool.dependency(*dependency), &mut |relation| {
                        set.extend(self.pool.providers(relation));
                    });
                }
            }
            self.told += 1;
        }
    }
}

fn names_in(dependency: &Dependency, found: &mut dyn FnMut(&super::dependency::Relation)) {
    match dependency {
        Dependency::Name(relation) => found(relation),
        Dependency::And(parts) | Dependency::Or(parts) | Dependency::With(parts) => {
            parts.iter().for_each(|part| names_in(part, found));
        }
        Dependency::If(this, ..) | Dependency::Unless(this, ..) | Dependency::Without(this, _) => names_in(this, found),
    }
}

impl Opinion for Solver<'_> {
    fn recommended(&self, package: PackageId) -> bool {
        self.recommended.contains(&package) || self.any_holds(&self.pool.package(package).supplements)
    }

    fn suggested(&self, package: PackageId) -> bool {
        self.suggested.contains(&package) || self.any_holds(&self.pool.package(package).enhances)
    }
}
