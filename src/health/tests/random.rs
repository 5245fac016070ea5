//! Random histories, beside a model that knows the rules and nothing else.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

const CAUSES: [Cause; 8] = [
    Cause::KeyUnknown,
    Cause::SignatureWrong,
    Cause::KeyRoleMissing,
    Cause::KeyIpNotTrusted,
    Cause::EdgeBlocked,
    Cause::RateLimited,
    Cause::Maintenance,
    Cause::Unexplained,
];

#[derive(Clone, Debug)]
enum Step {
    Wait(u64),
    Worked {
        key: usize,
        operation: usize,
    },
    Rejected {
        key: usize,
        operation: usize,
        cause: usize,
    },
    /// A call asks to be sent; `true`: it is.
    Gate(bool),
    Settle,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let worked = |(key, operation)| Step::Worked { key, operation };
    let rejected = |(key, operation, cause)| Step::Rejected { key, operation, cause };
    let step = prop_oneof![
        3 => prop_oneof![0..40_u64, 200..400_u64, 3_000..4_000_u64].prop_map(Step::Wait),
        1 => (0..3_usize, 0..3_usize).prop_map(worked),
        6 => (0..3_usize, 0..3_usize, 0..CAUSES.len()).prop_map(rejected),
        3 => (0..1_usize, 0..1_usize, 0..2_usize).prop_map(rejected),
        4 => any::<bool>().prop_map(Step::Gate),
        1 => Just(Step::Settle),
    ];
    prop::collection::vec(step, 0..200)
}

/// What is known of the key `k`, and of incidents.
#[derive(Default)]
struct Model {
    n_denied: u32,
    aside: bool,
    /// The last moment that begins a wait: set aside, rejected, or a trial sent.
    since: Duration,
    open: BTreeSet<String>,
}

fn named(it: &Incident) -> String {
    format!("{} {:?}", it.cause.code(), it.key)
}

impl Model {
    fn told(&mut self, turned: &[Turned]) -> Result<(), TestCaseError> {
        for it in turned {
            match it {
                Turned::Opened(it) => {
                    prop_assert!(self.open.insert(named(it)), "opened twice");
                    prop_assert!(it.n_rejected >= 2 && it.ended.is_none());
                }
                Turned::Closed(it) => {
                    prop_assert!(self.open.remove(&named(it)), "closed, and was not open");
                    prop_assert!(it.ended.is_some());
                }
                Turned::Quarantined { key, .. } | Turned::Released { key, .. } => {
                    prop_assert!(*key == "k" || *key == "l");
                }
            }
        }
        Ok(())
    }

    fn rejected(&mut self, cause: Cause, now: Duration) {
        if matches!(cause, Cause::KeyUnknown | Cause::SignatureWrong) {
            self.n_denied += 1;
            self.aside = self.n_denied >= 3;
            self.since = now;
        } else if matches!(cause, Cause::KeyRoleMissing | Cause::KeyIpNotTrusted) {
            self.restored();
        }
    }

    fn restored(&mut self) {
        (self.n_denied, self.aside) = (0, false);
    }
}

fn run(steps: Vec<Step>) -> Result<(), TestCaseError> {
    let health = Health::of(&[key("k"), key("l")]);
    let (mut model, mut now) = (Model::default(), Duration::ZERO);
    let keys = [Some(key("k")), Some(key("l")), None];
    let operations = ["a", "b", "c"].map(operation);
    let k = key("k");
    for step in steps {
        match step {
            Step::Wait(seconds) => now += Duration::from_secs(seconds),
            Step::Worked { key, operation } => {
                let turned = health.worked(keys[key].as_ref(), &operations[operation], at(now));
                model.told(&turned)?;
                if key == 0 {
                    model.restored();
                }
            }
            Step::Rejected { key, operation, cause } => {
                let finding = finding(CAUSES[cause]);
                let rejected = Rejected {
                    key: keys[key].as_ref(),
                    operation: &operations[operation],
                    finding: &finding,
                    request_id: Ulid::default(),
                    sent: now,
                    status: 403,
                    reason: None,
                    report: "{}",
                };
                model.told(&health.rejected(&rejected, at(now)))?;
                if key == 0 {
                    model.rejected(CAUSES[cause], now);
                }
            }
            Step::Gate(sent) => {
                let due = !model.aside || now >= model.since + Duration::from_secs(30);
                match health.gate(&k, now) {
                    Ok(pass) => {
                        prop_assert!(due, "a trial too early");
                        if sent {
                            prop_assert!(pass.used(now).is_ok());
                            model.since = now;
                        }
                    }
                    Err(it) => {
                        prop_assert!(!due, "no trial though one is due");
                        prop_assert_eq!(now + it.wait, model.since + Duration::from_secs(30));
                    }
                }
            }
            Step::Settle => model.told(&health.settle(at(now)))?,
        }
        let overview = health.overview(at(now));
        let open: BTreeSet<String> = overview.open.iter().map(named).collect();
        prop_assert_eq!(&open, &model.open);
        prop_assert!(overview.closed.len() <= 50);
        prop_assert!(overview.open.iter().all(|it| it.operations.len() <= operations.len()));
        let aside = overview.keys[0].condition == Condition::Quarantined;
        prop_assert_eq!(aside, model.aside);
    }
    Ok(())
}

proptest! {
    #[test]
    fn trials_are_rare_and_incidents_come_in_pairs(steps in steps()) {
        run(steps)?;
    }
}
