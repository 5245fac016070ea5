//! The budgets of all clients: the book under its lock, and the ledger that hears of every change in the
//! order of the changes.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError};

use crate::call::{ClientId, KeyName, Orders, Outcome};
use crate::clock::Ulid;
use crate::limit::book::{Asked, Book, Granted};
use crate::limit::sync::{Mutex, MutexGuard};
use crate::limit::{Admission, Entry, Ledger, Moment, Place, Spent, Written, free};
use crate::policy::{DayLimits, Grant, Mode, Permit};

/// Lives as long as the process: a configuration that is read anew changes limits, and what was spent
/// stays with the client of that name.
#[derive(Debug)]
pub(crate) struct Budgets {
    book: Mutex<Book>,
    // Whether the book follows any order of which an answer could tell.
    follows: AtomicBool,
    ledger: Box<dyn Ledger>,
}

/// Who asks, and what holds for them.
#[derive(Debug)]
pub(crate) struct Holder<'a> {
    pub(crate) client: &'a ClientId,
    pub(crate) key: Option<&'a KeyName>,
    /// The sub-account that the call acts in.
    pub(crate) account: Option<&'a str>,
    pub(crate) grant: &'a Grant,
    pub(crate) request_id: Ulid,
}

impl Budgets {
    /// `kept`: what the ledger held at the start, in its order.
    #[expect(clippy::needless_pass_by_value, reason = "nobody needs them afterwards")]
    pub(crate) fn new(ledger: Box<dyn Ledger>, kept: Vec<Entry>) -> Arc<Self> {
        let book = Book::replayed(&kept);
        let follows = AtomicBool::new(!book.is_empty());
        Arc::new(Self { book: Mutex::new(book), follows, ledger })
    }

    /// Checks that a call fits, and reserves what it takes: one step.
    ///
    /// # Errors
    /// What there is no more of. Nothing is reserved then, and a `rate` is not spent by who exceeds it.
    pub(crate) fn admit(
        self: &Arc<Self>,
        permit: Permit,
        holder: &Holder<'_>,
        now: Moment,
    ) -> Result<Admission, Spent> {
        let Holder { client, key, account, grant, request_id } = holder;
        let day = grant.orders.as_ref().map(|it| &it.day).filter(|it| limit(it));
        let order = day.zip(permit.share().order.as_ref());
        let withdrawal = permit.share().withdrawal.as_ref();
        if grant.rate.is_none() && order.is_none() && withdrawal.is_none() {
            return Ok(free(permit));
        }
        let place = Place { key: key.cloned(), account: account.map(str::to_owned) };
        let asked = Asked {
            client,
            request_id: request_id.as_str(),
            place,
            rate: grant.rate.as_ref(),
            order,
            withdrawal,
            observed: grant.mode == Mode::Observe,
        };
        let Granted { would, number, .. } = self.grant(&asked, now)?;
        let ticket = number.map(|number| self.ticket(number));
        Ok(Admission { permit, would, ticket })
    }

    pub(super) fn ticket(self: &Arc<Self>, number: u64) -> Ticket {
        Ticket { budgets: Arc::clone(self), number, fate: Fate::Unsent }
    }

    pub(super) fn grant(&self, asked: &Asked<'_>, now: Moment) -> Result<Granted, Spent> {
        let mut book = self.book();
        if let Some(entry) = book.begin(now.day) {
            self.ledger.append(&entry);
        }
        let granted = book.grant(asked, now)?;
        granted.entries.iter().for_each(|it| self.ledger.append(it));
        Ok(granted)
    }

    /// Hears what an answer that was asked for at `asked` says of orders that were placed before.
    pub(crate) fn learn(
        &self,
        key: Option<&KeyName>,
        account: Option<&str>,
        orders: &Orders,
        asked: Moment,
    ) {
        if matches!(orders, Orders::Nothing) || !self.follows.load(Ordering::Acquire) {
            return;
        }
        let place = Place { key: key.cloned(), account: account.map(str::to_owned) };
        let mut book = self.book();
        let entries = book.learn(&place, orders, asked.monotonic);
        entries.iter().for_each(|it| self.ledger.append(it));
        self.note(&book);
    }

    /// How many orders were let go before their end was known, because a client had too many.
    pub(crate) fn let_go(&self) -> u64 {
        self.book().n_let_go()
    }

    fn release(&self, number: u64) {
        let mut book = self.book();
        if let Some(entry) = book.release(number) {
            self.ledger.append(&entry);
        }
    }

    fn answer(&self, number: u64, orders: &Orders, now: Moment) {
        let mut book = self.book();
        if let Some(entry) = book.answer(number, orders, now.monotonic) {
            self.ledger.append(&entry);
        }
        self.note(&book);
    }

    fn doubt(&self, number: u64, now: Option<Moment>) {
        let mut book = self.book();
        book.doubt(number, now.map(|it| it.monotonic));
        self.note(&book);
    }

    fn note(&self, book: &Book) {
        self.follows.store(!book.is_empty(), Ordering::Release);
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        // The book refuses nothing halfway: what a panic leaves has reserved rather more than less.
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether anything is counted.
fn limit(day: &DayLimits) -> bool {
    let DayLimits { max_notional_per_day, max_orders_per_day, max_open_orders } = day;
    !max_notional_per_day.is_empty() || max_orders_per_day.is_some() || max_open_orders.is_some()
}

/// A reservation in the hands of its call.
#[derive(Debug)]
pub(super) struct Ticket {
    budgets: Arc<Budgets>,
    number: u64,
    fate: Fate,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Fate {
    Unsent,
    Sent,
    Settled,
}

impl Ticket {
    #[cfg(test)]
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    pub(super) fn written(&self) -> Written {
        self.budgets.ledger.written()
    }

    pub(super) fn sent(&mut self) {
        self.fate = Fate::Sent;
    }

    pub(super) fn unsent(&mut self) {
        self.fate = Fate::Unsent;
    }

    pub(super) fn settle(mut self, outcome: Outcome, orders: &Orders, now: Moment) {
        self.fate = Fate::Settled;
        match outcome {
            Outcome::NotSent | Outcome::Rejected => self.budgets.release(self.number),
            Outcome::Executed => self.budgets.answer(self.number, orders, now),
            Outcome::Unknown => self.budgets.doubt(self.number, Some(now)),
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        match self.fate {
            Fate::Unsent => self.budgets.release(self.number),
            Fate::Sent => self.budgets.doubt(self.number, None),
            Fate::Settled => {}
        }
    }
}
