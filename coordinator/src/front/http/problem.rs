//! Errors of the HTTP face: problem+json (RFC 9457) with a stable code, a status, and what to do next.
//!
//! Out of a [`Reason`]: its own code, sentence and next step; the status says whose turn it is.

use crate::front::ask::Sorry;
use actix_web::http::StatusCode;
use actix_web::{HttpResponse, ResponseError};
use std::fmt;
use stele_common::api::ErrorBody;
use stele_coordinator_rules::Reason;

/// One refused request.
#[derive(Debug)]
pub struct Problem(pub ErrorBody);

impl Problem {
    pub fn new(status: StatusCode, code: &str, detail: impl Into<String>) -> Problem {
        let title = status.canonical_reason().unwrap_or("error").to_string();
        let body = ErrorBody { code: code.into(), title, status: status.as_u16(), detail: detail.into(), next: None };
        Problem(body)
    }

    pub fn next(mut self, next: impl Into<String>) -> Problem {
        self.0.next = Some(next.into());
        self
    }

    /// A better next step, where there is one.
    pub fn maybe_next(mut self, next: Option<String>) -> Problem {
        self.0.next = next.or(self.0.next);
        self
    }

    pub fn bad_request(detail: impl Into<String>) -> Problem {
        Problem::new(StatusCode::BAD_REQUEST, "bad_request", detail)
    }

    pub fn not_found(code: &str, detail: impl Into<String>) -> Problem {
        Problem::new(StatusCode::NOT_FOUND, code, detail)
    }
}

impl From<Reason> for Problem {
    fn from(reason: Reason) -> Problem {
        let mut problem = Problem::new(status(&reason), reason.code(), reason.detail());
        problem.0.next = reason.next();
        problem
    }
}

impl From<Sorry> for Problem {
    fn from(sorry: Sorry) -> Problem {
        match sorry {
            Sorry::Refused { reason, meant } => Problem::from(reason).maybe_next(meant),
            Sorry::Ending => Problem::new(StatusCode::SERVICE_UNAVAILABLE, "ending", "this coordinator is ending")
                .next("ask again when it is back"),
        }
    }
}

/// 4xx: the request must change or wait for a person; 503: the same request may do later; 507: room is missing.
fn status(reason: &Reason) -> StatusCode {
    use Reason::*;
    match reason {
        NoSuchTable { .. } | NoSuchPartition { .. } | NoSuchDisk { .. } | NoSuchLoad { .. } => StatusCode::NOT_FOUND,
        NoSuchNode { .. } | NoSuchRack { .. } | NoSuchReplica { .. } | NoSuchLease { .. } => StatusCode::NOT_FOUND,
        NoSuchKnob { .. } | NoSuchPlan { .. } => StatusCode::NOT_FOUND,
        BadRequest { .. } | BadKnob { .. } => StatusCode::BAD_REQUEST,
        NoQuorum { .. } | StoreIsOld { .. } | LevelForbids { .. } | AutoFreezed { .. } | NodesNotReported { .. } => {
            StatusCode::SERVICE_UNAVAILABLE
        }
        DiskFullForLoad { .. } | DiskWouldOverfill { .. } => StatusCode::INSUFFICIENT_STORAGE,
        TableExists { .. }
        | TooFewHosts { .. }
        | GroupMismatch { .. }
        | GroupNodeAway { .. }
        | LowerInSteps { .. }
        | WouldBeLast { .. }
        | NodeRemoved { .. }
        | NoOtherDisk { .. }
        | NoFreeHost { .. }
        | TableNotNormal { .. }
        | NodeDraining { .. }
        | DiskDraining { .. }
        | OtherTag { .. }
        | NotInBucket { .. }
        | BucketNodeAway { .. }
        | Unsalvaged { .. }
        | Inconsistent { .. }
        | TabletBusy { .. }
        | OtherContent { .. }
        | LoadInFlight { .. }
        | LoadTimedOut { .. }
        | LoadAborted
        | BallotMoved { .. }
        | AlreadyCommitted { .. }
        | Paused { .. }
        | BlackListed { .. }
        | NodeTakesEnough { .. }
        | RevisionMoved { .. }
        | NotReady { .. }
        | NoSource { .. }
        | NoSourceSlot { .. }
        | NoDestination { .. }
        | NoDestinationSlot { .. }
        | HostHasCopy { .. }
        | DiskNotOnline { .. }
        | NodeNotAlive { .. }
        | OtherMedium { .. }
        | TooManyReplicas { .. }
        | TabletHasTask { .. }
        | NowHealthy
        | QueueFull { .. }
        | Backoff { .. }
        | Unrecoverable { .. }
        | CopiesLost { .. }
        | NodeLost { .. }
        | TimedOut { .. }
        | Stalled { .. }
        | AgentFailed { .. }
        | SourceDamaged { .. }
        | NotAdopted
        | TableDropped
        | PrimariesEven
        | PrimariesUneven { .. }
        | PrimariesOnly
        | NotPrimary { .. }
        | LoadOnTablet { .. }
        | PrimaryRests { .. }
        | GroupBalanceOff { .. }
        | NodesUnsettled { .. }
        | GroupUnstable { .. }
        | GroupAlone { .. }
        | GroupEven { .. }
        | GroupUneven { .. }
        | BalanceDisabled
        | BalanceTooEarly { .. }
        | BalanceLooks { .. }
        | RepairsFirst { .. }
        | BalanceIdle { .. }
        | NothingEvens { .. }
        | BalanceHeld { .. }
        | RepairFirst { .. }
        | NotWorth { .. }
        | LastComplete { .. }
        | PlanStale { .. }
        | PlanRunning { .. }
        | PlanOver { .. }
        | PlanOnlyShown { .. }
        | PlanBlocked { .. }
        | TooFewHolders { .. }
        | LoadCountsIt { .. }
        | NotProven { .. }
        | EvidenceTimedOut { .. } => StatusCode::CONFLICT,
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.0.code, self.0.detail)
    }
}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        StatusCode::from_u16(self.0.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    fn error_response(&self) -> HttpResponse {
        let body = serde_json::to_string(&self.0).expect("an error body is plain text and numbers");
        HttpResponse::build(self.status_code()).content_type("application/problem+json").body(body)
    }
}
