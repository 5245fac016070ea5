//! What the exchange's public ticker says, at most 5 s ago: the price of an order that names none, and
//! of a sell, whose limit is its floor.
//!
//! 1. Asked for when a judgement wants it, once for everyone who wants the same symbol at that moment.
//! 2. Its age counts from when it was asked for, not from when it came, and ends where the order is judged:
//!    what an order then waits for its turn does not count.
//! 3. After a failure nobody asks for a second: what wants the price meanwhile is refused.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::HeaderMap;
use tokio::sync::Semaphore;

use crate::clock::Clock;
use crate::egress::{Arriving, Egress};
use crate::message;
use crate::policy::Quote;
use crate::provider::Provider;

/// How old a price may be.
const LONGEST: Duration = Duration::from_secs(5);
/// How long an order waits for one: far shorter than bots wait for their answer.
const PATIENCE: Duration = Duration::from_secs(2);
const AFTER_FAILURE: Duration = Duration::from_secs(1);
/// More than a ticker is long.
const MAX_TICKER: usize = 64 * 1_024;
/// More symbols than the exchange has. What is asked for beyond them has no price.
const MAX_SYMBOLS: usize = 4_096;

#[derive(Debug, Default)]
pub(crate) struct Quotes {
    known: Mutex<HashMap<String, Arc<Symbol>>>,
}

#[derive(Debug)]
struct Symbol {
    last: Mutex<Option<Said>>,
    asking: Semaphore,
}

/// What came of asking.
#[derive(Clone, Debug)]
struct Said {
    /// How long that counts.
    until: Duration,
    quote: Option<Arc<Quote>>,
}

impl Quotes {
    /// The quote of `symbol`, which is in lower case; `None` if there is none to be had.
    pub(crate) async fn of(
        &self,
        symbol: &str,
        provider: &dyn Provider,
        egress: &Egress,
        clock: &dyn Clock,
    ) -> Option<Arc<Quote>> {
        let known = self.symbol(symbol)?;
        if let Some(said) = known.fresh(clock.monotonic()) {
            return said.quote;
        }
        // Those who wait find the answer of the one who asked.
        let _turn = known.asking.acquire().await.ok()?;
        if let Some(said) = known.fresh(clock.monotonic()) {
            return said.quote;
        }
        let asked = clock.monotonic();
        let asking = ask(symbol, provider, egress);
        let quote = tokio::time::timeout(PATIENCE, asking).await.ok().flatten().map(Arc::new);
        if quote.is_none() {
            tracing::warn!(symbol, "the exchange's ticker tells no price");
        }
        let until = match quote {
            Some(_) => asked.saturating_add(LONGEST),
            None => clock.monotonic().saturating_add(AFTER_FAILURE),
        };
        *known.last() = Some(Said { until, quote: quote.clone() });
        quote
    }

    fn symbol(&self, symbol: &str) -> Option<Arc<Symbol>> {
        let plain = !symbol.is_empty() && symbol.len() <= 32;
        if !plain || !symbol.bytes().all(|it| it.is_ascii_alphanumeric()) {
            return None;
        }
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = known.get(symbol) {
            return Some(Arc::clone(known));
        }
        if known.len() == MAX_SYMBOLS {
            // Whoever asks for symbols that are none takes no room from those that are.
            known.retain(|_, it| Arc::strong_count(it) > 1 || it.has_price());
        }
        if known.len() == MAX_SYMBOLS {
            return None;
        }
        let fresh = Arc::new(Symbol { last: Mutex::new(None), asking: Semaphore::new(1) });
        known.insert(symbol.to_owned(), Arc::clone(&fresh));
        Some(fresh)
    }
}

impl Symbol {
    /// What was said last, if that still counts.
    fn fresh(&self, now: Duration) -> Option<Said> {
        let last = self.last();
        last.as_ref().filter(|it| now <= it.until).cloned()
    }

    fn has_price(&self) -> bool {
        self.last().as_ref().is_some_and(|it| it.quote.is_some())
    }

    fn last(&self) -> MutexGuard<'_, Option<Said>> {
        // A single assignment: valid after any panic.
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn ask(symbol: &str, provider: &dyn Provider, egress: &Egress) -> Option<Quote> {
    let nothing = HeaderMap::new();
    let asking = || egress.send(provider.ticker(symbol), &nothing, PATIENCE);
    let answer = match asking().await {
        // A connection of the pool had died.
        Err(fault) if fault.was_pooled() => asking().await,
        first => first,
    };
    let (head, Arriving { body, .. }) = answer.ok()?.into_parts();
    let body = message::read(body, MAX_TICKER).await.ok()?;
    provider.quote(&body).filter(|_| head.status.is_success())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decimal::Decimal;

    #[test]
    fn symbols_without_a_price_take_no_room_for_good() {
        let quotes = Quotes::default();
        let one = Decimal::parse("1").unwrap();
        let quote = Some(Arc::new(Quote { bid: one.clone(), ask: one }));
        for n in 0..MAX_SYMBOLS {
            let symbol = quotes.symbol(&format!("x{n}usd")).unwrap();
            let quote = quote.clone().filter(|_| n == 0);
            *symbol.last() = Some(Said { until: LONGEST, quote });
        }
        assert!(quotes.symbol("btcusd").is_some());
        let known = quotes.symbol("x0usd").unwrap();
        assert!(known.fresh(LONGEST).is_some_and(|it| it.quote.is_some()));
        assert!(known.fresh(LONGEST + Duration::from_nanos(1)).is_none());
        // With a price each of them is one.
        for n in 1..=MAX_SYMBOLS {
            let symbol = quotes.symbol(&format!("y{n}usd"));
            let symbol = symbol
                .inspect(|it| *it.last() = Some(Said { until: LONGEST, quote: quote.clone() }));
            assert_eq!(symbol.is_some(), n < MAX_SYMBOLS, "{n}");
        }
    }
}
