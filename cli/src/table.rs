//! Printing results: tables for people, exactly the HTTP API's JSON for programs. The only file that prints them.
//!
//! What columns a shape has is said in `shapes.rs`. Colour and wrapping only on a terminal; NO_COLOR is honoured.

use crate::exit::Failure;
use crate::flags::Format;
use comfy_table::{Attribute, Cell, CellAlignment, ContentArrangement, Table, presets};
use owo_colors::{OwoColorize, Style};
use serde::Serialize;
use std::io::{IsTerminal, Write};

/// A result that can stand in a table.
pub trait Rows {
    /// Column names; one that begins with `>` is aligned to the right.
    fn columns(&self) -> Vec<&str>;
    fn rows(&self) -> Vec<Vec<String>>;
    /// What is printed in place of a table without rows.
    fn empty(&self) -> &'static str;
}

/// Prints in the format that was asked for.
#[derive(Clone, Copy, Debug)]
pub struct Printer {
    format: Format,
}

impl Printer {
    pub fn new(format: Format) -> Printer {
        Printer { format }
    }

    pub fn is_json(&self) -> bool {
        self.format == Format::Json
    }

    /// A list.
    pub fn list<T: Rows + Serialize>(&self, value: &T) -> Result<(), Failure> {
        match self.format {
            Format::Json => self.json(value),
            Format::Table => line(&render(value)),
        }
    }

    /// One thing, whose text is made only where it is wanted.
    pub fn one<T: Serialize>(&self, value: &T, text: impl FnOnce(&T) -> String) -> Result<(), Failure> {
        match self.format {
            Format::Json => self.json(value),
            Format::Table => line(text(value).trim_end()),
        }
    }

    fn json<T: Serialize>(&self, value: &T) -> Result<(), Failure> {
        // Piece by piece: an answer about a large house has hundreds of megabytes.
        let mut out = std::io::BufWriter::with_capacity(1 << 16, std::io::stdout().lock());
        serde_json::to_writer_pretty(&mut out, value).map_err(|error| Failure::output(error.into()))?;
        out.write_all(b"\n").and_then(|()| out.flush()).map_err(Failure::output)
    }
}

/// A line of text on standard output.
pub fn line(text: &str) -> Result<(), Failure> {
    writeln!(anstream::stdout(), "{text}").map_err(Failure::output)
}

/// Rows as aligned text.
pub fn render(value: &impl Rows) -> String {
    let rows = value.rows();
    if rows.is_empty() {
        return value.empty().to_string();
    }
    let on_terminal = std::io::stdout().is_terminal();
    let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let mut table = Table::new();
    table.load_preset(presets::NOTHING);
    match terminal_width().filter(|_| on_terminal) {
        Some(width) => table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width),
        None => table.set_content_arrangement(ContentArrangement::Disabled),
    };
    if plain || !on_terminal {
        table.force_no_tty();
    }
    let columns = value.columns();
    table.set_header(columns.iter().map(|name| Cell::new(name.trim_start_matches('>')).add_attribute(Attribute::Bold)));
    for row in rows {
        table.add_row(row);
    }
    for (index, name) in columns.iter().enumerate() {
        if let Some(column) = table.column_mut(index) {
            column.set_padding((0, 2));
            if name.starts_with('>') {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
    }
    table.lines().map(|line| line.trim_end().to_string()).collect::<Vec<_>>().join("\n")
}

fn terminal_width() -> Option<u16> {
    let size = rustix::termios::tcgetwinsize(std::io::stdout()).ok()?;
    (size.ws_col > 20).then_some(size.ws_col)
}

/// `name   value` lines, the values in one column.
pub fn pairs(pairs: &[(&str, String)]) -> String {
    let width = pairs.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    let mut text = String::new();
    for (name, value) in pairs.iter().filter(|(_, value)| !value.is_empty()) {
        let indented = value.replace('\n', &format!("\n{}", " ".repeat(width + 2)));
        text += &format!("{}{}  {indented}\n", name.style(dim()), " ".repeat(width - name.len()));
    }
    text
}

/// Bytes as people read them.
pub fn size(bytes: u64) -> String {
    bytesize::ByteSize(bytes).display().iec().to_string()
}

/// Milliseconds as people read them.
pub fn duration(ms: u64) -> String {
    match ms {
        0..1_000 => format!("{ms} ms"),
        1_000..60_000 => format!("{:.1} s", ms as f64 / 1e3),
        60_000..3_600_000 => format!("{} min {} s", ms / 60_000, ms % 60_000 / 1_000),
        _ => format!("{} h {} min", ms / 3_600_000, ms % 3_600_000 / 60_000),
    }
}

/// A value that may be absent.
pub fn or_dash<T: ToString>(value: Option<T>) -> String {
    value.map_or_else(|| "-".to_string(), |value| value.to_string())
}

fn dim() -> Style {
    Style::new().dimmed()
}

/// Good news, bad news, a heading: colours go away by themselves where standard output is no terminal.
pub fn good(text: &str) -> String {
    text.style(Style::new().green().bold()).to_string()
}

pub fn bad(text: &str) -> String {
    text.style(Style::new().red().bold()).to_string()
}

pub fn heading(text: &str) -> String {
    text.style(Style::new().bold()).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Two;
    impl Rows for Two {
        fn columns(&self) -> Vec<&'static str> {
            vec!["NAME", ">BYTES"]
        }
        fn rows(&self) -> Vec<Vec<String>> {
            vec![vec!["a".into(), "1".into()], vec!["long name".into(), "1000".into()]]
        }
        fn empty(&self) -> &'static str {
            "nothing"
        }
    }

    /// Columns line up, numbers to the right, and no borders or trailing blanks get into a pipe.
    #[test]
    fn tables_align() {
        assert_eq!(render(&Two), "NAME       BYTES\na              1\nlong name   1000");
    }

    /// Values of one thing stand in one column; absent ones are left out.
    #[test]
    fn pairs_align() {
        let text = pairs(&[("id", "7".into()), ("nothing", String::new()), ("state", "a\nb".into())]);
        assert_eq!(anstream::adapter::strip_str(&text).to_string(), "id       7\nstate    a\n         b\n");
    }

    /// Units are those that people expect.
    #[test]
    fn units() {
        assert_eq!(size(3 << 20), "3.0 MiB");
        assert_eq!([12, 1_500, 61_000, 7_260_000].map(duration), ["12 ms", "1.5 s", "1 min 1 s", "2 h 1 min"]);
    }
}
