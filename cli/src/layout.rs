//! How text fits: rows as aligned columns, long text broken between words, lines cut at the terminal's edge. Pure; what
//! is printed where is said in `table.rs`.
//!
//! A table that is wider than the room there is loses the columns in which no row says anything, then those that may be
//! left out, and breaks the text of its last column between words. It never breaks a word or an address in two.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Between two columns.
const GAP: usize = 2;
/// The last column's text is not broken into lines narrower than this.
const TEXT_MIN: usize = 28;

/// What the name of a column says about it by the signs before it: `+` is shown where all are wanted, `?` is left out
/// where there is no room, `??` before those, `>` is aligned to the right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Column<'a> {
    pub name: &'a str,
    pub is_extra: bool,
    is_right: bool,
    /// From 1 on it may be left out, the highest first.
    spare: usize,
}

impl<'a> Column<'a> {
    pub fn of(signed: &'a str) -> Column<'a> {
        let name = signed.trim_start_matches(['+', '?', '>']);
        let signs = &signed[..signed.len() - name.len()];
        let spare = signs.matches('?').count();
        Column { name, is_extra: signs.contains('+'), is_right: signs.contains('>'), spare }
    }
}

/// Rows as lines, the header first.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Laid {
    pub lines: Vec<String>,
    /// Columns that would have had something to say.
    pub left_out: Vec<String>,
}

/// `room`: so many cells a line, where a line should not be longer.
pub fn lay_out(columns: &[Column], rows: &[Vec<String>], room: Option<usize>) -> Laid {
    let widths: Vec<usize> = columns
        .iter()
        .enumerate()
        .map(|(at, column)| rows.iter().map(|row| row[at].width()).fold(column.name.width(), usize::max))
        .collect();
    let mut shown: Vec<usize> = (0..columns.len()).collect();
    let mut left_out = Vec::new();
    if let Some(room) = room {
        let fits = |shown: &[usize]| needed(columns, &widths, shown) <= room;
        if !fits(&shown) {
            shown.retain(|at| rows.iter().any(|row| !matches!(row[*at].as_str(), "" | "-")));
        }
        while !fits(&shown)
            && let Some(place) = sparest(columns, &shown)
        {
            left_out.push(shown.remove(place));
        }
    }
    let header: Vec<String> = columns.iter().map(|column| column.name.to_string()).collect();
    let mut lines = line(columns, &widths, &shown, &header, None);
    lines.extend(rows.iter().flat_map(|row| line(columns, &widths, &shown, row, room)));
    left_out.sort_unstable();
    Laid { lines, left_out: left_out.into_iter().map(|at| columns[at].name.to_string()).collect() }
}

/// Cells that a line needs at least.
fn needed(columns: &[Column], widths: &[usize], shown: &[usize]) -> usize {
    let Some((last, others)) = shown.split_last() else { return 0 };
    let last = if columns[*last].is_right { widths[*last] } else { widths[*last].min(TEXT_MIN) };
    others.iter().map(|at| widths[*at] + GAP).sum::<usize>() + last
}

/// Which of the shown ones goes next: of those that may, the last.
fn sparest(columns: &[Column], shown: &[usize]) -> Option<usize> {
    let spare = |place: &usize| columns[shown[*place]].spare;
    (0..shown.len()).filter(|place| spare(place) > 0).max_by_key(|place| (spare(place), *place))
}

/// One row; more than one line where its last cell is broken.
fn line(columns: &[Column], widths: &[usize], shown: &[usize], cells: &[String], room: Option<usize>) -> Vec<String> {
    let Some((last, others)) = shown.split_last() else { return Vec::new() };
    let mut start = String::new();
    for at in others {
        start += &padded(&cells[*at], widths[*at], columns[*at].is_right);
        start += &" ".repeat(GAP);
    }
    if columns[*last].is_right {
        return vec![start + &padded(&cells[*last], widths[*last], true)];
    }
    let indent = start.width();
    let pieces = wrap(&cells[*last], room.map_or(usize::MAX, |room| room.saturating_sub(indent).max(TEXT_MIN)));
    let mut pieces = pieces.into_iter();
    let first = start + &pieces.next().unwrap_or_default();
    let rest = pieces.map(|piece| format!("{}{piece}", " ".repeat(indent)));
    std::iter::once(first.trim_end().to_string()).chain(rest).collect()
}

fn padded(text: &str, width: usize, is_right: bool) -> String {
    let pad = " ".repeat(width.saturating_sub(text.width()));
    if is_right { pad + text } else { text.to_string() + &pad }
}

/// The lines of a text, none longer than `width` where its words allow that: broken at blanks, and within a long word
/// behind `/` and `,`. Escape sequences take no room.
pub fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    for paragraph in text.split('\n') {
        let (mut line, mut used) = (String::new(), 0);
        for piece in paragraph.split_inclusive([' ', '/', ',']) {
            let whole = seen(piece);
            if used > 0 && used + seen(piece.trim_end()) > width {
                lines.push(std::mem::take(&mut line).trim_end().to_string());
                used = 0;
            }
            line += piece;
            used += whole;
        }
        lines.push(line.trim_end().to_string());
    }
    lines
}

/// Cells that a text takes on a terminal.
fn seen(text: &str) -> usize {
    anstream::adapter::strip_str(text).to_string().width()
}

/// A line that ends at the terminal's edge, with a sign where something is missing.
pub fn cut(line: &str, width: usize) -> String {
    if seen(line) <= width {
        return line.to_string();
    }
    let (mut shown, mut used, mut letters) = (String::new(), 0, line.chars());
    while let Some(letter) = letters.next() {
        if letter == '\x1b' {
            shown.push(letter);
            // To the letter that ends the sequence; `[` begins one.
            for inner in letters.by_ref() {
                shown.push(inner);
                if inner.is_ascii_alphabetic() {
                    break;
                }
            }
            continue;
        }
        used += letter.width().unwrap_or(0);
        if used >= width {
            break;
        }
        shown.push(letter);
    }
    let reset = if line.contains('\x1b') { "\x1b[0m" } else { "" };
    shown + "…" + reset
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLUMNS: [&str; 6] = ["TABLET", "??TYPE", "RACK", ">AGE", "?TO", "REASON"];

    fn laid(rows: &[[&str; 6]], room: Option<usize>) -> (Vec<String>, Vec<String>) {
        let rows: Vec<Vec<String>> = rows.iter().map(|row| row.map(String::from).to_vec()).collect();
        let laid = lay_out(&COLUMNS.map(Column::of), &rows, room);
        (laid.lines, laid.left_out)
    }

    /// Signs are read in any order.
    #[test]
    fn columns_of_names() {
        let column = Column { name: "AGE", is_extra: true, is_right: true, spare: 2 };
        assert_eq!([Column::of("+>??AGE"), Column::of("??+>AGE")], [column, column]);
        assert_eq!(Column::of("USE%").name, "USE%");
    }

    /// What says nothing goes first, then what is said to be spare, and only as far as that is needed.
    #[test]
    fn a_narrow_table_leaves_out() {
        let row = ["10035", "REPAIR", "", "4 s", "10004/10006", "waits 794 ms more for its node"];
        let whole = "TABLET  TYPE    RACK  AGE  TO           REASON";
        assert_eq!(laid(&[row], None).0[0], whole);
        assert_eq!(laid(&[row], Some(80)).0[0], whole, "28 cells of the reason are enough");
        assert_eq!(laid(&[row], Some(62)), {
            let lines = [
                "TABLET  TYPE    AGE  TO           REASON",
                "10035   REPAIR  4 s  10004/10006  waits 794 ms more for its",
            ];
            let lines = lines.into_iter().map(String::from).chain(["                                  node".into()]);
            (lines.collect(), vec![])
        });
        let (lines, left_out) = laid(&[row], Some(60));
        assert_eq!((lines[0].as_str(), left_out), ("TABLET  AGE  TO           REASON", vec!["TYPE".to_string()]));
        let (lines, left_out) = laid(&[row], Some(30));
        assert_eq!((lines[0].as_str(), left_out), ("TABLET  AGE  REASON", vec!["TYPE".to_string(), "TO".to_string()]));
    }

    /// Text is broken between words and behind slashes; a word that is too long stays whole.
    #[test]
    fn words_stay_whole() {
        assert_eq!(wrap("one two three", 8), ["one two", "three"]);
        assert_eq!(wrap("/srv/agents/host-1", 8), ["/srv/", "agents/", "host-1"]);
        assert_eq!(wrap("a-very-long-word and", 6), ["a-very-long-word", "and"]);
        assert_eq!(wrap("a\nb", 80), ["a", "b"]);
        assert_eq!(wrap("\x1b[1mone\x1b[0m two", 7), ["\x1b[1mone\x1b[0m two"]);
    }

    /// A cut line says that it was cut, ends at the edge, and leaves no colour behind.
    #[test]
    fn lines_are_cut() {
        assert_eq!(cut("short", 5), "short");
        assert_eq!(cut("too long", 5), "too …");
        assert_eq!(cut("\x1b[31mtoo long\x1b[0m", 5), "\x1b[31mtoo …\x1b[0m");
        assert_eq!(cut("日本語", 5), "日本…");
    }
}
