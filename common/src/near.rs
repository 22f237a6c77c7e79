//! Did you mean: which of the known names comes nearest to one that nobody knows.
//!
//! In: the name as it was typed, and those that there are. Out: one of them, or none where all are too far off to be
//! meant. Names alone; whoever asks says of what.

/// Bytes of a name that somebody may have meant.
const NAME_MAX: usize = 512;

/// The one that fewest slips of the fingers lead away from: a letter too many, too few, another, or two swapped, one for
/// every three letters at most; or one that begins as it was typed. Upper and lower case are alike.
pub fn nearest<'a>(typed: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // Whoever sends a book is not looking for a name.
    if typed.len() > NAME_MAX {
        return None;
    }
    let typed = typed.to_lowercase();
    let letters = typed.chars().count();
    let slips_max = (letters / 3).max(1);
    let far = known.into_iter().filter_map(|name| {
        let lower = name.to_lowercase();
        let longer = lower.chars().count().abs_diff(letters);
        // To a name that begins as it was typed, its other letters are missing.
        let begun = (letters >= 3 && lower.starts_with(&typed)).then_some(longer);
        // One letter alone is as near to every other one; as many slips as one is longer there are in any case.
        let may_be_near = letters > 1 && longer <= slips_max;
        let near = may_be_near.then(|| strsim::osa_distance(&typed, &lower)).filter(|slips| *slips <= slips_max);
        begun.or(near).map(|slips| (slips, name))
    });
    far.min().map(|(_, name)| name)
}

/// The next step that goes with it.
pub fn did_you_mean(name: impl std::fmt::Display) -> String {
    format!("did you mean {name}?")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Slips and beginnings are seen through; what is merely alike is not offered.
    #[test]
    fn names() {
        let known =
            ["shop.orders", "shop.offers", "assign_delay_ms", "assign_secondary_black_list", "LIVELY", "t", "h1"];
        for (typed, meant) in [
            ("shop.order", Some("shop.orders")),
            ("shop.roders", Some("shop.orders")),
            ("SHOP.ORDERS", Some("shop.orders")),
            ("assign_delay", Some("assign_delay_ms")),
            ("assign", Some("assign_delay_ms")),
            ("lifely", Some("LIVELY")),
            ("h2", Some("h1")),
            ("u", None),
            ("", None),
            ("stock.items", None),
        ] {
            assert_eq!(nearest(typed, known), meant, "{typed}");
        }
    }
}
