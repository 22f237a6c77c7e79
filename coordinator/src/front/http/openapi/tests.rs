//! The document against the code: routes, references, and every answer that a test of this face gets.

use super::DOCUMENT;
use actix_web::http::{Method, StatusCode};
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::LazyLock;

static PARSED: LazyLock<Value> = LazyLock::new(|| serde_json::from_str(DOCUMENT).expect("the document is JSON"));

/// Each route of the handlers is in the document with its method, and no other; each has a summary and its own id.
#[test]
fn every_route() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/front/http");
    let mut routes = BTreeSet::new();
    for file in std::fs::read_dir(folder).unwrap().flatten() {
        // The page's own files are no part of the API.
        if file.path().extension().is_none_or(|end| end != "rs") || file.file_name() == "web.rs" {
            continue;
        }
        let text = std::fs::read_to_string(file.path()).unwrap();
        for method in ["get", "post", "put", "patch", "delete"] {
            let mark = format!("\n#[{method}(\"");
            let paths = text.split(&mark).skip(1).filter_map(|rest| rest.split('"').next());
            routes.extend(paths.map(|path| format!("{method} {path}")));
        }
    }
    assert!(routes.len() > 50, "{routes:?}");
    let mut told = BTreeSet::new();
    let mut ids = BTreeSet::new();
    for (path, methods) in PARSED["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            told.insert(format!("{method} {path}"));
            assert!(ids.insert(operation["operationId"].to_string()), "{method} {path}: its id is there twice");
            assert!(operation["summary"].as_str().is_some_and(|summary| !summary.is_empty()), "{method} {path}");
            let named = path.matches('{').count();
            let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
            assert_eq!(parameters.iter().filter(|one| one["in"] == "path").count(), named, "{method} {path}");
        }
    }
    assert_eq!(routes, told);
}

/// Whatever is referred to is there, and whatever is there is referred to.
#[test]
fn references() {
    fn gather<'a>(value: &'a Value, found: &mut BTreeSet<&'a str>) {
        match value {
            Value::Object(members) => {
                found.extend(members.get("$ref").and_then(Value::as_str));
                members.values().for_each(|member| gather(member, found));
            }
            Value::Array(items) => items.iter().for_each(|item| gather(item, found)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    let mut found = BTreeSet::new();
    gather(&PARSED, &mut found);
    for reference in &found {
        assert!(PARSED.pointer(reference.trim_start_matches('#')).is_some(), "{reference} is not there");
    }
    for name in PARSED["components"]["schemas"].as_object().unwrap().keys() {
        assert!(found.contains(format!("#/components/schemas/{name}").as_str()), "nobody refers to {name}");
    }
}

/// The checker itself finds what is missing, of another type, or not told of.
#[test]
fn the_checker() {
    let schema = json!({"type": "object", "properties": {"a": {"type": "integer", "minimum": 0}, "b": {"type": ["string", "null"]}}, "required": ["a"]});
    for good in [json!({"a": 1}), json!({"a": 0, "b": null}), json!({"a": 1, "b": "x"})] {
        assert_eq!(faults(&schema, &good, "$"), Vec::<String>::new());
    }
    for bad in
        [json!({}), json!({"a": -1}), json!({"a": "1"}), json!({"a": 1, "b": 2}), json!({"a": 1, "c": 1}), json!([])]
    {
        assert!(!faults(&schema, &bad, "$").is_empty(), "{bad}");
    }
}

/// Asserts that an answer is as the document says.
pub fn check(method: &Method, uri: &str, status: StatusCode, answer: &Value) {
    let path = uri.split('?').next().unwrap_or(uri);
    let fits = |template: &str| {
        let (asked, told): (Vec<&str>, Vec<&str>) = (path.split('/').collect(), template.split('/').collect());
        asked.len() == told.len() && asked.iter().zip(&told).all(|(asked, told)| asked == told || told.starts_with('{'))
    };
    let templates = PARSED["paths"].as_object().expect("paths").iter().filter(|(template, _)| fits(template));
    let nearest = templates.min_by_key(|(template, _)| template.matches('{').count());
    let operation = nearest.map(|(_, methods)| &methods[method.as_str().to_lowercase()]);
    let schema = if status.is_success() {
        let Some(operation) = operation else { panic!("{method} {path} answers, and the document does not know it") };
        let content = &operation["responses"]["200"]["content"];
        let Some(schema) = content.get("application/json").map(|content| &content["schema"]) else { return };
        schema
    } else {
        &PARSED["components"]["schemas"]["ErrorBody"]
    };
    let faults = faults(schema, answer, "$");
    assert!(faults.is_empty(), "{method} {uri} {status}: {faults:#?}\n{answer:#}");
}

/// What of the value is not as the schema says. Stricter than JSON Schema: members that are not told of are faults.
fn faults(schema: &Value, value: &Value, at: &str) -> Vec<String> {
    if let Some(reference) = schema["$ref"].as_str() {
        let found = PARSED.pointer(reference.trim_start_matches('#'));
        return faults(found.unwrap_or_else(|| panic!("{reference} is not there")), value, at);
    }
    for choice in ["oneOf", "anyOf"] {
        if let Some(choices) = schema[choice].as_array() {
            let tried: Vec<Vec<String>> = choices.iter().map(|one| faults(one, value, at)).collect();
            let nearest = tried.into_iter().min_by_key(Vec::len);
            return nearest.unwrap_or_default();
        }
    }
    if let Some(wanted) = schema.get("const") {
        return if wanted == value { vec![] } else { vec![format!("{at} is {value}, not {wanted}")] };
    }
    if let Some(words) = schema["enum"].as_array() {
        return if words.contains(value) { vec![] } else { vec![format!("{at} is {value}, none of {words:?}")] };
    }
    let types: Vec<&str> = match &schema["type"] {
        Value::String(one) => vec![one],
        Value::Array(many) => many.iter().filter_map(Value::as_str).collect(),
        other => panic!("{at}: the schema has the type {other}"),
    };
    let is_integer = |value: &Value| value.is_u64() || (value.is_i64() && schema["minimum"].is_null());
    let fits = |kind: &&&str| match **kind {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => is_integer(value),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("{at}: there is no type {other}"),
    };
    if !types.iter().any(|kind| fits(&kind)) {
        return vec![format!("{at} is {value}, not {types:?}")];
    }
    match value {
        Value::Object(members) => of_members(schema, members, at),
        Value::Array(items) => {
            let parts = schema["prefixItems"].as_array();
            let of = |index: usize| parts.and_then(|parts| parts.get(index)).unwrap_or(&schema["items"]);
            items
                .iter()
                .enumerate()
                .flat_map(|(index, item)| faults(of(index), item, &format!("{at}[{index}]")))
                .collect()
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => vec![],
    }
}

fn of_members(schema: &Value, members: &Map<String, Value>, at: &str) -> Vec<String> {
    let required = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let missing = required.filter(|name| !members.contains_key(*name));
    let mut found: Vec<String> = missing.map(|name| format!("{at} has no {name}")).collect();
    for (name, member) in members {
        let more = &schema["additionalProperties"];
        match schema["properties"].get(name) {
            Some(schema) => found.extend(faults(schema, member, &format!("{at}.{name}"))),
            None if more.is_object() => found.extend(faults(more, member, &format!("{at}.{name}"))),
            None if *more == json!(true) => {}
            None => found.push(format!("{at} has {name}, which is not told of")),
        }
    }
    found
}
