//! Wrong credentials, counted by the address they come from, or by the user of a unix socket.
//!
//! 1. Who presents a valid credential is never held up: on loopback every program shares one address,
//!    and one that guesses must not lock the others out. A token of 256 random bits is not guessed
//!    whether it is asked for slowly or fast; what this stops is a bot that repeats a wrong one for ever,
//!    and what it tells the operator is that somebody tries.
//! 2. 50 wrong ones in any 5 minutes are answered as such, further ones are told when to come again.
//!    Those do not count: who comes back when told gets an answer.
//! 3. An IPv6 network of /64 is one address: a single machine has all of it.
//! 4. What is remembered is bounded. Who has more addresses than that displaces only such records.
//!
//! Deliberately no crate for rates: theirs count what is let through, and this counts what was wrong,
//! after it has been judged.

use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::Unidentified;
use super::peer::{Peer, Source};

const WINDOW: Duration = Duration::from_secs(300);
const MAX_WRONG: usize = 50;
const MAX_PEERS: usize = 4_096;

#[derive(Debug, Default)]
pub(crate) struct Throttle {
    /// When each peer's wrong ones came, the oldest first: at least one, at most [`MAX_WRONG`].
    wrong: Mutex<HashMap<Source, VecDeque<Duration>>>,
}

impl Throttle {
    /// What somebody who was not identified is told. `now` is monotonic.
    pub(crate) fn weigh(&self, why: Unidentified, peer: &Peer, now: Duration) -> Unidentified {
        match why {
            Unidentified::Wrong { .. } | Unidentified::Ambiguous { .. } => {
                let wait = self.count(network(peer.source()), now);
                wait.map_or(why, |wait| Unidentified::Throttled { wait })
            }
            // Nothing was presented, or nothing wrong.
            Unidentified::Missing
            | Unidentified::Alias { .. }
            | Unidentified::InUrl { .. }
            | Unidentified::Expired { .. }
            | Unidentified::Outdated { .. }
            | Unidentified::Address { .. }
            | Unidentified::Throttled { .. } => why,
        }
    }

    /// Counts one more, or says how long there is no room for it.
    fn count(&self, source: Source, now: Duration) -> Option<Duration> {
        // A time too many or too few does no harm, so a panic in the middle spoils nothing.
        let mut wrong = self.wrong.lock().unwrap_or_else(PoisonError::into_inner);
        if wrong.len() >= MAX_PEERS && !wrong.contains_key(&source) {
            make_room(&mut wrong, now);
        }
        let times = wrong.entry(source).or_default();
        while times.front().is_some_and(|it| now >= *it + WINDOW) {
            times.pop_front();
        }
        match times.front() {
            Some(oldest) if times.len() >= MAX_WRONG => {
                Some((*oldest + WINDOW).saturating_sub(now))
            }
            _ => {
                times.push_back(now);
                None
            }
        }
    }
}

/// Forgets who has been quiet for long; if nobody was, who has been quiet the longest.
fn make_room(wrong: &mut HashMap<Source, VecDeque<Duration>>, now: Duration) {
    wrong.retain(|_, times| times.back().is_some_and(|it| now < *it + WINDOW));
    if wrong.len() < MAX_PEERS {
        return;
    }
    let quietest = wrong.iter().min_by_key(|(_, times)| times.back().copied());
    if let Some(source) = quietest.map(|(source, _)| *source) {
        wrong.remove(&source);
    }
}

fn network(source: Source) -> Source {
    match source {
        Source::Address(IpAddr::V6(it)) => {
            Source::Address(IpAddr::V6(Ipv6Addr::from_bits(it.to_bits() >> 64 << 64)))
        }
        Source::Address(IpAddr::V4(_)) | Source::User(_) | Source::Unknown => source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WRONG: Unidentified = Unidentified::Wrong { place: "`Authorization`" };

    fn peer_of(text: &str) -> Peer {
        match text.strip_prefix("uid:") {
            Some(uid) => Peer { user: Some((uid.parse().unwrap(), 0)), ..Peer::default() },
            None => Peer::at(text.parse().unwrap()),
        }
    }

    /// What a wrong credential of `peer` at second `at` is told: `None` that it is wrong.
    fn wrong(throttle: &Throttle, peer: &str, at: u64) -> Option<u64> {
        let said = throttle.weigh(WRONG, &peer_of(peer), Duration::from_secs(at));
        if let Unidentified::Throttled { wait } = said {
            return Some(wait.as_secs());
        }
        assert_eq!(said, WRONG);
        None
    }

    #[test]
    fn fifty_in_five_minutes_and_no_more() {
        let throttle = Throttle::default();
        for at in 0..50 {
            assert_eq!(wrong(&throttle, "10.0.0.1", at), None, "{at}");
        }
        assert_eq!(wrong(&throttle, "10.0.0.1", 50), Some(250));
        assert_eq!(wrong(&throttle, "10.0.0.1", 299), Some(1));
        // The first is forgotten, so there is room for one; then the second.
        assert_eq!(wrong(&throttle, "10.0.0.1", 300), None);
        assert_eq!(wrong(&throttle, "10.0.0.1", 300), Some(1));
        assert_eq!(wrong(&throttle, "10.0.0.1", 301), None);
        // Others are others.
        assert_eq!(wrong(&throttle, "10.0.0.2", 50), None);
        for at in 0..50 {
            assert_eq!(wrong(&throttle, "uid:1", at), None, "{at}");
        }
        assert_eq!(
            (wrong(&throttle, "uid:1", 50), wrong(&throttle, "uid:2", 50)),
            (Some(250), None)
        );
    }

    /// However they are spread, no five minutes have more than fifty that were told so.
    #[test]
    fn no_window_has_more() {
        for step in [1, 2, 5, 6, 7, 40] {
            let throttle = Throttle::default();
            let times = (0..2_000).step_by(step);
            let told: Vec<u64> =
                times.filter(|at| wrong(&throttle, "::1", *at).is_none()).collect();
            for start in &told {
                let within = told.iter().filter(|it| (*start..start + 300).contains(*it)).count();
                assert!(within <= 50, "{step}: {within} from {start}");
            }
            assert!(step < 6 || told.len() == 2_000_usize.div_ceil(step), "{step}: {told:?}");
        }
    }

    #[test]
    fn only_what_is_wrong_counts() {
        let throttle = Throttle::default();
        let client = crate::call::ClientId::new("bot");
        let peer = peer_of("127.0.0.1");
        for why in [
            Unidentified::Missing,
            Unidentified::Expired { client: client.clone() },
            Unidentified::Address { client: client.clone(), peer: peer.clone() },
            Unidentified::Outdated { place: "`Authorization`", client },
            Unidentified::InUrl { name: "token" },
            Unidentified::Alias { name: "x_gemini_apikey".to_owned() },
        ] {
            for _ in 0..60 {
                assert_eq!(throttle.weigh(why.clone(), &peer, Duration::ZERO), why);
            }
        }
        assert!(throttle.wrong.lock().unwrap().is_empty());
        let two = || Unidentified::Ambiguous { places: vec!["here", "there"] };
        for _ in 0..50 {
            assert_eq!(throttle.weigh(two(), &peer, Duration::ZERO), two());
        }
        let said = throttle.weigh(two(), &peer, Duration::ZERO);
        assert_eq!(said, Unidentified::Throttled { wait: WINDOW });
    }

    #[test]
    fn one_machine_is_one_peer() {
        let throttle = Throttle::default();
        for n in 0..50 {
            assert_eq!(wrong(&throttle, &format!("2001:db8:0:1::{n}"), 0), None);
        }
        assert_eq!(wrong(&throttle, "2001:db8:0:1:ffff::1", 0), Some(300));
        assert_eq!(wrong(&throttle, "2001:db8:0:2::1", 0), None);
        for _ in 0..50 {
            assert_eq!(wrong(&throttle, "::ffff:10.0.0.1", 0), None);
        }
        assert_eq!(wrong(&throttle, "10.0.0.1", 0), Some(300));
        assert_eq!(wrong(&throttle, "10.0.0.2", 0), None);
    }

    #[test]
    fn many_addresses_displace_the_quietest() {
        let throttle = Throttle::default();
        let address = |n: u32| std::net::Ipv4Addr::from_bits(n).to_string();
        for _ in 0..50 {
            wrong(&throttle, "192.0.2.1", 10);
        }
        for n in 0..10_000 {
            wrong(&throttle, &address(n), 9);
            assert!(throttle.wrong.lock().unwrap().len() <= MAX_PEERS);
        }
        assert_eq!(wrong(&throttle, "192.0.2.1", 10), Some(300), "the loudest stays");
        // All that is old goes at once.
        wrong(&throttle, "192.0.2.2", 1_000);
        assert_eq!(throttle.wrong.lock().unwrap().len(), 1);
    }
}
