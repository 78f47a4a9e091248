//! What an installing machine says of its progress: the body of `POST /install/events`.

use serde::{Deserialize, Serialize};

/// How far a machine is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// It has asked for its profile.
    #[default]
    Starting,
    /// It brings its install set in.
    Fetching,
    /// Its install set is complete; its installer works, and it serves others.
    Serving,
    /// It said goodbye after its installation.
    Installed,
    /// It failed, or was not heard of for too long.
    Failed,
}

impl Phase {
    /// The word a user reads.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Fetching => "fetching",
            Self::Serving => "serving",
            Self::Installed => "installed",
            Self::Failed => "failed",
        }
    }

    /// Whether the machine is to be heard of again soon.
    pub fn is_active(self) -> bool {
        matches!(self, Self::Starting | Self::Fetching | Self::Serving)
    }
}

/// What an installing machine says of its progress.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// How far it is.
    pub phase: Phase,
    /// Bytes of its install set that it has.
    #[serde(default)]
    pub bytes: u64,
    /// Bytes of its install set.
    #[serde(default)]
    pub total_bytes: u64,
    /// Package bytes that came from the frontend.
    #[serde(default)]
    pub frontend_bytes: u64,
    /// Package bytes that came from other machines.
    #[serde(default)]
    pub peer_bytes: u64,
    /// Package bytes given to other machines.
    #[serde(default)]
    pub uploaded_bytes: u64,
    /// Connections to peers.
    #[serde(default)]
    pub peers: u32,
    /// Why it failed, and the like.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// The answer to a report.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportAnswer {
    /// A token in place of the one that was sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// When the next report is wanted, in milliseconds: the more machines install, the less often each one reports.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_millis: Option<u64>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::http::server::BODY_BYTES_MAX;
    use proptest::prelude::*;
    use serde::de::DeserializeOwned;

    const PHASES: [Phase; 5] = [Phase::Starting, Phase::Fetching, Phase::Serving, Phase::Installed, Phase::Failed];

    fn reports() -> impl Strategy<Value = Report> {
        let message = prop::option::of(".{0,40}");
        (prop::sample::select(&PHASES), any::<[u64; 5]>(), any::<u32>(), message).prop_map(
            |(phase, [bytes, total_bytes, frontend_bytes, peer_bytes, uploaded_bytes], peers, message)| Report {
                phase,
                bytes,
                total_bytes,
                frontend_bytes,
                peer_bytes,
                uploaded_bytes,
                peers,
                message,
            },
        )
    }

    /// Reads a document, if it is one; what is written of it reads the same.
    fn read<D: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(bytes: &[u8]) -> Option<D> {
        let document: D = serde_json::from_slice(bytes).ok()?;
        let again = serde_json::to_vec(&document).expect("plain values");
        assert_eq!(serde_json::from_slice::<D>(&again).expect("our own JSON"), document);
        Some(document)
    }

    #[test]
    fn what_is_left_out_is_nought_and_what_a_later_machine_adds_is_passed_over() {
        let expected = Report { phase: Phase::Serving, bytes: 7, ..Report::default() };
        assert_eq!(read::<Report>(br#"{"phase":"serving","bytes":7,"colour":["x"]}"#), Some(expected));
        for bad in [
            "{}",
            r#"{"phase":"Serving"}"#,
            r#"{"phase":"serving","bytes":-1}"#,
            r#"{"phase":"serving","peers":4294967296}"#,
        ] {
            assert_eq!(read::<Report>(bad.as_bytes()), None, "{bad}");
        }
        // The deepest that fits into a request.
        let deep = format!(r#"{{"phase":"serving","x":{}"#, "[".repeat(BODY_BYTES_MAX as usize - 24));
        assert_eq!(read::<Report>(deep.as_bytes()), None);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(report in reports(), token in prop::option::of(".{0,20}"), next_millis: Option<u64>) {
            let text = serde_json::to_vec(&report).expect("plain values");
            prop_assert_eq!(read::<Report>(&text), Some(report));
            let answer = ReportAnswer { token, next_millis };
            let text = serde_json::to_vec(&answer).expect("plain values");
            prop_assert_eq!(read::<ReportAnswer>(&text), Some(answer));
        }

        #[test]
        fn spoilt_documents_are_refused_or_hold_together(
            report in reports(),
            (at, with) in (any::<prop::sample::Index>(), any::<u8>()),
            any in prop::collection::vec(any::<u8>(), 0..100),
        ) {
            let mut bytes = serde_json::to_vec(&report).expect("plain values");
            let at = at.index(bytes.len());
            bytes[at] = with;
            for bytes in [&bytes[..], &bytes[..at], &any] {
                let message = read::<Report>(bytes).and_then(|report| report.message);
                prop_assert!(message.is_none_or(|message| message.len() <= bytes.len()));
                _ = read::<ReportAnswer>(bytes);
            }
        }
    }
}
