//! `/v1/groups`: tables that stand together.

use super::{Front, Problem};
use crate::front::near;
use crate::front::view::operate;
use actix_web::get;
use actix_web::web::{Data, Json, Path};
use stele_common::api;

#[get("/v1/groups")]
pub async fn list(front: Data<Front>) -> Result<Json<api::Groups>, Problem> {
    Ok(Json(operate::groups(&front.ask.now().world, front.ask.clock().tick())))
}

#[get("/v1/groups/{name}")]
pub async fn show(front: Data<Front>, name: Path<String>) -> Result<Json<api::GroupInfo>, Problem> {
    let published = front.ask.now();
    let group = published.world.groups.get(&*name).ok_or_else(|| {
        Problem::not_found("no_such_group", format!("there is no colocation group `{name}`"))
            .next("see `stele group list`")
            .maybe_next(near::group(&published.world, &name))
    })?;
    Ok(Json(operate::group(&published.world, group, front.ask.clock().tick())))
}
