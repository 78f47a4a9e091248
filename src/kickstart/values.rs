//! Values that the installer's parser takes as they are and the installation then fails on: addresses, time zones,
//! locales, password hashes, URLs, devices.

use super::arguments::Arguments;
use super::{credentials, devices, keyboard};
use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
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
        "rootpw" | "sshpw" => credentials::password(command, arguments, &mut wrong),
        "bootloader" => {
            credentials::password(command, arguments, &mut wrong);
            for option in ["--boot-drive", "--driveorder"] {
                wrong.extend(arguments.values(option).flat_map(names).filter_map(devices::disk));
            }
        }
        "user" | "group" => {
            wrong.extend(arguments.value("--name").and_then(|name| credentials::account(command, name)));
            credentials::password(command, arguments, &mut wrong);
            credentials::account_values(command, arguments, &mut wrong);
        }
        "sshkey" => wrong.extend(word.and_then(credentials::ssh_key)),
        "vnc" => {
            let port = arguments.value("--port").filter(|port| port.parse::<u16>().map_or(true, |port| port == 0));
            wrong.extend(port.map(|port| ("port", format!("'--port={port}' is no number from 1 to 65535"))));
            wrong.extend(arguments.value("--host").and_then(server));
        }
        "firewall" => {
            for port in arguments.values("--port").flat_map(|list| list.split(',')).map(str::trim) {
                let (number, protocol) = port.split_once(':').unwrap_or((port, "tcp"));
                let ends = number.split_once('-').unwrap_or((number, number));
                let fits = |end: &str| {
                    end.parse::<u16>().is_ok_and(|port| port > 0) || end.bytes().all(|b| b.is_ascii_lowercase())
                };
                if !fits(ends.0)
                    || !fits(ends.1)
                    || !matches!(protocol, "tcp" | "udp" | "sctp" | "dccp")
                    || number.is_empty()
                {
                    wrong.push(("port", format!("'{port}' is no port and protocol (80:tcp)")));
                }
            }
        }
        "url" | "repo" | "liveimg" | "ostreesetup" | "updates" | "method" | "nfs" => {
            for option in ["--url", "--baseurl", "--mirrorlist", "--metalink", "--proxy"] {
                wrong.extend(arguments.values(option).filter_map(|text| url(text, option == "--proxy")));
            }
            if command == "nfs" {
                wrong.extend(arguments.value("--server").and_then(server));
            }
        }
        "logging" => wrong.extend(arguments.value("--host").and_then(server)),
        "clearpart" | "ignoredisk" => {
            for option in ["--drives", "--only-use", "--list"] {
                let check = if command == "clearpart" && option == "--list" { devices::device } else { devices::disk };
                wrong.extend(arguments.values(option).flat_map(names).filter_map(check));
            }
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
    if !point.starts_with('/') && !special.contains(&point) && !member {
        wrong.push(("mount-point", format!("'{point}' is no mount point")));
    }
}

fn locale(text: &str) -> Option<Wrong> {
    let (name, rest) = text.split_at(text.find(['.', '@']).unwrap_or(text.len()));
    let (codeset, modifier) = rest.split_at(rest.find('@').unwrap_or(rest.len()));
    let codeset = codeset.trim_start_matches('.').to_ascii_lowercase().replace('-', "");
    let coded = codeset.is_empty()
        || codeset == "utf8"
        || codeset.starts_with("iso8859")
        || codeset == "eucjp"
        || codeset == "gb18030";
    let named = LOCALES.contains(format!("{name}{modifier}").as_str());
    (!named || !coded).then(|| ("locale", format!("unknown locale '{text}'")))
}

/// A host name or an address.
fn server(text: &str) -> Option<Wrong> {
    let text = text.trim();
    (!is_host(text)).then(|| ("address", format!("'{text}' is neither a host name nor an address")))
}

fn is_host(text: &str) -> bool {
    if text.parse::<IpAddr>().is_ok() {
        return true;
    }
    // What looks like an address and is none, such as 10.1.1.300, is no name either.
    let numeric = text.split('.').all(|part| part.bytes().all(|b| b.is_ascii_digit()));
    !numeric && text.len() <= 253 && text.trim_end_matches('.').split('.').all(is_label)
}

fn is_label(label: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
    !label.is_empty()
        && label.len() <= 63
        && label.bytes().all(plain)
        && !label.starts_with('-')
        && !label.ends_with('-')
}

/// A URL that packages or an image can be fetched from.
fn url(text: &str, is_proxy: bool) -> Option<Wrong> {
    let problem = |why: &str| Some(("url", format!("'{text}' is no URL: {why}")));
    let Some((scheme, rest)) = text.split_once("://") else {
        // A proxy may leave its scheme out; hd: and cdrom: have no slashes.
        return match text.split_once(':') {
            Some(("hd" | "cdrom" | "nfs", rest)) if !rest.is_empty() => None,
            _ if is_proxy && is_host(text.rsplit('@').next()?.split(':').next()?) => None,
            _ => problem("it has no scheme such as http://"),
        };
    };
    match scheme {
        "file" | "hd" => return (!rest.starts_with('/')).then(|| problem("its path is not absolute")).flatten(),
        "http" | "https" | "ftp" | "nfs" => {}
        _ => return problem("the installer knows no such scheme"),
    }
    if text.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return problem("it has white space");
    }
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let place = authority.rsplit('@').next().unwrap_or_default();
    let (host, port) = match place.strip_prefix('[').and_then(|place| place.split_once(']')) {
        Some((address, port)) if address.parse::<Ipv6Addr>().is_ok() => ("localhost", port.strip_prefix(':')),
        Some(_) => return problem("its address is none"),
        None => place.split_once(':').map_or((place, None), |(host, port)| (host, Some(port))),
    };
    if host.is_empty() {
        return problem("it names no host");
    }
    if !host.contains('$') && !is_host(host) {
        return problem("its host is neither a name nor an address");
    }
    let fits =
        port.is_none_or(|port| port.parse::<u16>().is_ok_and(|port| port > 0) || (scheme == "nfs" && port.is_empty()));
    (!fits).then(|| problem("its port is no number from 1 to 65535")).flatten()
}

fn network(arguments: &Arguments, wrong: &mut Vec<Wrong>) {
    let value = |option| arguments.value(option).filter(|value| !value.is_empty());
    let mut address = |option, kinds: &[&str]| {
        let text = value(option)?;
        if kinds.contains(&text) {
            return None;
        }
        let parsed = text.parse::<Ipv4Addr>().ok();
        if parsed.is_none() {
            wrong.push(("address", format!("'{option}={text}' is no IPv4 address")));
        }
        parsed
    };
    let ip = address("--ip", &["dhcp"]);
    let gateway = address("--gateway", &[]);
    let mask = address("--netmask", &[]);
    if let Some(mask) = mask {
        let bits = u32::from(mask);
        if bits.leading_ones() + bits.trailing_zeros() != 32 || bits == 0 {
            wrong.push(("address", format!("'--netmask={mask}' is no network mask")));
        } else if let (Some(ip), Some(gateway)) = (ip, gateway)
            && u32::from(ip) & bits != u32::from(gateway) & bits
        {
            wrong.push(("address", format!("gateway '{gateway}' is not in the network of '{ip}' with mask '{mask}'")));
        } else if let Some(ip) = ip.filter(|_| bits.leading_ones() < 31) {
            let host = u32::from(ip) & !bits;
            if host == 0 || host == !bits {
                let kind = if host == 0 { "network" } else { "broadcast" };
                wrong.push(("address", format!("'{ip}' with mask '{mask}' is a {kind} address, no machine's")));
            }
        }
    }
    if let (Some(ip), Some(gateway)) = (ip, gateway)
        && ip == gateway
    {
        wrong.push(("address", format!("gateway '{gateway}' is the machine itself")));
    }
    if value("--bootproto") == Some("static") {
        let is_v6_only = value("--ipv6").is_some() && value("--ip").is_none();
        for option in ["--ip", "--netmask"] {
            if value(option).is_none() && !is_v6_only {
                wrong.push(("address", format!("'--bootproto=static' needs '{option}'")));
            }
        }
    }
    for text in arguments.values("--nameserver").flat_map(|list| list.split(',')).map(str::trim) {
        if text.parse::<IpAddr>().is_err() {
            wrong.push(("address", format!("name server '{text}' is no address")));
        }
    }
    if let Some(text) = value("--ipv6") {
        let (address, prefix) = text.split_once('/').unwrap_or((text, "64"));
        let fits = address.parse::<Ipv6Addr>().is_ok() && prefix.parse::<u8>().is_ok_and(|prefix| prefix <= 128);
        if !fits && !matches!(text, "auto" | "dhcp") {
            wrong.push(("address", format!("'--ipv6={text}' is neither auto, dhcp nor an address with its prefix")));
        }
    }
    if let Some(text) =
        value("--ipv6gateway").filter(|text| text.split('%').next().is_none_or(|a| a.parse::<Ipv6Addr>().is_err()))
    {
        wrong.push(("address", format!("'--ipv6gateway={text}' is no IPv6 address")));
    }
    if let Some(text) = value("--mtu").filter(|text| !text.parse::<u32>().is_ok_and(|mtu| (68..=65536).contains(&mtu)))
    {
        wrong.push(("network", format!("'--mtu={text}' is no packet size")));
    }
    if let Some(text) = value("--vlanid").filter(|text| !text.parse::<u16>().is_ok_and(|id| (1..=4094).contains(&id))) {
        wrong.push(("network", format!("'--vlanid={text}' is no number from 1 to 4094")));
    }
    if let Some(text) = value("--hostname").filter(|text| !is_host(text)) {
        wrong.push(("host-name", format!("'{text}' is no host name")));
    }
    let named = |text: &&str| {
        let mac = text.split(':').count() == 6
            && text.split(':').all(|pair| pair.len() == 2 && u8::from_str_radix(pair, 16).is_ok());
        mac || (text.len() <= 15 && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.')))
    };
    if let Some(text) = value("--device").filter(|text| !named(text)) {
        wrong.push(("network", format!("'--device={text}' is neither an interface's name nor a MAC address")));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locales_and_time_zones() {
        for good in ["en_US.UTF-8", "C.UTF-8", "de_DE", "de_DE@euro", "C", "sr_RS.utf8@latin"] {
            assert_eq!(locale(good), None, "{good}");
        }
        for bad in ["xx_NOPE", "english", "en_US.NOPE", ""] {
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

    #[test]
    fn urls() {
        for good in [
            "http://10.1.1.1/install/x",
            "https://mirror.example:8443/a?b=c",
            "http://127.0.0.1:7180/",
            "ftp://user:pw@h/x",
            "file:///run/install",
            "nfs://server:/x",
            "http://[fd00::1]:80/x",
            "http://mirror/$releasever/$basearch",
            "hd:sda1:/iso",
        ] {
            assert_eq!(url(good, false), None, "{good}");
        }
        for bad in [
            "notaurl",
            "http://",
            "http:///x",
            "htp://x/",
            "http://10.1.1.300/x",
            "http://a b/",
            "http://h:99999/",
            "http://-x/",
            "",
            "http://h:0/",
            "http://[zz]/",
        ] {
            assert!(url(bad, false).is_some(), "{bad}");
        }
        assert_eq!(url("proxy.example:3128", true), None);
    }

    #[test]
    fn hosts() {
        for good in ["a", "compute-0-0.local", "10.1.1.1", "::1", "1a.b"] {
            assert!(is_host(good), "{good}");
        }
        for bad in ["", "10.1.1.300", "a..b", "-a", "a b", "1.2"] {
            assert!(!is_host(bad), "{bad}");
        }
    }
}
