//! One guest's commands, one after the other, until they leave. In: packets. Out: what their statements came to.

use super::Port;
use super::connection::{Connection, End};
use super::login::{Guest, Stream};
use super::prepared::{self, Prepared};
use super::values;
use super::wire::{self, AUTOCOMMIT, MORE_RESULTS, capability};
use crate::front::statements::fault::Fault;
use crate::front::statements::rows::{Column, Row, Sink};
use crate::front::statements::{self, Outcome, Raw, Session};
use std::time::{Duration, Instant};

/// Sending one answer may take so long; a slower client would hold a whole snapshot for as long as it likes.
const ANSWER_DEADLINE: Duration = Duration::from_secs(600);

mod command {
    pub const QUIT: u8 = 0x01;
    pub const INIT_DB: u8 = 0x02;
    pub const QUERY: u8 = 0x03;
    pub const FIELD_LIST: u8 = 0x04;
    pub const STATISTICS: u8 = 0x09;
    pub const PING: u8 = 0x0e;
    pub const STMT_PREPARE: u8 = 0x16;
    pub const STMT_EXECUTE: u8 = 0x17;
    pub const STMT_SEND_LONG_DATA: u8 = 0x18;
    pub const STMT_CLOSE: u8 = 0x19;
    pub const STMT_RESET: u8 = 0x1a;
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
    let mut prepared = Prepared::default();
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
            // A text, neither rows nor OK.
            command::STATISTICS => connection.put(|out| out.extend_from_slice(port.engine.statistics().as_bytes())),
            command::RESET_CONNECTION => {
                *session = Session::new(&session.user, session.role, &session.host, session.connection);
                prepared = Prepared::default();
                done(connection, None);
            }
            command::STMT_PREPARE => prepare(port, connection, session, &mut prepared, body).await,
            command::STMT_EXECUTE => match prepared.execute(body) {
                Ok(raw) => drop(one(port, connection, session, raw, Format::Binary, AUTOCOMMIT).await?),
                Err(fault) => refused(connection, &fault),
            },
            // These two are never answered.
            command::STMT_SEND_LONG_DATA => prepared.long_value(body),
            command::STMT_CLOSE => prepared.close(body),
            command::STMT_RESET => done(connection, prepared.reset(body).err()),
            // Columns, for completing names: those are asked for by statements; a table that is not there is told.
            command::FIELD_LIST => match field_list(port, session, body) {
                Ok(()) => connection.put(|out| wire::put_eof(out, AUTOCOMMIT)),
                Err(fault) => refused(connection, &fault),
            },
            other => done(connection, Some(Fault::unknown_command(other))),
        }
        connection.flush().await?;
        drop(packet);
        connection.rest();
    }
}

/// The table whose columns are asked for, up to the first zero.
fn field_list(port: &Port, session: &Session, body: &[u8]) -> Result<(), Fault> {
    let name = body.split(|byte| *byte == 0).next().unwrap_or_default();
    port.engine.has_table(session, text(name)?)
}

/// Keeps a statement, and says what it waits for and what it will show.
async fn prepare(port: &Port, connection: &mut Line, session: &mut Session, prepared: &mut Prepared, body: &[u8]) {
    let described = async {
        let text = text(body)?;
        let raw = prepared::one(text)?;
        let parameters = raw.places();
        let columns = port.engine.describe(session, raw).await?;
        Ok::<_, Fault>((prepared.keep(text, parameters)?, parameters, columns))
    };
    let (id, parameters, columns) = match described.await {
        Ok(described) => described,
        Err(fault) => return refused(connection, &fault),
    };
    connection.put(|out| wire::put_prepared(out, id, columns.len(), parameters));
    let parameter = Column::of("?");
    for columns in [vec![&parameter; parameters], columns.iter().collect()] {
        if !columns.is_empty() {
            columns.iter().for_each(|column| connection.put(|out| wire::put_column(out, column)));
            connection.put(|out| wire::put_eof(out, AUTOCOMMIT));
        }
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
            refused(connection, &Fault::syntax("this client has not asked for several statements at once"));
            return Ok(());
        }
        Ok(statements) => statements,
        Err(fault) => {
            refused(connection, &fault);
            return Ok(());
        }
    };
    let mut left = statements.len();
    for statement in statements {
        left -= 1;
        let status = AUTOCOMMIT | if left > 0 { MORE_RESULTS } else { 0 };
        // After a fault the rest is not run, as with every other server.
        if !one(port, connection, session, statement, Format::Text, status).await? {
            break;
        }
    }
    Ok(())
}

/// Runs one statement and sends what it came to; whether that is no fault.
async fn one(
    port: &Port,
    connection: &mut Line,
    session: &mut Session,
    statement: Raw,
    format: Format,
    status: u16,
) -> Result<bool, End> {
    let began = Instant::now();
    let mut rows = RowsOut { connection, format, columns: Vec::new(), began, end: None };
    let outcome = port.engine.run(session, statement, &mut rows).await;
    if let Some(end) = rows.end {
        return Err(end);
    }
    count(began, outcome.is_err());
    match &outcome {
        Ok(Outcome::Rows) => connection.put(|out| wire::put_eof(out, status)),
        Ok(Outcome::Done { affected, message }) => {
            connection.put(|out| wire::put_ok(out, *affected, status, message));
        }
        Err(fault) => connection.put(|out| wire::put_error(out, fault)),
    }
    Ok(outcome.is_ok())
}

/// What could not even begin.
fn refused(connection: &mut Line, fault: &Fault) {
    count(Instant::now(), true);
    connection.put(|out| wire::put_error(out, fault));
}

fn count(began: Instant, is_error: bool) {
    let answer = if is_error { "error" } else { "ok" };
    metrics::counter!("stele_sql_statements_total", "answer" => answer).increment(1);
    metrics::histogram!("stele_sql_statement_seconds").record(began.elapsed().as_secs_f64());
}

/// How rows are written: as texts, or, for prepared statements, each value as its column was announced.
#[derive(Clone, Copy, Debug)]
enum Format {
    Text,
    Binary,
}

/// Sends rows while they are made, and remembers why it could not.
struct RowsOut<'a> {
    connection: &'a mut Line,
    format: Format,
    columns: Vec<Column>,
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
        self.columns = columns.to_vec();
        Ok(())
    }

    async fn row(&mut self, row: Row) -> Result<(), Fault> {
        let (format, columns) = (self.format, &self.columns);
        self.connection.put(|out| match format {
            Format::Text => wire::put_row(out, &row),
            Format::Binary => values::put_row(out, columns, &row),
        });
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
