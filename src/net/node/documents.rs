//! What a machine is told: its profile, its manifest, the metainfo of its distribution; and the Kickstart file that
//! comes of it.

use super::Options;
use super::metadata::Holders;
use super::patience::Patience;
use super::ways::Ways;
use crate::cluster::Release;
use crate::distribution::{SERIAL_KEY, SIGNATURE_KEY};
use crate::kickstart::Renderer;
use crate::net::NetError;
use crate::net::http::client::Client;
use crate::net::referral::{PORT_PARAMETER, Referral};
use crate::net::report::ReportAnswer;
use crate::profile::{Manifest, Profile};
use crate::torrent::Metainfo;
use crate::trust::{PublicKey, SnapshotClaim};
use std::io::ErrorKind;
use std::time::{Duration, Instant};

/// The pause between two tries to reach the frontend.
const PAUSE: Duration = Duration::from_millis(500);

/// How long a frontend is asked that was reached and does not answer: a thousand machines may ask at the same moment.
const BUSY_PATIENCE: Duration = Duration::from_secs(120);

/// What a machine is told.
pub(super) struct Documents {
    pub(super) manifest: Manifest,
    /// The Kickstart file, where one is wanted: to be written once the door answers with the packages it names.
    pub(super) kickstart: Option<String>,
    /// The metainfo, and the path of its tree at the frontend; none where the cluster has no distribution yet.
    pub(super) metainfo: Option<(Metainfo, String)>,
}

impl Documents {
    /// Asks the frontend, and makes the Kickstart file where one is wanted. Who has a port for peers is referred to other
    /// machines for what they have.
    pub(super) async fn get(
        ways: &Ways,
        options: &Options,
        peer_port: Option<u16>,
        holders: &Holders<'_>,
    ) -> Result<Self, NetError> {
        let (client, mut spent) = (&*ways.own, Patience::new());
        if ways.wants_token(options) {
            let answer = patiently(&mut spent, options.patience, || client.post_whole("/install/token")).await?;
            let answer: ReportAnswer = serde_json::from_slice(&answer)
                .map_err(|error| NetError::Said(format!("the frontend's token cannot be read: {error}")))?;
            client.set_token(answer.token);
        }
        let xml = patiently(&mut spent, options.patience, || client.get_document("/install/profile")).await?;
        loop {
            match Self::told(client, options, &xml, (peer_port, holders), &mut spent).await {
                Ok(told) => return Ok(told),
                // Spoilt on the way, or a snapshot that was published in between.
                Err(NetError::Exchange { .. }) if spent.spent() < options.patience => tokio::time::sleep(PAUSE).await,
                Err(error) => return Err(error),
            }
        }
    }

    /// The manifest, what comes of it and the profile, and the metainfo that it names.
    async fn told(
        client: &Client,
        options: &Options,
        xml: &[u8],
        (peer_port, holders): (Option<u16>, &Holders<'_>),
        spent: &mut Patience,
    ) -> Result<Self, NetError> {
        let spoilt = |url: &str, why: String| NetError::Exchange { url: url.to_owned(), why };
        let manifest = patiently(spent, options.patience, || client.get_document("/install/manifest")).await?;
        let manifest: Manifest = serde_json::from_slice(&manifest)
            .map_err(|error| spoilt("/install/manifest", format!("the manifest cannot be read: {error}")))?;
        if manifest.token.is_some() {
            client.set_token(manifest.token.clone());
        }
        // Before the metainfo: from then on others may wait for this machine to give it to them.
        let kickstart = match &options.kickstart {
            Some(_) => Some(kickstart(xml, &manifest)?),
            None => None,
        };
        let Some(told) = &manifest.distribution else { return Ok(Self { manifest, kickstart, metainfo: None }) };
        let path = &told.metainfo_path;
        let asked = peer_port.map_or_else(|| path.clone(), |port| format!("{path}?{PORT_PARAMETER}={port}"));
        let begun = Instant::now();
        let mut answer = patiently(spent, options.patience, || client.get_document(&asked)).await?;
        let mut metainfo = None;
        if let Some(referral) = Referral::read(&answer) {
            metainfo = holders.get(&referral, begun.elapsed()).await;
            if metainfo.is_none() {
                answer = patiently(spent, options.patience, || client.get_document(path)).await?;
            }
        }
        let metainfo = match metainfo {
            Some(metainfo) => metainfo,
            None => Metainfo::parse(&answer).map_err(|error| spoilt(path, error.to_string()))?,
        };
        if metainfo.info_hash().to_string() != told.info_hash {
            let why = "the metainfo is not the one that the manifest names".to_owned();
            return Err(spoilt(path, why));
        }
        let key = match (options.key, &manifest.key) {
            (Some(key), _) => key,
            (None, Some(key)) => PublicKey::parse(key).map_err(|error| NetError::Said(error.to_string()))?,
            (None, None) => return Err(NetError::Said("the frontend names no key of its own".to_owned())),
        };
        check_signature(&key, &metainfo, &told.name)?;
        let tree_path = told.tree_path.clone();
        Ok(Self { manifest, kickstart, metainfo: Some((metainfo, tree_path)) })
    }
}

fn kickstart(xml: &[u8], manifest: &Manifest) -> Result<String, NetError> {
    let said = |error: &dyn std::fmt::Display| NetError::Said(error.to_string());
    let text = std::str::from_utf8(xml).map_err(|_| said(&"the frontend's profile is not UTF-8"))?;
    let profile = Profile::from_xml(text).map_err(|error| said(&error))?;
    let release = Release::parse(&manifest.release).map_err(|error| said(&error))?;
    let rendered = Renderer::new(&manifest.templates).and_then(|renderer| renderer.render(&profile, release));
    rendered.map_err(|error| said(&error))
}

/// Takes only a snapshot that the cluster's own key has signed.
fn check_signature(key: &PublicKey, metainfo: &Metainfo, distribution: &str) -> Result<(), NetError> {
    let own = |name: &str| metainfo.envelope.own.get(name).map(Vec::as_slice);
    let serial = own(SERIAL_KEY).and_then(|serial| std::str::from_utf8(serial).ok()?.parse().ok());
    let (Some(serial), Some(signature)) = (serial, own(SIGNATURE_KEY)) else {
        return Err(NetError::Said(format!("distribution '{distribution}' is not signed")));
    };
    let claim = SnapshotClaim { distribution, serial, info_hash: metainfo.info_hash().0 };
    key.verify(&claim, signature).map_err(|error| NetError::Said(error.to_string()))
}

/// Asks again while the frontend cannot be reached or is not well, as long as there is patience. One that was reached is
/// there and has much to do: it gets [`BUSY_PATIENCE`] at least.
async fn patiently<A: Future<Output = Result<bytes::Bytes, NetError>>>(
    spent: &mut Patience,
    patience: Duration,
    mut ask: impl FnMut() -> A,
) -> Result<bytes::Bytes, NetError> {
    loop {
        let error = match ask().await {
            Ok(body) => return Ok(body),
            Err(error) => error,
        };
        let may_go_away = match &error {
            NetError::Connect { .. } | NetError::Exchange { .. } => true,
            NetError::Status { status, .. } => matches!(status, 404 | 408 | 429 | 500..=599),
            _ => false,
        };
        let patience = match &error {
            NetError::Connect { source, .. } if source.kind() != ErrorKind::TimedOut => patience,
            _ => patience.max(BUSY_PATIENCE),
        };
        if !may_go_away || spent.spent() >= patience {
            return Err(error);
        }
        tokio::time::sleep(PAUSE).await;
    }
}
