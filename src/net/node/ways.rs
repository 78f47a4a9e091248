//! The ways to the frontend: what is for this machine alone goes over TLS, packages as the frontend's URL says.
//!
//! Invariant: the token of the installation never goes in the clear, but to a frontend on this very machine or where
//! the user asked for it.

use super::Options;
use crate::net::http::client::{Client, Origin};
use crate::net::log::Log;
use crate::net::rate::Bucket;
use crate::net::{NetError, tls};
use crate::trust::Fingerprint;
use std::net::IpAddr;
use std::sync::Arc;

/// The ways to the frontend.
pub(super) struct Ways {
    /// For profile, manifest, reports and whatever else is not verified by its digest.
    pub(super) own: Arc<Client>,
    /// For packages.
    pub(super) packages: Arc<Client>,
    /// Whom the first believes, where it goes over TLS.
    believer: Option<Arc<tls::Believer>>,
    told: Option<Fingerprint>,
}

impl Ways {
    /// The ways that these options ask for; connects to nothing yet.
    pub(super) fn new(options: &Options, download: Option<Arc<Bucket>>) -> Result<Self, NetError> {
        let bad = |why| NetError::Url { url: options.frontend.clone(), why };
        let (origin, path) = Origin::parse(&options.frontend)?;
        if !path.trim_end_matches('/').is_empty() {
            return Err(bad("has a path: give http://ADDRESS:PORT alone"));
        }
        let told = match (&options.authority, options.pin) {
            (Some(file), _) => {
                Some(tls::fingerprint(&std::fs::read(file).map_err(|error| NetError::file(file, error))?)?)
            }
            (None, pin) => pin,
        };
        if origin.is_secure && told.is_none() {
            return Err(bad("is https: say with --pin or --authority whom to believe"));
        }
        let client = |origin: &Origin| Client::new(origin.clone(), options.bind).with_download(download.clone());
        let is_plain = options.plain || (told.is_none() && is_this_machine(&origin));
        if is_plain && !origin.is_secure {
            let own = Arc::new(client(&origin));
            own.set_token(options.token.clone());
            return Ok(Self { packages: Arc::clone(&own), own, believer: None, told });
        }
        let believer = tls::Believer::new(told);
        let config = believer.config()?;
        let secure = Origin { is_secure: true, ..origin.clone() };
        let own = Arc::new(client(&secure).with_tls(Some(Arc::clone(&config))));
        own.set_token(options.token.clone());
        let packages = if origin.is_secure { Arc::clone(&own) } else { Arc::new(client(&origin)) };
        Ok(Self { own, packages, believer: Some(believer), told })
    }

    /// Whether the frontend must be asked for the token of this installation.
    pub(super) fn wants_token(&self, options: &Options) -> bool {
        self.believer.is_some() && options.token.is_none()
    }

    /// Says in the log whom was believed unseen, so that the next machine can be told.
    pub(super) fn tell(&self, log: &Log) {
        let met = self.believer.as_ref().and_then(|believer| believer.authority());
        if let (None, Some(met)) = (self.told, met) {
            let hint = format!("to believe no other frontend: --pin {met}");
            log.warning("frontend-believed-unseen", &[("frontend", self.own.origin()), ("hint", &hint)]);
        }
    }
}

/// Whether nothing that is sent there leaves this machine.
fn is_this_machine(origin: &Origin) -> bool {
    origin.host == "localhost" || origin.host.parse().is_ok_and(|ip: IpAddr| ip.to_canonical().is_loopback())
}
