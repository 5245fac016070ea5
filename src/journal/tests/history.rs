//! A key's whole life, as a property: sequence, slots and disk together, through crashes, failing
//! writes, flipped bytes, restored copies and clocks that lie.

use std::time::Duration;

use proptest::prelude::*;

use super::super::UNUSED;
use super::super::marks::Slots;
use super::super::slot::{self, PLACES, SLOT};
use super::FINGERPRINT;
use super::disk::{Plan, Shared};
use crate::clock::UnixMicros;
use crate::nonce::{Kept, NotNow, Sequence, Setting, Unit, Verdict};

const BEGIN: UnixMicros = UnixMicros::from_secs(1_790_000_000);

#[derive(Clone, Debug)]
enum Event {
    /// So many nonces are wanted, one after the other, at one moment.
    Wanted(u8),
    /// The exchange took one: from then on that is kept too.
    Accepted,
    /// The marks are tended in the background.
    Tended,
    /// Time passes, in milliseconds.
    Passes(u64),
    /// The checked clock shows so many milliseconds more, or less, than is true.
    Lies(i64),
    /// After so many operations the disk refuses one, or all until it is [`Event::Mended`].
    Fails {
        after: u32,
        reaches: (usize, usize),
        for_good: bool,
    },
    Mended,
    /// Power is lost, now or in the middle of what is written next.
    Killed {
        during: Option<u32>,
        reaches: (usize, usize),
    },
    /// Power is lost, and a byte of one slot flips.
    Flipped {
        slot: usize,
        byte: usize,
        pattern: u8,
    },
    Ended,
    /// An older copy of the file is put back. By the time that is done the clock, which is right, has
    /// passed what little it may lag behind the last nonce.
    Restored(usize),
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let reaches = || (0..SLOT + 1, 0..SLOT + 1);
    let lie = prop_oneof![Just(0_i64), -90_000..90_000_i64, -4_000_000..4_000_000_i64];
    let event = prop_oneof![
        10 => (1..4_u8).prop_map(Event::Wanted),
        1 => Just(Event::Accepted),
        3 => Just(Event::Tended),
        4 => prop_oneof![0..50_u64, 500..2_500_u64, 0..40_000_u64].prop_map(Event::Passes),
        2 => lie.prop_map(Event::Lies),
        2 => (0..5_u32, reaches(), any::<bool>())
            .prop_map(|(after, reaches, for_good)| Event::Fails { after, reaches, for_good }),
        2 => Just(Event::Mended),
        3 => (prop::option::of(0..4_u32), reaches())
            .prop_map(|(during, reaches)| Event::Killed { during, reaches }),
        2 => (0..2_usize, 0..SLOT, 1..=255_u8)
            .prop_map(|(slot, byte, pattern)| Event::Flipped { slot, byte, pattern }),
        1 => Just(Event::Ended),
        1 => (0..50_usize).prop_map(Event::Restored),
    ];
    prop::collection::vec(event, 1..120)
}

/// One process after the other.
struct Life {
    setting: Setting,
    unit: Unit,
    disk: Shared,
    sequence: Sequence,
    slots: Slots<Shared>,
    truth: UnixMicros,
    lie: i64,
    last: u64,
    copies: Vec<Vec<u8>>,
}

impl Life {
    fn begin(setting: Setting, unit: Unit) -> Self {
        let disk = Shared::new(slot::file(UNUSED, 1, FINGERPRINT));
        let (_, slots) = disk.open().unwrap();
        let sequence = Sequence::new(setting, Some(unit), None);
        let (truth, copies) = (BEGIN, vec![disk.durable()]);
        Self { setting, unit, disk, sequence, slots, truth, lie: 0, last: 0, copies }
    }

    fn now(&self) -> UnixMicros {
        let span = Duration::from_millis(self.lie.unsigned_abs());
        if self.lie < 0 {
            UnixMicros(self.truth.0.saturating_sub(crate::clock::micros(span)))
        } else {
            self.truth.plus(span)
        }
    }

    /// Whether the mark was raised, and so whether somebody who waited for it goes on.
    fn tend(&mut self) -> bool {
        let Some(kept) = self.sequence.top_up(self.now()) else { return false };
        let written = self.slots.keep(kept).is_ok();
        if written {
            self.sequence.reserved(kept);
            self.copies.push(self.disk.durable());
        }
        written
    }

    fn want(&mut self) -> Result<(), TestCaseError> {
        let now = self.now();
        let mut outcome = self.sequence.advance(now);
        if outcome == Err(NotNow::Reserve) && self.tend() {
            outcome = self.sequence.advance(now);
            prop_assert!(outcome.is_ok(), "the reserve covers it: {outcome:?}");
        }
        let Ok(nonce) = outcome else { return Ok(()) };
        let value: u64 = nonce.to_string().replace('.', "").parse().unwrap();
        prop_assert!(value > self.last, "{value} after {}", self.last);
        let limit = self.unit.of(now.plus(Duration::from_secs(60))).saturating_add(1);
        prop_assert!(value <= limit, "{value} leads {limit}");
        self.last = value;
        let whole = self.disk.durable();
        let settled = slot::read(&whole, FINGERPRINT).unwrap().other.is_none();
        prop_assert!(slot::read(&whole, FINGERPRINT).unwrap().kept.mark >= value);
        // Whichever slot is lost: where the last write did not end that may be too much, and is refused.
        for place in PLACES {
            let mut bytes = whole.clone();
            bytes[place] ^= 1;
            let read = slot::read(&bytes, FINGERPRINT);
            prop_assert!(read.is_ok() || !settled);
            prop_assert!(read.is_err() || read.unwrap().kept.mark >= value, "{read:?} of {value}");
        }
        Ok(())
    }

    fn restart(&mut self) -> Result<(), TestCaseError> {
        self.disk.plan(Plan::default());
        let (read, mut slots) =
            self.disk.open().map_err(|it| TestCaseError::fail(it.to_string()))?;
        if read.other.is_some() {
            slots.repair().unwrap();
        }
        let kept: Option<Kept> = Some(read.kept).filter(|it| it.mark > 0);
        self.sequence = Sequence::new(self.setting, Some(self.unit), kept);
        self.slots = slots;
        Ok(())
    }

    fn happen(&mut self, event: &Event) -> Result<(), TestCaseError> {
        match *event {
            Event::Wanted(n) => (0..n).try_for_each(|_| self.want())?,
            Event::Accepted => drop(self.sequence.settle(Verdict::Accepted, 0)),
            Event::Tended => drop(self.tend()),
            Event::Passes(millis) => self.truth = self.truth.plus(Duration::from_millis(millis)),
            Event::Lies(millis) => self.lie = millis,
            Event::Fails { after, reaches, for_good } => {
                let (fails_after, reaches) = (Some(after), reaches.0..reaches.1);
                self.disk.plan(Plan { fails_after, reaches, for_good });
            }
            Event::Mended => self.disk.plan(Plan::default()),
            Event::Killed { during, reaches } => {
                if during.is_some() {
                    let reaches = reaches.0..reaches.1;
                    self.disk.plan(Plan { fails_after: during, reaches, for_good: true });
                    self.want()?;
                }
                self.restart()?;
            }
            Event::Flipped { slot, byte, pattern } => {
                // A write that did not end counts as one lost slot: only a settled file can bear more.
                let settled =
                    slot::read(&self.disk.durable(), FINGERPRINT).unwrap().other.is_none();
                if settled {
                    self.disk.0.borrow_mut().durable[PLACES[slot] + byte] ^= pattern;
                }
                self.restart()?;
            }
            Event::Ended => {
                if let Some(kept) = self.sequence.close()
                    && self.slots.keep(kept).is_ok()
                {
                    self.copies.push(self.disk.durable());
                }
                self.restart()?;
            }
            Event::Restored(which) => {
                self.disk.0.borrow_mut().durable = self.copies[which % self.copies.len()].clone();
                while self.unit.of(self.truth) <= self.last {
                    self.truth = self.truth.plus(Duration::from_secs(1));
                }
                self.lie = 0;
                self.restart()?;
                // The first nonce after it follows the clock; the copies that are older have had their day.
                self.want()?;
            }
        }
        Ok(())
    }
}

/// The clock steps back twice, and a write fails between: what memory takes to be on the disk is there.
#[test]
fn a_mark_on_disk_never_falls_while_nonces_are_handed_out() {
    let mut life = Life::begin(Setting::Increasing, Unit::Millis);
    life.happen(&Event::Tended).unwrap();
    let mark = |life: &Life| slot::read(&life.disk.durable(), FINGERPRINT).unwrap().kept.mark;
    let reserved = mark(&life);
    life.happen(&Event::Lies(-900)).unwrap();
    life.want().unwrap();
    life.sequence.settle(Verdict::Accepted, 0);
    life.happen(&Event::Lies(100)).unwrap();
    life.disk.plan(Plan { fails_after: Some(0), reaches: 0..0, for_good: false });
    assert!(!life.tend());
    life.happen(&Event::Lies(-800)).unwrap();
    life.tend();
    assert!(mark(&life) >= reserved, "{} falls below {reserved}", mark(&life));
    // Nor does the next start begin below what was handed out when the disk fails for good.
    life.disk.plan(Plan { fails_after: Some(0), reaches: 0..0, for_good: true });
    life.happen(&Event::Lies(900)).unwrap();
    (0..200).try_for_each(|_| life.want()).unwrap();
    life.happen(&Event::Lies(-800)).unwrap();
    life.restart().unwrap();
    life.want().unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_500))]

    #[test]
    fn no_nonce_of_a_key_ever_repeats_or_falls(
        (setting, unit) in prop::sample::select(vec![
            (Setting::Increasing, Unit::Millis),
            (Setting::Increasing, Unit::Micros),
            (Setting::Increasing, Unit::Nanos),
            (Setting::Increasing, Unit::Seconds),
            (Setting::Time, Unit::Micros),
            (Setting::Time, Unit::Seconds),
        ]),
        events in events(),
    ) {
        let mut life = Life::begin(setting, unit);
        for event in &events {
            life.happen(event)?;
        }
    }
}
