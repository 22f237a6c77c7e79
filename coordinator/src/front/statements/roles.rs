//! Which role a statement needs. In: a statement. Out: the least role that may run it.

use super::stmt::{Admin, Stmt, System};
use crate::front::users::Role;

/// `None`: it changes nothing.
pub fn needed(stmt: &Stmt) -> Option<Role> {
    match stmt {
        Stmt::Show(..) | Stmt::Select(_) | Stmt::Use(_) | Stmt::Set { .. } | Stmt::Help(_) | Stmt::Nothing => None,
        Stmt::Admin(Admin::Repair(_) | Admin::CancelRepair(_) | Admin::SetReplica(_) | Admin::CheckTablets { .. })
        | Stmt::System(System::Decommission(_) | System::CancelDecommission(_)) => Some(Role::Operator),
        Stmt::Admin(Admin::SetConfig(_)) | Stmt::System(System::Add(_) | System::Drop { .. }) | Stmt::Ddl(_) => {
            Some(Role::Admin)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::front::statements::{parse, split};

    /// Looking needs no role; repairing an operator; changing what there is an admin.
    #[test]
    fn roles() {
        for (sql, role) in [
            ("SHOW BACKENDS", None),
            ("select count(*) from information_schema.nodes", None),
            ("admin repair table d.t", Some(Role::Operator)),
            ("alter system decommission backend 'h:1'", Some(Role::Operator)),
            ("alter system drop backend 'h:1' force", Some(Role::Admin)),
            ("admin set frontend config ('a' = 'b')", Some(Role::Admin)),
            ("drop table d.t", Some(Role::Admin)),
        ] {
            let raw = split(sql).unwrap().remove(0);
            assert_eq!(needed(&parse::statement(raw.tokens).unwrap()), role, "{sql}");
        }
    }
}
