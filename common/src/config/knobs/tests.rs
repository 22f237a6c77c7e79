//! The registry against the knobs it is about.

use super::*;
use std::collections::BTreeSet;

/// Every field of the knobs has exactly one row, every row a field, and each default is in its range and of its type.
#[test]
fn rows_are_the_fields() {
    let knobs = RepairKnobs::default();
    let fields = serde_json::to_value(&knobs).unwrap();
    let fields: BTreeSet<&str> = fields.as_object().unwrap().keys().map(String::as_str).collect();
    let rows: Vec<&str> = all().map(|knob| knob.name).collect();
    assert_eq!(rows.iter().copied().collect::<BTreeSet<_>>(), fields);
    assert_eq!(rows.len(), fields.len(), "a knob has two rows");
    assert_eq!(knobs.faults(), Vec::<String>::new());
    for knob in all() {
        let value = knobs.value(knob);
        assert_eq!(knobs.with(knob, &value).as_ref(), Some(&knobs), "{}", knob.name);
    }
}

/// A name means one thing: no other name is a knob's own name, and none stands twice for the same knob.
#[test]
fn other_names() {
    for knob in all() {
        let names: BTreeSet<&str> = knob.aliases.iter().map(|alias| alias.name).collect();
        assert_eq!(names.len(), knob.aliases.len(), "{}", knob.name);
        assert!(all().all(|other| !names.contains(other.name)), "{}", knob.name);
        assert!(!knob.meaning.is_empty() && knob.meaning.len() <= 100, "{}", knob.name);
    }
    let names = |name: &str| named(name).into_iter().map(|(knob, _)| knob.name).collect::<Vec<_>>();
    assert_eq!(names("tablet_sched_slot_num_per_path"), ["schedule_slot_num_per_path"]);
    assert_eq!(names("meta.lb.assign_delay_ms"), ["assign_delay_ms"]);
    assert_eq!(names("tablet_repair_delay_factor_second"), ["assign_delay_ms", "assign_delay_below_majority_ms"]);
    assert!(names("no_such_knob").is_empty());
}

/// Values are read as a machine or a person writes them; what is of another type or out of range says what is wanted.
#[test]
fn values() {
    let text = |text: &str| Value::Text(text.to_string());
    let read = |name: &str, value: Value| {
        let (knob, scale) = named(name)[0];
        knob.read(&value, scale).map_err(|bad| bad.to_string())
    };
    for (name, given, is) in [
        ("assign_delay_ms", text("5s"), Value::Whole(5_000)),
        ("assign_delay_ms", Value::Whole(7), Value::Whole(7)),
        ("storage_headroom_bytes", text("2 GiB"), Value::Whole(2 << 30)),
        ("storage_high_watermark", text("85%"), Value::Real(0.85)),
        ("storage_high_watermark", Value::Whole(1), Value::Real(1.0)),
        ("storage_high_watermark_usage_percent", text("90"), Value::Real(0.9)),
        ("tablet_repair_delay", text("60"), Value::Whole(120_000)),
    ] {
        assert_eq!(read(name, given.clone()), Ok(is), "{name} {given}");
    }
    for (name, given, says) in [
        ("assign_delay_ms", text("soon"), "assign_delay_ms = soon is not a whole number of milliseconds"),
        ("assign_delay_ms", Value::Real(1.5), "is not a whole number of milliseconds"),
        ("assign_delay_ms", Value::Flag(true), "is not a whole number"),
        ("schedule_slot_num_per_path", text("0"), "schedule_slot_num_per_path = 0 is out of its range 1..1024"),
        ("schedule_slot_num_per_path", text("3s"), "is not a whole number"),
        ("storage_high_watermark", text("1.5"), "out of its range 0..1"),
        ("storage_high_watermark", text("NaN"), "is not a number from 0 to 1"),
        ("tablet_repair_delay", Value::Whole(u64::MAX), "is not a whole number"),
    ] {
        let error = read(name, given.clone()).unwrap_err();
        assert!(error.contains(says), "{name} {given}: {error}");
    }
}

/// Knobs that contradict each other are named.
#[test]
fn contradictions() {
    let knobs = RepairKnobs { lost_ms: 5_000, ..RepairKnobs::default() };
    assert_eq!(knobs.faults(), ["lease_ms must be below lost_ms: an agent stops before it is given up"]);
}

/// docs/KNOBS.md is what the registry says; `REWRITE=1` writes it anew.
#[test]
fn the_page_of_knobs() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/KNOBS.md");
    if std::env::var_os("REWRITE").is_some() {
        std::fs::write(path, page()).unwrap();
    }
    let is = std::fs::read_to_string(path).unwrap_or_default();
    assert_eq!(is, page(), "REWRITE=1 cargo test -p stele-common the_page_of_knobs writes it anew");
}

const HEAD: &str = "# Knobs

The numbers of the law. Each stands in `[repair]` of the coordinator's file (`STELE__REPAIR__NAME` overrides it); most
may be set while the coordinator runs, which holds at once, outlives restarts and wins over the file until it is taken
back:

```text
stele config list                                  every knob: value, default, unit, range, where it comes from
stele config get assign_delay_ms                   one, with its meaning and its other names
stele config set assign_delay_ms 30m --reason '…'  a number in its unit, or 30s, 5m, 2h; 5MiB, 200GiB; 85%; a,b
stele config set assign_delay_ms default           back to what the file says
stele config history                               the latest 200 settings: who, when, why
```

HTTP: `GET /v1/config`, `GET` and `PUT /v1/config/NAME` (`{\"value\": 5000, \"by\": \"ann\", \"reason\": \"…\"}`),
`GET /v1/config/history`. Values out of range or of another type are refused with the range, and so is what contradicts
another knob (`lease_ms < lost_ms`, `silent_ms <= lost_ms`, `task_timeout_min_ms <= task_timeout_max_ms`). The other
names are the originals'; prefixes `tablet_sched_`, `meta.lb.`, `lb.` and `meta.` may stand before any name.

This page is written from the registry (`common/src/config/known.rs`) by a test.

| knob | default | unit | range | set | meaning | also called |
|---|---:|---|---|---|---|---|
";

fn page() -> String {
    let defaults = RepairKnobs::default();
    let row = |knob: &Knob| {
        let names: Vec<String> = knob.aliases.iter().map(|alias| format!("`{}`", alias.name)).collect();
        let set = if knob.live { "live" } else { "file" };
        let (name, default, unit) = (knob.name, defaults.value(knob), knob.unit());
        let (range, meaning, names) = (knob.range(), knob.meaning, names.join(", "));
        format!("| `{name}` | {default} | {unit} | {range} | {set} | {meaning} | {names} |\n")
    };
    HEAD.to_string() + &all().map(row).collect::<String>()
}
