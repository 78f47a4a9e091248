//! Values that the installer's parser takes as they are and the installation then fails on: addresses, time zones,
//! locales, password hashes, URLs, devices.

use super::addresses::{network, server};
use super::arguments::Arguments;
use super::{credentials, devices, keyboard, services, sources};
use std::collections::HashSet;
use std::sync::LazyLock;

static TIMEZONES: LazyLock<HashSet<&str>> = LazyLock::new(|| include_str!("timezones.txt").lines().collect());
static LOCALES: LazyLock<HashSet<&str>> = LazyLock::new(|| include_str!("locales.txt").lines().collect());

/// One wrong value: the kind of finding and what is wrong, in words.
pub(super) type Wrong = (&'static str, String);

/// What is wrong with the values of one command.
pub(super) fn problems(command: &str, arguments: &Arguments) -> Vec<Wrong> {
    let mut wrong = Vec::new();
    let word = arguments.words.first().map(String::as_str);
    match command {
        "lang" => {
            let more = arguments.values("--addsupport").flat_map(|list| list.split(',')).map(str::trim);
            wrong.extend(word.into_iter().chain(more).filter_map(locale));
        }
        "keyboard" => {
            let layouts = arguments.values("--xlayouts").flat_map(|list| list.split(',')).map(str::trim);
            let keymaps = arguments.values("--vckeymap").chain(word);
            wrong.extend(layouts.filter_map(keyboard::layout));
            let switches = arguments.values("--switch").flat_map(names);
            wrong.extend(switches.filter_map(keyboard::switch));
            wrong.extend(keymaps.filter_map(keyboard::keymap));
        }
        "timezone" => {
            wrong.extend(
                word.filter(|zone| !TIMEZONES.contains(zone))
                    .map(|zone| ("time-zone", format!("unknown time zone '{zone}'"))),
            );
            wrong.extend(arguments.values("--ntpservers").flat_map(|list| list.split(',')).filter_map(server));
        }
        "timesource" => {
            wrong.extend(arguments.values("--ntp-server").chain(arguments.values("--ntp-pool")).filter_map(server));
        }
        "network" => network(arguments, &mut wrong),
        "rootpw" => credentials::password(command, arguments, &mut wrong),
        "sshpw" => {
            credentials::password(command, arguments, &mut wrong);
            wrong.extend(arguments.value("--username").and_then(|name| credentials::account("user", name)));
        }
        "bootloader" => {
            credentials::password(command, arguments, &mut wrong);
            let odd = arguments.number("--timeout").filter(|secs| !(-1..=i64::from(i32::MAX)).contains(secs));
            wrong.extend(
                odd.map(|secs| ("boot-loader", format!("'--timeout={secs}' is no time that a boot loader waits"))),
            );
            for option in ["--boot-drive", "--driveorder"] {
                wrong.extend(arguments.values(option).flat_map(names).filter_map(devices::disk));
            }
        }
        "user" | "group" => {
            wrong.extend(arguments.value("--name").and_then(|name| credentials::account(command, name)));
            credentials::password(command, arguments, &mut wrong);
            credentials::account_values(command, arguments, &mut wrong);
        }
        "sshkey" => {
            wrong.extend(word.and_then(credentials::ssh_key));
            wrong.extend(arguments.value("--username").and_then(|name| credentials::account("user", name)));
        }
        "vnc" => {
            wrong.extend(arguments.value("--port").and_then(sources::port));
            wrong.extend(arguments.value("--host").and_then(server));
            // The text itself is never shown.
            if arguments.value("--password").is_some_and(|password| !(6..=8).contains(&password.len())) {
                wrong.push(("password", "a password of VNC has six to eight characters".to_owned()));
            }
        }
        "firewall" => services::firewall(arguments, &mut wrong),
        "services" => services::services(arguments, &mut wrong),
        "url" | "repo" | "liveimg" | "ostreesetup" | "updates" | "method" | "nfs" | "harddrive" | "driverdisk"
        | "iscsi" | "iscsiname" | "fcoe" | "zfcp" | "nvdimm" => sources::problems(command, arguments, &mut wrong),
        "logging" => {
            wrong.extend(arguments.value("--host").and_then(server));
            wrong.extend(arguments.value("--port").filter(|port| !port.is_empty()).and_then(sources::port));
        }
        "snapshot" | "logvol" | "volgroup" => volumes(command, arguments, &mut wrong),
        "clearpart" | "ignoredisk" => {
            for option in ["--drives", "--only-use", "--list"] {
                let check = if command == "clearpart" && option == "--list" { devices::device } else { devices::disk };
                wrong.extend(arguments.values(option).flat_map(names).filter_map(check));
            }
            let odd =
                arguments.value("--disklabel").filter(|label| !matches!(*label, "gpt" | "msdos" | "mac" | "dasd"));
            wrong
                .extend(odd.map(|label| ("device", format!("'--disklabel={label}' is none of gpt, msdos, mac, dasd"))));
        }
        "xconfig" => {
            let odd = arguments.value("--defaultdesktop").filter(|name| !matches!(*name, "GNOME" | "KDE"));
            wrong.extend(odd.map(|name| ("desktop", format!("'--defaultdesktop={name}' is neither GNOME nor KDE"))));
        }
        _ => {}
    }
    if matches!(command, "part" | "partition" | "raid" | "logvol" | "mount" | "stratisfs") {
        storage(command, arguments, &mut wrong);
    }
    wrong
}

/// The names of a list.
pub(super) fn names(list: &str) -> impl Iterator<Item = &str> {
    list.split(',').map(str::trim).filter(|name| !name.is_empty())
}

fn storage(command: &str, arguments: &Arguments, wrong: &mut Vec<Wrong>) {
    wrong.extend(arguments.value("--onpart").and_then(devices::device));
    wrong.extend(arguments.value("--ondisk").and_then(devices::disk));
    let known = [
        "",
        "ext2",
        "ext3",
        "ext4",
        "xfs",
        "btrfs",
        "vfat",
        "swap",
        "efi",
        "biosboot",
        "prepboot",
        "tmpfs",
        "lvmpv",
        "mdmember",
        "stratis",
        "macefi",
        "hfs",
        "hfs+",
        "ntfs",
        "gfs2",
        "f2fs",
        "apple bootstrap",
        "pre-existing",
        "PPC PReP Boot",
        "physical volume (LVM)",
        "software RAID",
        "iso9660",
        "ext4dev",
        "fat12",
        "fat16",
        "fat32",
        "msdos",
        "jfs",
        "reiserfs",
    ];
    let kind = arguments.value(if command == "mount" { "--reformat" } else { "--fstype" }).unwrap_or_default();
    if !known.contains(&kind) {
        wrong.push(("file-system", format!("unknown file system '{kind}'")));
    }
    let point = if command == "mount" { arguments.words.get(1) } else { arguments.words.first() };
    let point = point.map_or("", String::as_str);
    let special = ["swap", "none", "biosboot", "prepboot", "appleboot", "macefi", "recommended"];
    let member = ["pv.", "raid.", "btrfs."].iter().any(|start| point.starts_with(start));
    if (!point.starts_with('/') && !special.contains(&point) && !member) || point.split('/').any(|part| part == "..") {
        wrong.push(("mount-point", format!("'{point}' is no mount point")));
    }
    if point.starts_with('/') && matches!(kind, "swap" | "biosboot" | "prepboot" | "lvmpv" | "mdmember") {
        wrong.push(("file-system", format!("'{kind}' is no file system that is mounted at '{point}'")));
    }
    let is_vfat =
        matches!(kind, "" | "efi" | "vfat" | "fat12" | "fat16" | "fat32" | "msdos" | "macefi" | "hfs" | "hfs+");
    if point == "/boot/efi" && !is_vfat {
        wrong.push(("file-system", format!("'/boot/efi' cannot be of type '{kind}': firmware reads vfat")));
    }
    size(kind, point, arguments, wrong);
}

/// A size that no file system has, or not this one. In MiB.
fn size(kind: &str, point: &str, arguments: &Arguments, wrong: &mut Vec<Wrong>) {
    const TIB: i64 = 1 << 20;
    let (least, most) = match kind {
        "xfs" => (16, TIB << 23),
        "btrfs" => (109, TIB << 23),
        "ext2" | "ext3" => (1, 16 * TIB),
        "ext4" => (1, TIB << 20),
        "efi" | "vfat" => (1, 2 * TIB),
        "biosboot" | "prepboot" => (1, 64),
        "swap" => (1, 16 * TIB),
        _ if point == "swap" => (1, 16 * TIB),
        _ => (1, TIB << 23),
    };
    for option in ["--size", "--maxsize"] {
        let Some(size) = arguments.number(option).filter(|size| *size > 0) else { continue };
        let place = if kind.is_empty() { point } else { kind };
        if size > most {
            wrong.push(("partitioning", format!("'{option}={size}' is too large: '{place}' has at most {most} MiB")));
        } else if size < least {
            wrong.push(("partitioning", format!("'{option}={size}' is too small: '{place}' has at least {least} MiB")));
        }
    }
}

/// The names of volume groups and logical volumes, as LVM has them.
fn volumes(command: &str, arguments: &Arguments, wrong: &mut Vec<Wrong>) {
    let word = arguments.words.first().map(String::as_str);
    let given: Vec<&str> = match command {
        "logvol" => arguments.value("--name").into_iter().chain(arguments.value("--vgname")).collect(),
        "snapshot" => {
            arguments.value("--name").into_iter().chain(word.into_iter().flat_map(|w| w.split('/'))).collect()
        }
        _ => word.into_iter().collect(),
    };
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'+' | b'-');
    for name in given.into_iter().filter(|name| !name.is_empty()) {
        let ours =
            ["_cdata", "_cmeta", "_corig", "_mlog", "_mimage", "_pmspare", "_rimage", "_rmeta", "_tdata", "_tmeta"];
        let reserved = command == "logvol"
            && Some(name) == arguments.value("--name")
            && (name.starts_with("snapshot")
                || name.starts_with("pvmove")
                || ours.iter().any(|part| name.contains(part)));
        if name.starts_with('-') || matches!(name, "." | "..") || !name.bytes().all(plain) || name.len() > 127 {
            wrong.push(("partitioning", format!("'{name}' is no name of a volume or a group of them")));
        } else if reserved {
            wrong.push(("partitioning", format!("'{name}' is a name that LVM keeps for itself")));
        }
    }
}

fn locale(text: &str) -> Option<Wrong> {
    let (name, rest) = text.split_at(text.find(['.', '@']).unwrap_or(text.len()));
    let (codeset, modifier) = rest.split_at(rest.find('@').unwrap_or(rest.len()));
    let codeset = codeset.trim_start_matches('.').to_ascii_lowercase().replace('-', "");
    let coded = codeset.is_empty()
        || codeset == "utf8"
        || codeset.strip_prefix("iso8859").is_some_and(|part| matches!(part.parse(), Ok(1..=16)))
        || codeset == "eucjp"
        || codeset == "gb18030";
    // The installer takes a language alone for the first of its locales.
    let is_language = || !name.contains('_') && LOCALES.iter().any(|known| known.split('_').next() == Some(name));
    let named = LOCALES.contains(format!("{name}{modifier}").as_str()) || is_language();
    (!named || !coded).then(|| ("locale", format!("unknown locale '{text}'")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locales_and_time_zones() {
        for good in ["en", "en_US.UTF-8", "C.UTF-8", "de_DE", "de_DE@euro", "C", "sr_RS.utf8@latin"] {
            assert_eq!(locale(good), None, "{good}");
        }
        for bad in ["xx", "EN", "xx_NOPE", "english", "en_US.NOPE", ""] {
            assert!(locale(bad).is_some(), "{bad}");
        }
        for zone in ["UTC", "Europe/Berlin", "America/Argentina/Ushuaia", "Etc/GMT+5", "US/Pacific"] {
            assert!(TIMEZONES.contains(zone), "{zone}");
        }
    }

    #[test]
    fn keyboards_are_judged_by_what_each_option_takes() {
        let wrong = |option: &str, value: &str| problems("keyboard", &Arguments::default().with(option, value)).len();
        assert_eq!(wrong("--xlayouts", "us,de (nodeadkeys), cz(qwerty)"), 0);
        assert_eq!(wrong("--xlayouts", "us,de-latin1,xx"), 2);
        assert_eq!(wrong("--vckeymap", "de-latin1") + wrong("--vckeymap", "de (nodeadkeys)"), 0);
        assert_eq!(wrong("--vckeymap", "de-latin9"), 1);
    }
}
