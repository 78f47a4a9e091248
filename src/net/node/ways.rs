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

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;
    use std::time::Duration;

    fn options(frontend: &str) -> Options {
        Options {
            frontend: frontend.to_owned(),
            kickstart: None,
            cache: None,
            proxy: None,
            bind: None,
            peer_port: 0,
            exits_when_complete: true,
            linger: Duration::ZERO,
            http_only: false,
            everything: false,
            rate: None,
            summary: None,
            patience: Duration::ZERO,
            key: None,
            token: Some("1.compute-0-0.1.2.3".to_owned()),
            authority: None,
            pin: Some(Fingerprint::of(b"a certificate")),
            plain: false,
        }
    }

    #[test]
    fn what_is_for_this_machine_alone_goes_over_tls_unless_the_user_or_this_very_machine_says_otherwise() {
        let unpinned = |url: &str| Options { pin: None, ..options(url) };
        let plain = |url: &str| Options { plain: true, ..options(url) };
        for (options, own_is_secure, packages_are_secure) in [
            (options("http://10.1.1.1:8080"), true, false),
            (unpinned("http://10.1.1.1:8080"), true, false),
            (unpinned("http://frontend.local"), true, false),
            (unpinned("http://[fd00::1]:8080"), true, false),
            (options("https://10.1.1.1:8080"), true, true),
            (plain("http://10.1.1.1:8080"), false, false),
            (plain("https://10.1.1.1:8080"), true, true),
            (unpinned("http://127.0.0.1:8080"), false, false),
            (unpinned("http://[::1]:8080"), false, false),
            (unpinned("http://localhost:8080"), false, false),
            (options("http://127.0.0.1:8080"), true, false),
        ] {
            let ways = Ways::new(&options, None).expect("good options");
            let found = (ways.own.origin().is_secure, ways.packages.origin().is_secure);
            assert_eq!(found, (own_is_secure, packages_are_secure), "{options:?}");
            assert_eq!(ways.believer.is_some(), own_is_secure, "{options:?}");
            let untold = Options { token: None, ..options };
            assert_eq!(ways.wants_token(&untold), own_is_secure, "{untold:?}");
        }
        assert!(Ways::new(&unpinned("https://10.1.1.1"), None).is_err(), "nobody to believe");
        let missing = Options { authority: Some(PathBuf::from("/nonexistent")), ..options("http://10.1.1.1") };
        assert!(Ways::new(&missing, None).is_err(), "an authority that cannot be read is not the first one met");
    }

    #[tokio::test]
    async fn no_token_goes_in_the_clear_beside_packages() {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let ways = Ways::new(&options(&format!("http://{}", listener.local_addr().expect("bound"))), None);
        let ways = ways.expect("good options");
        let heard = tokio::spawn(async move {
            let (mut tcp, _) = listener.accept().await.expect("it comes");
            let mut heard = Vec::new();
            while !heard.ends_with(b"\r\n\r\n") {
                assert!(tcp.read_buf(&mut heard).await.expect("read") > 0, "a whole head");
            }
            tcp.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await.expect("sent");
            String::from_utf8_lossy(&heard).into_owned()
        });
        ways.packages.get_whole("/install/distributions/el9/x.rpm", &[]).await.expect("an answer");
        let heard = heard.await.expect("no panic");
        assert!(heard.starts_with("GET /install/") && !heard.to_lowercase().contains("authorization"), "{heard}");
    }
}
