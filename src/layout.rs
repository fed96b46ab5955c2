//! What is written to stdout: tables and lines, laid out for the width of a terminal, and JSON.
//!
//! Nothing that others wrote ends a line, becomes two cells, or moves the cursor.

use crate::text::{sanitize_json, sanitize_line};
use serde_json::Value;

/// Text in narrower columns is hard to read.
pub(crate) const NARROWEST: usize = 30;

/// Where the rest of a row begins when it has no room beside its first cells.
const INDENT: usize = 4;

/// Lines of whole words, none longer than `width` unless a word is. A command in backquotes is one word, so that it can
/// be pasted.
pub(crate) fn wrap(text: &str, width: usize) -> Vec<String> {
    let width = width.max(NARROWEST);
    let mut lines = vec![String::new()];
    let mut command = false;
    let gap = |c| {
        command ^= c == '`';
        c == ' ' && !command
    };
    for word in text.split(gap) {
        match lines.last_mut() {
            Some(line) if line.is_empty() => line.push_str(word),
            Some(line) if length(line) + 1 + length(word) <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

/// A row of a table. No text in a cell can end the line or become two cells.
#[derive(Debug)]
pub(crate) struct Row(Vec<String>);

impl Row {
    pub(crate) fn of(cells: &[&str]) -> Self {
        Row(cells.iter().map(|cell| sanitize_line(cell)).collect())
    }
}

/// A name and its value.
pub(crate) fn line(name: &str, value: &str) -> String {
    format!("{name:<9} {}\n", sanitize_line(value))
}

/// JSON for people and programs.
pub(crate) fn pretty(value: &Value) -> String {
    sanitize_json(&format!("{value:#}\n"))
}

/// Rows of cells: for a terminal of this width the first two cells of all rows are aligned and the rest is wrapped beside or
/// below them; for programs (`None`) a tab is between the cells.
pub(crate) fn table(rows: &[Row], width: Option<usize>) -> String {
    let Some(width) = width else {
        return rows.iter().map(|row| row.0.join("\t") + "\n").collect();
    };
    let of_column =
        |column: usize| rows.iter().filter_map(|row| row.0.get(column)).map(|cell| length(cell)).max();
    let columns = [of_column(0).unwrap_or_default(), of_column(1).unwrap_or_default()];
    rows.iter().map(|row| aligned(&row.0, columns, width)).collect()
}

fn aligned(row: &[String], columns: [usize; 2], width: usize) -> String {
    let (head, rest) = row.split_at(row.len().min(columns.len()));
    let head: Vec<String> = head.iter().zip(columns).map(|(cell, room)| format!("{cell:room$}")).collect();
    let head = head.join("  ");
    let rest = rest.iter().filter(|cell| !cell.is_empty()).cloned().collect::<Vec<_>>().join(" ");
    let beside = length(&head) + 2;
    let longest = rest.split(' ').map(length).max().unwrap_or_default();
    if rest.is_empty() {
        format!("{}\n", head.trim_end())
    } else if beside + longest.max(NARROWEST) <= width {
        format!("{head}  {}\n", wrap(&rest, width - beside).join(&format!("\n{:beside$}", "")))
    } else {
        let lines = wrap(&rest, width.saturating_sub(INDENT));
        format!("{}\n{:INDENT$}{}\n", head.trim_end(), "", lines.join(&format!("\n{:INDENT$}", "")))
    }
}

fn length(text: &str) -> usize {
    text.chars().count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(rows: &[&[&str]]) -> Vec<Row> {
        rows.iter().map(|row| Row::of(row)).collect()
    }

    #[test]
    fn no_cell_becomes_two_and_no_line() {
        let rows = rows(&[&["a\tb\nc", "\x1b[31m"]]);
        assert_eq!(table(&rows, None), "a b c\t\\u{1b}[31m\n");
        assert_eq!(line("x", "a\nb"), "x         a b\n");
        assert_eq!(pretty(&Value::from("\x1b\u{202e}")), "\"\\u001b\\u202e\"\n");
    }

    #[test]
    fn words_stay_whole() {
        let command = "`systemctl status ecs; journalctl -u ecs`";
        assert_eq!(wrap(&format!("check {command} now"), 0), ["check", command, "now"]);
        assert_eq!(wrap("a-word-that-is-longer-than-any-line-may-be b", 0).len(), 2);
    }

    #[test]
    fn programs_get_tabs_and_people_columns() {
        let rows =
            rows(&[&["log", "started", "arn:task/1", "RUNNING"], &["metrics", "failed", "no such family"]]);
        assert_eq!(
            table(&rows, None),
            "log\tstarted\tarn:task/1\tRUNNING\nmetrics\tfailed\tno such family\n"
        );
        assert_eq!(
            table(&rows, Some(60)),
            "log      started  arn:task/1 RUNNING\nmetrics  failed   no such family\n"
        );
        assert_eq!(
            table(&rows, Some(40)),
            "log      started\n    arn:task/1 RUNNING\nmetrics  failed\n    no such family\n"
        );
    }
}
