//! `/v1/plans`: what would move and what it costs, before anything moves; applied and called off.
//!
//! A plan is drawn on the newest snapshot, on a thread of its own: a large house takes seconds. Few at once.

use super::{Front, Page, Problem, body};
use crate::front::ask::Sorry;
use crate::front::view::plans;
use actix_web::http::StatusCode;
use actix_web::web::{self, Data, Json, Path, Payload, Query};
use actix_web::{get, post};
use stele_common::api::{PlanAsk, PlanInfo, Plans};
use stele_coordinator_rules::plans::{Plan, draw};
use stele_coordinator_rules::schedule::rates::Rates;
use stele_coordinator_rules::{Answer, EventBody};
use tokio::sync::Semaphore;

/// Plans drawn at once: each holds a snapshot and a picture of it.
static DRAWERS: Semaphore = Semaphore::const_new(2);

#[get("/v1/plans")]
pub async fn list(front: Data<Front>) -> Result<Json<Plans>, Problem> {
    let published = front.ask.now();
    // Progress of large plans takes milliseconds: not on a worker.
    web::block(move || plans::list(&published.world)).await.map(Json).map_err(|_| Sorry::Ending.into())
}

#[get("/v1/plans/{id}")]
pub async fn show(front: Data<Front>, id: Path<u64>, page: Query<Page<usize>>) -> Result<Json<PlanInfo>, Problem> {
    shown(&front, *id, page.after.unwrap_or(0), page.limit.unwrap_or(usize::MAX)).await.map(Json)
}

#[post("/v1/plans")]
pub async fn make(front: Data<Front>, payload: Payload) -> Result<Json<PlanInfo>, Problem> {
    let PlanAsk { what, owner, reason } = body::read(payload).await?;
    let Ok(drawer) = DRAWERS.try_acquire() else {
        let problem = Problem::new(StatusCode::SERVICE_UNAVAILABLE, "busy", "two plans are being drawn already");
        return Err(problem.next("try again in a moment"));
    };
    let (published, at) = (front.ask.now(), front.ask.clock().tick());
    let drawn = web::block(move || {
        let _drawer = drawer;
        let drawn = draw::draw(&published.world, &what, at)?;
        Ok(Plan::of(&published.world, what, drawn, &Rates::remembered(published.world.history.iter()), at))
    });
    let plan: Plan = drawn.await.map_err(|_| Sorry::Ending)?.map_err(|reason| front.ask.refused(reason))?;
    let plan = Box::new(Plan { owner, reason, ..plan });
    let Answer::Plan(id) = front.ask.catalog(EventBody::KeepPlan(plan)).await? else {
        return Err(Sorry::Ending.into());
    };
    shown(&front, id, 0, usize::MAX).await.map(Json)
}

#[post("/v1/plans/{id}/apply")]
pub async fn apply(front: Data<Front>, id: Path<u64>) -> Result<Json<PlanInfo>, Problem> {
    front.ask.catalog(EventBody::ApplyPlan { id: *id }).await?;
    shown(&front, *id, 0, 0).await.map(Json)
}

#[post("/v1/plans/{id}/cancel")]
pub async fn cancel(front: Data<Front>, id: Path<u64>) -> Result<Json<PlanInfo>, Problem> {
    front.ask.catalog(EventBody::CancelPlan { id: *id }).await?;
    shown(&front, *id, 0, 0).await.map(Json)
}

async fn shown(front: &Front, id: u64, skip: usize, moves_max: usize) -> Result<PlanInfo, Problem> {
    let published = front.ask.now();
    let found = web::block(move || {
        let plan = published.world.plans.get(id)?;
        Some(plans::info(&published.world, plan, skip, moves_max))
    });
    let found = found.await.map_err(|_| Sorry::Ending)?;
    found.ok_or_else(|| {
        Problem::not_found("no_such_plan", format!("there is no plan {id}")).next("see `stele plan list`")
    })
}
