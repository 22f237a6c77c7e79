//! Printing results: tables for people, exactly the HTTP API's shapes as JSON or YAML for programs. The only file that
//! prints them.
//!
//! What columns a shape has is said in `shapes.rs`. Colour and wrapping only on a terminal; NO_COLOR is honoured.

use crate::exit::Failure;
use crate::flags::Format;
use crate::layout::{Column, Laid, cut, lay_out, wrap};
use crate::yaml::Yaml;
use owo_colors::{OwoColorize, Style};
use rustix::termios::Winsize;
use serde::Serialize;
use std::io::{IsTerminal, Write};

/// A result that can stand in a table.
pub trait Rows {
    /// Column names, with the signs before them that [`Column`] reads: `+` is shown by `-o wide` only.
    fn columns(&self) -> Vec<&str>;
    fn rows(&self) -> Vec<Vec<String>>;
    /// What is printed in place of a table without rows.
    fn empty(&self) -> &'static str;
}

/// Prints in the format that was asked for.
#[derive(Clone, Copy, Debug)]
pub struct Printer {
    format: Format,
    /// Over what stands on the terminal, in place of below it.
    in_place: bool,
}

/// Which columns of a table are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Columns {
    Usual,
    All,
}

impl Printer {
    pub fn new(format: Format) -> Printer {
        Printer { format, in_place: false }
    }

    /// For what is shown again and again.
    pub fn in_place(self) -> Printer {
        Printer { in_place: std::io::stdout().is_terminal(), ..self }
    }

    /// A program reads it: nothing but the answer's data may be printed.
    pub fn is_data(&self) -> bool {
        match self.format {
            Format::Json | Format::Yaml => true,
            Format::Table | Format::Wide => false,
        }
    }

    /// A list.
    pub fn list<T: Rows + Serialize>(&self, value: &T) -> Result<(), Failure> {
        match self.format {
            Format::Json | Format::Yaml => self.data(value),
            Format::Table => self.text(&render(value)),
            Format::Wide => self.text(&render_columns(value, Columns::All)),
        }
    }

    /// One thing, whose text is made only where it is wanted.
    pub fn one<T: Serialize>(&self, value: &T, text: impl FnOnce(&T) -> String) -> Result<(), Failure> {
        if self.is_data() { self.data(value) } else { self.text(text(value).trim_end()) }
    }

    /// One of many that come one by one: a line of JSON, a document of YAML, a line of text.
    pub fn record<T: Serialize>(&self, value: &T, text: impl FnOnce(&T) -> String) -> Result<(), Failure> {
        match self.format {
            Format::Json => line(&serde_json::to_string(value).map_err(|error| Failure::output(error.into()))?),
            Format::Yaml => line("---").and_then(|()| self.data(value)),
            Format::Table | Format::Wide => line(&text(value)),
        }
    }

    /// Between two showings of the same: what a reader of a stream needs to tell them apart.
    pub fn separate(&self) -> Result<(), Failure> {
        match self.format {
            Format::Json => Ok(()),
            Format::Yaml => line("---"),
            Format::Table | Format::Wide if self.in_place().in_place => Ok(()),
            Format::Table | Format::Wide => line(""),
        }
    }

    /// Words for people.
    pub fn text(&self, text: &str) -> Result<(), Failure> {
        if !self.in_place {
            return line(text);
        }
        let size = terminal().map(|size| (usize::from(size.ws_row), usize::from(size.ws_col)));
        let (height, width) = size.unwrap_or((usize::MAX, usize::MAX));
        let mut shown = String::from("\x1b[H");
        for line in screenful(text, height) {
            let line = cut(&line, width);
            // Where no colours are wanted, the others would take the cursor's movements for some.
            let plain = anstream::adapter::strip_str(&line).to_string();
            shown += &format!("{}\x1b[K\r\n", if is_plain() { plain } else { line });
        }
        shown += "\x1b[J";
        let mut out = std::io::stdout().lock();
        out.write_all(shown.as_bytes()).and_then(|()| out.flush()).map_err(Failure::output)
    }

    fn data<T: Serialize>(&self, value: &T) -> Result<(), Failure> {
        // Piece by piece: an answer about a large house has hundreds of megabytes.
        let mut out = std::io::BufWriter::with_capacity(1 << 16, std::io::stdout().lock());
        let written = match self.format {
            Format::Yaml => value.serialize(&mut serde_json::Serializer::with_formatter(&mut out, Yaml::default())),
            Format::Json | Format::Table | Format::Wide => serde_json::to_writer_pretty(&mut out, value),
        };
        written.map_err(|error| Failure::output(error.into()))?;
        out.write_all(b"\n").and_then(|()| out.flush()).map_err(Failure::output)
    }
}

/// The lines of a text that fit above the cursor's own, and how many do not.
fn screenful(text: &str, height: usize) -> Vec<String> {
    let room = height.saturating_sub(2).max(1);
    let count = text.lines().count();
    let mut lines: Vec<String> =
        text.lines().take(if count > room + 1 { room } else { count }).map(Into::into).collect();
    if lines.len() < count {
        lines.push(format!("... {} more lines", count - lines.len()));
    }
    lines
}

/// A line of text on standard output.
pub fn line(text: &str) -> Result<(), Failure> {
    writeln!(anstream::stdout(), "{text}").map_err(Failure::output)
}

/// Rows as aligned text, the usual columns of them.
pub fn render(value: &impl Rows) -> String {
    render_columns(value, Columns::Usual)
}

fn render_columns(value: &impl Rows, which: Columns) -> String {
    let rows = value.rows();
    if rows.is_empty() {
        return value.empty().to_string();
    }
    let columns: Vec<Column> = value.columns().into_iter().map(Column::of).collect();
    let shown: Vec<bool> = columns.iter().map(|column| which == Columns::All || !column.is_extra).collect();
    let columns: Vec<Column> = chosen(columns, &shown).collect();
    let rows: Vec<Vec<String>> = rows.into_iter().map(|row| chosen(row, &shown).collect()).collect();
    // A terminal breaks the lines of a wide one itself.
    let Laid { mut lines, left_out } = lay_out(&columns, &rows, room().filter(|_| which == Columns::Usual));
    if std::io::stdout().is_terminal() {
        lines[0] = heading(&lines[0]);
    }
    if !left_out.is_empty() {
        lines.push(format!("(no room for {}; -o wide shows all)", left_out.join(", ")).style(dim()).to_string());
    }
    lines.join("\n")
}

fn chosen<T>(all: Vec<T>, shown: &[bool]) -> impl Iterator<Item = T> {
    all.into_iter().zip(shown).filter(|(_, shown)| **shown).map(|(one, _)| one)
}

/// Text for standard error, broken between words where that is a terminal.
pub fn for_errors(text: &str) -> String {
    let size = rustix::termios::tcgetwinsize(std::io::stderr()).ok().filter(is_sane);
    size.map_or_else(|| text.to_string(), |size| wrap(text, usize::from(size.ws_col)).join("\n"))
}

/// Cells of a line on a terminal; two are left for what is indented.
fn room() -> Option<usize> {
    terminal().map(|size| usize::from(size.ws_col) - 2)
}

fn is_plain() -> bool {
    std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
}

fn terminal() -> Option<Winsize> {
    rustix::termios::tcgetwinsize(std::io::stdout()).ok().filter(is_sane)
}

fn is_sane(size: &Winsize) -> bool {
    size.ws_col > 20
}

/// So many of something, in words.
pub fn plural(count: u64, word: &str) -> String {
    match count {
        1 => format!("1 {word}"),
        _ if word.ends_with('y') => format!("{count} {}ies", &word[..word.len() - 1]),
        _ => format!("{count} {word}s"),
    }
}

/// `name   value` lines, the values in one column.
pub fn pairs(pairs: &[(&str, String)]) -> String {
    let width = pairs.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    let mut text = String::new();
    let room = room().map_or(usize::MAX, |room| room.saturating_sub(width + 2).max(20));
    for (name, value) in pairs.iter().filter(|(_, value)| !value.is_empty()) {
        let indented = wrap(value, room).join(&format!("\n{}", " ".repeat(width + 2)));
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

/// The time of day in a time as the API writes it, in UTC.
pub fn clock(at: &str) -> String {
    at.get(11..19).unwrap_or(at).to_string()
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
            vec!["NAME", "+>PARTS", ">BYTES"]
        }
        fn rows(&self) -> Vec<Vec<String>> {
            vec![vec!["a".into(), "2".into(), "1".into()], vec!["long name".into(), "30".into(), "1000".into()]]
        }
        fn empty(&self) -> &'static str {
            "nothing"
        }
    }

    /// Columns line up, numbers to the right, and no borders or trailing blanks get into a pipe.
    #[test]
    fn tables_align() {
        assert_eq!(render(&Two), "NAME       BYTES\na              1\nlong name   1000");
        let wide = "NAME       PARTS  BYTES\na              2      1\nlong name     30   1000";
        assert_eq!(render_columns(&Two, Columns::All), wide);
    }

    /// What is redrawn never scrolls: what does not fit is counted.
    #[test]
    fn a_screenful_fits() {
        assert_eq!(screenful("a\nb\nc", 4), ["a", "b", "c"]);
        assert_eq!(screenful("a\nb\nc\nd", 4), ["a", "b", "... 2 more lines"]);
        assert_eq!(screenful("a\nb\nc", 0), ["a", "... 2 more lines"]);
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
