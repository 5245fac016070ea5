//! An order against the limits of a client.
//!
//! 1. Symbol, side, type and time in force must be in the list, where there is one. Symbols are
//!    compared without regard to ASCII case, everything else exactly.
//! 2. A number that a limit reads must be a plain decimal; what no limit reads is not looked at.
//! 3. The value of a buy is its amount times its price, or times the ask if it names none. The value
//!    of a sell is its amount times the highest of its price, its stop price and the bid: its price is
//!    a floor, and a sell at one dollar sells at the bid.
//! 4. What cannot be valued is refused where a value is limited: without a quote where one is needed,
//!    with a side or a type that is not known, and with a field that nothing here understands.

use std::collections::BTreeSet;

use crate::call::{ClientId, Order, shown};
use crate::decimal::Decimal;
use crate::policy::denial::Denial;
use crate::policy::grant::{OrderType, Orders, Side, TimeInForce};
use crate::policy::symbol::{Pair, split, splits};
use crate::policy::{OrderShare, Quote};

const AMOUNT: &str = "orders.max_amount";
const NOTIONAL: &str = "orders.max_notional";
const PER_DAY: &str = "orders.max_notional_per_day";

/// An order, and what it is judged by.
#[derive(Clone, Copy, Debug)]
pub(super) struct Judged<'a> {
    pub(super) client: &'a ClientId,
    pub(super) limits: &'a Orders,
    pub(super) order: &'a Order,
    pub(super) quote: Option<&'a Quote>,
}

/// The symbol whose quote decides on `order`, if one does and it is a symbol.
pub(super) fn wanted_quote(limits: &Orders, order: &Order) -> Option<String> {
    if !limits.limit_value() {
        return None;
    }
    let has_floor = order.kind.as_deref() != Some(OrderType::Market.as_str());
    let bought = order.side.as_deref() == Some(Side::Buy.as_str());
    if bought && has_floor {
        return None;
    }
    let symbol = order.symbol.as_ref()?.to_ascii_lowercase();
    let listed = limits.symbols.as_ref().is_none_or(|it| it.contains(&symbol));
    // It becomes part of a path: what is split is letters and digits.
    (listed && split(&symbol).is_some()).then_some(symbol)
}

impl Judged<'_> {
    /// Symbol, side, type, time in force.
    pub(super) fn lists(&self) -> Result<(), Denial> {
        let Orders { symbols, sides, types, time_in_force, .. } = self.limits;
        let Order { symbol, side, kind, options, .. } = self.order;
        let client = || self.client.clone();
        symbol_listed(self.client, symbols.as_ref(), symbol.as_deref())?;
        let known = |it: &&String| it.parse().is_ok_and(|it: Side| has(sides.as_ref(), &it));
        if sides.is_some() && side.as_ref().filter(known).is_none() {
            return Err(Denial::Side { client: client(), side: side.clone() });
        }
        let known = |it: &&String| it.parse().is_ok_and(|it: OrderType| has(types.as_ref(), &it));
        if types.is_some() && kind.as_ref().filter(known).is_none() {
            return Err(Denial::OrderType { client: client(), kind: kind.clone() });
        }
        let Some(times) = time_in_force else { return Ok(()) };
        let none = TimeInForce::GoodTilCancel.as_str().to_owned();
        let named = if options.is_empty() { std::slice::from_ref(&none) } else { options };
        // The first word is what no option says: as one it is not known.
        let known = |it: &String| match it.parse() {
            Ok(TimeInForce::GoodTilCancel) if !options.is_empty() => false,
            Ok(time) => times.contains(&time),
            Err(_) => false,
        };
        match named.iter().find(|it| !known(it)) {
            Some(option) => Err(Denial::TimeInForce { client: client(), option: option.clone() }),
            None => Ok(()),
        }
    }

    /// Amount and value, as far as a limit reads them.
    pub(super) fn size(&self) -> Result<OrderShare, Denial> {
        if !self.limits.limit_size() {
            return Ok(self.share());
        }
        let numbers = self.numbers()?;
        let sized = self.sized(&numbers)?;
        let asked = &sized.amount;
        for Pair { base, .. } in splits(&sized.symbol) {
            self.within(AMOUNT, self.limits.max_amount.get(base), base, asked)?;
        }
        if !self.limits.limit_value() {
            return Ok(self.share());
        }
        let unit_price = self.unit_price(&sized, &numbers)?;
        let quote = sized.pair().quote;
        let value = unit_price.times(asked);
        let per_day = &self.limits.day.max_notional_per_day;
        for (limit, named) in [(NOTIONAL, &self.limits.max_notional), (PER_DAY, per_day)] {
            if named.is_empty() {
                continue;
            }
            let Some(most) = named.get(quote) else {
                let (client, currency) = (self.client.clone(), quote.to_owned());
                return Err(Denial::UnnamedQuote { client, limit, currency });
            };
            self.within(limit, Some(most), quote, &value)?;
        }
        let quote = quote.to_owned();
        let client_order_id = self.order.client_order_id.clone();
        Ok(OrderShare { quote, unit_price, amount: sized.amount, client_order_id })
    }

    /// What it takes from its client's budgets, as far as that can be told.
    pub(super) fn share(&self) -> OrderShare {
        let client_order_id = self.order.client_order_id.clone();
        let plain = |it: &Option<String>| it.as_deref().and_then(Decimal::parse);
        let amount = plain(&self.order.amount).unwrap_or_default();
        let nothing = OrderShare { amount, client_order_id, ..OrderShare::default() };
        let numbers = Numbers {
            price: plain(&self.order.price),
            stop_price: plain(&self.order.stop_price),
            amount: Some(nothing.amount.clone()),
        };
        let Ok(sized) = self.sized(&numbers) else { return nothing };
        match self.unit_price(&sized, &numbers) {
            Ok(unit_price) => {
                OrderShare { quote: sized.pair().quote.to_owned(), unit_price, ..nothing }
            }
            Err(_) => nothing,
        }
    }

    /// The numbers that limits read.
    fn numbers(&self) -> Result<Numbers, Denial> {
        let Order { amount, price, stop_price, side, .. } = self.order;
        let limit = self.limit();
        let value = self.limits.limit_value();
        let sold = side.as_deref() != Some(Side::Buy.as_str());
        Ok(Numbers {
            amount: plain("amount", amount.as_deref(), limit)?,
            price: plain("price", price.as_deref().filter(|_| value), limit)?,
            stop_price: plain(
                "stop_price",
                stop_price.as_deref().filter(|_| value && sold),
                limit,
            )?,
        })
    }

    fn sized(&self, numbers: &Numbers) -> Result<Sized, Denial> {
        let Order { symbol, side, kind, unchecked, .. } = self.order;
        if let Some(field) = unchecked {
            return Err(self.unpriceable(format!("nothing here understands `{}`", shown(field))));
        }
        let without = |what: &str| self.unpriceable(format!("it names no {what}"));
        let unknown = |what: &str, word: &str| {
            self.unpriceable(format!("`{}` is no {what} that is known", shown(word)))
        };
        let symbol = symbol.as_deref().ok_or_else(|| without("symbol"))?;
        let side = side.as_deref().ok_or_else(|| without("side"))?;
        let kind = kind.as_deref().ok_or_else(|| without("type"))?;
        let lower = symbol.to_ascii_lowercase();
        if split(&lower).is_none() {
            let why = format!("what `{}` is paid in is not known", shown(symbol));
            return Err(self.unpriceable(why));
        }
        Ok(Sized {
            symbol: lower,
            side: side.parse().map_err(|_| unknown("side", side))?,
            kind: kind.parse().map_err(|_| unknown("type", kind))?,
            amount: numbers.amount.clone().ok_or_else(|| without("amount"))?,
        })
    }

    fn unit_price(&self, sized: &Sized, numbers: &Numbers) -> Result<Decimal, Denial> {
        let Numbers { price, stop_price, .. } = numbers;
        let quote = self.quote.ok_or_else(|| {
            let why = match sized.kind {
                OrderType::Market => {
                    "a market order is worth what the ticker says, and there is none"
                }
                OrderType::Limit | OrderType::StopLimit => {
                    "a sell is worth at least the bid, and there is no ticker"
                }
            };
            self.unpriceable(why.to_owned())
        });
        let named = [price, stop_price].into_iter().flatten();
        match (sized.side, sized.kind) {
            (Side::Buy, OrderType::Limit | OrderType::StopLimit) => {
                price.clone().ok_or_else(|| self.unpriceable("it names no price".to_owned()))
            }
            (Side::Buy, OrderType::Market) => {
                let ask = &quote?.ask;
                Ok(price.iter().chain([ask]).max().unwrap_or(ask).clone())
            }
            (Side::Sell, OrderType::Limit | OrderType::StopLimit | OrderType::Market) => {
                let bid = &quote?.bid;
                Ok(named.chain([bid]).max().unwrap_or(bid).clone())
            }
        }
    }

    fn within(
        &self,
        limit: &'static str,
        most: Option<&Decimal>,
        currency: &str,
        asked: &Decimal,
    ) -> Result<(), Denial> {
        let Some(most) = most.filter(|it| asked > *it) else { return Ok(()) };
        let (client, currency) = (self.client.clone(), currency.to_owned());
        let (asked, most) = (Box::new(asked.clone()), Box::new(most.clone()));
        Err(Denial::TooLarge { client, limit, currency, asked, most })
    }

    fn unpriceable(&self, why: String) -> Denial {
        Denial::Unpriceable { client: self.client.clone(), limit: self.limit(), why }
    }

    /// The first limit that reads numbers.
    fn limit(&self) -> &'static str {
        if !self.limits.max_notional.is_empty() {
            NOTIONAL
        } else if !self.limits.day.max_notional_per_day.is_empty() {
            PER_DAY
        } else {
            AMOUNT
        }
    }
}

/// What an order says of itself in numbers.
#[derive(Debug)]
struct Numbers {
    amount: Option<Decimal>,
    price: Option<Decimal>,
    stop_price: Option<Decimal>,
}

/// An order of which it is known what it trades, and how much of it.
#[derive(Debug)]
struct Sized {
    /// Lower case; it can be split.
    symbol: String,
    side: Side,
    kind: OrderType,
    amount: Decimal,
}

impl Sized {
    fn pair(&self) -> Pair<'_> {
        split(&self.symbol).expect("it was split when this was made")
    }
}

/// Whether the list, if there is one, has `symbol`.
pub(super) fn symbol_listed(
    client: &ClientId,
    list: Option<&BTreeSet<String>>,
    symbol: Option<&str>,
) -> Result<(), Denial> {
    let Some(list) = list else { return Ok(()) };
    match symbol {
        Some(it) if list.contains(it) || list.contains(&it.to_ascii_lowercase()) => Ok(()),
        _ => Err(Denial::Symbol { client: client.clone(), symbol: symbol.map(str::to_owned) }),
    }
}

fn has<T: Ord>(list: Option<&BTreeSet<T>>, word: &T) -> bool {
    list.is_none_or(|it| it.contains(word))
}

fn plain(
    field: &'static str,
    text: Option<&str>,
    limit: &'static str,
) -> Result<Option<Decimal>, Denial> {
    let read = |text: &str| {
        let read = Decimal::parse(text);
        read.ok_or_else(|| Denial::Malformed { field, limit, text: text.to_owned() })
    };
    text.map(read).transpose()
}
