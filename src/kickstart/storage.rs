//! Whether the partitioning of a Kickstart file holds together: everything it refers to is there, and there is a root.

use super::arguments::Arguments;
use crate::profile::Severity;
use std::collections::{BTreeMap, BTreeSet};

/// Reads storage commands in order and then says what is missing.
#[derive(Debug, Default)]
pub(super) struct Storage {
    /// Members made (`pv.1`, `raid.01`) with the line that makes them, and whether something uses them.
    members: BTreeMap<String, (u32, bool)>,
    groups: BTreeSet<String>,
    /// Those of them that are made here, so that nothing is in them yet.
    new_groups: BTreeSet<String>,
    /// Volumes as `group/volume`.
    volumes: BTreeSet<String>,
    /// What snapshots are taken of, and the line.
    origins: Vec<(String, u32)>,
    pools: BTreeSet<String>,
    mounts: BTreeSet<String>,
    /// Disks that lines want to use, and the line.
    disks: Vec<(String, u32)>,
    /// Partitions that lines take as they are: partition, disk and line.
    taken: Vec<(String, String, u32)>,
    /// What `clearpart` empties.
    cleared: Cleared,
    only: BTreeSet<String>,
    ignored: BTreeSet<String>,
    first_line: Option<u32>,
    included: bool,
    wrong: Vec<(u32, Severity, String)>,
}

/// Which disks are emptied before anything is made.
#[derive(Debug, Default)]
struct Cleared {
    all: bool,
    /// Of these disks only; of every disk where there is none.
    drives: BTreeSet<String>,
    /// Partitions that go, whatever else does.
    list: BTreeSet<String>,
}

impl Cleared {
    fn takes(&self, partition: &str, disk: &str) -> bool {
        let named = self.drives.is_empty() || self.drives.contains(disk);
        self.list.contains(partition) || (self.all && named)
    }
}

impl Storage {
    /// Takes one command in.
    pub(super) fn command(&mut self, line: u32, command: &str, arguments: &Arguments) {
        let words: Vec<&str> = arguments.words.iter().map(String::as_str).collect();
        self.disks(line, command, arguments);
        match command {
            "part" | "partition" | "raid" | "volgroup" | "logvol" | "btrfs" | "mount" => {}
            "snapshot" => {
                self.origins.extend(words.first().map(|origin| ((*origin).to_owned(), line)));
                return;
            }
            _ => return,
        }
        self.first_line.get_or_insert(line);
        let exists = arguments.has("--useexisting") || arguments.has("--noformat");
        match (command, &words[..]) {
            ("part" | "partition", [point, ..]) => {
                self.place(line, point);
                let sized = ["--size", "--recommended", "--hibernation", "--onpart", "--grow"]
                    .iter()
                    .any(|option| arguments.has(option));
                if !sized {
                    self.error(line, format!("partition '{point}' has no size"));
                }
                if arguments.number("--size").is_some_and(|size| size <= 0) {
                    self.error(line, format!("partition '{point}' has no size: '--size' is not above zero"));
                }
                self.check_most(line, point, arguments);
                if arguments.has("--maxsize") && !arguments.has("--grow") {
                    self.warn(line, "option '--maxsize' has no effect without '--grow'".to_owned());
                }
                if arguments.has("--noformat") && !arguments.has("--onpart") {
                    self.error(line, "option '--noformat' needs '--onpart'".to_owned());
                }
            }
            ("raid", [point, members @ ..]) => {
                let level = arguments.value("--level").unwrap_or_default().to_ascii_uppercase();
                let least = match level.trim_start_matches("RAID") {
                    "0" | "1" | "10" => 2,
                    "4" | "5" => 3,
                    "6" => 4,
                    _ => 0,
                };
                let spares = arguments.number("--spares").unwrap_or(0).max(0) as usize;
                if !exists && !members.is_empty() && members.len() < least + spares {
                    self.error(
                        line,
                        format!("RAID level {level} needs {} members, not {}", least + spares, members.len()),
                    );
                }
                self.consume(line, members);
                self.place(line, point);
            }
            ("volgroup", [name, members @ ..]) => {
                self.consume(line, members);
                self.groups.insert((*name).to_owned());
                if !exists {
                    self.new_groups.insert((*name).to_owned());
                }
            }
            ("logvol", [point, ..]) => {
                let group = arguments.value("--vgname").unwrap_or_default();
                if !exists && !self.included && !group.is_empty() && !self.groups.contains(group) {
                    self.error(line, format!("no volume group '{group}' is made before this line"));
                }
                let name = arguments.value("--name").unwrap_or_default();
                self.volumes.insert(format!("{group}/{name}"));
                if exists && self.new_groups.contains(group) {
                    self.error(line, format!("volume '{name}' cannot be there already: its group '{group}' is new"));
                }
                self.check_most(line, point, arguments);
                let cache = arguments.values("--cachepvs").flat_map(super::values::names);
                for member in cache.filter(|member| !self.included && !self.members.contains_key(*member)) {
                    self.wrong.push((line, Severity::Error, format!("no '{member}' is made before this line")));
                }
                if arguments.has("--thinpool") {
                    self.pools.insert(format!("{group}/{name}"));
                }
                if let Some(pool) =
                    arguments.value("--poolname").filter(|_| arguments.has("--thin") && !exists && !self.included)
                    && !self.pools.contains(&format!("{group}/{pool}"))
                {
                    self.error(line, format!("no thin pool '{pool}' is made before this line"));
                }
                if arguments.has("--percent") && arguments.has("--grow") {
                    self.warn(line, "option '--grow' has no effect with '--percent'".to_owned());
                }
                self.place(line, point);
            }
            ("btrfs", [point, members @ ..]) => {
                let members: Vec<&str> = members.iter().copied().filter(|m| !m.starts_with("LABEL=")).collect();
                if !arguments.has("--subvol") {
                    self.consume(line, &members);
                }
                self.place(line, point);
            }
            ("mount", [_, point, ..]) => self.place(line, point),
            _ => {}
        }
    }

    /// From here on, another file may have made anything.
    pub(super) fn include(&mut self) {
        self.included = true;
    }

    /// Notes which disks there are for the installer, and which ones are to be used.
    fn disks(&mut self, line: u32, command: &str, arguments: &Arguments) {
        let name = |text: &str| text.strip_prefix("/dev/").unwrap_or(text).to_owned();
        let named = |option| arguments.values(option).flat_map(super::values::names).map(name).collect::<Vec<_>>();
        match command {
            "ignoredisk" => {
                self.only.extend(named("--only-use"));
                self.ignored.extend(named("--drives"));
            }
            "part" | "partition" => {
                self.disks.extend(named("--ondisk").into_iter().map(|disk| (disk, line)));
                for partition in named("--onpart") {
                    if let Some(disk) = super::devices::disk_of(&partition).map(str::to_owned) {
                        self.disks.push((disk.clone(), line));
                        self.taken.push((partition, disk, line));
                    }
                }
            }
            "clearpart" => {
                self.disks.extend(named("--drives").into_iter().map(|disk| (disk, line)));
                self.cleared.all |= arguments.has("--all");
                self.cleared.drives.extend(named("--drives"));
                self.cleared.list.extend(named("--list"));
            }
            "bootloader" => self.disks.extend(named("--boot-drive").into_iter().map(|disk| (disk, line))),
            _ => {}
        }
    }

    fn check_most(&mut self, line: u32, point: &str, arguments: &Arguments) {
        if let (Some(size), Some(most)) = (arguments.number("--size"), arguments.number("--maxsize"))
            && most < size
        {
            self.error(line, format!("'{point}' is larger than its '--maxsize'"));
        }
    }

    /// What is wrong, by line.
    pub(super) fn finish(mut self) -> Vec<(u32, Severity, String)> {
        // A disk may go by another name where one of them is a pattern or a path.
        let plain = |disk: &str| !disk.contains(['*', '?', '/', '=']);
        for (disk, line) in std::mem::take(&mut self.disks) {
            let left_out = !self.only.is_empty() && !self.only.contains(&disk) && self.only.iter().all(|d| plain(d));
            if plain(&disk) && (left_out || self.ignored.contains(&disk)) {
                self.error(line, format!("disk '{disk}' is one that 'ignoredisk' takes away"));
            }
        }
        for (partition, disk, line) in std::mem::take(&mut self.taken) {
            if self.cleared.takes(&partition, &disk) {
                self.error(line, format!("partition '{partition}' is one that 'clearpart' removes"));
            }
        }
        for (origin, line) in std::mem::take(&mut self.origins) {
            let group = origin.split('/').next().unwrap_or_default();
            let may_be_there = !self.new_groups.contains(group) && self.first_line.is_none();
            if !self.included && !may_be_there && !self.volumes.contains(&origin) {
                self.error(line, format!("no line makes the volume '{origin}' of this snapshot"));
            }
        }
        for (name, (line, used)) in &self.members {
            if !used && !self.included {
                self.wrong.push((*line, Severity::Warning, format!("nothing uses '{name}'")));
            }
        }
        if let Some(line) = self.first_line
            && !self.included
            && !self.mounts.contains("/")
        {
            self.wrong.push((line, Severity::Error, "no file system is mounted at '/'".to_owned()));
        }
        self.wrong
    }

    fn place(&mut self, line: u32, point: &str) {
        if ["pv.", "raid.", "btrfs."].iter().any(|start| point.starts_with(start)) {
            self.members.insert(point.to_owned(), (line, false));
        } else if point.starts_with('/') && !self.mounts.insert(super::rules::normal(point)) {
            self.error(line, format!("'{point}' is mounted twice"));
        }
    }

    fn consume(&mut self, line: u32, members: &[&str]) {
        for member in members {
            match self.members.get_mut(*member) {
                Some((_, used)) if *used => {
                    let problem = format!("'{member}' is used twice");
                    self.error(line, problem);
                }
                Some((_, used)) => *used = true,
                None if self.included => {}
                None => self.error(line, format!("no '{member}' is made before this line")),
            }
        }
    }

    fn error(&mut self, line: u32, problem: String) {
        self.wrong.push((line, Severity::Error, problem));
    }

    fn warn(&mut self, line: u32, problem: String) {
        self.wrong.push((line, Severity::Warning, problem));
    }
}
