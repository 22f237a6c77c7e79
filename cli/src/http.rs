//! Asking a coordinator or an agent over HTTP: JSON in and out, problem+json turned into a [`Failure`] that names
//! whom we asked, what was wrong and the next step.
//!
//! One [`Face`] is one process that answers. Blocking; used from any thread. Never retries: the callers know what
//! may be asked twice.

use crate::exit::Failure;
use crate::stop;
use serde::{Serialize, de::DeserializeOwned};
use std::io::{self, Read};
use std::time::Duration;
use stele_common::api::{ErrorBody, Nodes, Tables, Tablets, Tasks};
use ureq::http::header::{AUTHORIZATION, HeaderValue};
use ureq::http::{Request, Response};
use ureq::middleware::{Middleware, MiddlewareNext};
use ureq::{Agent, Body, SendBody};

/// Largest JSON answer that is read: a list of a few million tablets.
const ANSWER_MAX: u64 = 1 << 30;
/// No byte for this long means that the other side is stuck; no poll of ours asks for more than ten seconds.
const STALL: Duration = Duration::from_secs(60);

/// Whom we ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    Coordinator,
    Agent,
}

/// A list of which one page was answered.
pub trait Paged {
    /// What the next page comes after; `None`: this was the last.
    fn next(&self) -> Option<String>;
    fn extend(&mut self, page: Self);
}

impl Paged for Tablets {
    fn next(&self) -> Option<String> {
        self.next.map(|id| id.to_string())
    }

    fn extend(&mut self, page: Tablets) {
        self.tablets.extend(page.tablets);
        self.next = page.next;
    }
}

impl Paged for Tables {
    fn next(&self) -> Option<String> {
        self.next.clone()
    }

    fn extend(&mut self, page: Tables) {
        self.tables.extend(page.tables);
        self.next = page.next;
    }
}

impl Paged for Nodes {
    fn next(&self) -> Option<String> {
        self.next.map(|id| id.to_string())
    }

    fn extend(&mut self, page: Nodes) {
        self.nodes.extend(page.nodes);
        self.next = page.next;
    }
}

impl Paged for Tasks {
    fn next(&self) -> Option<String> {
        self.next.map(|place| place.to_string())
    }

    fn extend(&mut self, page: Tasks) {
        self.tasks.extend(page.tasks);
        self.next = page.next;
    }
}

/// A process with an HTTP face.
#[derive(Clone, Debug)]
pub struct Face {
    agent: Agent,
    role: Role,
    address: String,
}

/// What came of a wish that a check may refuse.
pub enum Checked<T, R = T> {
    Done(T),
    /// What was found, and how the command ends.
    Refused(R, Failure),
}

impl Face {
    pub fn coordinator(address: &str) -> Face {
        let address = bare(address);
        Face { agent: client(token_for(&address)), role: Role::Coordinator, address }
    }

    /// The agent at `address`, over the same pool of connections.
    pub fn agent_at(&self, address: &str) -> Face {
        Face { agent: self.agent.clone(), role: Role::Agent, address: bare(address) }
    }

    pub fn get<T: DeserializeOwned>(&self, path: &str, query: &[(&str, &str)]) -> Result<T, Failure> {
        stop::check()?;
        let request = self.agent.get(self.url(path)).query_pairs(query.iter().copied());
        self.json(path, request.call())
    }

    /// A list that comes in pages, all of it.
    pub fn list<T: DeserializeOwned + Paged>(&self, path: &str, query: &[(&str, &str)]) -> Result<T, Failure> {
        let mut all: T = self.get(path, query)?;
        while let Some(after) = all.next() {
            let query: Vec<_> = query.iter().copied().chain([("after", after.as_str())]).collect();
            all.extend(self.get(path, &query)?);
        }
        Ok(all)
    }

    pub fn post<B: Serialize, T: DeserializeOwned>(&self, path: &str, body: &B) -> Result<T, Failure> {
        stop::check()?;
        self.json(path, self.agent.post(self.url(path)).send_json(body))
    }

    /// POST of a wish that a check may refuse; what was found is there either way.
    pub fn post_checked<B: Serialize, T: DeserializeOwned, R: DeserializeOwned>(
        &self,
        path: &str,
        body: &B,
    ) -> Result<Checked<T, R>, Failure> {
        stop::check()?;
        self.checked(path, self.agent.post(self.url(path)).send_json(body))
    }

    /// GET of something that a check may refuse.
    pub fn get_checked<T: DeserializeOwned, R: DeserializeOwned>(&self, path: &str) -> Result<Checked<T, R>, Failure> {
        stop::check()?;
        self.checked(path, self.agent.get(self.url(path)).call())
    }

    /// PATCH.
    pub fn patch<B: Serialize, T: DeserializeOwned>(&self, path: &str, body: &B) -> Result<T, Failure> {
        stop::check()?;
        self.json(path, self.agent.patch(self.url(path)).send_json(body))
    }

    /// POST without a body.
    pub fn post_empty<T: DeserializeOwned>(&self, path: &str, query: &[(&str, &str)]) -> Result<T, Failure> {
        stop::check()?;
        let request = self.agent.post(self.url(path)).query_pairs(query.iter().copied());
        self.json(path, request.send_empty())
    }

    /// DELETE; whatever is answered besides an error is not looked at.
    pub fn delete(&self, path: &str) -> Result<(), Failure> {
        stop::check()?;
        self.accepted(path, self.agent.delete(self.url(path)).call()).map(drop)
    }

    /// PUT.
    pub fn put<B: Serialize, T: DeserializeOwned>(&self, path: &str, body: &B) -> Result<T, Failure> {
        stop::check()?;
        self.json(path, self.agent.put(self.url(path)).send_json(body))
    }

    /// DELETE by a command that was asked to stop and puts something back; it waits no longer than `within`.
    pub fn put_back<T: DeserializeOwned>(&self, path: &str, within: Duration) -> Result<T, Failure> {
        let request = self.agent.delete(self.url(path)).config().timeout_global(Some(within)).build();
        self.json(path, request.call())
    }

    /// PUTs everything that `body` yields.
    pub fn put_stream<T: DeserializeOwned>(&self, path: &str, body: &mut dyn Read) -> Result<T, Failure> {
        stop::check()?;
        let request = self.agent.put(self.url(path)).content_type("application/octet-stream");
        self.json(path, request.send(SendBody::from_reader(body)))
    }

    /// The bytes behind `path`.
    pub fn bytes(&self, path: &str, query: &[(&str, &str)]) -> Result<impl Read + use<>, Failure> {
        stop::check()?;
        let request = self.agent.get(self.url(path)).query_pairs(query.iter().copied());
        let response = self.accepted(path, request.call())?;
        Ok(response.into_body().into_with_config().limit(u64::MAX).reader())
    }

    /// The stream of events: from now on, or from where a reader was.
    pub fn events(&self, mark: Option<&str>) -> Result<impl Read + use<>, Failure> {
        let (path, request) = ("/v1/events", self.agent.get(self.url("/v1/events")));
        let request = mark.into_iter().fold(request, |request, mark| request.header("Last-Event-ID", mark));
        let response = self.accepted(path, request.call())?;
        Ok(response.into_body().into_with_config().limit(u64::MAX).reader())
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    fn json<T: DeserializeOwned>(&self, path: &str, sent: Result<Response<Body>, ureq::Error>) -> Result<T, Failure> {
        let mut response = self.accepted(path, sent)?;
        response.body_mut().with_config().limit(ANSWER_MAX).read_json().map_err(|error| match error {
            ureq::Error::Json(error) => Failure::error(format!(
                "the answer of {} to {path} is not what this build expects: {error}",
                self.who()
            ))
            .next("are both of the same version?"),
            error => self.broken(error),
        })
    }

    fn checked<T: DeserializeOwned, R: DeserializeOwned>(
        &self,
        path: &str,
        sent: Result<Response<Body>, ureq::Error>,
    ) -> Result<Checked<T, R>, Failure> {
        match sent {
            Ok(mut response) if response.status().as_u16() == 409 => {
                let read = response.body_mut().with_config().limit(ANSWER_MAX).read_to_string();
                let text = read.map_err(|error| self.broken(error))?;
                let failure = self.problem(409, path, &text);
                match serde_json::from_str(&text) {
                    Ok(found) => Ok(Checked::Refused(found, failure)),
                    Err(_) => Err(failure),
                }
            }
            sent => self.json(path, sent).map(Checked::Done),
        }
    }

    fn accepted(&self, path: &str, sent: Result<Response<Body>, ureq::Error>) -> Result<Response<Body>, Failure> {
        let mut response = sent.map_err(|error| self.broken(error))?;
        let status = response.status().as_u16();
        if response.status().is_success() {
            return Ok(response);
        }
        let text = response.body_mut().with_config().limit(1 << 20).read_to_string().unwrap_or_default();
        Err(self.problem(status, path, &text))
    }

    fn problem(&self, status: u16, path: &str, text: &str) -> Failure {
        match serde_json::from_str::<ErrorBody>(text) {
            Ok(body) => {
                let said = if body.detail.is_empty() { body.title } else { body.detail };
                Failure::problem(status, &body.code, format!("{said} [{}]", body.code)).maybe_next(body.next)
            }
            Err(_) => Failure::problem(status, "", format!("{} answered {status} to {path}", self.who())),
        }
    }

    fn who(&self) -> String {
        match self.role {
            Role::Coordinator => format!("the coordinator at {}", self.address),
            Role::Agent => format!("the agent at {}", self.address),
        }
    }

    fn broken(&self, error: ureq::Error) -> Failure {
        if stop::asked() {
            return Failure::interrupted();
        }
        let cause = match &error {
            ureq::Error::Io(error) => io_cause(error),
            ureq::Error::ConnectionFailed => "connection failed".to_string(),
            ureq::Error::Timeout(_) => "it does not answer".to_string(),
            ureq::Error::HostNotFound => "no such host".to_string(),
            ureq::Error::BadUri(_) | ureq::Error::Http(_) => "not an address of the form ip:port".to_string(),
            ureq::Error::Protocol(_) => "what answers there does not speak HTTP".to_string(),
            other => other.to_string(),
        };
        let failure = Failure::unreachable(format!("cannot reach {}: {cause}", self.who()));
        match self.role {
            Role::Coordinator => failure.next(match error {
                ureq::Error::Protocol(_) => {
                    "name its HTTP address with --coordinator; 'stele up' prints it, cluster.json keeps it"
                }
                ureq::Error::Io(error) if error.kind() != io::ErrorKind::ConnectionRefused => {
                    "does it run, and is that its HTTP address? 'stele up' prints it, cluster.json keeps it"
                }
                _ => "is it running? start one with 'stele up', or name it with --coordinator",
            }),
            Role::Agent => failure.next("see 'stele node list'"),
        }
    }
}

fn io_cause(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => "connection refused".to_string(),
        io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => "the connection broke".to_string(),
        io::ErrorKind::UnexpectedEof => "the connection ended early".to_string(),
        _ => error.to_string(),
    }
}

/// What the token of STELE_TOKEN is put on: requests to the coordinator, never those to agents.
fn token_for(address: &str) -> Bearer {
    let token = std::env::var("STELE_TOKEN").ok().filter(|token| !token.is_empty());
    Bearer { address: address.to_string(), value: token.map(|token| format!("Bearer {}", token.trim())) }
}

struct Bearer {
    address: String,
    value: Option<String>,
}

impl Middleware for Bearer {
    fn handle(&self, mut request: Request<SendBody>, next: MiddlewareNext) -> Result<Response<Body>, ureq::Error> {
        if let Some(value) = self.value.as_ref().and_then(|value| HeaderValue::from_str(value).ok())
            && request.uri().authority().is_some_and(|authority| authority.as_str() == self.address)
        {
            request.headers_mut().insert(AUTHORIZATION, value);
        }
        next.handle(request)
    }
}

fn client(bearer: Bearer) -> Agent {
    Agent::config_builder()
        .middleware(bearer)
        .http_status_as_error(false)
        .proxy(None)
        .max_redirects(0)
        .timeout_connect(Some(Duration::from_secs(5)))
        .timeout_per_read(Some(STALL))
        .timeout_per_write(Some(STALL))
        .max_idle_connections(64)
        .max_idle_connections_per_host(16)
        // Below the five seconds after which the servers close an idle connection, so that we never use a dying one.
        .max_idle_age(Duration::from_secs(3))
        .output_buffer_size(512 * 1024)
        .input_buffer_size(256 * 1024)
        .user_agent(concat!("stele/", env!("CARGO_PKG_VERSION")))
        .build()
        .new_agent()
}

/// `ip:port` of an address that may have been written as a URL.
fn bare(address: &str) -> String {
    address.trim().trim_start_matches("http://").trim_end_matches('/').to_string()
}

/// A file's path as part of a URL: everything but plain letters, digits, `-._~` and the slashes between names.
pub fn encode_path(path: &str) -> String {
    let mut out = String::with_capacity(path.len() + 16);
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out += &format!("%{byte:02X}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exit::{Exit, Origin};
    use std::io::{BufRead, BufReader, Write};
    use std::net::TcpListener;

    /// No byte of a name can change where a URL points.
    #[test]
    fn paths_are_encoded() {
        assert_eq!(encode_path("a/b.c-_~"), "a/b.c-_~");
        assert_eq!(encode_path("a b?c#d%e/ü\n"), "a%20b%3Fc%23d%25e/%C3%BC%0A");
    }

    /// A refused connection names whom we tried and what to do.
    #[test]
    fn nobody_there() {
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = free.local_addr().unwrap().to_string();
        drop(free);
        let failure = Face::coordinator(&address).get::<serde_json::Value>("/v1/status", &[]).unwrap_err();
        let text = failure.to_string();
        assert!(text.starts_with(&format!("cannot reach the coordinator at {address}: connection refused;")), "{text}");
        assert!(text.contains("stele up"), "{text}");
        assert_eq!((failure.exit, failure.origin), (Exit::Error, Origin::Unreachable));
    }

    /// A problem answer keeps its code, its words and its next step, and decides the exit code.
    #[test]
    fn problems_are_typed() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut line = String::new();
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            while reader.read_line(&mut line).unwrap() > 2 {
                line.clear();
            }
            let body = r#"{"code":"no_table","title":"t","status":404,"detail":"there is no table d.t","next":"see 'stele table list'"}"#;
            let head = "HTTP/1.1 404 Not Found\r\nContent-Type: application/problem+json\r\nConnection: close\r\n";
            write!(stream, "{head}Content-Length: {}\r\n\r\n{body}", body.len()).unwrap();
        });
        let failure = Face::coordinator(&address).get::<serde_json::Value>("/v1/tables/d/t", &[]).unwrap_err();
        server.join().unwrap();
        assert_eq!(failure.to_string(), "there is no table d.t [no_table]; see 'stele table list'");
        let origin = Origin::Problem { status: 404, code: "no_table".into() };
        assert_eq!((failure.exit, failure.origin), (Exit::NotFound, origin));
    }
}
