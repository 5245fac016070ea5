//! Eight threads at once: every value is handed out once, and in the order of asking.
//!
//! A call that began after another had ended must get the larger value: then there is one order of all
//! calls that each of them could have seen.

use super::*;

/// When a call began and ended, on one clock that all threads share, and what it got.
#[derive(Clone, Copy, Debug)]
struct Call {
    began: u64,
    ended: u64,
    value: u64,
}

fn history(setting: Setting) -> Vec<Call> {
    const THREADS: usize = 8;
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(THREADS).build().unwrap();
    runtime.block_on(async {
        let stamps = Arc::new(AtomicU64::new(0));
        let lane = tended(setting, None, Disk::default());
        let workers: Vec<_> = (0..THREADS)
            .map(|_| {
                let (lane, stamps) = (Arc::clone(&lane), Arc::clone(&stamps));
                crate::task::spawn("caller", async move {
                    let mut calls = Vec::new();
                    for _ in 0..1_000 {
                        let began = stamps.fetch_add(1, Ordering::SeqCst);
                        // The clock goes on, stands and steps back.
                        let now = Duration::from_millis(began / 16 % 700);
                        let value = number(&lane, now).await.unwrap();
                        let ended = stamps.fetch_add(1, Ordering::SeqCst);
                        calls.push(Call { began, ended, value });
                    }
                    calls
                })
            })
            .collect();
        let mut all = Vec::new();
        for worker in workers {
            all.extend(worker.await.unwrap());
        }
        all
    })
}

fn check(mut calls: Vec<Call>) -> Result<(), String> {
    let mut values: Vec<_> = calls.iter().map(|it| it.value).collect();
    values.sort_unstable();
    values.dedup();
    if values.len() != calls.len() {
        return Err("a value was handed out twice".to_owned());
    }
    let mut ended = calls.clone();
    ended.sort_unstable_by_key(|it| it.ended);
    calls.sort_unstable_by_key(|it| it.began);
    let (mut before, mut highest) = (ended.iter().peekable(), 0);
    for call in calls {
        while let Some(earlier) = before.next_if(|it| it.ended < call.began) {
            highest = earlier.value.max(highest);
        }
        if call.value <= highest {
            return Err(format!("{call:?} began after {highest} had been handed out"));
        }
    }
    Ok(())
}

#[test]
fn every_value_once_and_in_order() {
    for setting in [Setting::Increasing, Setting::Time] {
        let calls = history(setting);
        assert_eq!(calls.len(), 8_000);
        check(calls).unwrap();
    }
}

#[test]
fn a_history_that_cannot_be_is_found() {
    let call = |began, ended, value| Call { began, ended, value };
    assert!(check(vec![call(0, 3, 2), call(1, 2, 1)]).is_ok(), "side by side, either way");
    assert!(check(vec![call(0, 1, 2), call(2, 3, 1)]).is_err());
    assert!(check(vec![call(0, 2, 1), call(1, 3, 1)]).is_err());
}
