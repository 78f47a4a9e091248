//! Tells the frontend how far the machine is, in small reports, and whoever watches, a few times a second.

use super::Progress;
use crate::net::http::client::Client;
use crate::net::report::{Phase, Report, ReportAnswer};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::sync::Notify;
use tokio::task::AbortHandle;
use tokio::time::timeout;

/// How often a frontend is told that does not say how often, and the least often: it takes a silent machine for dead.
const TELL: (Duration, Duration) = (Duration::from_secs(3), Duration::from_secs(15));
/// How long one report may take; the next one says it all again.
const REPORT_SECS_MAX: u64 = 5;
/// The pause between two tries of the last word.
const LAST_PAUSE: Duration = Duration::from_millis(300);

/// What tells how far it is.
type Gauge = Box<dyn Fn() -> Progress + Send + Sync>;

/// Tells the frontend how far the machine is.
pub(super) struct Reporter {
    shared: Arc<Shared>,
    task: AbortHandle,
}

struct Shared {
    client: Arc<Client>,
    show: Show,
    gauge: Mutex<Option<Gauge>>,
    phase: Mutex<(Phase, Option<String>)>,
    /// The pause between two reports, in milliseconds.
    pause: AtomicU64,
    news: Notify,
}

/// Whoever watches.
type Show = Box<dyn Fn(Progress) + Send + Sync>;

impl Reporter {
    /// Starts to report.
    pub(super) fn start(client: Arc<Client>, show: Show, every: Duration) -> Self {
        let shared = Arc::new(Shared {
            client,
            show,
            gauge: Mutex::default(),
            phase: Mutex::default(),
            pause: AtomicU64::new(TELL.0.as_millis() as u64),
            news: Notify::new(),
        });
        let task = tokio::spawn(work(Arc::clone(&shared), every)).abort_handle();
        Self { shared, task }
    }

    /// From now on this tells how far it is.
    pub(super) fn follow(&self, gauge: Gauge) {
        *self.shared.gauge.lock().expect("nobody panics while holding the gauge") = Some(gauge);
    }

    /// A new phase: told at once.
    pub(super) fn phase(&self, phase: Phase) {
        self.shared.phase.lock().expect("nobody panics while holding the phase").0 = phase;
        self.shared.news.notify_one();
    }

    /// The last word: said until the frontend has taken it.
    pub(super) async fn last(&self, phase: Phase, message: Option<String>) {
        self.task.abort();
        {
            let mut now = self.shared.phase.lock().expect("nobody panics while holding the phase");
            *now = (phase, message.or(now.1.take()));
        }
        while !self.shared.tell().await {
            tokio::time::sleep(LAST_PAUSE).await;
        }
    }
}

async fn work(shared: Arc<Shared>, every: Duration) {
    let mut told = Instant::now();
    loop {
        let woken = timeout(every, shared.news.notified()).await.is_ok();
        (shared.show)(shared.progress());
        if woken || told.elapsed() >= Duration::from_millis(shared.pause.load(Ordering::Relaxed)) {
            told = Instant::now();
            shared.tell().await;
        }
    }
}

impl Shared {
    fn progress(&self) -> Progress {
        let gauge = self.gauge.lock().expect("nobody panics while holding the gauge");
        let phase = self.phase.lock().expect("nobody panics while holding the phase").0;
        Progress { phase, ..gauge.as_ref().map(|gauge| gauge()).unwrap_or_default() }
    }

    async fn tell(&self) -> bool {
        let progress = self.progress();
        let message = self.phase.lock().expect("nobody panics while holding the phase").1.clone();
        let report = Report {
            phase: progress.phase,
            bytes: progress.bytes,
            total_bytes: progress.total_bytes,
            frontend_bytes: progress.moved.frontend_bytes,
            peer_bytes: progress.moved.peer_bytes,
            uploaded_bytes: progress.moved.uploaded_bytes,
            peers: progress.peers,
            message,
        };
        let Ok(body) = serde_json::to_vec(&report) else { return false };
        let sent = async {
            let answer = self.client.post("/install/events", &[], body.into()).await.ok()?;
            let status = answer.status;
            let body = answer.whole().await.ok()?;
            if status == 403 && self.client.origin().is_secure {
                self.ask_anew().await;
            }
            let answer: ReportAnswer = serde_json::from_slice(&body).unwrap_or_default();
            if answer.token.is_some() {
                self.client.set_token(answer.token);
            }
            if let Some(millis) = answer.next_millis {
                self.pause.store(millis.min(TELL.1.as_millis() as u64), Ordering::Relaxed);
            }
            (status == 200).then_some(())
        };
        timeout(Duration::from_secs(REPORT_SECS_MAX), sent).await.ok().flatten().is_some()
    }
}

impl Shared {
    /// The frontend may have been away for longer than a token lives, or has had its clock set: it is asked for another one,
    /// which the next report shows.
    async fn ask_anew(&self) {
        let Ok(body) = self.client.post_whole("/install/token").await else { return };
        if let Ok(ReportAnswer { token: Some(token), .. }) = serde_json::from_slice(&body) {
            self.client.set_token(Some(token));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::fixture::client;
    use crate::net::http::{Request, Response, Service, server};
    use crate::net::log::Log;

    /// Gives a token with each answer, and notes the one that was shown.
    struct Renewing(Mutex<Vec<Option<String>>>);

    impl Service for Renewing {
        async fn call(&self, request: Request) -> Response {
            let mut shown = self.0.lock().expect("no panic");
            shown.push(request.head.headers.get("authorization").map(str::to_owned));
            let answer = ReportAnswer { token: Some(format!("token-{}", shown.len())), next_millis: Some(1) };
            Response::new(200, "application/json", serde_json::to_vec(&answer).expect("JSON"))
        }
    }

    /// The frontend was away for longer than a token lives, while the machine ran what comes after its packages.
    #[tokio::test(flavor = "multi_thread")]
    async fn a_machine_whose_token_has_expired_asks_for_another_one_and_says_goodbye() {
        use crate::cluster::{HostName, InstallState};
        use crate::net::{fixture::Fixture, http::client::Origin, since_1970, tls};
        use crate::trust::{Keys, TOKEN_LIFETIME};
        let fixture = Fixture::new();
        let running = fixture.serve().await;
        let keys = Keys::open_or_create(fixture.folder.path(), since_1970()).expect("those of the frontend");
        let old = |host: &str, install| keys.token.issue(since_1970() - TOKEN_LIFETIME, host, install);
        let pin = tls::fingerprint(keys.authority.certificate_pem().as_bytes()).expect("a certificate");
        let config = tls::Believer::new(Some(pin)).config().expect("a configuration");
        let (origin, _) = Origin::parse(&format!("https://{}", running.http)).expect("a URL");
        let machine = Client::new(origin, Some([127, 1, 0, 1].into())).with_tls(Some(config));
        machine.get_whole("/install/profile", &[]).await.expect("its first installation begins");
        // What was ordered since is not for who comes with another installation's token, nor with another host's.
        for token in [old("compute-0-0", 2), old("compute-0-1", 1), "1.compute-0-0.1.0.00".to_owned()] {
            machine.set_token(Some(token));
            let error = machine.post_whole("/install/token").await.expect_err("refused").to_string();
            assert!(error.contains("403"), "{error}");
        }
        machine.set_token(Some(old("compute-0-0", 1)));
        assert_eq!(
            machine.post("/install/events", &[], "{\"phase\":\"fetching\"}".into()).await.expect("an answer").status,
            403
        );
        let reporter = Reporter::start(Arc::new(machine), Box::new(|_| {}), Duration::from_secs(3600));
        reporter.task.abort();
        reporter.phase(Phase::Installed);
        let mut tries = 1;
        while !reporter.shared.tell().await {
            tries += 1;
            assert!(tries < 20, "it is not heard");
        }
        assert!(tries > 1, "the expired one was taken");
        let host = HostName::parse("compute-0-0").expect("a name");
        let state = fixture.store.read(|reader| reader.boot(&host)).expect("read").state;
        assert_eq!(state, Some(InstallState::Installed));
        running.stop().await;
    }

    #[tokio::test]
    async fn a_token_that_comes_with_an_answer_is_shown_from_then_on() {
        let listener = server::listen("127.0.0.1:0".parse().expect("an address")).expect("a port");
        let at = listener.local_addr().expect("bound");
        let service = Arc::new(Renewing(Mutex::default()));
        let (_stop, stop) = tokio::sync::watch::channel(false);
        let options = server::Options { upload: None, has_threads: false, tls: None, log: Log::silent(), stop };
        tokio::spawn(server::serve(listener, Arc::clone(&service), options));
        let asking = Arc::new(client(at, "127.0.0.1"));
        asking.set_token(Some("token-0".to_owned()));
        let reporter = Reporter::start(asking, Box::new(|_| {}), Duration::from_millis(1));
        while service.0.lock().expect("no panic").len() < 3 {
            reporter.phase(Phase::Fetching);
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        reporter.last(Phase::Installed, None).await;
        let shown = service.0.lock().expect("no panic").clone();
        for (n, shown) in shown.iter().enumerate() {
            assert_eq!(shown.as_deref(), Some(format!("Bearer token-{n}").as_str()));
        }
    }
}
