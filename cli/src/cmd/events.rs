//! `stele events`: what happened lately, and what happens from now on.

use crate::exit::{Exit, Failure, Origin, Outcome};
use crate::flags::Global;
use crate::http::Face;
use crate::table::{self, Printer, Rows};
use clap::Args;
use serde::Serialize;
use std::io::{BufRead, BufReader};
use std::time::Duration;
use stele_common::api::{Changed, Happening, Happenings};

#[derive(Debug, Args)]
#[command(after_help = "The newest stands below. With --follow, -o json is one object a line.

Examples:
  stele events
  stele events --limit 500 -o json
  stele events --follow")]
pub struct EventsArgs {
    /// Go on with what happens from now on, until interrupted
    #[arg(long, short)]
    follow: bool,
    /// So many of those that were
    #[arg(long, default_value_t = 50, value_name = "N")]
    limit: u64,
}

/// How long a coordinator that went away is left alone.
const AWAY: Duration = Duration::from_secs(1);

#[derive(Serialize)]
#[serde(transparent)]
struct Lately(Happenings);

impl Rows for Lately {
    fn columns(&self) -> Vec<&str> {
        vec!["AT (UTC)", "+AT", "+>NUMBER", "+TOPIC", "KIND", "SUBJECT", "WHAT"]
    }

    fn rows(&self) -> Vec<Vec<String>> {
        let row = |it: &Happening| {
            let topic = serde_json::to_value(it.topic).ok().and_then(|name| name.as_str().map(str::to_string));
            let (number, topic) = (it.number.to_string(), table::or_dash(topic));
            vec![
                table::clock(&it.at),
                it.at.clone(),
                number,
                topic,
                it.kind.clone(),
                it.subject.clone(),
                it.text.clone(),
            ]
        };
        self.0.events.iter().rev().map(row).collect()
    }

    fn empty(&self) -> &'static str {
        "nothing has happened since this coordinator began"
    }
}

pub fn run(global: &Global, args: &EventsArgs) -> Outcome {
    let (face, printer) = (global.face(), global.printer());
    if args.follow {
        return follow(&face, printer, args.limit);
    }
    printer.list(&Lately(lately(&face, args.limit)?))?;
    Ok(Exit::Done)
}

pub fn lately(face: &Face, limit: u64) -> Result<Happenings, Failure> {
    face.get("/v1/events/recent", &[("limit", &limit.to_string())])
}

/// Where a reader is: what it was told last.
#[derive(Default)]
struct Told {
    epoch: u64,
    number: u64,
    /// The stream's own mark, which it takes back.
    mark: Option<String>,
}

impl Told {
    /// Those that are new to us, and now told.
    fn news(&mut self, epoch: u64, happened: Vec<Happening>) -> Vec<Happening> {
        if epoch != self.epoch {
            (self.epoch, self.number) = (epoch, 0);
        }
        let news: Vec<Happening> = happened.into_iter().filter(|one| one.number > self.number).collect();
        self.number = news.last().map_or(self.number, |last| last.number);
        news
    }
}

/// Ends only with a failure: Ctrl-C ends the process.
fn follow(face: &Face, printer: Printer, limit: u64) -> Outcome {
    let mut told = Told::default();
    loop {
        match listen(face, printer, limit, &mut told) {
            Err(failure) if failure.origin == Origin::Unreachable && told.mark.is_some() => {}
            // The coordinator ended the stream.
            ended => ended?,
        }
        std::thread::sleep(AWAY);
    }
}

fn listen(face: &Face, printer: Printer, limit: u64, told: &mut Told) -> Result<(), Failure> {
    let is_first = told.mark.is_none();
    let mut messages = BufReader::new(face.events(told.mark.as_deref())?);
    while let Some(message) = next(&mut messages)? {
        let changed: Changed = serde_json::from_str(&message.data)
            .map_err(|error| Failure::error(format!("the stream of events is not what this build expects: {error}")))?;
        let mut happened = changed.happened;
        if is_first && told.mark.is_none() && limit > 0 {
            // Asked for behind the stream's beginning, so that nothing falls between the two.
            happened = lately(face, limit)?.events.into_iter().rev().chain(happened).collect();
        }
        told.mark = Some(message.id);
        for one in told.news(changed.epoch, happened) {
            printer.record(&one, line)?;
        }
    }
    Ok(())
}

fn line(it: &Happening) -> String {
    format!("{}  {:<18} {:<24} {}", it.at, it.kind, it.subject, it.text)
}

#[derive(Debug, Default, PartialEq)]
struct Message {
    id: String,
    data: String,
}

/// The next server-sent event; nothing at the stream's end. Comments and fields that we do not use are passed over.
fn next(lines: &mut impl BufRead) -> Result<Option<Message>, Failure> {
    let mut message = Message::default();
    loop {
        let mut line = String::new();
        let read = lines.read_line(&mut line);
        match read.map_err(|error| Failure::unreachable(format!("the stream of events broke: {error}")))? {
            0 => return Ok(None),
            _ => match line.trim_end_matches(['\r', '\n']).split_once(':') {
                Some(("id", value)) => message.id = value.trim_start().to_string(),
                Some(("data", value)) => message.data += value.trim_start(),
                Some(_) => {}
                None if message.data.is_empty() => {}
                None => return Ok(Some(message)),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use stele_common::api::Topic;

    /// A stream is read message by message, past comments and fields that are not ours.
    #[test]
    fn streams_are_read() {
        let text = "retry: 1000\nid: 1-4\nevent: hello\ndata: {\"a\": 1}\n\n:\n\nid: 1-5\r\ndata: {}\r\n\r\nid: 1-6\n";
        let mut lines = text.as_bytes();
        let mut read = || next(&mut lines).unwrap();
        assert_eq!(read(), Some(Message { id: "1-4".into(), data: "{\"a\": 1}".into() }));
        assert_eq!(read(), Some(Message { id: "1-5".into(), data: "{}".into() }));
        assert_eq!(read(), None, "what was cut off is no message");
    }

    /// What was told is not told again; a new epoch counts anew.
    #[test]
    fn nothing_is_told_twice() {
        let some = |numbers: &[u64]| -> Vec<Happening> {
            let one = |number: &u64| Happening {
                number: *number,
                revision: 1,
                at: "t".into(),
                topic: Topic::Nodes,
                kind: "node_turned".into(),
                subject: "node 1".into(),
                text: "it is back".into(),
            };
            numbers.iter().map(one).collect()
        };
        let mut told = Told::default();
        let mut numbers = |epoch, happened: &[u64]| -> Vec<u64> {
            told.news(epoch, some(happened)).iter().map(|one| one.number).collect()
        };
        assert_eq!(numbers(3, &[7, 8]), [7, 8]);
        assert_eq!(numbers(3, &[8, 9]), [9]);
        assert_eq!(numbers(3, &[]), [0; 0]);
        assert_eq!(numbers(4, &[1]), [1]);
    }
}
