//! One explanation, and how it is put together.

use super::Cause;
use crate::call::words;

words! {
    /// Who said no.
    DecidedBy {
        Proxy = "proxy",
        Upstream = "upstream",
        Edge = "edge",
    }
}

words! {
    Confidence {
        Certain = "certain",
        Likely = "likely",
        Possible = "possible",
    }
}

/// What a program may do next.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Retry {
    Now,
    /// In so many seconds.
    After(u64),
    AfterFix,
    /// The outcome is unknown: look before repeating.
    LookFirst,
    Never,
}

impl std::fmt::Display for Retry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Now => f.write_str("now"),
            Self::After(seconds) => write!(f, "after_{seconds}s"),
            Self::AfterFix => f.write_str("after_fix"),
            Self::LookFirst => f.write_str("look_first"),
            Self::Never => f.write_str("never"),
        }
    }
}

words! {
    /// Who can apply a fix.
    By {
        /// Whoever wrote or set up the bot.
        Bot = "bot",
        /// Whoever runs geminid.
        Operator = "operator",
        /// Whoever may log in to the account at the exchange.
        AccountOwner = "account-owner",
        Exchange = "exchange",
        /// Whoever runs the network between.
        Network = "network",
        /// Time.
        Nobody = "nobody",
    }
}

/// One thing to do.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Fix {
    pub(crate) by: By,
    pub(crate) text: String,
}

impl Fix {
    pub(crate) fn new(by: By, text: impl Into<String>) -> Self {
        Self { by, text: text.into() }
    }
}

/// One explanation.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Finding {
    pub(crate) cause: Cause,
    pub(crate) decided_by: DecidedBy,
    pub(crate) confidence: Confidence,
    /// What is added to the message: one line.
    pub(crate) line: String,
    pub(crate) evidence: Vec<String>,
    /// What to do, in order.
    pub(crate) fix: Vec<Fix>,
    /// How long it usually takes.
    pub(crate) resolution: &'static str,
    pub(crate) retry: Retry,
}

impl Finding {
    /// What the upstream's own words prove, and somebody has to see to.
    pub(crate) fn of(cause: Cause, line: impl Into<String>) -> Self {
        Self {
            cause,
            decided_by: DecidedBy::Upstream,
            confidence: Confidence::Certain,
            line: line.into(),
            evidence: Vec::new(),
            fix: Vec::new(),
            resolution: "unknown",
            retry: Retry::AfterFix,
        }
    }

    /// The same, of whatever stands between here and the upstream.
    pub(crate) fn of_edge(cause: Cause, line: impl Into<String>) -> Self {
        Self { decided_by: DecidedBy::Edge, ..Self::of(cause, line) }
    }

    pub(crate) fn with(self, confidence: Confidence) -> Self {
        Self { confidence, ..self }
    }

    pub(crate) fn fact(mut self, fact: impl Into<String>) -> Self {
        self.evidence.push(fact.into());
        self
    }

    pub(crate) fn facts(mut self, facts: impl IntoIterator<Item = String>) -> Self {
        self.evidence.extend(facts);
        self
    }

    /// One more thing to do, after the others.
    pub(crate) fn fix(mut self, by: By, text: impl Into<String>) -> Self {
        self.fix.push(Fix::new(by, text));
        self
    }

    pub(crate) fn takes(self, resolution: &'static str) -> Self {
        Self { resolution, ..self }
    }

    pub(crate) fn retry(self, retry: Retry) -> Self {
        Self { retry, ..self }
    }
}
