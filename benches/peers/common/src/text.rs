//! What is printed and written.

use std::fmt::{Display, Write};

/// A line of JSON, field by field.
#[derive(Debug, Default)]
pub struct JsonLine(String);

impl JsonLine {
    pub fn new() -> Self {
        Self::default()
    }

    #[must_use]
    pub fn text(self, name: &str, value: &str) -> Self {
        let escaped = value.replace('\\', r"\\").replace('"', r#"\""#);
        self.field(name, format_args!("\"{escaped}\""))
    }

    /// A number, or a truth value.
    #[must_use]
    pub fn value(self, name: &str, value: impl Display) -> Self {
        self.field(name, value)
    }

    /// A number with four places.
    #[must_use]
    pub fn real(self, name: &str, value: f64) -> Self {
        self.field(name, format_args!("{value:.4}"))
    }

    #[must_use]
    pub fn optional(self, name: &str, value: Option<impl Display>) -> Self {
        match value {
            Some(value) => self.field(name, value),
            None => self.field(name, "null"),
        }
    }

    pub fn end(self) -> String {
        format!("{{{}}}", self.0)
    }

    fn field(mut self, name: &str, value: impl Display) -> Self {
        let comma = if self.0.is_empty() { "" } else { "," };
        write!(self.0, "{comma}\"{name}\":{value}").expect("strings grow");
        self
    }
}

/// A table, its columns aligned to the right but for the first.
pub fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let mut widths: Vec<usize> = head.iter().map(|cell| cell.len()).collect();
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let head = head.iter().map(|cell| (*cell).to_owned()).collect();
    let mut table = String::new();
    for row in std::iter::once(&head).chain(rows) {
        for (index, (cell, width)) in row.iter().zip(&widths).enumerate() {
            match index {
                0 => write!(table, "{cell:<width$}"),
                _ => write!(table, "  {cell:>width$}"),
            }
            .expect("strings grow");
        }
        table.push('\n');
    }
    table
}

/// As in the names of cases: `16B`, `1KiB`, `1MiB`.
pub fn size_name(size: usize) -> String {
    match size {
        _ if size > 0 && size.is_multiple_of(1 << 20) => format!("{}MiB", size >> 20),
        _ if size > 0 && size.is_multiple_of(1 << 10) => format!("{}KiB", size >> 10),
        _ => format!("{size}B"),
    }
}
