//! What a Kickstart file tells the installer's add-ons (`%addon`) and the installer itself (`%anaconda`).
//!
//! The installer's parser hands these sections on unread, so what is wrong in them only shows while it installs.

use super::document::SectionText;
use super::line;
use crate::profile::Severity;

/// The add-ons that installers of Enterprise Linux 7 to 10 and Fedora have had.
const ADDONS: [&str; 8] = [
    "com_redhat_kdump",
    "com_redhat_oscap",
    "org_fedora_oscap",
    "com_redhat_docker",
    "com_redhat_subscription_manager",
    "org_fedora_initial_setup",
    "org_fedora_hello_world",
    "org_centos_cloud",
];

/// What the add-on of OpenSCAP reads.
const OSCAP_KEYS: [&str; 12] = [
    "content-type",
    "content-url",
    "content-path",
    "datastream-id",
    "xccdf-id",
    "xccdf-path",
    "cpe-path",
    "tailoring-path",
    "profile",
    "fingerprint",
    "certificates",
    "remediate",
];

/// What is wrong in such a section: how badly, in which line, in words.
pub(super) fn findings(section: &SectionText<'_>) -> Vec<(Severity, u32, String)> {
    let mut found = Vec::new();
    let mut error = |line, what: String| found.push((Severity::Error, line, what));
    if section.name() == "%anaconda" {
        for (line, text) in section.lines() {
            policy(text).into_iter().for_each(|what| error(line, what));
        }
        return found;
    }
    let Some(name) = section.head.get(1) else {
        error(section.line, "section '%addon' names no add-on".to_owned());
        return found;
    };
    match name.as_str() {
        "com_redhat_kdump" => {
            section.head[2..].iter().filter_map(|word| kdump(word)).for_each(|what| error(section.line, what));
        }
        "com_redhat_oscap" | "org_fedora_oscap" => {
            for (line, text) in section.lines() {
                oscap(text).into_iter().for_each(|what| error(line, what));
            }
        }
        name if !ADDONS.contains(&name) => {
            let what = format!("no installer is known to have an add-on '{name}'");
            found.push((Severity::Warning, section.line, what));
        }
        _ => {}
    }
    found
}

/// `--enable`, `--disable`, and how much memory is set aside: `auto`, a number of megabytes, or ranges.
fn kdump(word: &str) -> Option<String> {
    let (option, value) = word.split_once('=').unwrap_or((word, ""));
    let number = value.strip_suffix(['M', 'm']).unwrap_or(value);
    let is_size = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    match option {
        "--enable" | "--disable" | "--enablefadump" if value.is_empty() => None,
        "--reserve-mb" if value == "auto" || value.contains(':') || is_size(number) => None,
        "--reserve-mb" => Some(format!("'{value}' is no memory for kdump: 'auto' or a number of megabytes")),
        _ => Some(format!("the add-on of kdump has no option '{option}'")),
    }
}

/// `KEY = VALUE`.
fn oscap(text: &str) -> Option<String> {
    let text = text.trim();
    if text.is_empty() || text.starts_with('#') {
        return None;
    }
    let (key, value) = text.split_once('=').unwrap_or((text, ""));
    let (key, value) = (key.trim(), value.trim().trim_matches('"'));
    let types = ["datastream", "archive", "rpm", "scap-security-guide"];
    match key {
        _ if !OSCAP_KEYS.contains(&key) => Some(format!("the add-on of OpenSCAP knows no '{key}'")),
        _ if value.is_empty() => Some(format!("'{key}' says nothing")),
        "content-type" if !types.iter().any(|known| known.eq_ignore_ascii_case(value)) => {
            Some(format!("'content-type = {value}' is none of {}", types.join(", ")))
        }
        _ => None,
    }
}

/// `pwpolicy NAME OPTION...`: what passwords typed at the installer must be like.
fn policy(text: &str) -> Option<String> {
    let text = text.trim();
    if text.is_empty() || text.starts_with('#') {
        return None;
    }
    let words = match line::split(text) {
        Ok(words) => words,
        Err(why) => return Some(format!("the line {why}")),
    };
    let command = words.first().map_or("", String::as_str);
    if command != "pwpolicy" {
        // Installers of EL 7 and 8 had one more.
        return (command != "installclass").then(|| format!("section '%anaconda' has no command '{command}'"));
    }
    let mut named = false;
    let mut words = words[1..].iter().map(String::as_str);
    while let Some(word) = words.next() {
        let (option, value) = word.split_once('=').map_or((word, None), |(option, value)| (option, Some(value)));
        let problem = match option {
            "--strict" | "--notstrict" | "--emptyok" | "--notempty" | "--changesok" | "--nochanges" => None,
            "--minlen" | "--minquality" => {
                let value = value.or_else(|| words.next()).unwrap_or_default();
                value.parse::<u16>().is_err().then(|| format!("'{option}={value}' is no number"))
            }
            "root" | "user" | "luks" => {
                named = true;
                None
            }
            _ if option.starts_with('-') => Some(format!("'pwpolicy' has no option '{option}'")),
            _ => Some(format!("'pwpolicy' knows root, user and luks, not '{option}'")),
        };
        if problem.is_some() {
            return problem;
        }
    }
    (!named).then(|| "'pwpolicy' names neither root, user nor luks".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_add_ons_cannot_read_is_told() {
        for good in
            ["--enable", "--reserve-mb=auto", "--reserve-mb=256M", "--reserve-mb=256", "--reserve-mb=1G-4G:192M"]
        {
            assert_eq!(kdump(good), None, "{good}");
        }
        for bad in ["--reserve-mb=nope", "--reserve-mb=", "--enable=x", "--on"] {
            assert!(kdump(bad).is_some(), "{bad}");
        }
        for good in
            ["", " # note", "content-type = scap-security-guide", "profile = \"xccdf_org_stig\"", "remediate=post"]
        {
            assert_eq!(oscap(good), None, "{good}");
        }
        for bad in ["content-type = nosuch", "contents = x", "profile =", "profile"] {
            assert!(oscap(bad).is_some(), "{bad}");
        }
        for good in
            ["pwpolicy root --minlen=6 --minquality 1 --notstrict", "", "pwpolicy luks", "installclass --name=x"]
        {
            assert_eq!(policy(good), None, "{good}");
        }
        for bad in
            ["pwpolicy", "pwpolicy nosuch", "pwpolicy root --minlen=abc", "pwpolicy root --x", "lang C", "pwpolicy 'x"]
        {
            assert!(policy(bad).is_some(), "{bad}");
        }
    }
}
