//! Interleavings of calls that ask for the last room, tried out one by one (loom): `just model`.
//!
//! Loom switches threads wherever the book is locked. Every interleaving is run.

use loom::thread;

use super::book::Asked;
use super::tests::{NOW, Paper, day, each};
use super::*;
use crate::policy::{DayLimits, OrderShare};

/// Asks for an order worth a dollar.
fn ask(budgets: &std::sync::Arc<Budgets>, limits: &DayLimits) -> Option<Ticket> {
    let one = || Decimal::parse("1").unwrap();
    let quote = "usd".to_owned();
    let share = OrderShare { quote, unit_price: one(), amount: one(), client_order_id: None };
    let asked = Asked {
        client: &ClientId::new("bot"),
        request_id: "",
        place: Place::default(),
        rate: None,
        order: Some((limits, &share)),
        withdrawal: None,
        observed: false,
    };
    let granted = budgets.grant(&asked, NOW).ok()?;
    granted.number.map(|it| budgets.ticket(it))
}

fn check(limits: &DayLimits, room: usize) {
    let limits = limits.clone();
    loom::model(move || {
        let paper = Paper::default();
        let budgets = Budgets::new(Box::new(paper.clone()), Vec::new());
        let others: Vec<_> = (0..2)
            .map(|n| {
                let (budgets, limits) = (std::sync::Arc::clone(&budgets), limits.clone());
                thread::spawn(move || {
                    let mut ticket = ask(&budgets, &limits)?;
                    ticket.sent();
                    // One is rejected and gives back, the other stays.
                    if n == 0 {
                        ticket.settle(Outcome::Rejected, &Orders::Nothing, NOW);
                        return None;
                    }
                    ticket.settle(Outcome::Executed, &each("7", true, "0"), NOW);
                    Some(())
                })
            })
            .collect();
        let own = ask(&budgets, &limits);
        let stayed = others.into_iter().filter_map(|it| it.join().unwrap()).count();
        assert!(stayed + usize::from(own.is_some()) <= room);
        // What is left fits exactly, and so it does after a restart.
        let left = room - stayed - usize::from(own.is_some());
        let kept = paper.entries();
        let more: Vec<_> = (0..3).map_while(|_| ask(&budgets, &limits)).collect();
        assert_eq!(more.len(), left);
        let again = Budgets::new(Box::new(Paper::default()), kept);
        let more: Vec<_> = (0..3).map_while(|_| ask(&again, &limits)).collect();
        assert_eq!(more.len(), left);
    });
}

#[test]
fn no_more_than_there_is_room_for() {
    check(&day(Some("2"), None, None), 2);
    check(&day(None, Some(1), None), 1);
    check(&day(None, None, Some(2)), 2);
}
