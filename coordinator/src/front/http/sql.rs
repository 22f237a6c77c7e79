//! `/v1/sql`: statements, for `stele sql` and for scripts. What they mean is the engine's; here they come and go.

use super::problem::Problem;
use super::{Front, body};
use crate::front::statements::fault::Fault;
use crate::front::statements::rows::{Column, Row, Sink, Value};
use crate::front::statements::{self, Outcome, Session};
use crate::front::users::User;
use actix_web::http::StatusCode;
use actix_web::web::{Data, Json, Payload, ReqData};
use actix_web::{HttpRequest, post};
use stele_common::api::{SqlAnswer, SqlAsk, SqlResult, SqlValue};

/// Bytes of one answer at most: it is held as a whole. More are for `LIMIT`, or for the MySQL port.
const BYTES_MAX: usize = 32 << 20;

#[post("/v1/sql")]
pub async fn run(
    front: Data<Front>,
    user: ReqData<User>,
    request: HttpRequest,
    payload: Payload,
) -> Result<Json<SqlAnswer>, Problem> {
    let ask: SqlAsk = body::read(payload).await?;
    let host = request.peer_addr().map_or_else(|| "?".to_string(), |peer| peer.ip().to_string());
    let mut session = Session::new(&user.name, user.role, &host, 0);
    if let Some(db) = &ask.db {
        front.engine.use_database(&mut session, db).map_err(problem)?;
    }
    let (mut results, mut bytes) = (Vec::new(), 0);
    for raw in statements::split(&ask.statement).map_err(problem)? {
        let mut result = SqlResult::default();
        let mut held = Held { result: &mut result, bytes: &mut bytes };
        if let Outcome::Done { affected, message } =
            front.engine.run(&mut session, raw, &mut held).await.map_err(problem)?
        {
            (result.affected, result.message) = (affected, message);
        }
        results.push(result);
    }
    Ok(Json(SqlAnswer { results }))
}

/// What is held of one answer, and the bytes of all of them.
struct Held<'a> {
    result: &'a mut SqlResult,
    bytes: &'a mut usize,
}

impl Sink for Held<'_> {
    async fn columns(&mut self, columns: &[Column]) -> Result<(), Fault> {
        self.result.columns = columns.iter().map(|column| column.name.to_string()).collect();
        Ok(())
    }

    async fn row(&mut self, row: Row) -> Result<(), Fault> {
        *self.bytes += row.iter().map(Value::bytes).sum::<usize>();
        if *self.bytes > BYTES_MAX {
            return Err(Fault::too_large(BYTES_MAX));
        }
        self.result.rows.push(row.into_iter().map(value).collect());
        Ok(())
    }
}

fn value(value: Value) -> SqlValue {
    match value {
        Value::Null => SqlValue::Null,
        Value::Whole(number) => SqlValue::Whole(number),
        Value::Real(number) => SqlValue::Real(number),
        Value::Text(text) => SqlValue::Text(text),
    }
}

/// By the numbers that MySQL's clients know.
fn problem(fault: Fault) -> Problem {
    let (status, code) = match fault.code {
        _ if fault.is_absent => (StatusCode::NOT_FOUND, "not_found"),
        1064 | 1065 | 1054 | 1193 | 1238 => (StatusCode::BAD_REQUEST, "bad_statement"),
        1046 => (StatusCode::BAD_REQUEST, "no_database"),
        1227 => (StatusCode::FORBIDDEN, "not_allowed"),
        1153 => (StatusCode::PAYLOAD_TOO_LARGE, "too_large"),
        1053 => (StatusCode::SERVICE_UNAVAILABLE, "ending"),
        _ => (StatusCode::CONFLICT, "refused"),
    };
    Problem::new(status, code, fault.text)
}
