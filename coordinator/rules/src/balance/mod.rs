//! How busy nodes are, and what that means. Nothing is moved for it here.
//!
//! | question | file |
//! |---|---|
//! | how busy is a node, per medium? | [`score`] |

pub mod score;
