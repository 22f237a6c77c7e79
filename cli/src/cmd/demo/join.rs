//! The demo's last deed with hosts: an empty one joins, a plan says what evening out costs, and is carried out.

use super::deeds::{STEP_WITHIN, Stage};
use super::since;
use crate::cluster::AgentEntry;
use crate::cmd::plan;
use crate::exit::Failure;
use crate::shapes;
use std::time::Instant;
use stele_common::api::{LevelAsk, LevelInfo, PlanAsk, PlanInfo, PlanState, PlanWhat};
use stele_common::status::Level;

impl Stage {
    /// Only repair moves anything while a plan is looked at, or everything again.
    pub fn set_level(&self, level: Level, reason: &str) -> Result<(), Failure> {
        let ask = LevelAsk { level, by: "demo".into(), reason: reason.into() };
        self.face().put::<_, LevelInfo>("/v1/level", &ask).map(|_| ())
    }

    /// What would move to make all even; nothing moves yet. What was moving has ended before.
    pub fn plan(&self) -> Result<PlanInfo, Failure> {
        self.wait_quiet()?;
        let what = PlanWhat::Balance { tables: Vec::new() };
        self.face().post("/v1/plans", &PlanAsk { what, owner: "demo".into(), reason: "an empty host joined".into() })
    }

    /// Carries the plan out, to its end.
    pub fn apply(&self, drawn: &PlanInfo, joined: &AgentEntry) -> Result<String, Failure> {
        let began = Instant::now();
        let id = drawn.id;
        self.face().post_empty::<PlanInfo>(&format!("/v1/plans/{id}/apply"), &[])?;
        let done = plan::wait(self.face(), id, began + STEP_WITHIN)?;
        match done.state {
            PlanState::Done => {}
            PlanState::Ready | PlanState::Running | PlanState::Cancelled | PlanState::Stopped => {
                return Err(Failure::error(shapes::plan_line(&done)));
            }
        }
        let (low, high) = drawn.price.eta_s;
        let held = self.held_by(joined)?.copies();
        Ok(format!(
            "{} now holds {held} copies; it took {}, {low} to {high} s were foretold",
            joined.host,
            since(began)
        ))
    }
}
