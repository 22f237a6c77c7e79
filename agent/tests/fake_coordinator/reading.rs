//! Reading over HTTP from an agent with many files, and by readers who do not take what they asked for.

use super::*;
use std::io::Read as _;
use std::net::TcpStream;
use std::time::Instant;
use stele_common::Meta;

fn counter(http: &str, name: &str) -> u64 {
    let text = String::from_utf8(get(http, "/metrics", None).body).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(name).and_then(|rest| rest.strip_prefix(' ')));
    line.map_or(0, |value| value.trim().parse().unwrap())
}

/// A reader that stops reading is cut off and counted, its version is not held any more, and others are served.
#[test]
fn a_stalled_reader_is_cut_off() {
    let large = vec![7u8; 32 << 20];
    let stage = stage_with(&[("large", large.clone())], 1, "[limits]\npeer_idle_ms = 500");
    let a = &stage.a;
    let mut line = TcpStream::connect(&a.http).unwrap();
    let request = "GET /v1/replicas/1/files/large HTTP/1.1\r\nhost: a\r\n\r\n";
    line.write_all(request.as_bytes()).unwrap();
    let mut first = [0; 1000];
    line.read_exact(&mut first).unwrap();
    assert!(first.starts_with(b"HTTP/1.1 200"));
    let deadline = Instant::now() + WAIT;
    while counter(&a.http, "stele_agent_http_slow_total") == 0 {
        assert!(Instant::now() < deadline, "it is cut off in time");
        std::thread::sleep(Duration::from_millis(100));
    }
    let mut rest = Vec::new();
    // What lies in the kernel's buffers still comes, then an end that is not the file's.
    let _ = line.read_to_end(&mut rest);
    assert!(rest.len() < large.len(), "{} bytes came", rest.len());
    assert!(get(&a.http, "/v1/replicas/1/files/large", None).body == large);
    assert_eq!(counter(&a.http, "stele_agent_http_slow_total"), 1, "a reader that reads is not cut off");
}

/// Of ten thousand small files some hundreds are read one by one over one connection: the manifest is read once and not for
/// each of them, so a file costs less than reading the manifest does.
#[test]
fn many_small_files() {
    let names: Vec<String> = (0..10_000).map(|number| format!("dir-{}/file-{number:05}", number % 100)).collect();
    let files: Vec<(&str, Vec<u8>)> = names.iter().map(|name| (name.as_str(), name.clone().into_bytes())).collect();
    let stage = stage_with(&files, 1, "");
    let client: ureq::Agent = ureq::Agent::config_builder().timeout_global(Some(WAIT)).build().into();
    let paper = |name: &str| std::fs::read_to_string(stage.a.disk.join("tablets/77/1").join(name)).unwrap();
    // The quickest of some tries: others are at work on this machine.
    let mut manifest = WAIT;
    for _ in 0..5 {
        let begun = Instant::now();
        Meta::open(&paper("1.meta"), &paper("1.b3")).unwrap();
        manifest = manifest.min(begun.elapsed());
    }
    let mut file = WAIT;
    for name in names.iter().step_by(40) {
        let url = format!("http://{}/v1/replicas/1/files/{name}", stage.a.http);
        let begun = Instant::now();
        let body = client.get(url).call().unwrap().body_mut().read_to_vec().unwrap();
        file = file.min(begun.elapsed());
        assert_eq!(body, name.as_bytes());
    }
    println!("a file in {file:?}, a manifest in {manifest:?}");
    assert!(file < manifest, "a file took {file:?}, reading the manifest takes {manifest:?}");
}
