//! Ctrl-C in a load, against a coordinator that is only played: what it is asked, and what the user is told.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

const TABLE: &str = r#"{"id":1,"db":"d","name":"t","replication":1,"buckets":1,"medium":"HDD","tablets":1,"tag":"default",
    "colocate":null,"partitions":[{"name":"t","replication":1,"medium":"HDD","tablets":1}],"healthy":1,"files":0,"bytes":0}"#;

/// Answers what a load asks until it is opened, which is never answered; tells each request line.
fn play(aborted: Option<&'static str>) -> (String, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("bound").to_string();
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let tell = tell.clone();
            std::thread::spawn(move || serve(stream, aborted, &|line| drop(tell.send(line))));
        }
    });
    (address, told)
}

fn serve(stream: TcpStream, aborted: Option<&str>, tell: &dyn Fn(String)) {
    let mut reader = BufReader::new(stream.try_clone().expect("a handle"));
    let mut out = stream;
    loop {
        let mut request = String::new();
        let mut length = 0;
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).unwrap_or(0) == 0 {
                return;
            }
            if line.trim().is_empty() {
                break;
            }
            if let Some((name, value)) = line.split_once(':')
                && name.eq_ignore_ascii_case("content-length")
            {
                length = value.trim().parse().expect("a length");
            }
            if request.is_empty() {
                request = line;
            }
        }
        reader.read_exact(&mut vec![0; length]).expect("a body");
        tell(request.trim().to_string());
        let body = match request.split(' ').next() {
            Some("GET") => Some(TABLE),
            Some("DELETE") => aborted,
            _ => None,
        };
        // What has no answer keeps its caller waiting.
        if let Some(body) = body {
            let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n";
            write!(out, "{head}Content-Length: {}\r\n\r\n{body}", body.len()).expect("an answer");
        }
    }
}

fn load(address: &str, dir: &std::path::Path) -> Child {
    std::fs::write(dir.join("file"), "hello").expect("written");
    let mut command = Command::new(env!("CARGO_BIN_EXE_stele"));
    command.args(["--coordinator", address, "load", "d.t"]).arg(dir).args(["--load-id", "k"]);
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("started")
}

/// Ctrl-C aborts the load that was being opened, says so, and ends with 130; where the abort is not answered, the user
/// is told how to repeat the load.
#[test]
fn a_load_is_aborted() {
    let aborted = r#"{"key":"k","load":7,"state":"ABORTED","detail":"aborted by its client","versions":{}}"#;
    for (answer, expected) in [
        (Some(aborted), "interrupted: load k aborted; nothing is visible"),
        (None, "interrupted; repeat with --load-id k"),
    ] {
        let dir = tempfile::tempdir().expect("a directory");
        let (address, told) = play(answer);
        let child = load(&address, dir.path());
        let patience = Duration::from_secs(20);
        while !told.recv_timeout(patience).expect("the load is opened").starts_with("POST /v1/loads ") {}
        let pid = rustix::process::Pid::from_raw(child.id() as i32).expect("a process");
        rustix::process::kill_process(pid, rustix::process::Signal::INT).expect("sent");
        assert!(told.recv_timeout(patience).expect("an abort").starts_with("DELETE /v1/loads/k "));
        let output = child.wait_with_output().expect("ended");
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!((output.status.code(), text.trim()), (Some(130), expected));
    }
}
