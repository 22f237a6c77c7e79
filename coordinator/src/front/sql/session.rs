//! One guest's commands, one after the other, until they leave. In: packets. Out: what their statements came to.

use super::Port;
use super::connection::{Connection, End};
use super::login::{Guest, Stream};
use super::wire::{self, AUTOCOMMIT, MORE_RESULTS, capability};
use crate::front::statements::fault::Fault;
use crate::front::statements::rows::{Column, Row, Sink};
use crate::front::statements::{self, Outcome, Session};
use std::time::{Duration, Instant};

/// Sending one answer may take so long; a slower client would hold a whole snapshot for as long as it likes.
const ANSWER_DEADLINE: Duration = Duration::from_secs(600);

mod command {
    pub const QUIT: u8 = 0x01;
    pub const INIT_DB: u8 = 0x02;
    pub const QUERY: u8 = 0x03;
    pub const FIELD_LIST: u8 = 0x04;
    pub const PING: u8 = 0x0e;
    pub const RESET_CONNECTION: u8 = 0x1f;
}

pub async fn serve(port: &Port, guest: Guest) -> End {
    let Guest { mut connection, mut session, abilities } = guest;
    let end = commands(port, &mut connection, &mut session, abilities).await;
    connection.close().await;
    match end {
        Ok(()) => End::Closed,
        Err(end) => end,
    }
}

type Line = Connection<Box<dyn Stream>>;

async fn commands(port: &Port, connection: &mut Line, session: &mut Session, abilities: u32) -> Result<(), End> {
    loop {
        let packet = connection.read(Duration::from_secs(session.wait_timeout_s)).await?;
        let Some((&command, body)) = packet.payload.split_first() else {
            return Err(connection.farewell(&Fault::unknown_command(0), End::Malformed).await);
        };
        match command {
            command::QUIT => return Ok(()),
            command::QUERY => query(port, connection, session, body, abilities).await?,
            command::INIT_DB => {
                let used = text(body).and_then(|db| port.engine.use_database(session, db));
                done(connection, used.err());
            }
            command::PING => done(connection, None),
            command::RESET_CONNECTION => {
                *session = Session::new(&session.user, session.role, &session.host, session.connection);
                done(connection, None);
            }
            // Columns, for completing names: they are not asked of tables here.
            command::FIELD_LIST => connection.put(|out| wire::put_eof(out, AUTOCOMMIT)),
            other => done(connection, Some(Fault::unknown_command(other))),
        }
        connection.flush().await?;
        drop(packet);
        connection.rest();
    }
}

fn text(body: &[u8]) -> Result<&str, Fault> {
    std::str::from_utf8(body).map_err(|_| Fault::not_utf8())
}

fn done(connection: &mut Line, fault: Option<Fault>) {
    match fault {
        Some(fault) => connection.put(|out| wire::put_error(out, &fault)),
        None => connection.put(|out| wire::put_ok(out, 0, AUTOCOMMIT, "")),
    }
}

async fn query(
    port: &Port,
    connection: &mut Line,
    session: &mut Session,
    body: &[u8],
    abilities: u32,
) -> Result<(), End> {
    let statements = match text(body).and_then(statements::split) {
        Ok(statements) if statements.len() > 1 && abilities & capability::MULTI_STATEMENTS == 0 => {
            let fault = Fault::syntax("this client has not asked for several statements at once");
            done(connection, Some(fault));
            return Ok(());
        }
        Ok(statements) => statements,
        Err(fault) => {
            count(Instant::now(), true);
            done(connection, Some(fault));
            return Ok(());
        }
    };
    let mut left = statements.len();
    for statement in statements {
        left -= 1;
        let status = AUTOCOMMIT | if left > 0 { MORE_RESULTS } else { 0 };
        let began = Instant::now();
        let mut rows = RowsOut { connection, began, end: None };
        let outcome = port.engine.run(session, statement, &mut rows).await;
        if let Some(end) = rows.end {
            return Err(end);
        }
        count(began, outcome.is_err());
        match outcome {
            Ok(Outcome::Rows) => connection.put(|out| wire::put_eof(out, status)),
            Ok(Outcome::Done { affected, message }) => {
                connection.put(|out| wire::put_ok(out, affected, status, &message));
            }
            Err(fault) => {
                // The rest is not run, as with every other server.
                connection.put(|out| wire::put_error(out, &fault));
                return Ok(());
            }
        }
    }
    Ok(())
}

fn count(began: Instant, is_error: bool) {
    let answer = if is_error { "error" } else { "ok" };
    metrics::counter!("stele_sql_statements_total", "answer" => answer).increment(1);
    metrics::histogram!("stele_sql_statement_seconds").record(began.elapsed().as_secs_f64());
}

/// Sends rows while they are made, and remembers why it could not.
struct RowsOut<'a> {
    connection: &'a mut Line,
    began: Instant,
    end: Option<End>,
}

impl Sink for RowsOut<'_> {
    async fn columns(&mut self, columns: &[Column]) -> Result<(), Fault> {
        self.connection.put(|out| wire::put_number(out, columns.len() as u64));
        for column in columns {
            self.connection.put(|out| wire::put_column(out, column));
        }
        self.connection.put(|out| wire::put_eof(out, AUTOCOMMIT));
        Ok(())
    }

    async fn row(&mut self, row: Row) -> Result<(), Fault> {
        self.connection.put(|out| wire::put_row(out, &row));
        let sent = match self.began.elapsed() > ANSWER_DEADLINE {
            true => Err(End::Slow),
            false => self.connection.flush_pieces().await,
        };
        sent.map_err(|end| {
            self.end = Some(end);
            Fault::ending()
        })
    }
}
