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
        ] {
            assert_eq!(doubts(command, word, options), 1, "{command} {options:?}");
        }
        for (command, word, options) in [
            ("user", "", &[("--name", "admin")][..]),
            ("repo", "", &[("--name", "rhel-9_x.y")]),
            ("part", "/boot", &[("--onpart", "sda1")]),
            ("part", "swap", &[("--fstype", "swap")]),
            ("part", "/", &[("--encrypted", ""), ("--passphrase", "x")]),
            ("part", "/", &[("--fstype", "xfs"), ("--label", "root"), ("--fsoptions", "nodev,nosuid")]),
        ] {
            assert_eq!(doubts(command, word, options), 0, "{command} {options:?}");
        }
        assert!(rivals("halt").is_some_and(|rivals| rivals.contains(&"reboot")) && rivals("part").is_none());
    }
}
