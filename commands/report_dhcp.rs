//! `rocks report-dhcp`.

use crate::args::folded;
use crate::context::Context;
use crate::error::{Failure, Kind};
use crate::ui;
use rocks::cluster::{Endpoint, Service};
use rocks::net::dhcp::{Dhcp, TEMPLATE, TEMPLATE_NAME};
use std::net::SocketAddr;

/// Print the lines for dnsmasq that lead machines to their installer
///
/// Every host with a MAC and an IPv4 address gets a line. The loaders are those of the packages
/// ipxe-bootimgs-x86 and ipxe-bootimgs-aarch64.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  rocks report-dhcp > /etc/dnsmasq.d/rocks.conf && systemctl restart dnsmasq
  rocks report-dhcp --frontend 10.1.1.1:80")]
pub(crate) struct Args {
    /// Where 'rocks serve' can be reached [default: where it ran last]
    #[arg(long, value_name = "ADDR:PORT")]
    frontend: Option<SocketAddr>,
    /// The folder of the iPXE loaders, on the machine that runs dnsmasq
    #[arg(long, value_name = "DIR", default_value = "/usr/share/ipxe")]
    tftp_root: String,
    /// The URL of an iPXE loader, for firmware that boots over HTTP
    #[arg(long, value_name = "URL")]
    http_loader: Option<String>,
}

pub(crate) fn run(context: &Context, args: Args) -> anyhow::Result<()> {
    let (hosts, networks, known) =
        context.store()?.read(|r| Ok((r.hosts()?, r.networks()?, r.endpoint(Service::Http)?)))?;
    let told = args.frontend.map(|address| Endpoint {
        service: Service::Http,
        addresses: vec![address],
        since: jiff::Timestamp::UNIX_EPOCH,
    });
    let Some(frontend) = told.or(known) else {
        let failure = Failure::new(Kind::NotFound, "nobody has said where 'rocks serve' can be reached");
        return Err(failure.hint("start it once, or say --frontend ADDR:PORT").into());
    };
    if frontend.addresses.iter().all(|address| address.ip().is_loopback()) {
        ui::note("the frontend listens on a loopback address: no other machine can reach it");
    }
    let dhcp = Dhcp {
        hosts: &hosts,
        networks: &networks,
        frontend: &frontend,
        tftp_root: &args.tftp_root,
        http_loader: args.http_loader.as_deref(),
    };
    let own = context.cluster().join("templates").join(TEMPLATE_NAME);
    let template = if own.exists() { ui::read_input(&own.to_string_lossy())? } else { TEMPLATE.to_owned() };
    let text = dhcp
        .dnsmasq(&template)
        .map_err(|error| Failure::new(Kind::Invalid, format!("template '{TEMPLATE_NAME}': {error:#}")))?;
    let left_out: Vec<_> = dhcp.unreachable().map(|host| &host.name).collect();
    if !left_out.is_empty() {
        ui::note(&format!("without a MAC and an IPv4 address, left out: {}", folded(left_out)));
    }
    ui::print(&text)
}
