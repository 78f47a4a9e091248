//! The lines that lead a bare machine to its boot script: DHCP by dnsmasq.
//!
//! A machine's firmware asks for an address, is told its own and the iPXE loader of its kind; iPXE asks again and is
//! told `/install/boot/MAC` of the frontend nearest to it.

use crate::cluster::{Endpoint, Host, Network};
use minijinja::{Environment, UndefinedBehavior, Value, context};
use std::net::{IpAddr, SocketAddr};

/// The template that is used unless the site has its own.
pub const TEMPLATE: &str = include_str!("../../templates/dnsmasq.conf.j2");
/// The name of the template in the cluster's `templates/`.
pub const TEMPLATE_NAME: &str = "dnsmasq.conf.j2";

/// What is to be told.
#[derive(Debug)]
pub struct Dhcp<'a> {
    /// Every host.
    pub hosts: &'a [Host],
    /// Every network.
    pub networks: &'a [Network],
    /// Where `serve` can be reached over HTTP.
    pub frontend: &'a Endpoint,
    /// The folder of the iPXE loaders on the DHCP server.
    pub tftp_root: &'a str,
    /// The URL of an iPXE loader, for firmware that boots over HTTP.
    pub http_loader: Option<&'a str>,
}

impl Dhcp<'_> {
    /// The lines for dnsmasq, through a template.
    pub fn dnsmasq(&self, template: &str) -> Result<String, minijinja::Error> {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        let networks: Vec<Value> = self.networks.iter().filter_map(|network| self.serve(network)).collect();
        environment.template_from_named_str(TEMPLATE_NAME, template)?.render(context! {
            networks,
            tftp_root => self.tftp_root,
            http_loader => self.http_loader,
        })
    }

    /// Hosts that cannot be told anything: none of their interfaces has both a MAC address and an IPv4 address.
    pub fn unreachable(&self) -> impl Iterator<Item = &Host> {
        let told = |host: &Host| host.interfaces.iter().any(|i| i.mac.is_some() && matches!(i.ip, Some(IpAddr::V4(_))));
        self.hosts.iter().filter(move |host| !told(host))
    }

    /// A network over which some machine starts; none where there is no such machine.
    fn serve(&self, network: &Network) -> Option<Value> {
        let mut machines = Vec::new();
        let mut nearest = None;
        for host in self.hosts {
            for interface in host.interfaces.iter().filter(|i| i.network.as_ref() == Some(&network.name)) {
                let (Some(mac), Some(ip @ IpAddr::V4(_))) = (interface.mac, interface.ip) else { continue };
                nearest = nearest.or_else(|| self.frontend.address_for(ip, self.networks));
                let (name, mac, ip) = (host.name.as_str(), mac.to_string(), ip.to_string());
                machines.push(context! { name, mac, ip });
            }
        }
        Some(context! {
            name => network.name.as_str(),
            subnet => network.subnet.to_string(),
            first => network.subnet.network().to_string(),
            netmask => network.subnet.netmask().to_string(),
            zone => network.zone.as_deref(),
            mtu_bytes => network.mtu_bytes,
            frontend => url(nearest?),
            machines,
        })
    }
}

/// `http://10.1.1.1`, with the port where it is not 80.
fn url(address: SocketAddr) -> String {
    match (address.port(), address.ip()) {
        (80, IpAddr::V4(ip)) => format!("http://{ip}"),
        (80, IpAddr::V6(ip)) => format!("http://[{ip}]"),
        _ => format!("http://{address}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::{HostName, Interface, MacAddress, NetworkName, Service};

    #[test]
    fn each_machine_is_told_its_address_and_the_frontend_in_its_network() {
        let network = |name: &str, subnet: &str, mtu_bytes| Network {
            name: NetworkName::parse(name).unwrap(),
            subnet: subnet.parse().unwrap(),
            mtu_bytes,
            zone: Some("local".to_owned()),
        };
        let networks = [
            network("private", "10.1.0.0/16", 9000),
            network("public", "192.0.2.0/24", 1500),
            network("empty", "172.16.0.0/16", 1500),
        ];
        let interface = |name: &str, mac: Option<&str>, ip: &str, network: &str| Interface {
            name: name.to_owned(),
            mac: mac.map(|mac| MacAddress::parse(mac).unwrap()),
            ip: Some(ip.parse().unwrap()),
            network: Some(NetworkName::parse(network).unwrap()),
        };
        let mut login = Host::new(HostName::parse("login-0-0").unwrap(), "login");
        login.interfaces = vec![
            interface("eth0", Some("52:54:00:00:00:01"), "10.1.0.1", "private"),
            interface("eth1", Some("52:54:00:00:00:02"), "192.0.2.7", "public"),
        ];
        let mut unknown = Host::new(HostName::parse("compute-0-0").unwrap(), "compute");
        unknown.interfaces = vec![interface("eth0", None, "10.1.0.2", "private")];
        let hosts = [login, unknown];
        let frontend = Endpoint {
            service: Service::Http,
            addresses: vec!["10.1.1.1:80".parse().unwrap(), "192.0.2.1:8080".parse().unwrap()],
            since: jiff::Timestamp::UNIX_EPOCH,
        };
        let dhcp = Dhcp {
            hosts: &hosts,
            networks: &networks,
            frontend: &frontend,
            tftp_root: "/usr/share/ipxe",
            http_loader: Some("http://10.1.1.1/snponly.efi"),
        };
        let text = dhcp.dnsmasq(TEMPLATE).unwrap();
        for line in [
            "tftp-max=4096",
            "dhcp-range=set:private,10.1.0.0,static,255.255.0.0",
            "dhcp-option=tag:private,option:mtu,9000",
            "dhcp-host=52:54:00:00:00:01,10.1.0.1,login-0-0,infinite",
            "dhcp-boot=tag:private,tag:ipxe,http://10.1.1.1/install/boot/${netX/mac:hexhyp}",
            "dhcp-host=52:54:00:00:00:02,192.0.2.7,login-0-0,infinite",
            "dhcp-boot=tag:public,tag:ipxe,http://192.0.2.1:8080/install/boot/${netX/mac:hexhyp}",
            "dhcp-option-force=tag:http-x86_64,60,HTTPClient",
        ] {
            assert!(text.lines().any(|written| written == line), "{line} is missing in:\n{text}");
        }
        assert!(!text.contains("172.16"), "a network without machines is left to others:\n{text}");
        assert_eq!(dhcp.unreachable().map(|host| host.name.as_str()).collect::<Vec<_>>(), ["compute-0-0"]);
    }
}
