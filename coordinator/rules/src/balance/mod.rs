//! How busy nodes are, what that means, and which moves make them even. Nothing is moved here.
//!
//! | question | file |
//! |---|---|
//! | how busy is a node, per medium? | [`score`] |
//! | what must a move lower? | [`worth`]; counts of one table: [`counts`] |
//! | what is a move, is it still worth it, which come next? | [`moves`] |

pub mod counts;
pub mod moves;
pub mod score;
pub mod worth;
