//! What a release demands of one command beyond its options: options that exclude or need each other, values with a
//! form of their own, and what may be given only once.

use super::arguments::Arguments;
use crate::cluster::Release;

/// What the installer's parser would reject in one command, in words; `earlier` lines of the same command are merged
/// into `arguments` already where the command keeps one state.
pub(super) fn problems(command: &str, arguments: &Arguments, release: Release) -> Vec<String> {
    let mut found = Found { arguments, problems: Vec::new() };
    let later = |first| release >= first;
    match command {
        "autopart" => found.autopart(release),
        "bootloader" => {
            found.when(found.text("--boot-drive").contains(','), "option '--boot-drive' takes one drive");
            found.excludes("--sdboot", "--extlinux");
        }
        "btrfs" => found.btrfs(),
        "cmdline" => found.when(found.has("--non-interactive"), "'cmdline' has no option '--non-interactive'"),
        "driverdisk" => {
            let given = ["--source", "--biospart"].iter().filter(|option| found.has(option)).count();
            found.when(
                given + arguments.words.len() != 1,
                "exactly one of '--source', '--biospart' and a partition is needed",
            );
            found.when(arguments.words.len() > 1, "one partition at most");
        }
        "firstboot" => found.excludes("--enable", "--disable"),
        "zipl" => found.excludes("--secure-boot", "--no-secure-boot"),
        "selinux" => {
            let modes = ["--enforcing", "--permissive", "--disabled"].iter().filter(|mode| found.has(mode)).count();
            found.when(modes > 1, "only one of '--enforcing', '--permissive' and '--disabled' can be given");
        }
        "eula" => found.when(!found.has("--agreed"), "option '--agreed' is missing"),
        "harddrive" if release <= Release::Rhel8 => {
            let both = found.has("--biospart") == found.has("--partition");
            found.when(both, "exactly one of '--biospart' and '--partition' is needed");
        }
        "ignoredisk" => {
            let lists = ["--drives", "--only-use"].iter().filter(|option| found.list(option).next().is_some()).count();
            found.when(
                lists + usize::from(found.has("--interactive")) != 1,
                "exactly one of '--drives' and '--only-use' is needed",
            );
        }
        "install" | "upgrade" => {
            found.when(
                found.has("--root-device") && found.text("--root-device").is_empty(),
                "option '--root-device' is empty",
            );
        }
        "keyboard" => {
            found.when(arguments.words.len() > 1, "one layout at most beside the options");
            let some = !arguments.words.is_empty()
                || !found.text("--vckeymap").is_empty()
                || found.list("--xlayouts").next().is_some();
            found.when(!some, "a layout, '--vckeymap' or '--xlayouts' is needed");
        }
        "logging" => found.needs("--port", "--host"),
        "logvol" => found.logvol(release),
        "method" => found.when(true, "no installer reads it: name the source by its own command, such as 'url'"),
        "mount" => {
            let point = arguments.words.get(1).map_or("", String::as_str);
            found.when(
                !point.starts_with('/') && !point.eq_ignore_ascii_case("none"),
                "the mount point is neither a path nor 'none'",
            );
            found.needs("--mkfsoptions", "--reformat");
        }
        "network" => found.network(release),
        "nvdimm" => found.nvdimm(),
        "ostreesetup" => {
            let url = found.text("--url");
            let fits = ["file:", "http:", "https:"].iter().any(|scheme| url.starts_with(scheme));
            found.when(!fits, "option '--url' begins with neither file:, http: nor https:");
        }
        "part" | "partition" => found.partition(release),
        "raid" => found.raid(release),
        "repo" => found.at_most_one(&["--baseurl", "--mirrorlist", "--metalink"]),
        "rescue" => found.excludes("--nomount", "--romount"),
        "rhsm" => {
            found.when(arguments.values("--activation-key").any(str::is_empty), "option '--activation-key' is empty")
        }
        "rootpw" => {
            let some = arguments.words.first().is_some_and(|word| !word.is_empty()) || found.has("--lock");
            found.when(!some, "a password or '--lock' is needed");
        }
        "services" => {
            let some = found.list("--enabled").next().is_some() || found.list("--disabled").next().is_some();
            found.when(!some, "'--enabled' or '--disabled' is needed");
        }
        "snapshot" => {
            found.when(!found.has("--when"), "option '--when' is missing");
            let mut parts = arguments.words.first().map_or("", String::as_str).split('/');
            let two = [parts.next(), parts.next()].iter().all(|part| part.is_some_and(|part| !part.is_empty()));
            found.when(!two || parts.next().is_some(), "the origin is not a volume group, a slash and a volume");
        }
        "sshpw" => found.when(arguments.words.is_empty(), "a password is needed"),
        "stratisfs" => found.needs("--maxsize", "--grow"),
        "stratispool" => {
            found.members(&["--useexisting"], "a pool's name");
            found.needs("--passphrase", "--encrypted");
        }
        "timesource" => found.one_of(&["--ntp-server", "--ntp-pool", "--ntp-disable"]),
        "timezone" => {
            found.when(arguments.words.len() > 1, "one time zone at most");
            found.excludes("--ntpservers", "--nontp");
            if release == Release::Rhel9 {
                for old in ["--ntpservers", "--nontp"] {
                    found.when(found.has(old), &format!("option '{old}' is deprecated: use 'timesource'"));
                }
            }
        }
        "updates" => found.when(arguments.words.len() > 1, "one place at most"),
        "url" => found.one_of(&["--url", "--mirrorlist", "--metalink"]),
        "volgroup" => {
            found.members(&["--useexisting", "--noformat"], "a group's name");
            let space = arguments.number("--reserved-space").is_some_and(|space| space < 0);
            found.when(space, "option '--reserved-space' is negative");
            let percent = arguments.number("--reserved-percent").is_some_and(|percent| !(1..100).contains(&percent));
            found.when(percent, "option '--reserved-percent' is not between 1 and 99");
        }
        "zfcp" if later(Release::Rhel9) => {
            let fits = !found.text("--devnum").is_empty() && found.truthy("--wwpn") == found.truthy("--fcplun");
            found.when(!fits, "'--devnum' alone, or with both '--wwpn' and '--fcplun'");
        }
        "%packages" => {
            found.excludes("--default", "--nocore");
            found.excludes("--default", "--nobase");
            if release == Release::Rhel9 {
                for (old, new) in [("--instLangs", "--inst-langs"), ("--excludeWeakdeps", "--exclude-weakdeps")] {
                    found.when(found.has(old), &format!("option '{old}' is deprecated: use '{new}'"));
                }
            }
        }
        "%traceback" if later(Release::Rhel9) => found.when(true, "the section is deprecated: use %onerror"),
        "%certificate" => {
            found.when(!found.truthy("--dir") && !found.truthy("--type"), "'--dir' or '--type' is needed")
        }
        _ => {}
    }
    found.problems
}

/// What must be different in every line of a command; none where lines may repeat.
pub(super) fn identity(command: &str, arguments: &Arguments) -> Option<String> {
    let word = || arguments.words.first().cloned().unwrap_or_default();
    let option = |name: &str| arguments.value(name).unwrap_or_default().to_owned();
    Some(match command {
        "part" | "partition" => match word() {
            mount if mount.is_empty() || mount == "swap" => return None,
            mount => normal(&mount),
        },
        "btrfs" | "volgroup" | "stratispool" | "device" => word(),
        "raid" => option("--device").trim_start_matches("md").to_owned(),
        "logvol" => format!("{}/{}", option("--vgname"), option("--name")),
        "repo" | "user" | "group" | "snapshot" => option("--name"),
        "network" => option("--device"),
        "sshpw" | "sshkey" => option("--username"),
        "fcoe" => option("--nic"),
        "multipath" => option("--device"),
        "dmraid" => format!("{} {}", option("--name"), option("--dev")),
        "zfcp" => format!("{} {} {}", option("--devnum"), option("--wwpn"), option("--fcplun")),
        "nvdimm" => format!("{} {} {}", word(), option("--namespace"), option("--blockdevs")),
        "stratisfs" => format!("{}/{}", option("--poolname"), option("--name")),
        _ => return None,
    })
}

/// Whether a command keeps one state for the whole file, so that a later line adds to an earlier one.
pub(super) fn keeps_state(command: &str) -> bool {
    matches!(
        command,
        "autopart" | "bootloader" | "eula" | "harddrive" | "ignoredisk" | "keyboard" | "logging" | "services" | "url"
    )
}

/// A path without doubled slashes or one at its end.
pub(super) fn normal(path: &str) -> String {
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
    if path.starts_with('/') { format!("/{}", parts.join("/")) } else { path.to_owned() }
}

struct Found<'a> {
    arguments: &'a Arguments,
    problems: Vec<String>,
}

impl<'a> Found<'a> {
    fn has(&self, option: &str) -> bool {
        self.arguments.has(option)
    }

    fn text(&self, option: &str) -> &'a str {
        self.arguments.value(option).unwrap_or_default()
    }

    /// Whether an option is given with something that is not nothing: the empty text is, and zero where the installer
    /// reads a number.
    fn truthy(&self, option: &str) -> bool {
        const NUMBERS: [&str; 7] =
            ["--size", "--maxsize", "--percent", "--chunksize", "--metadatasize", "--cachesize", "--sectorsize"];
        let is_zero =
            |text: &str| text.ends_with('0') && text.trim_start_matches(['+', '-']).bytes().all(|b| b == b'0');
        match self.arguments.value(option) {
            Some(value) => !(value.is_empty() || NUMBERS.contains(&option) && is_zero(value)),
            None => self.has(option),
        }
    }

    fn list(&self, option: &str) -> impl Iterator<Item = &'a str> + use<'a> {
        self.text(option).split(',').map(str::trim).filter(|item| !item.is_empty())
    }

    fn when(&mut self, wrong: bool, problem: &str) {
        if wrong {
            self.problems.push(problem.to_owned());
        }
    }

    fn excludes(&mut self, one: &str, other: &str) {
        if self.has(one) && self.has(other) {
            self.problems.push(format!("options '{one}' and '{other}' exclude each other"));
        }
    }

    fn needs(&mut self, one: &str, other: &str) {
        if self.has(one) && !self.has(other) {
            self.problems.push(format!("option '{one}' needs '{other}'"));
        }
    }

    fn at_most_one(&mut self, options: &[&str]) {
        if options.iter().filter(|option| self.truthy(option)).count() > 1 {
            self.problems.push(format!("only one of '{}' can be given", options.join("', '")));
        }
    }

    fn one_of(&mut self, options: &[&str]) {
        if options.iter().filter(|option| self.truthy(option)).count() != 1 {
            self.problems.push(format!("exactly one of '{}' is needed", options.join("', '")));
        }
    }

    /// A name and its members, or just the name of what exists already.
    fn members(&mut self, exists: &[&str], name: &str) {
        let exists = exists.iter().any(|option| self.has(option));
        match self.arguments.words.len() {
            0 => self.problems.push(format!("{name} is needed")),
            1 if !exists => self.problems.push("members are needed".to_owned()),
            n if n > 1 && exists => self.problems.push("members are given for what exists already".to_owned()),
            _ => {}
        }
    }

    fn format(&mut self, release: Release) {
        if self.has("--noformat") {
            self.when(self.truthy("--mkfsoptions"), "option '--mkfsoptions' has no effect with '--noformat'");
        }
        self.excludes("--fsprofile", "--mkfsoptions");
        self.excludes("--pbkdf-time", "--pbkdf-iterations");
        if matches!(release, Release::Rhel8 | Release::Rhel9 | Release::Rhel10) {
            let btrfs = self.text("--fstype") == "btrfs"
                || self.arguments.words.first().is_some_and(|word| word.starts_with("btrfs."));
            self.when(btrfs, "btrfs is not supported");
        }
        self.opal();
    }

    fn opal(&mut self) {
        let fits = self.has("--encrypted") && self.text("--luks-version").starts_with("luks2-");
        self.when(
            self.truthy("--hw-passphrase") && !fits,
            "option '--hw-passphrase' needs '--encrypted' and a luks2-hw-opal version",
        );
    }

    fn autopart(&mut self, release: Release) {
        let btrfs = self.text("--type").eq_ignore_ascii_case("btrfs");
        self.when(self.text("--fstype") == "btrfs", "btrfs is a '--type', not a '--fstype'");
        self.when(btrfs && self.truthy("--fstype"), "option '--fstype' cannot be given with '--type=btrfs'");
        if matches!(release, Release::Rhel8 | Release::Rhel9 | Release::Rhel10) {
            self.when(btrfs, "btrfs is not supported");
        }
        self.excludes("--pbkdf-time", "--pbkdf-iterations");
        self.excludes("--hibernation", "--noswap");
        self.opal();
    }

    fn btrfs(&mut self) {
        let exists = self.has("--noformat") || self.has("--useexisting");
        self.when(exists && self.truthy("--mkfsoptions"), "option '--mkfsoptions' has no effect on what exists");
        self.when(self.arguments.words.len() < 2, "partitions, or a parent volume, are needed");
        self.when(self.has("--subvol") && !self.truthy("--name"), "option '--subvol' needs '--name'");
    }

    fn partition(&mut self, release: Release) {
        self.format(release);
        if self.text("--fstype") == "tmpfs" {
            self.when(self.has("--grow") || self.truthy("--maxsize"), "a tmpfs has neither '--grow' nor '--maxsize'");
        }
        if self.has("--resize") {
            self.when(!self.truthy("--onpart"), "option '--resize' needs '--onpart'");
            self.when(!self.truthy("--size"), "option '--resize' needs '--size'");
        }
    }

    fn raid(&mut self, release: Release) {
        self.format(release);
        let exists = self.has("--useexisting") || self.has("--noformat");
        let members = self.arguments.words.len() > 1;
        self.when(!members && !exists, "members are needed");
        self.when(members && exists, "members are given for what exists already");
        self.when(!exists && !self.truthy("--level"), "option '--level' is missing");
        self.when(exists && self.text("--device").is_empty(), "option '--device' is missing");
    }

    fn logvol(&mut self, release: Release) {
        self.format(release);
        let exists = self.has("--useexisting") || self.has("--noformat");
        self.when(
            self.truthy("--size") && self.truthy("--percent"),
            "options '--size' and '--percent' exclude each other",
        );
        self.excludes("--thin", "--thinpool");
        self.when(self.has("--thin") && !self.truthy("--poolname"), "option '--thin' needs '--poolname'");
        let pool_only = self.truthy("--chunksize") || self.truthy("--metadatasize");
        self.when(
            pool_only && !self.has("--thinpool"),
            "options '--chunksize' and '--metadatasize' are for thin pools",
        );
        let sized = exists
            || ["--percent", "--size", "--recommended", "--hibernation"].iter().any(|option| self.truthy(option));
        self.when(!sized, "a size is needed: '--size', '--percent', '--recommended' or '--hibernation'");
        let percent = self.arguments.number("--percent").is_some_and(|percent| !(0..=100).contains(&percent));
        self.when(percent, "option '--percent' is not between 0 and 100");
        if self.has("--resize") {
            self.when(!exists, "option '--resize' needs '--useexisting'");
            self.when(!self.truthy("--size"), "option '--resize' needs '--size'");
        }
        if ["--cachesize", "--cachemode", "--cachepvs"].iter().any(|option| self.truthy(option)) {
            self.when(exists, "a volume that exists cannot be given a cache");
            self.when(self.has("--thin"), "a thin volume cannot be cached");
            self.when(self.list("--cachepvs").next().is_none(), "a cache needs '--cachepvs'");
            self.when(!self.truthy("--cachesize"), "a cache needs '--cachesize'");
            let mode = self.text("--cachemode");
            self.when(
                !matches!(mode, "" | "writeback" | "writethrough"),
                "option '--cachemode' is neither writeback nor writethrough",
            );
        }
    }

    fn network(&mut self, release: Release) {
        // Later releases leave the name to NetworkManager.
        if let Some(problem) = interface_name_problem(self.text("--interfacename"))
            && release <= Release::Rhel7
        {
            self.problems.push(format!("option '--interfacename' {problem}"));
        }
        if self.truthy("--bridgeopts") {
            self.when(!self.truthy("--bridgeslaves"), "option '--bridgeopts' needs '--bridgeslaves'");
            let pairs = self
                .text("--bridgeopts")
                .split(',')
                .all(|pair| pair.split_once('=').is_some_and(|(_, value)| !value.is_empty() && !value.contains('=')));
            self.when(!pairs, "option '--bridgeopts' is not a list of key=value");
        }
        let vlan = self.truthy("--vlanid") && !self.truthy("--bondopts");
        self.when(self.text("--bindto") == "mac" && vlan, "option '--bindto=mac' does not go with '--vlanid'");
        if release >= Release::Rhel9 && !self.truthy("--device") {
            for option in ["--ipv4-dns-search", "--ipv6-dns-search", "--ipv4-ignore-auto-dns", "--ipv6-ignore-auto-dns"]
            {
                self.when(self.truthy(option), &format!("option '{option}' needs '--device'"));
            }
        }
    }

    fn nvdimm(&mut self) {
        let (namespace, drives) = (self.truthy("--namespace"), self.list("--blockdevs").next().is_some());
        self.when(namespace && drives, "options '--namespace' and '--blockdevs' exclude each other");
        match self.arguments.words.first().map(String::as_str) {
            Some("reconfigure") => {
                self.when(!namespace, "'reconfigure' needs '--namespace'");
                let sector = matches!(self.text("--mode"), "" | "sector") && !self.truthy("--sectorsize");
                self.when(sector, "mode 'sector' needs '--sectorsize'");
            }
            Some("use") => self.when(!namespace && !drives, "'use' needs '--namespace' or '--blockdevs'"),
            Some(other) => self.problems.push(format!("action '{other}' is neither 'reconfigure' nor 'use'")),
            None => {}
        }
    }
}

/// What is wrong with the words after `realm`: `join`, options that may be short for one, then exactly one realm.
pub(super) fn realm_problem(words: &[String]) -> Option<String> {
    const OPTIONS: [&str; 6] = [
        "--client-software",
        "--server-software",
        "--membership-software",
        "--one-time-password",
        "--no-password",
        "--computer-ou",
    ];
    let mut words = words.iter().map(String::as_str);
    if words.next() != Some("join") {
        return Some("the one action is 'join'".to_owned());
    }
    let mut realms = 0;
    while let Some(word) = words.next() {
        // After the first word that is no option, none is one.
        if word == "--" || word == "-" || !word.starts_with('-') || realms > 0 {
            realms += usize::from(word != "--") + words.by_ref().count();
            continue;
        }
        let (name, value) = word.split_once('=').map_or((word, None), |(name, value)| (name, Some(value)));
        let meant: Vec<&str> = match OPTIONS.iter().find(|option| **option == name) {
            Some(option) => vec![*option],
            None => OPTIONS.into_iter().filter(|option| name.len() > 2 && option.starts_with(name)).collect(),
        };
        let [option] = meant[..] else { return Some(format!("'join' has no option '{name}'")) };
        match (option, value) {
            ("--no-password", None) | (_, Some(_)) if option != "--no-password" || value.is_none() => {}
            ("--no-password", _) => return Some("option '--no-password' takes no value".to_owned()),
            _ if words.next().is_none() => return Some(format!("option '{option}' needs a value")),
            _ => {}
        }
    }
    (realms != 1).then(|| "exactly one realm is joined".to_owned())
}

/// What is wrong with the name of a virtual interface.
fn interface_name_problem(name: &str) -> Option<&'static str> {
    let in_range = |text: &str| text.trim().parse::<i64>().map(|id| (0..=4094).contains(&id));
    let (base, id) = match name.split_once('.') {
        Some(("vlan", _)) => return Some("cannot be 'vlan' with a dot"),
        Some((base, id)) => (base, Some(id)),
        None => (name, name.strip_prefix("vlan")),
    };
    let ids = [id, base.strip_prefix("vlan").filter(|_| name.contains('.'))];
    for id in ids.into_iter().flatten() {
        match in_range(id) {
            Err(_) => return Some("has no VLAN number where one is expected"),
            Ok(false) => return Some("has a VLAN number that is not between 0 and 4094"),
            Ok(true) => {}
        }
    }
    None
}
