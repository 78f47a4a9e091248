//! What an installer takes and an administrator hardly meant: warnings.

use super::arguments::Arguments;
use super::values::Wrong;
use super::{devices, services};

/// Commands of which the last one counts.
const SINGLE: [&[&str]; 14] = [
    &["lang"],
    &["keyboard"],
    &["timezone"],
    &["rootpw"],
    &["selinux"],
    &["firewall"],
    &["authselect"],
    &["firstboot"],
    &["text", "cmdline", "graphical"],
    &["reboot", "halt", "poweroff", "shutdown"],
    &["skipx", "xconfig"],
    &["url", "cdrom", "nfs", "harddrive", "hmc", "liveimg", "ostreesetup", "ostreecontainer"],
    &["rescue"],
    &["vnc", "rdp"],
];

/// The commands that a command takes the place of, or that take its place; none where every line counts.
pub(super) fn rivals(command: &str) -> Option<&'static [&'static str]> {
    SINGLE.into_iter().find(|group| group.contains(&command))
}

/// Programs that read scripts, without the numbers at their ends.
const INTERPRETERS: [&str; 24] = [
    "sh",
    "bash",
    "rbash",
    "dash",
    "ksh",
    "mksh",
    "zsh",
    "csh",
    "tcsh",
    "fish",
    "python",
    "platform-python",
    "perl",
    "ruby",
    "lua",
    "awk",
    "gawk",
    "sed",
    "tclsh",
    "expect",
    "node",
    "php",
    "env",
    "make",
];

/// What is odd about a script's section.
pub(super) fn of_script(arguments: &Arguments) -> Vec<String> {
    let mut doubts = Vec::new();
    if let Some(file) = arguments.value("--log").filter(|file| !file.is_empty() && !file.starts_with('/')) {
        doubts.push(format!("'--log={file}' is no absolute path: nobody will find it"));
    }
    let program = arguments.value("--interpreter").unwrap_or("/bin/sh").split_whitespace().next().unwrap_or_default();
    let Some((folder, name)) = program.rsplit_once('/').filter(|_| program.starts_with('/')) else { return doubts };
    let is_of_a_system = ["/bin", "/usr/bin", "/sbin", "/usr/sbin", "/usr/libexec"].contains(&folder);
    let top = folder.split('/').nth(1).unwrap_or_default();
    let is_known = match is_of_a_system {
        true => INTERPRETERS.contains(&name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.')),
        // What a roll brings along stands in a folder of its own.
        false => {
            ["usr", "opt", "home", "root", "mnt", "tmp", "var", "run", "etc", "srv", "lib", "export"].contains(&top)
        }
    };
    if !is_known {
        doubts.push(format!("'{program}' is no interpreter that an installed system has"));
    }
    doubts
}

/// What is odd about one command.
pub(super) fn of(command: &str, arguments: &Arguments) -> Vec<Wrong> {
    let mut doubts = Vec::new();
    let name = arguments.value("--name").unwrap_or_default();
    let encrypted = arguments.has("--encrypted") && arguments.value("--passphrase").is_none_or(str::is_empty);
    match command {
        "firewall" => services::firewall_doubts(arguments, &mut doubts),
        "services" => services::service_doubts(arguments, &mut doubts),
        // They are there before the first line is read.
        "user" if ["root", "bin", "daemon", "adm", "mail", "nobody", "sync", "halt", "shutdown"].contains(&name) => {
            doubts.push(("account", format!("user '{name}' is there already: this line changes nothing")));
        }
        "group" if ["root", "bin", "daemon", "sys", "adm", "tty", "disk", "wheel", "mail", "users"].contains(&name) => {
            doubts.push(("account", format!("group '{name}' is there already: this line changes nothing")));
        }
        "repo" if !name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b':')) => {
            doubts.push(("repository", format!("'{name}' is no name that dnf takes for a repository")));
        }
        "authselect" => doubts.extend(profile_of_logins(&arguments.words)),
        "part" | "partition" => {
            let point = arguments.words.first().map_or("", String::as_str);
            let whole = arguments.value("--onpart").filter(|text| devices::is_whole_disk(text));
            doubts.extend(whole.map(|text| ("device", format!("'--onpart={text}' is a whole disk, not a partition"))));
            let kind = arguments.value("--fstype").unwrap_or_default();
            let meant = ["swap", "biosboot", "prepboot"].into_iter().find(|meant| *meant == point);
            if meant.is_some_and(|meant| !kind.is_empty() && kind != meant) {
                doubts.push(("file-system", format!("'{point}' is never of type '{kind}'")));
            }
            if ["pv.", "raid.", "btrfs."].iter().any(|start| point.starts_with(start))
                && ["ext2", "ext3", "ext4", "xfs", "vfat", "swap"].contains(&kind)
            {
                doubts.push((
                    "file-system",
                    format!("'{point}' is a member of something: its type '{kind}' is not made"),
                ));
            }
        }
        _ => {}
    }
    if matches!(command, "part" | "partition" | "raid" | "logvol" | "autopart") && encrypted {
        doubts.push((
            "encryption",
            "'--encrypted' without '--passphrase': the installer stops and asks for one".to_owned(),
        ));
    }
    if matches!(command, "part" | "partition" | "raid" | "logvol") {
        doubts.extend(place(arguments));
        let most = match arguments.value("--fstype").unwrap_or_default() {
            "ext2" | "ext3" | "ext4" => 16,
            "xfs" => 12,
            "vfat" | "efi" => 11,
            "swap" => 15,
            _ => 255,
        };
        if let Some(label) = arguments.value("--label").filter(|label| label.len() > most) {
            doubts.push((
                "file-system",
                format!("label '{label}' is longer than the {most} characters of its file system"),
            ));
        }
        if let Some(list) = arguments.value("--fsoptions").filter(|list| list.contains(char::is_whitespace)) {
            doubts.push((
                "file-system",
                format!("'--fsoptions={list}' has a blank, at which a line of /etc/fstab goes on"),
            ));
        }
    }
    doubts
}

/// A mount point that nothing can be mounted at, or that has no room for what an installation puts there.
fn place(arguments: &Arguments) -> Option<Wrong> {
    const LEAST_MIB: i64 = 100;
    let point = arguments.words.first().map_or("", String::as_str);
    if point.starts_with('/') && point.contains(char::is_whitespace) {
        return Some(("mount-point", format!("'{point}' has a blank, at which a line of /etc/fstab goes on")));
    }
    let is_filled = ["/", "/boot", "/usr", "/var"].contains(&point) && !arguments.has("--grow");
    let size = arguments.number("--size").filter(|size| is_filled && (1..LEAST_MIB).contains(size))?;
    Some(("file-system", format!("'{point}' has no room in {size} MiB for what is installed there")))
}

/// What is odd about `authselect select PROFILE`.
fn profile_of_logins(words: &[String]) -> Option<Wrong> {
    let told = |what: String| Some(("authselect", what));
    match words.iter().map(String::as_str).filter(|word| !word.starts_with('-')).collect::<Vec<_>>()[..] {
        [] => told("'authselect' is told nothing".to_owned()),
        ["select", profile, ..] => {
            let known =
                ["sssd", "winbind", "nis", "minimal", "local"].contains(&profile) || profile.starts_with("custom/");
            (!known).then(|| ("authselect", format!("'{profile}' is no profile that authselect comes with")))
        }
        ["select"] => told("'authselect select' names no profile".to_owned()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_odd_is_told() {
        let doubts = |command: &str, word: &str, options: &[(&str, &str)]| {
            let mut begin = Arguments::default();
            begin.words.extend((!word.is_empty()).then(|| word.to_owned()));
            of(command, &options.iter().fold(begin, |all, (name, value)| all.with(name, value))).len()
        };
        for (command, word, options) in [
            ("user", "", &[("--name", "root")][..]),
            ("group", "", &[("--name", "wheel")]),
            ("repo", "", &[("--name", "a b")]),
            ("part", "/boot", &[("--onpart", "sda")]),
            ("part", "swap", &[("--fstype", "ext4")]),
            ("part", "pv.01", &[("--fstype", "ext4")]),
            ("part", "/", &[("--encrypted", "")]),
            ("part", "/", &[("--fstype", "xfs"), ("--label", "thirteenchars")]),
            ("logvol", "/", &[("--fsoptions", "nodev, nosuid")]),
            ("part", "/my boot", &[("--size", "500")]),
            ("part", "/boot", &[("--size", "1")]),
            ("authselect", "", &[]),
            ("authselect", "select", &[]),
        ] {
            assert_eq!(doubts(command, word, options), 1, "{command} {options:?}");
        }
        for (command, word, options) in [
            ("user", "", &[("--name", "admin")][..]),
            ("repo", "", &[("--name", "rhel-9_x.y")]),
            ("part", "/boot", &[("--onpart", "sda1")]),
            ("part", "swap", &[("--fstype", "swap")]),
            ("part", "/boot", &[("--size", "1"), ("--grow", "")]),
            ("part", "/data", &[("--size", "1")]),
            ("authselect", "enable-feature", &[]),
            ("part", "/", &[("--encrypted", ""), ("--passphrase", "x")]),
            ("part", "/", &[("--fstype", "xfs"), ("--label", "root"), ("--fsoptions", "nodev,nosuid")]),
        ] {
            assert_eq!(doubts(command, word, options), 0, "{command} {options:?}");
        }
        let words = |line: &str| line.split(' ').map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(profile_of_logins(&words("select sssd with-mkhomedir --force")), None);
        assert_eq!(profile_of_logins(&words("select custom/ours")), None);
        assert!(profile_of_logins(&words("select nosuch")).is_some());
        assert!(rivals("halt").is_some_and(|rivals| rivals.contains(&"reboot")) && rivals("part").is_none());
    }
    #[test]
    fn interpreters_and_logs_are_known_by_their_paths() {
        let doubts = |option: &str, value: &str| of_script(&Arguments::default().with(option, value)).len();
        for good in
            ["/bin/bash", "/usr/bin/python3.11", "/usr/libexec/platform-python", "/opt/rocks/bin/python", "bash"]
        {
            assert_eq!(doubts("--interpreter", good), 0, "{good}");
        }
        for bad in ["/nosuch/sh", "/bin/bsh", "/usr/bin/pyton3"] {
            assert_eq!(doubts("--interpreter", bad), 1, "{bad}");
        }
        assert_eq!((doubts("--log", "/root/ks.log"), doubts("--log", "ks.log")), (0, 1));
    }
}
