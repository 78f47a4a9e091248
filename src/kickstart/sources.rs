//! Where an installation comes from, and disks that are reached over a network: URLs, files, targets.

use super::addresses::{is_host, is_interface, server, url};
use super::arguments::Arguments;
use super::devices;
use super::values::Wrong;

/// What is wrong with the words of a command that names a source or a far disk.
pub(super) fn problems(command: &str, arguments: &Arguments, wrong: &mut Vec<Wrong>) {
    let word = arguments.words.first().map(String::as_str);
    for option in ["--url", "--baseurl", "--mirrorlist", "--metalink", "--proxy"] {
        wrong.extend(arguments.values(option).filter_map(|text| url(text, option == "--proxy")));
    }
    match command {
        "nfs" => wrong.extend(arguments.value("--server").and_then(server)),
        "harddrive" => wrong.extend(arguments.value("--partition").and_then(devices::device)),
        "updates" => wrong.extend(word.and_then(|text| url(text, false))),
        "driverdisk" => {
            let source = arguments.value("--source").filter(|text| !text.is_empty());
            wrong.extend(source.and_then(|text| url(text, false)));
            wrong.extend(word.and_then(devices::device));
        }
        "liveimg" => {
            let hex = |text: &&str| text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit());
            let odd = arguments.value("--checksum").filter(|text| !text.is_empty() && !hex(text));
            wrong.extend(odd.map(|text| ("url", format!("'--checksum={text}' is no SHA-256 digest"))));
        }
        "iscsi" => {
            wrong.extend(arguments.value("--ipaddr").and_then(server));
            wrong.extend(arguments.value("--port").and_then(port));
            wrong.extend(arguments.value("--target").filter(|text| !text.is_empty()).and_then(initiator));
        }
        "iscsiname" => wrong.extend(word.and_then(initiator)),
        "fcoe" => {
            let odd = arguments.value("--nic").filter(|text| !is_interface(text));
            wrong.extend(odd.map(|text| ("network", format!("'--nic={text}' is no interface's name"))));
        }
        "zfcp" => {
            let hex = |text: &str, digits: usize| {
                text.strip_prefix("0x")
                    .is_some_and(|rest| rest.len() == digits && rest.bytes().all(|b| b.is_ascii_hexdigit()))
            };
            let bus = |text: &str| {
                let parts: Vec<&str> = text.split('.').collect();
                let of = |part: &str, most: usize| {
                    (1..=most).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_hexdigit())
                };
                matches!(parts[..], [a, b, c] if of(a, 2) && of(b, 2) && of(c, 4))
                    || matches!(parts[..], [c] if of(c, 4))
            };
            for (option, fits) in [
                ("--devnum", &bus as &dyn Fn(&str) -> bool),
                ("--wwpn", &|text| hex(text, 16)),
                ("--fcplun", &|text| hex(text, 16)),
            ] {
                let odd = arguments.value(option).filter(|text| !text.is_empty() && !fits(text));
                wrong.extend(
                    odd.map(|text| ("device", format!("'{option}={text}' is none (0.0.4000, 0x5005076300c213e9)"))),
                );
            }
        }
        "nvdimm" => {
            let numbered = |text: &&str| {
                let number = text.strip_prefix("namespace").and_then(|rest| rest.split_once('.'));
                number.is_some_and(|(region, space)| region.parse::<u16>().is_ok() && space.parse::<u16>().is_ok())
            };
            let odd = arguments.value("--namespace").filter(|text| !text.is_empty() && !numbered(text));
            wrong.extend(odd.map(|text| ("device", format!("'--namespace={text}' is no namespace (namespace0.0)"))));
        }
        _ => {}
    }
}

/// A port's number.
pub(super) fn port(text: &str) -> Option<Wrong> {
    let fits = text.parse::<u16>().is_ok_and(|port| port > 0);
    (!fits).then(|| ("port", format!("'--port={text}' is no number from 1 to 65535")))
}

/// The name of an iSCSI initiator or target: `iqn.1994-05.com.redhat:x`, `eui.02004567A425678D`, `naa.52004567BA64678D`.
fn initiator(text: &str) -> Option<Wrong> {
    let hex = |rest: &str| matches!(rest.len(), 16 | 32) && rest.bytes().all(|b| b.is_ascii_hexdigit());
    let dated = |rest: &str| {
        let (date, name) = rest.split_once('.')?;
        let (year, month) = date.split_once('-')?;
        let fits = year.len() == 4 && year.parse::<u16>().is_ok() && matches!(month.parse::<u8>(), Ok(1..=12));
        (fits && is_host(name.split(':').next()?)).then_some(())
    };
    let fits = match text.split_once('.') {
        Some(("iqn", rest)) => dated(rest).is_some(),
        Some(("eui" | "naa", rest)) => hex(rest),
        _ => false,
    };
    (!fits).then(|| ("device", format!("'{text}' is no iSCSI name (iqn.1994-05.com.example:disk)")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(command: &str, option: &str, value: &str) -> usize {
        let mut wrong = Vec::new();
        let mut arguments = Arguments::default();
        match option {
            "" => arguments.words.push(value.to_owned()),
            option => arguments = arguments.with(option, value),
        }
        problems(command, &arguments, &mut wrong);
        wrong.len()
    }

    #[test]
    fn sources_and_far_disks() {
        for (command, option, value) in [
            ("nfs", "--server", "10.1.1.1"),
            ("harddrive", "--partition", "sda1"),
            ("harddrive", "--partition", "LABEL=ISO"),
            ("updates", "", "http://10.1.1.1/updates.img"),
            ("driverdisk", "--source", "nfs:10.1.1.1:/dd"),
            ("driverdisk", "", "sdb1"),
            ("liveimg", "--checksum", &"0a".repeat(32)),
            ("iscsi", "--target", "iqn.2005-01.com.example:storage.disk1"),
            ("iscsiname", "", "eui.02004567A425678D"),
            ("fcoe", "--nic", "eth0"),
            ("zfcp", "--devnum", "0.0.4000"),
            ("zfcp", "--wwpn", "0x5005076300c213e9"),
            ("nvdimm", "--namespace", "namespace0.0"),
        ] {
            assert_eq!(wrong(command, option, value), 0, "{command} {option} {value}");
        }
        for (command, option, value) in [
            ("nfs", "--server", "1.2.3.400"),
            ("harddrive", "--partition", "foo"),
            ("updates", "", "nosuch"),
            ("driverdisk", "--source", "foo"),
            ("liveimg", "--checksum", "abc"),
            ("iscsi", "--ipaddr", "1.2.3.400"),
            ("iscsi", "--port", "99999"),
            ("iscsiname", "", "iqn.2005-13.com.example:x"),
            ("iscsiname", "", "foo"),
            ("fcoe", "--nic", "eth 0"),
            ("zfcp", "--devnum", "xyz"),
            ("zfcp", "--fcplun", "0x1"),
            ("nvdimm", "--namespace", "nosuch"),
        ] {
            assert_eq!(wrong(command, option, value), 1, "{command} {option} {value}");
        }
    }
}
