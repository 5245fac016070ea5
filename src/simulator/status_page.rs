//! The exchange's status page, in the form of Atlassian's Statuspage, which the real one has.
//!
//! Only `status.json` is there, at the path of the real one.

use serde::Deserialize;
use serde_json::Value;
use serde_json::json;

pub(crate) const PATH: &str = "/api/v2/status.json";

/// What the page says of the whole.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StatusPage {
    /// `none`, `minor`, `major`, `critical` or `maintenance`.
    pub indicator: String,
    pub description: String,
}

impl Default for StatusPage {
    fn default() -> Self {
        Self { indicator: "none".to_owned(), description: "All Systems Operational".to_owned() }
    }
}

impl StatusPage {
    pub(crate) fn json(&self) -> Value {
        let Self { indicator, description } = self;
        json!({
            "page": {
                "id": "simulator0001", "name": "Gemini", "url": "https://status.gemini.com",
                "time_zone": "Etc/UTC",
            },
            "status": { "indicator": indicator, "description": description },
        })
    }
}
