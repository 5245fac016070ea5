//! Questions of the proxy's own after a rejection, and their answers.
//!
//! 1. To the exchange goes one at most, for each key and minute: in its turn, as any other call.
//! 2. With `probe = false` nothing goes anywhere. A key's secret is read again all the same.
//! 3. Each answer counts as soon as it comes: a slow one holds up no other.

use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::HeaderMap;

use crate::answer;
use crate::diagnose::{Asked, Body, ChangeKind, Evidence, Probe, Question, SecretFile, StatusPage};
use crate::provider::Answer;
use crate::proxy::Proxy;
use crate::refusal::Refusal;
use crate::roster::KeyRing;
use crate::rotation;

/// How long a question may take: it holds up a turn, and the end of the process.
const LONGEST: Duration = Duration::from_secs(5);
/// How long a rejection waits for answers.
const PATIENCE: Duration = Duration::from_millis(250);

/// What has come so far: it is filled while somebody may be waiting.
#[derive(Debug, Default)]
struct Answers(Mutex<Known>);

#[derive(Clone, Debug, Default)]
struct Known {
    probe: Probe,
    secret: Option<SecretFile>,
    status_page: Option<StatusPage>,
    seen: Option<IpAddr>,
}

impl Proxy {
    /// Asks, and waits a while. What has come by then is put into the evidence; the rest is learned all
    /// the same. The call was signed with this key and sent then. `false`: nothing was asked.
    pub(super) async fn inquire(
        self: &Arc<Self>,
        questions: Vec<Question>,
        (ring, sent): (Option<&Arc<KeyRing>>, Duration),
        evidence: &mut Evidence,
    ) -> bool {
        let questions = self.allowed(questions, ring);
        if questions.is_empty() {
            return false;
        }
        let answers = Arc::new(Answers::default());
        let asking = Arc::clone(self).ask(questions, (ring.cloned(), sent), Arc::clone(&answers));
        let asking = self.tasks.spawn("inquiry", asking);
        drop(tokio::time::timeout(PATIENCE, asking).await);
        answers.known().tell(evidence);
        true
    }

    /// One question to the exchange at most, for each key and minute. Other pages, and our own disk, have
    /// limits of their own.
    fn allowed(&self, mut questions: Vec<Question>, ring: Option<&Arc<KeyRing>>) -> Vec<Question> {
        let key = ring.map(|it| it.name());
        let mut asked = !self.probe;
        questions.retain(|question| match question {
            Question::Roles | Question::Public if asked => false,
            Question::Roles | Question::Public => {
                asked = true;
                self.health.may_ask(key, self.clock.monotonic())
            }
            Question::Secret => ring.is_some_and(|it| it.source.can_change()),
            Question::StatusPage => self.probe && self.outside.knows_status(),
            Question::Address => self.probe && self.outside.knows_address(),
        });
        questions
    }

    /// Boxed, because a question is a call of its own, whose rejection is explained in its turn.
    fn ask(
        self: Arc<Self>,
        questions: Vec<Question>,
        (ring, sent): (Option<Arc<KeyRing>>, Duration),
        answers: Arc<Answers>,
    ) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(async move {
            let asked = |question| questions.contains(&question);
            let roles = async {
                if let Some(ring) = ring.as_ref().filter(|_| asked(Question::Roles)) {
                    let roles = within(Box::pin(self.ask_for_roles(ring))).await;
                    answers.take(|it| it.probe.roles = Some(roles));
                }
            };
            let public = async {
                if asked(Question::Public) {
                    let public = within(self.ask_in_public()).await;
                    answers.take(|it| it.probe.public = Some(public));
                }
            };
            let secret = async {
                if let Some(ring) = ring.as_ref().filter(|_| asked(Question::Secret)) {
                    let secret = self.reread(ring, sent).await;
                    answers.take(|it| it.secret = Some(secret));
                }
            };
            let status_page = async {
                if asked(Question::StatusPage) {
                    let page = self.outside.status_page().await;
                    answers.take(|it| it.status_page = page);
                }
            };
            let address = async {
                if asked(Question::Address) {
                    let seen = self.outside.address().await;
                    answers.take(|it| it.seen = seen);
                }
            };
            tokio::join!(roles, public, secret, status_page, address);
        })
    }

    /// A secret that was replaced in its file is signed with from the next call on.
    async fn reread(&self, ring: &KeyRing, sent: Duration) -> SecretFile {
        let secret = rotation::reread(ring).await;
        if secret == SecretFile::Same && self.health.is_renewed_since(ring.name(), sent) {
            // Another rejection, of a call under way beside this one, has had it taken up.
            return SecretFile::TakenUp;
        }
        if secret == SecretFile::TakenUp {
            let (name, now) = (ring.name(), self.clock.monotonic());
            let detail = format!("another secret of the key `{name}`");
            self.health.changed(ChangeKind::Secret, detail, now);
            self.tell_turns(&self.health.renewed(name, now));
            self.observer.trail.note("secret", &[("key", name.as_str()), ("result", "taken up")]);
        }
        secret
    }

    async fn ask_for_roles(self: &Arc<Self>, ring: &Arc<KeyRing>) -> Asked {
        let call = self.provider.roles_question(None);
        let named = call.clone();
        let received = match self.run_errand(ring, call).await {
            Ok(received) => received,
            Err(refusal) => return silent(&refusal),
        };
        let roles = received.whole().and_then(|body| self.provider.roles(&named, body));
        match roles {
            Some(roles) => Asked::Answered { roles },
            None => rejected(&received.answer),
        }
    }

    /// Asks for what anybody may read.
    async fn ask_in_public(&self) -> Asked {
        let nothing = HeaderMap::new();
        let wire = || self.provider.date_request();
        let response = match self.egress.send(wire(), &nothing, self.deadlines.read).await {
            Err(fault) if fault.was_pooled() => {
                self.egress.send(wire(), &nothing, self.deadlines.read).await
            }
            first => first,
        };
        let response = match response {
            Ok(response) => response,
            Err(fault) => return Asked::Silent { why: fault.to_string() },
        };
        match answer::read(self.provider, response, None, None).await {
            Ok(received) if received.answer.status.is_success() => {
                Asked::Answered { roles: Vec::new() }
            }
            Ok(received) => rejected(&received.answer),
            Err(refusal) => silent(&refusal),
        }
    }
}

fn rejected(answer: &Answer) -> Asked {
    let reason = match &answer.body {
        Body::Json(said) => said.reason.clone(),
        Body::Empty | Body::Page { .. } | Body::Text(_) => None,
    };
    Asked::Rejected { status: answer.status.as_u16(), reason }
}

async fn within(asking: impl Future<Output = Asked>) -> Asked {
    let why = || format!("no answer within {} s", LONGEST.as_secs());
    tokio::time::timeout(LONGEST, asking).await.unwrap_or_else(|_| Asked::Silent { why: why() })
}

fn silent(refusal: &Refusal) -> Asked {
    Asked::Silent { why: refusal.to_string() }
}

impl Known {
    fn tell(self, evidence: &mut Evidence) {
        let Self { probe, secret, status_page, seen } = self;
        evidence.probe = probe;
        evidence.status_page = status_page;
        evidence.egress.seen = seen;
        if let (Some(key), Some(secret)) = (&mut evidence.key, secret) {
            key.secret = secret;
        }
    }
}

impl Answers {
    fn take(&self, put: impl FnOnce(&mut Known)) {
        put(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn known(&self) -> Known {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
