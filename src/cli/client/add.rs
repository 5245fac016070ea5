//! `client add`: flags → the table of a client.

use std::process::ExitCode;

use clap::Args;
use toml_edit::{Array, InlineTable, Value};

use super::made::{Made, SecretFile};
use super::{NotDone, Session, both, hand_over, take_up, when};
use crate::cli::say::note;
use crate::cli::{Logging, Where};
use crate::clock::UnixMicros;
use crate::config::edit::{self, NewClient};

/// What a client may do that nobody says anything of: read.
const USUAL_SCOPE: &str = "auditor";

#[derive(Args, Debug)]
pub(in crate::cli) struct AddArgs {
    /// What the client is called, here and in the log.
    name: String,
    /// The key that its calls are signed with; may be left out while there is only one.
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
    /// Bundles or scopes [default: auditor].
    #[arg(long, value_name = "SCOPE", value_delimiter = ',')]
    scopes: Vec<String>,
    /// Single operations beyond the scopes.
    #[arg(long, value_name = "OPERATION", value_delimiter = ',')]
    operations: Vec<String>,
    /// A key and a secret to sign with, for bots with a Gemini library, in place of a token.
    #[arg(long)]
    stand_in: bool,
    /// From when on it is refused: a date and time, or 30d, 12h.
    #[arg(long, value_name = "TIME")]
    expires: Option<String>,
    /// Address ranges it may call from.
    #[arg(long, value_name = "NETWORK", value_delimiter = ',')]
    from: Vec<String>,
    /// enforce, or observe: only note what would be refused.
    #[arg(long, value_name = "MODE")]
    mode: Option<String>,
    /// What it may send at most, such as 60/min.
    #[arg(long, value_name = "RATE")]
    rate: Option<String>,
    #[command(flatten)]
    place: Where,
    // Last: its heading goes on to the end.
    #[command(flatten)]
    orders: OrderArgs,
}

#[derive(Args, Debug)]
#[command(next_help_heading = "Limits on orders")]
struct OrderArgs {
    /// Symbols it may trade.
    #[arg(long, value_name = "SYMBOL", value_delimiter = ',')]
    symbols: Vec<String>,
    /// buy, sell.
    #[arg(long, value_name = "SIDE", value_delimiter = ',')]
    sides: Vec<String>,
    /// Order types, such as "exchange limit".
    #[arg(long, value_name = "TYPE", value_delimiter = ',')]
    types: Vec<String>,
    /// For each order, in the base currency: btc=1.
    #[arg(long, value_name = "CURRENCY=AMOUNT", value_delimiter = ',')]
    max_amount: Vec<String>,
    /// For each order, in the quote currency: usd=500.
    #[arg(long, value_name = "CURRENCY=AMOUNT", value_delimiter = ',')]
    max_notional: Vec<String>,
    /// For all orders of a day: usd=5000.
    #[arg(long, value_name = "CURRENCY=AMOUNT", value_delimiter = ',')]
    max_notional_per_day: Vec<String>,
    /// How many orders a day.
    #[arg(long, value_name = "COUNT")]
    max_orders_per_day: Option<u32>,
    /// How many orders at a time.
    #[arg(long, value_name = "COUNT")]
    max_open_orders: Option<u32>,
}

pub(super) fn add(args: &AddArgs, logging: &Logging) -> Result<ExitCode, NotDone> {
    let name = &args.name;
    // It becomes part of a file's name.
    if !crate::config::is_name(name) {
        return Err(NotDone::Name(name.clone()));
    }
    let session = Session::begin(&args.place, logging)?;
    let made = if args.stand_in { Made::stand_in(name, false) } else { Made::token() };
    let client = NewClient {
        name: name.clone(),
        credential: made.credential(),
        settings: args.settings(session.now)?,
        orders: args.orders.settings()?,
    };
    let text = edit::add(session.editing.text(), &client)?;
    let file = made.keep(&session.editing)?;
    let (operator, config) = session.write(&text)?;
    SecretFile::stays(file);
    let printed = hand_over(name, &made.shown(name, config.as_ref()));
    if args.scopes.is_empty() && args.operations.is_empty() {
        note(&format!("it may read (scopes = [\"{USUAL_SCOPE}\"]); --scopes trader lets it trade"));
    }
    Ok(both(printed, take_up(&operator)))
}

impl AddArgs {
    fn settings(&self, now: UnixMicros) -> Result<Vec<(&'static str, Value)>, NotDone> {
        let usual = [USUAL_SCOPE.to_owned()];
        let nothing = self.scopes.is_empty() && self.operations.is_empty();
        let scopes: &[String] = if nothing { &usual } else { &self.scopes };
        let text = |it: &Option<String>| it.as_deref().map(Value::from);
        let expires = self.expires.as_deref().map(|it| when(it, now)).transpose()?;
        let all = [
            ("key", text(&self.key)),
            ("scopes", array(scopes)),
            ("operations", array(&self.operations)),
            ("mode", text(&self.mode)),
            ("expires", expires.map(|it| it.text.into())),
            ("from", array(&self.from)),
            ("rate", text(&self.rate)),
        ];
        Ok(written(all))
    }
}

impl OrderArgs {
    fn settings(&self) -> Result<Vec<(&'static str, Value)>, NotDone> {
        let count = |it: Option<u32>| it.map(|it| Value::from(i64::from(it)));
        Ok(written([
            ("symbols", array(&self.symbols)),
            ("sides", array(&self.sides)),
            ("types", array(&self.types)),
            ("max_amount", amounts(&self.max_amount)?),
            ("max_notional", amounts(&self.max_notional)?),
            ("max_notional_per_day", amounts(&self.max_notional_per_day)?),
            ("max_orders_per_day", count(self.max_orders_per_day)),
            ("max_open_orders", count(self.max_open_orders)),
        ]))
    }
}

/// Those settings that say something.
fn written<const N: usize>(all: [(&'static str, Option<Value>); N]) -> Vec<(&'static str, Value)> {
    all.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
}

fn array(texts: &[String]) -> Option<Value> {
    let array: Array = texts.iter().map(|it| it.trim()).collect();
    (!array.is_empty()).then(|| array.into())
}

/// `usd=500`: a table of amounts, which stay text so that no digit is lost.
fn amounts(typed: &[String]) -> Result<Option<Value>, NotDone> {
    let mut table = InlineTable::new();
    for text in typed {
        let misread = || NotDone::Misread { what: "amount", text: text.clone() };
        let (currency, amount) = text.split_once('=').ok_or_else(misread)?;
        if table.insert(currency.trim(), amount.trim().into()).is_some() {
            return Err(misread());
        }
    }
    Ok((!table.is_empty()).then(|| table.into()))
}
