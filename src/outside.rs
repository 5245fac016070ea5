//! Two questions to somebody else's pages, where the operator has named them: what the exchange tells of
//! its incidents, and which address requests leave from.
//!
//! 1. Neither carries a credential, and neither goes to the exchange's API.
//! 2. Each is asked at most once a minute, whatever came of it, and once for everyone who wants to know.
//! 3. A question goes on when whoever asked no longer waits: the next one finds its answer.
//! 4. What is not understood is no answer.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::HeaderMap;
use tokio::sync::watch;

use crate::clock::Clock;
use crate::config::{Page, Upstream};
use crate::diagnose::{StatusPage, quoted};
use crate::egress::{Arriving, BadAnchor, Destination, Egress};
use crate::message;
use crate::provider;
use crate::task;

/// How long an answer, or none, counts.
const LONGEST: Duration = Duration::from_secs(60);
const PATIENCE: Duration = Duration::from_secs(3);
const MAX_PAGE: usize = 64 * 1_024;
/// How much of a page's own words is kept.
const MAX_WORDS: usize = 200;

/// The pages of one upstream.
#[derive(Debug)]
pub(crate) struct Outside {
    status_page: Option<Site<StatusPage>>,
    address: Option<Site<IpAddr>>,
}

/// A page, how it is read, and what it said last.
#[derive(Debug)]
struct Site<T> {
    egress: Arc<Egress>,
    path: String,
    read: fn(&[u8]) -> Option<T>,
    clock: Arc<dyn Clock>,
    // The question that was asked last.
    last: Mutex<Option<Question<T>>>,
}

/// When it was asked, and where the answer comes.
type Question<T> = (Duration, watch::Receiver<Said<T>>);

#[derive(Clone, Debug)]
enum Said<T> {
    NotYet,
    This(Option<T>),
}

impl Outside {
    /// # Errors
    /// If the upstream's trust anchors cannot be used.
    pub(crate) fn new(upstream: &Upstream, clock: &Arc<dyn Clock>) -> Result<Self, BadAnchor> {
        let Upstream { status_page, address_service, bind, .. } = upstream;
        let status_page = status_page.as_ref();
        let status_page = status_page.map(|it| Site::new(it, upstream, None, read_status, clock));
        let address = address_service.as_ref();
        let address = address.map(|it| Site::new(it, upstream, *bind, read_address, clock));
        Ok(Self { status_page: status_page.transpose()?, address: address.transpose()? })
    }

    /// What the exchange tells of its incidents; `None` if no page is configured, or none answers.
    pub(crate) async fn status_page(&self) -> Option<StatusPage> {
        self.status_page.as_ref()?.ask().await
    }

    /// The address that an outside service sees; `None` if none is configured, or none answers.
    pub(crate) async fn address(&self) -> Option<IpAddr> {
        self.address.as_ref()?.ask().await
    }

    /// Whether there is a page to ask for incidents.
    pub(crate) fn knows_status(&self) -> bool {
        self.status_page.is_some()
    }

    /// Whether there is a service to ask for the address.
    pub(crate) fn knows_address(&self) -> bool {
        self.address.is_some()
    }
}

impl<T: Clone + Send + Sync + 'static> Site<T> {
    fn new(
        page: &Page,
        upstream: &Upstream,
        bind: Option<IpAddr>,
        read: fn(&[u8]) -> Option<T>,
        clock: &Arc<dyn Clock>,
    ) -> Result<Self, BadAnchor> {
        // The operator's own anchors are for this machine; anybody's page needs none.
        let anchors = if page.is_loopback() { upstream.ca.clone() } else { Vec::new() };
        let destination = Destination {
            authority: page.endpoint.authority.clone(),
            anchors,
            bind,
            connect_timeout: PATIENCE,
        };
        let egress = Arc::new(Egress::new(destination, Arc::clone(clock))?);
        let (path, clock) = (page.path.clone(), Arc::clone(clock));
        Ok(Self { egress, path, read, clock, last: Mutex::new(None) })
    }

    async fn ask(&self) -> Option<T> {
        let mut coming = self.coming();
        let said = coming.wait_for(|it| matches!(it, Said::This(_))).await;
        match said.as_deref() {
            Ok(Said::This(answer)) => answer.clone(),
            Ok(Said::NotYet) | Err(_) => None,
        }
    }

    /// Where the answer comes: of the question that still counts, or of a new one.
    fn coming(&self) -> watch::Receiver<Said<T>> {
        let now = self.clock.monotonic();
        // A single assignment: valid after any panic.
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((asked, coming)) = last.as_ref()
            && now < asked.saturating_add(LONGEST)
        {
            return coming.clone();
        }
        let (say, coming) = watch::channel(Said::NotYet);
        let (egress, path, read) = (Arc::clone(&self.egress), self.path.clone(), self.read);
        drop(task::spawn("outside question", async move {
            let answer = tokio::time::timeout(PATIENCE, fetch(&egress, &path)).await;
            let answer = answer.ok().flatten().and_then(|it| read(&it));
            say.send_replace(Said::This(answer));
        }));
        *last = Some((now, coming.clone()));
        coming
    }
}

/// The page, if it is there. No redirect is followed.
async fn fetch(egress: &Egress, path: &str) -> Option<bytes::Bytes> {
    let nothing = HeaderMap::new();
    let asking = || egress.send(provider::outside(path), &nothing, PATIENCE);
    let answer = match asking().await {
        // A connection of the pool had died.
        Err(fault) if fault.was_pooled() => asking().await,
        first => first,
    };
    let answer = answer.inspect_err(|fault| tracing::debug!(%fault, "an outside page is silent"));
    let (head, Arriving { body, .. }) = answer.ok()?.into_parts();
    if !head.status.is_success() {
        return None;
    }
    message::read(body, MAX_PAGE).await.ok()
}

/// As Statuspage has it: <https://support.atlassian.com/statuspage/docs/what-are-the-different-apis-under-statuspage/>.
fn read_status(body: &[u8]) -> Option<StatusPage> {
    let page: serde_json::Value = serde_json::from_slice(body).ok()?;
    let status = page.get("status")?;
    let text = |name: &str| Some(quoted(status.get(name)?.as_str()?, MAX_WORDS));
    Some(StatusPage { indicator: text("indicator")?, description: text("description")? })
}

/// Plain text, or a JSON object with one of the names that such services use.
fn read_address(body: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(body).ok()?.trim();
    let parsed = |text: &str| text.trim().parse::<IpAddr>().ok().map(|it| it.to_canonical());
    parsed(text).or_else(|| {
        let object: serde_json::Value = serde_json::from_str(text).ok()?;
        let named = |name: &&str| parsed(object.get(name)?.as_str()?);
        ["ip", "address", "origin"].iter().find_map(named)
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use proptest::prelude::*;

    use super::*;
    use crate::clock::{SystemClock, UnixMicros};
    use crate::config::{self, Overrides, ProcessEnvironment};

    #[test]
    fn addresses_are_text_or_a_member() {
        for (body, address) in [
            ("203.0.113.7", Some("203.0.113.7")),
            ("  2001:db8::1\r\n", Some("2001:db8::1")),
            ("::ffff:203.0.113.7", Some("203.0.113.7")),
            (r#"{"ip":"203.0.113.7"}"#, Some("203.0.113.7")),
            (r#"{"address":" 203.0.113.7 ","ip":5}"#, Some("203.0.113.7")),
            (r#"{"origin":"203.0.113.7"}"#, Some("203.0.113.7")),
            (r#"{"origin":"203.0.113.7, 10.0.0.1"}"#, None),
            (r#"["203.0.113.7"]"#, None),
            ("203.0.113.7:80", None),
            ("203.0.113", None),
            ("<html>203.0.113.7</html>", None),
            ("", None),
        ] {
            let expected = address.map(|it| it.parse::<IpAddr>().unwrap());
            assert_eq!(read_address(body.as_bytes()), expected, "{body}");
        }
    }

    #[test]
    fn a_status_page_is_an_indicator_and_a_description() {
        let body = br#"{"page":{},"status":{"indicator":"major","description":"Down\u001b[1m"}}"#;
        let page = read_status(body).unwrap();
        assert_eq!((page.indicator.as_str(), page.description.as_str()), ("major", "Down [1m"));
        let long = format!(
            r#"{{"status":{{"indicator":"none","description":"{}"}}}}"#,
            "x".repeat(MAX_WORDS + 1)
        );
        let cut = read_status(long.as_bytes()).unwrap().description;
        assert_eq!(cut.chars().count(), MAX_WORDS + 1);
        for odd in [
            "",
            "[]",
            "{}",
            r#"{"status":"none"}"#,
            r#"{"status":{"indicator":"none"}}"#,
            r#"{"status":{"indicator":1,"description":"x"}}"#,
        ] {
            assert_eq!(read_status(odd.as_bytes()), None, "{odd}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            drop((read_status(&bytes), read_address(&bytes)));
        }
    }

    fn outside(settings: &str) -> Outside {
        let text = format!("[[upstreams]]\n{settings}\n");
        let env = &ProcessEnvironment;
        let over = Overrides { state_dir: Some("/nowhere".into()), ..Overrides::default() };
        let config = config::parse(&text, Path::new("p"), env, &over, UnixMicros::from_secs(1));
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        Outside::new(&config.unwrap().upstreams[0], &clock).unwrap()
    }

    #[tokio::test]
    async fn nothing_is_asked_that_is_not_configured() {
        let outside = outside("");
        assert!(!outside.knows_address());
        assert_eq!((outside.status_page().await, outside.address().await), (None, None));
    }

    #[tokio::test]
    async fn one_question_a_minute_though_nobody_waits_for_it() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let outside = outside(&format!("egress.address_service = \"https://127.0.0.1:{port}/\""));
        assert!(outside.knows_address());
        {
            // Asked, and given up at once.
            let mut asking = std::pin::pin!(outside.address());
            assert!(futures_now(asking.as_mut()).is_none());
        }
        drop(listener.accept().await.unwrap());
        // The connection that ended is the answer to the second as well: nobody connects again.
        assert_eq!(outside.address().await, None);
        assert_eq!(outside.address().await, None);
        let accepting = listener.accept();
        let mut accepting = std::pin::pin!(accepting);
        assert!(futures_now(accepting.as_mut()).is_none());
    }

    fn futures_now<F: Future>(future: std::pin::Pin<&mut F>) -> Option<F::Output> {
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        match future.poll(&mut context) {
            std::task::Poll::Ready(done) => Some(done),
            std::task::Poll::Pending => None,
        }
    }
}
