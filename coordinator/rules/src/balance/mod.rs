//! How busy nodes are, what that means, and which moves make them even. Nothing is moved here.
//!
//! | question | file |
//! |---|---|
//! | how busy is a node, per medium? | [`score`] |
//! | what must a move lower? | [`worth`]; counts of one table: [`counts`] |
//! | how even are the disks? | [`spread`] |
//! | what is a move, is it still worth it, which come next? | [`moves`] |
//! | which moves lead to the end, and what do they cost? | [`mod@plan`] |
//! | how does a planner see the world? | [`picture`]; counts of tables in it: [`tally`] |
//! | which bytes go where? | [`usage`], within the [`band`]; what is left: [`chains`], [`exchanges`] |
//! | which copies go where for the sake of counts? | [`fair`] |
//! | and both at once? | [`joint`], by the [`census`] of copies |
//! | what is the least that any plan must move? | [`bound`]; for counts [`dues`] |
//! | which replicas are primaries, so that each node has as many? | [`primaries`] |
//! | what comes first of all this? | [`selection`] |
//! | which nodes hold which bucket of a colocation group, so that it is even? | [`colocate`] |

pub mod band;
pub mod bound;
pub mod census;
pub mod chains;
pub mod colocate;
pub mod counts;
pub mod dues;
pub mod exchanges;
pub mod fair;
pub mod joint;
pub mod moves;
pub mod picture;
pub mod plan;
pub mod primaries;
pub mod score;
pub mod selection;
pub mod spread;
pub mod tally;
pub mod usage;
pub mod worth;

#[cfg(test)]
mod tests;
