//! The catalogue against its source, a copy of the published table.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::support::geminid;

const TABLE: &str = include_str!("fixtures/exchange-endpoints.tsv");

/// Columns of the table and the catalogue's names for them.
const COLUMNS: &[(usize, &str)] = &[
    (2, "operation"),
    (3, "group"),
    (4, "visibility"),
    (5, "roles"),
    (6, "oauth_scopes"),
    (7, "scope"),
    (8, "account"),
    (9, "effect"),
    (10, "retry_safe"),
    (11, "source"),
];

#[test]
fn every_rest_row_is_there_as_published() {
    let said = geminid(&["catalog", "--json"]);
    let rows: Vec<Value> = serde_json::from_slice(&said.stdout).unwrap();
    let known: BTreeMap<(String, String), &Value> =
        rows.iter().map(|row| ((cell(row, "method"), cell(row, "path")), row)).collect();
    let published: Vec<Vec<&str>> = TABLE
        .lines()
        .skip(1)
        .map(|line| line.split('\t').collect())
        .filter(|cells: &Vec<&str>| !cells[0].starts_with("WS"))
        .collect();
    for cells in &published {
        let row = known[&(cells[0].to_owned(), cells[1].to_owned())];
        for (column, name) in COLUMNS {
            assert_eq!(cell(row, name), cells[*column], "{} of {}", name, cells[1]);
        }
    }
    assert_eq!(rows.len(), published.len(), "the catalogue invents nothing");
}

#[test]
fn the_table_prints_a_line_for_each() {
    let said = geminid(&["catalog"]);
    let text = String::from_utf8(said.stdout).unwrap();
    assert_eq!(text.lines().count(), 133);
    assert!(text.contains("POST /v1/order/new "), "{text}");
}

fn cell(row: &Value, name: &str) -> String {
    match &row[name] {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(words) if words.is_empty() => "-".to_owned(),
        Value::Array(words) => {
            words.iter().map(|it| it.as_str().unwrap()).collect::<Vec<_>>().join(",")
        }
        other @ (Value::Bool(_) | Value::Number(_) | Value::Object(_)) => other.to_string(),
    }
}
