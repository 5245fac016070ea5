//! Questions of the proxy's own after a rejection, and their answers.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::HeaderMap;

use crate::answer;
use crate::diagnose::{Asked, Body, Evidence, Probe, Question};
use crate::proxy::Proxy;
use crate::refusal::Refusal;
use crate::roster::KeyRing;

/// How long a rejection waits for answers.
const PATIENCE: Duration = Duration::from_millis(250);

/// What is known so far: it is filled while somebody may be waiting.
#[derive(Debug, Default)]
struct Answers(Mutex<Known>);

#[derive(Clone, Debug, Default)]
struct Known {
    probe: Probe,
}

impl Proxy {
    /// Asks, and waits a while. What has come by then is put into the evidence; the rest is learned all
    /// the same. `false`: nothing has come.
    pub(super) async fn inquire(
        self: &Arc<Self>,
        questions: Vec<Question>,
        ring: Option<&Arc<KeyRing>>,
        evidence: &mut Evidence,
    ) -> bool {
        let questions = self.allowed(questions, ring);
        if questions.is_empty() {
            return false;
        }
        let answers = Arc::new(Answers::default());
        let asking = Arc::clone(self).ask(questions, ring.cloned(), Arc::clone(&answers));
        let asking = self.tasks.spawn("inquiry", asking);
        drop(tokio::time::timeout(PATIENCE, asking).await);
        let Known { probe } = answers.known();
        let came = probe.roles.is_some() || probe.public.is_some();
        evidence.probe = probe;
        came
    }

    /// One question to the exchange at most, for each key and minute.
    fn allowed(&self, questions: Vec<Question>, ring: Option<&Arc<KeyRing>>) -> Vec<Question> {
        let key = ring.map(|it| it.name());
        let mut asked = false;
        let may = |question: &Question| match question {
            Question::Roles | Question::Public if asked => false,
            Question::Roles if key.is_none() => false,
            Question::Roles | Question::Public => {
                asked = true;
                self.health.may_ask(key, self.clock.monotonic())
            }
            Question::Secret | Question::StatusPage | Question::Address => false,
        };
        let mut questions = questions;
        questions.retain(may);
        questions
    }

    /// Boxed, because a question is a call of its own, whose rejection is explained in its turn.
    fn ask(
        self: Arc<Self>,
        questions: Vec<Question>,
        ring: Option<Arc<KeyRing>>,
        answers: Arc<Answers>,
    ) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(async move {
            for question in questions {
                match (question, &ring) {
                    (Question::Roles, Some(ring)) => {
                        let asked = self.ask_for_roles(ring).await;
                        answers.take(|it| it.probe.roles = Some(asked));
                    }
                    (Question::Public, _) => {
                        let asked = self.ask_in_public().await;
                        answers.take(|it| it.probe.public = Some(asked));
                    }
                    (
                        Question::Roles
                        | Question::Secret
                        | Question::StatusPage
                        | Question::Address,
                        _,
                    ) => {}
                }
            }
        })
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

fn rejected(answer: &crate::provider::Answer) -> Asked {
    let reason = match &answer.body {
        Body::Json(said) => said.reason.clone(),
        Body::Empty | Body::Page { .. } | Body::Text(_) => None,
    };
    Asked::Rejected { status: answer.status.as_u16(), reason }
}

fn silent(refusal: &Refusal) -> Asked {
    Asked::Silent { why: refusal.to_string() }
}

impl Answers {
    fn take(&self, put: impl FnOnce(&mut Known)) {
        put(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn known(&self) -> Known {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
