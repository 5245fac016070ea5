//! Against a model that counts everything afresh each time.

use proptest::prelude::*;

use super::*;

const CAP: u64 = 60;
const MAX_ORDERS: u64 = 12;
const MAX_OPEN: u64 = 5;

#[derive(Clone, Debug)]
enum Step {
    /// Of so much, at two dollars. The exchange executes so many per cent of it, in the end.
    Admit {
        amount: u64,
        executed: u64,
    },
    /// The nth of those that are under way.
    End {
        which: usize,
        how: How,
    },
    /// A status, or an answer to a cancel: of the nth order that was answered as live.
    Status {
        which: usize,
        live: bool,
    },
    /// The list of those that live, asked for now.
    List {
        ended: usize,
    },
    Restart,
    Day {
        back: bool,
    },
    Wait(u64),
}

#[derive(Clone, Copy, Debug)]
enum How {
    Dropped,
    DroppedSent,
    NotSent,
    Rejected,
    Unknown,
    Live,
    Ended,
}

/// What the model knows of an order.
#[derive(Clone, Debug)]
struct Known {
    number: u64,
    day: u64,
    amount: u64,
    executed: u64,
    fate: Fate,
    /// Whether it could have been executed.
    real: bool,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Fate {
    Pending,
    Doubted(Option<u64>),
    Live(u64),
    Gone,
    /// Of whose id nothing was ever heard.
    Lost,
    Ended,
    Released,
}

#[derive(Debug, Default)]
struct Model {
    day: u64,
    known: Vec<Known>,
}

impl Model {
    fn spent(&self) -> u64 {
        let today = self.known.iter().filter(|it| it.day == self.day);
        today
            .map(|it| match it.fate {
                Fate::Released => 0,
                Fate::Ended => 2 * it.executed.min(it.amount),
                Fate::Pending | Fate::Doubted(_) | Fate::Live(_) | Fate::Gone | Fate::Lost => {
                    2 * it.amount
                }
            })
            .sum()
    }

    fn orders(&self) -> u64 {
        let counts = |it: &&Known| it.day == self.day && it.fate != Fate::Released;
        self.known.iter().filter(counts).count() as u64
    }

    fn open(&self) -> u64 {
        let open =
            |it: &&Known| matches!(it.fate, Fate::Pending | Fate::Doubted(_) | Fate::Live(_));
        self.known.iter().filter(open).count() as u64
    }

    fn admits(&self, amount: u64) -> bool {
        self.open() < MAX_OPEN && self.orders() < MAX_ORDERS && self.spent() + 2 * amount <= CAP
    }

    fn nth(&mut self, which: usize, fits: impl Fn(&Known) -> bool) -> Option<&mut Known> {
        let found: Vec<&mut Known> = self.known.iter_mut().filter(|it| fits(it)).collect();
        let len = found.len();
        if len == 0 { None } else { found.into_iter().nth(which % len) }
    }
}

struct Run {
    desk: Desk,
    model: Model,
    now: Moment,
    under_way: Vec<(u64, Ticket)>,
}

fn id(number: u64) -> String {
    format!("order-{number}")
}

impl Run {
    fn new() -> Self {
        let desk = Desk::new(day(Some(&CAP.to_string()), Some(MAX_ORDERS), Some(MAX_OPEN)));
        let model = Model { day: NOW.day, ..Model::default() };
        Self { desk, model, now: NOW, under_way: Vec::new() }
    }

    fn seconds(&self) -> u64 {
        self.now.monotonic.as_secs()
    }

    fn step(&mut self, step: &Step) {
        self.now.monotonic += Duration::from_secs(1);
        match step {
            Step::Admit { amount, executed } => self.admit(*amount, amount * executed / 100),
            Step::End { which, how } => self.end(*which, *how),
            Step::Status { which, live } => self.status(*which, *live),
            Step::List { ended } => self.list(*ended),
            Step::Restart => self.restart(),
            Step::Day { back } => {
                self.now.day = if *back { NOW.day } else { self.now.day + 1 };
            }
            Step::Wait(seconds) => self.now.monotonic += Duration::from_secs(*seconds),
        }
    }

    fn admit(&mut self, amount: u64, executed: u64) {
        self.model.day = self.model.day.max(self.now.day);
        let call = order("btcusd", &amount.to_string(), "2", None);
        let said = self.desk.admit(call, self.now);
        assert_eq!(said.is_ok(), self.model.admits(amount), "{:?}", self.model);
        let Ok(mut admission) = said else { return };
        let ticket = admission.ticket.take().unwrap();
        let number = ticket.number();
        let (day, fate) = (self.model.day, Fate::Pending);
        self.model.known.push(Known { number, day, amount, executed, fate, real: true });
        self.under_way.push((number, ticket));
        assert!(self.model.spent() <= CAP && self.model.orders() <= MAX_ORDERS);
    }

    fn end(&mut self, which: usize, how: How) {
        if self.under_way.is_empty() {
            return;
        }
        let (number, mut ticket) = self.under_way.swap_remove(which % self.under_way.len());
        let now = self.seconds();
        let known = self.model.nth(0, |it| it.number == number).unwrap();
        let told = |live| each(&id(number), live, &known.executed.to_string());
        let (fate, real) = match how {
            How::Dropped | How::NotSent | How::Rejected => (Fate::Released, false),
            How::DroppedSent => (Fate::Doubted(None), true),
            How::Unknown => (Fate::Doubted(Some(now)), true),
            How::Live => (Fate::Live(now), true),
            How::Ended => (Fate::Ended, true),
        };
        if !matches!(how, How::Dropped) {
            ticket.sent();
        }
        match how {
            How::Dropped | How::DroppedSent => drop(ticket),
            How::NotSent => ticket.settle(Outcome::NotSent, &Orders::Nothing, self.now),
            How::Rejected => ticket.settle(Outcome::Rejected, &Orders::Nothing, self.now),
            How::Unknown => ticket.settle(Outcome::Unknown, &Orders::Nothing, self.now),
            How::Live => ticket.settle(Outcome::Executed, &told(true), self.now),
            How::Ended => ticket.settle(Outcome::Executed, &told(false), self.now),
        }
        (known.fate, known.real) = (fate, real);
    }

    fn status(&mut self, which: usize, live: bool) {
        let (now, today) = (self.seconds(), self.model.day);
        let told_of = |it: &Known| match it.fate {
            Fate::Live(_) => true,
            // Of another day nothing more is given back, and nothing is followed.
            Fate::Gone => it.day == today,
            Fate::Pending | Fate::Doubted(_) | Fate::Lost | Fate::Ended | Fate::Released => false,
        };
        let Some(known) = self.model.nth(which, told_of) else { return };
        let told = each(&id(known.number), live, &known.executed.to_string());
        if !live {
            known.fate = Fate::Ended;
        } else if known.fate == Fate::Gone {
            known.fate = Fate::Live(now);
        }
        self.desk.learn(&told, self.now);
    }

    fn list(&mut self, ended: usize) {
        let now = self.seconds();
        let mut listed = Vec::new();
        for (n, known) in self.model.known.iter_mut().enumerate() {
            match known.fate {
                Fate::Live(_) if !(n + ended).is_multiple_of(3) => {
                    listed.push(state(&id(known.number), true, "0"));
                }
                Fate::Live(answered) if answered < now => known.fate = Fate::Gone,
                Fate::Doubted(Some(since)) if since + 60 <= now => known.fate = Fate::Lost,
                Fate::Doubted(None) => known.fate = Fate::Doubted(Some(now)),
                Fate::Live(_)
                | Fate::Doubted(_)
                | Fate::Pending
                | Fate::Gone
                | Fate::Lost
                | Fate::Ended
                | Fate::Released => {}
            }
        }
        self.desk.learn(&Orders::Active(listed), self.now);
    }

    /// The process ends where it stands. What is under way was sent.
    fn restart(&mut self) {
        let kept = self.desk.paper.entries();
        self.under_way.drain(..).for_each(|(_, it)| drop(it));
        *self.desk.paper.0.lock().unwrap() = kept.clone();
        self.desk.budgets = Budgets::new(Box::new(self.desk.paper.clone()), kept);
        for known in &mut self.model.known {
            known.fate = match known.fate {
                Fate::Pending | Fate::Doubted(_) => Fate::Doubted(Some(0)),
                Fate::Live(_) => Fate::Live(0),
                fate @ (Fate::Gone | Fate::Lost | Fate::Ended | Fate::Released) => fate,
            };
        }
    }
}

/// A process that is killed after each entry, and what the next one lets through.
fn check_prefixes(entries: &[Entry], known: &[Known]) {
    for n in 0..=entries.len() {
        let kept = &entries[..n];
        let reserved: Vec<&Reservation> = kept
            .iter()
            .filter_map(|it| if let Entry::Reserved(it) = it { Some(&**it) } else { None })
            .collect();
        let latest = |it: &Entry| if let Entry::Day { day } = it { Some(*day) } else { None };
        let today = kept.iter().filter_map(latest).max().unwrap_or(0);
        let desk = Desk::new(day(Some(&CAP.to_string()), Some(MAX_ORDERS), None));
        let budgets = Budgets::new(Box::new(desk.paper.clone()), kept.to_vec());
        let desk = Desk { budgets, ..desk };
        let mut more = Vec::new();
        while let Ok(it) = desk.admit(order("btcusd", "1", "1", None), at(today, 9_000)) {
            more.push(it);
        }
        let executed = |it: &&Known| {
            it.real && reserved.iter().any(|r| r.number == it.number && r.day == today)
        };
        let real: Vec<&Known> = known.iter().filter(executed).collect();
        let value: u64 = real.iter().map(|it| 2 * it.executed).sum();
        assert!(value + more.len() as u64 <= CAP, "after {n} entries: {value} and {}", more.len());
        assert!((real.len() + more.len()) as u64 <= MAX_ORDERS, "after {n} entries");
    }
}

fn step() -> impl Strategy<Value = Step> {
    let how = prop_oneof![
        1 => Just(How::Dropped),
        1 => Just(How::DroppedSent),
        1 => Just(How::NotSent),
        1 => Just(How::Rejected),
        1 => Just(How::Unknown),
        3 => Just(How::Live),
        2 => Just(How::Ended),
    ];
    prop_oneof![
        6 => (1..9_u64, 0..=100_u64).prop_map(|(amount, executed)| Step::Admit { amount, executed }),
        6 => (any::<usize>(), how).prop_map(|(which, how)| Step::End { which, how }),
        3 => (any::<usize>(), any::<bool>()).prop_map(|(which, live)| Step::Status { which, live }),
        2 => (0..3_usize).prop_map(|ended| Step::List { ended }),
        1 => Just(Step::Restart),
        1 => any::<bool>().prop_map(|back| Step::Day { back }),
        1 => (1..100_u64).prop_map(Step::Wait),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]

    #[test]
    fn counts_as_counted_afresh_and_never_lets_more_through(
        steps in prop::collection::vec(step(), 1..120),
    ) {
        let mut run = Run::new();
        for step in &steps {
            run.step(step);
        }
        check_prefixes(&run.desk.paper.entries(), &run.model.known);
    }
}
