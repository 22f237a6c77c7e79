//! How a command ends: its exit code and the words that go with it.
//!
//! Every failure names the thing it is about and, where there is one, the next step. A reader that went away
//! (`stele ls | head`) is not a failure. Nothing here prints; `main` does, once.

use std::{fmt, io};

/// What the shell is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    Done,
    Error,
    /// Refused by a check, or a verification found something.
    Refused,
    NotFound,
    Timeout,
    Usage,
    /// Somebody asked it to stop; shells call SIGINT so.
    Interrupted,
}

impl Exit {
    pub fn code(self) -> u8 {
        match self {
            Exit::Done => 0,
            Exit::Error => 1,
            Exit::Refused => 2,
            Exit::NotFound => 3,
            Exit::Timeout => 5,
            Exit::Usage => 64,
            Exit::Interrupted => 130,
        }
    }

    /// The code that fits an HTTP status of ours.
    pub fn of_status(status: u16) -> Exit {
        match status {
            404 | 410 => Exit::NotFound,
            408 | 504 => Exit::Timeout,
            403 | 409 | 412 | 422 | 423 | 507 => Exit::Refused,
            _ => Exit::Error,
        }
    }
}

/// Where a failure came from, for code that decides whether to try again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Nobody answered, or the connection broke.
    Unreachable,
    /// A problem+json answer.
    Problem {
        status: u16,
        code: String,
    },
    /// Somebody asked this process to stop.
    Interrupted,
    /// Whoever read our output went away.
    BrokenPipe,
    Here,
}

/// Why a command did not do what it was asked.
#[derive(Clone, Debug)]
pub struct Failure {
    pub exit: Exit,
    pub origin: Origin,
    text: String,
    next: Option<String>,
}

/// What a command returns.
pub type Outcome = Result<Exit, Failure>;

impl Failure {
    fn new(exit: Exit, text: impl Into<String>) -> Failure {
        Failure { exit, origin: Origin::Here, text: text.into(), next: None }
    }

    pub fn error(text: impl Into<String>) -> Failure {
        Failure::new(Exit::Error, text)
    }

    pub fn refused(text: impl Into<String>) -> Failure {
        Failure::new(Exit::Refused, text)
    }

    pub fn not_found(text: impl Into<String>) -> Failure {
        Failure::new(Exit::NotFound, text)
    }

    pub fn timeout(text: impl Into<String>) -> Failure {
        Failure::new(Exit::Timeout, text)
    }

    pub fn usage(text: impl Into<String>) -> Failure {
        Failure::new(Exit::Usage, text)
    }

    /// What a command that was asked to stop has to say.
    pub fn interrupted_as(text: impl Into<String>) -> Failure {
        Failure { origin: Origin::Interrupted, ..Failure::new(Exit::Interrupted, text) }
    }

    pub fn interrupted() -> Failure {
        Failure::interrupted_as("interrupted")
    }

    pub fn unreachable(text: impl Into<String>) -> Failure {
        Failure { origin: Origin::Unreachable, ..Failure::new(Exit::Error, text) }
    }

    pub fn problem(status: u16, code: &str, text: impl Into<String>) -> Failure {
        let origin = Origin::Problem { status, code: code.to_string() };
        Failure { origin, ..Failure::new(Exit::of_status(status), text) }
    }

    /// A failed write to standard output.
    pub fn output(error: io::Error) -> Failure {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Failure { origin: Origin::BrokenPipe, ..Failure::new(Exit::Done, "") },
            _ => Failure::error(format!("cannot write to standard output: {error}")),
        }
    }

    /// A failed deed on a file; `deed` reads like `cannot read /etc/x`.
    pub fn io(deed: impl fmt::Display, error: impl fmt::Display) -> Failure {
        Failure::error(format!("{deed}: {error}"))
    }

    /// Adds the next step.
    pub fn next(mut self, next: impl Into<String>) -> Failure {
        self.next = Some(next.into());
        self
    }

    /// Adds the next step where there is one.
    pub fn maybe_next(mut self, next: Option<String>) -> Failure {
        self.next = next.or(self.next);
        self
    }

    /// The same failure under another exit code.
    pub fn with_exit(self, exit: Exit) -> Failure {
        Failure { exit, ..self }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)?;
        match &self.next {
            Some(next) => write!(f, "; {next}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Failure {}

#[cfg(test)]
mod tests {
    use super::*;

    /// Scripts rely on these numbers.
    #[test]
    fn codes_are_pinned() {
        let all =
            [Exit::Done, Exit::Error, Exit::Refused, Exit::NotFound, Exit::Timeout, Exit::Usage, Exit::Interrupted];
        assert_eq!(all.map(Exit::code), [0, 1, 2, 3, 5, 64, 130]);
        assert_eq!([404, 409, 503, 504, 500, 507].map(|status| Exit::of_status(status).code()), [3, 2, 1, 5, 1, 2]);
    }

    /// A reader that left is success; any other failed write is not.
    #[test]
    fn a_broken_pipe_is_no_failure() {
        let gone = Failure::output(io::Error::from(io::ErrorKind::BrokenPipe));
        assert_eq!((gone.exit, gone.origin), (Exit::Done, Origin::BrokenPipe));
        assert_eq!(Failure::output(io::Error::other("disk full")).exit, Exit::Error);
    }

    /// The next step follows the thing it is about.
    #[test]
    fn failures_name_the_next_step() {
        let failure = Failure::not_found("there is no table d.t").next("see 'stele table list'");
        assert_eq!(failure.to_string(), "there is no table d.t; see 'stele table list'");
    }
}
