//! A headless browser for one test, driven over the WebDriver protocol: plain JSON over HTTP, so the client that the
//! house has already is enough. Its processes end with the test.

use crate::cluster::until;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Where the protocol keeps an element's id.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";
/// So long may what is waited for take.
const PATIENCE: Duration = Duration::from_secs(60);

pub struct Browser {
    driver: Child,
    session: String,
    agent: ureq::Agent,
    _profile: tempfile::TempDir,
}

impl Browser {
    /// `None` where no driver is installed and CI did not promise one.
    pub fn open() -> Option<Browser> {
        let started = Command::new("chromedriver").arg("--port=0").stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
        let mut driver = match started {
            Ok(driver) => driver,
            Err(error) if std::env::var_os("CI").is_some() => panic!("chromium-driver is needed in CI: {error}"),
            Err(error) => {
                eprintln!("the page is not tested: no chromedriver ({error}); Debian has it in chromium-driver");
                return None;
            }
        };
        let mut lines = BufReader::new(driver.stdout.take().expect("it is piped"));
        let port = loop {
            let mut line = String::new();
            assert!(lines.read_line(&mut line).expect("its words can be read") > 0, "chromedriver ended early");
            if let Some((_, port)) = line.trim_end().trim_end_matches('.').split_once("successfully on port ") {
                break port.to_string();
            }
        };
        // What else it says is read away, or it would stand still.
        std::thread::spawn(move || std::io::copy(&mut lines.by_ref(), &mut std::io::sink()));
        let config = ureq::Agent::config_builder().timeout_global(Some(PATIENCE)).http_status_as_error(false);
        let agent = ureq::Agent::from(config.build());
        let profile = tempfile::tempdir().expect("a temporary directory");
        let args = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--disable-dev-shm-usage",
            "--window-size=1360,900",
        ];
        let mut args: Vec<String> = args.map(String::from).into();
        args.push(format!("--user-data-dir={}", profile.path().display()));
        let wish = json!({"capabilities": {"alwaysMatch": {
            "browserName": "chrome",
            "goog:chromeOptions": {"args": args},
            "goog:loggingPrefs": {"browser": "ALL"},
        }}});
        let mut browser = Browser { driver, session: String::new(), agent, _profile: profile };
        browser.session = format!("http://127.0.0.1:{port}/session");
        let value = browser.post("", wish);
        let id = value["sessionId"].as_str().unwrap_or_else(|| panic!("no session: {value}"));
        browser.session = format!("{}/{id}", browser.session);
        Some(browser)
    }

    fn post(&self, path: &str, body: Value) -> Value {
        let answer = self.agent.post(format!("{}{path}", self.session)).send_json(&body);
        let mut answer = answer.unwrap_or_else(|error| panic!("chromedriver {path}: {error}"));
        let mut value: Value = answer.body_mut().with_config().limit(64 << 20).read_json().expect("JSON");
        value["value"].take()
    }

    pub fn go(&self, url: &str) {
        self.post("/url", json!({ "url": url }));
    }

    /// What the script gives back; it is the body of a function.
    pub fn run(&self, script: &str) -> Value {
        let value = self.post("/execute/sync", json!({"script": script, "args": []}));
        assert!(value.get("error").is_none(), "{script}: {value}");
        value
    }

    /// Waits until the script gives back true.
    pub fn until(&self, what: &str, script: &str) {
        let holds = || self.run(script) == json!(true);
        if std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| until(PATIENCE, what, holds))).is_err() {
            panic!("{what}: never; the page says:\n{}", self.text("body"));
        }
    }

    /// What can be read in the first element of this kind.
    pub fn text(&self, css: &str) -> String {
        let text = self.run(&format!("return document.querySelector({})?.innerText ?? ''", json!(css)));
        text.as_str().unwrap_or_default().to_string()
    }

    /// Clicks as a person does: the element must be there, in sight, and uncovered.
    pub fn click(&self, xpath: &str) {
        let found = self.post("/element", json!({"using": "xpath", "value": xpath}));
        let id = found[ELEMENT].as_str().unwrap_or_else(|| panic!("nothing at {xpath}: {found}"));
        let clicked = self.post(&format!("/element/{id}/click"), json!({}));
        assert!(clicked.is_null(), "{xpath}: {clicked}");
    }

    pub fn size(&self, width: u32, height: u32) {
        self.post("/window/rect", json!({"width": width, "height": height}));
    }

    /// The picture of what is seen, as a file.
    pub fn picture(&self, path: &Path) {
        let answer = self.agent.get(format!("{}/screenshot", self.session)).call();
        let mut answer = answer.unwrap_or_else(|error| panic!("no picture: {error}"));
        let value: Value = answer.body_mut().with_config().limit(64 << 20).read_json().expect("JSON");
        std::fs::write(path, base64(value["value"].as_str().expect("a picture"))).expect("the picture is written");
    }

    /// Errors on the console since the last look.
    pub fn errors(&self) -> Vec<String> {
        let log = self.post("/se/log", json!({"type": "browser"}));
        let lines = log.as_array().cloned().unwrap_or_else(|| panic!("no console: {log}"));
        let severe = lines.iter().filter(|line| line["level"] == "SEVERE");
        severe.map(|line| line["message"].to_string()).collect()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Ends the browser too; a driver that is gone already has ended it.
        let _ = self.agent.delete(&self.session).call();
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

/// RFC 4648 text as bytes.
fn base64(text: &str) -> Vec<u8> {
    let value = |letter: u8| match letter {
        b'A'..=b'Z' => Some(u32::from(letter - b'A')),
        b'a'..=b'z' => Some(u32::from(letter - b'a') + 26),
        b'0'..=b'9' => Some(u32::from(letter - b'0') + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    };
    let (mut bytes, mut gathered, mut bits) = (Vec::with_capacity(text.len()), 0_u32, 0);
    for six in text.bytes().filter_map(value) {
        gathered = (gathered << 6 | six) & 0xFFFF;
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            bytes.push((gathered >> bits) as u8);
        }
    }
    bytes
}
