//! What runs on the installed machine: services by their units, ports and services of the firewall.
//!
//! `firewall-services.txt` has the services that firewalld ships; packages may bring more.

use super::addresses::is_interface;
use super::arguments::Arguments;
use super::values::{Wrong, names};
use std::collections::HashSet;
use std::sync::LazyLock;

static FIREWALL: LazyLock<HashSet<&str>> =
    LazyLock::new(|| include_str!("firewall-services.txt").split_whitespace().collect());

/// Names of ports as people write them; a machine knows thousands more.
const PORTS: &str = "ssh http https http-alt webcache imap imaps pop3 pop3s smtp smtps submission ftp ftps ftp-data tftp \
    telnet domain dns ntp nfs sunrpc portmapper snmp snmptrap ldap ldaps kerberos kpasswd mysql mysqls postgres postgresql \
    ms-sql-s ms-wbt-server vnc-server rfb syslog syslog-tls rsync svn git x11 xdmcp ipp printer netbios-ns netbios-dgm \
    netbios-ssn microsoft-ds bootps bootpc dhcpv6-client dhcpv6-server mdns iscsi-target amqp amqps sip sips radius \
    radius-acct tacacs irc ircd finger time daytime echo discard chargen nntp nntps auth ident login shell exec pxe";

/// What is wrong with the words of `firewall`.
pub(super) fn firewall(arguments: &Arguments, wrong: &mut Vec<Wrong>) {
    for text in arguments.values("--port").flat_map(|list| list.split(',')).map(str::trim) {
        if !is_port(text) {
            wrong.push(("port", format!("'{text}' is no port and protocol (80:tcp)")));
        }
    }
    for option in ["--service", "--remove-service"] {
        let odd = |name: &&str| !name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'));
        for name in arguments.values(option).flat_map(names).filter(odd) {
            wrong.push(("service", format!("'{name}' is no name of a service of the firewall")));
        }
    }
    for name in arguments.values("--trust").flat_map(names).filter(|name| !is_interface(name)) {
        wrong.push(("network", format!("'--trust={name}' is no interface's name")));
    }
}

/// What is odd about the words of `firewall`.
pub(super) fn firewall_doubts(arguments: &Arguments, doubts: &mut Vec<Wrong>) {
    for name in arguments.values("--service").flat_map(names).filter(|name| !FIREWALL.contains(name)) {
        doubts.push(("service", format!("firewalld ships no service '{name}'")));
    }
    for text in arguments.values("--port").flat_map(names) {
        let name = text.split(':').next().unwrap_or_default();
        let is_name = name.bytes().next().is_some_and(|b| b.is_ascii_lowercase());
        if is_name && !PORTS.split_whitespace().any(|known| known == name) {
            doubts.push(("port", format!("'{name}' is no usual name of a port: its number says it for sure")));
        }
    }
}

/// A port and its protocol: `80`, `80:tcp`, `6000-6010:udp`, `imap:tcp`.
fn is_port(text: &str) -> bool {
    let (number, protocol) = text.split_once(':').unwrap_or((text, "tcp"));
    if !matches!(protocol, "tcp" | "udp" | "sctp" | "dccp") {
        return false;
    }
    let port = |text: &str| text.parse::<u16>().ok().filter(|port| *port > 0);
    match number.bytes().next() {
        Some(b'0'..=b'9') => {
            let (first, last) = number.split_once('-').unwrap_or((number, number));
            port(first).zip(port(last)).is_some_and(|(first, last)| first <= last)
        }
        Some(b'a'..=b'z') => number.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-'),
        _ => false,
    }
}

/// What is wrong with the words of `services`.
pub(super) fn services(arguments: &Arguments, wrong: &mut Vec<Wrong>) {
    for option in ["--enabled", "--disabled"] {
        for name in arguments.values(option).flat_map(names).filter(|name| !is_unit(name)) {
            let told = if name.contains(' ') { ": names are separated by commas" } else { "" };
            wrong.push(("service", format!("'{name}' is no name of a service{told}")));
        }
    }
}

/// What is odd about them.
pub(super) fn service_doubts(arguments: &Arguments, doubts: &mut Vec<Wrong>) {
    let enabled: HashSet<&str> = arguments.values("--enabled").flat_map(names).collect();
    for name in arguments.values("--disabled").flat_map(names).filter(|name| enabled.contains(name)) {
        doubts.push(("service", format!("service '{name}' is both enabled and disabled")));
    }
}

/// Whether a text can name a unit of systemd, by itself or by its file.
fn is_unit(text: &str) -> bool {
    text.len() <= 255
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b':' | b'-' | b'_' | b'.' | b'@' | b'\\' | b'/'))
        && text.matches('@').count() <= 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports() {
        for good in ["80", "80:tcp", "6000-6010:udp", "imap:tcp", "http-alt", "5-5:sctp"] {
            assert!(is_port(good), "{good}");
        }
        for bad in ["", "0", "80-70:tcp", "99999:tcp", "80:xyz", "80:tcp:x", "80 tcp", "-5:tcp", "ssh/tcp", "5-"] {
            assert!(!is_port(bad), "{bad}");
        }
    }

    #[test]
    fn units() {
        for good in
            ["sshd", "getty@tty1.service", "chronyd.service", "dev-sda\\x2d.mount", "/etc/systemd/system/x.service"]
        {
            assert!(is_unit(good), "{good}");
        }
        for bad in ["ss hd", "sshd;chronyd", "a@@b", "$x", "a*"] {
            assert!(!is_unit(bad), "{bad}");
        }
    }

    #[test]
    fn services_are_known_and_on_or_off() {
        let doubts = |command: &str, options: &[(&str, &str)]| {
            let arguments = options.iter().fold(Arguments::default(), |all, (name, value)| all.with(name, value));
            let mut doubts = Vec::new();
            match command {
                "firewall" => firewall_doubts(&arguments, &mut doubts),
                _ => service_doubts(&arguments, &mut doubts),
            }
            doubts.len()
        };
        assert_eq!(doubts("firewall", &[("--service", "ssh,http"), ("--port", "80:tcp,imap:tcp")]), 0);
        assert_eq!(doubts("firewall", &[("--service", "ssh,httpd"), ("--port", "abc")]), 2);
        assert_eq!(doubts("services", &[("--enabled", "a,b"), ("--disabled", "c")]), 0);
        assert_eq!(doubts("services", &[("--enabled", "a,b"), ("--disabled", "b")]), 1);
    }
}
