//! `Range` of HTTP: which bytes of a file a reader wants. Pure: header text and size in, a wish out. One range only;
//! what is not understood is ignored, as RFC 9110 wants it, and the whole file is served.

/// What is to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    Whole,
    Part {
        start: u64,
        length: u64,
    },
    /// The range lies outside of the file.
    Unsatisfiable,
}

/// Reads a `Range` header for a file of `size` bytes.
pub fn parse(header: Option<&str>, size: u64) -> Wanted {
    let Some(spec) = header.and_then(|text| text.trim().strip_prefix("bytes=")) else { return Wanted::Whole };
    let Some((first, last)) = spec.split_once('-') else { return Wanted::Whole };
    let (first, last) = (first.trim(), last.trim());
    let number = |text: &str| if text.bytes().all(|b| b.is_ascii_digit()) { text.parse::<u64>().ok() } else { None };
    match (first.is_empty(), last.is_empty()) {
        (true, true) => Wanted::Whole,
        // The last n bytes.
        (true, false) => match number(last) {
            None => Wanted::Whole,
            Some(0) => Wanted::Unsatisfiable,
            Some(_) if size == 0 => Wanted::Unsatisfiable,
            Some(count) => part(size.saturating_sub(count), size - 1),
        },
        (false, true) => match number(first) {
            None => Wanted::Whole,
            Some(start) if start >= size => Wanted::Unsatisfiable,
            Some(start) => part(start, size - 1),
        },
        (false, false) => match (number(first), number(last)) {
            (Some(start), Some(end)) if start <= end => {
                if start >= size {
                    Wanted::Unsatisfiable
                } else {
                    part(start, end.min(size - 1))
                }
            }
            // A range that ends before it begins, and lists of ranges, are not understood.
            (_, _) => Wanted::Whole,
        },
    }
}

fn part(start: u64, end: u64) -> Wanted {
    Wanted::Part { start, length: end - start + 1 }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The table of RFC 9110, and what clients get wrong.
    #[test]
    fn ranges() {
        let part = |start, length| Wanted::Part { start, length };
        let rows: &[(Option<&str>, u64, Wanted)] = &[
            (None, 10, Wanted::Whole),
            (Some("bytes=0-9"), 10, part(0, 10)),
            (Some("bytes=0-0"), 10, part(0, 1)),
            (Some("bytes=3-5"), 10, part(3, 3)),
            (Some("bytes=3-"), 10, part(3, 7)),
            (Some("bytes=9-"), 10, part(9, 1)),
            (Some("bytes=-4"), 10, part(6, 4)),
            (Some("bytes=-40"), 10, part(0, 10)),
            (Some("bytes=5-500"), 10, part(5, 5)),
            (Some(" bytes=1-2 "), 10, part(1, 2)),
            (Some("bytes=10-"), 10, Wanted::Unsatisfiable),
            (Some("bytes=10-12"), 10, Wanted::Unsatisfiable),
            (Some("bytes=-0"), 10, Wanted::Unsatisfiable),
            (Some("bytes=0-"), 0, Wanted::Unsatisfiable),
            (Some("bytes=-1"), 0, Wanted::Unsatisfiable),
            (Some("bytes=5-3"), 10, Wanted::Whole),
            (Some("bytes=0-1,3-4"), 10, Wanted::Whole),
            (Some("bytes=a-b"), 10, Wanted::Whole),
            (Some("bytes=+1-2"), 10, Wanted::Whole),
            (Some("bytes=-"), 10, Wanted::Whole),
            (Some("bytes="), 10, Wanted::Whole),
            (Some("rows=1-2"), 10, Wanted::Whole),
            (Some("bytes=1-99999999999999999999999"), 10, Wanted::Whole),
            (Some("bytes=0-18446744073709551615"), 10, part(0, 10)),
        ];
        for (header, size, expected) in rows {
            assert_eq!(parse(*header, *size), *expected, "{header:?} of {size}");
        }
    }
}
