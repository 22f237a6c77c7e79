//! Who has logged in with the web page: tokens that end by themselves, so that a browser keeps no password.
//!
//! In: a user who has proven who it is. Out: a token for `Authorization: Bearer`, and later the user of a token. Only
//! digests are kept, in memory: a restart ends every session. One whose user was changed or removed in the file ends, too.

use super::users::{User, Users, hex, token_digest};
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// A working day.
pub const LASTS: Duration = Duration::from_secs(12 * 3600);
/// Of one user: more at once are nobody's work; then the one of them that ends first ends now. Others' never do.
const OF_ONE_MAX: usize = 20;

#[derive(Debug)]
struct Session {
    user: User,
    ends: Instant,
}

/// By the digest of the token.
#[derive(Debug, Default)]
pub struct Sessions(Mutex<BTreeMap<String, Session>>);

impl Sessions {
    /// A new token for a user.
    pub fn open(&self, user: User, now: Instant) -> Result<String, getrandom::Error> {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes)?;
        let token = hex(&bytes);
        let mut sessions = self.lock();
        sessions.retain(|_, session| session.ends > now);
        let own = || sessions.iter().filter(|(_, session)| session.user.name == user.name);
        if own().count() >= OF_ONE_MAX
            && let Some(first) = own().min_by_key(|(_, session)| session.ends).map(|(key, _)| key.clone())
        {
            sessions.remove(&first);
        }
        sessions.insert(token_digest(&token), Session { user, ends: now + LASTS });
        Ok(token)
    }

    /// Whose token it is, as long as the session lasts and the user is what it was then.
    pub fn user(&self, token: &str, users: &Users, now: Instant) -> Option<User> {
        let user = self.lock().get(&token_digest(token)).filter(|session| session.ends > now)?.user.clone();
        users.named(&user.name).filter(|named| *named == user)
    }

    pub fn close(&self, token: &str) {
        self.lock().remove(&token_digest(token));
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Session>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::front::users::Role;

    /// A session ends by itself, when it is closed, and when its user is another than it was; there are so many at most.
    #[test]
    fn sessions_end() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("users.toml");
        let write = |role: &str| {
            let bo = "[[user]]\nname = 'bo'\nrole = 'viewer'\n";
            std::fs::write(&file, format!("[[user]]\nname = 'ana'\nrole = '{role}'\n{bo}")).unwrap();
        };
        write("viewer");
        let users = Users::open(Some(file.clone())).unwrap();
        let (sessions, began) = (Sessions::default(), Instant::now());
        let ana = users.named("ana").unwrap();
        let token = sessions.open(ana.clone(), began).unwrap();
        let role = |token: &str, after: Duration| sessions.user(token, &users, began + after).map(|user| user.role);
        assert_eq!(role(&token, Duration::ZERO), Some(Role::Viewer));
        assert_eq!(role("other", Duration::ZERO), None);
        assert_eq!(role(&token, LASTS), None, "it is over");
        write("operator");
        assert_eq!(role(&token, Duration::ZERO), None, "the user has another role now");

        write("viewer");
        let bo = sessions.open(users.named("bo").unwrap(), began).unwrap();
        let many: Vec<String> =
            (0..OF_ONE_MAX * 2).map(|_| sessions.open(ana.clone(), began + Duration::from_secs(1)).unwrap()).collect();
        assert_eq!(role(&token, Duration::ZERO), None, "the first of so many is over");
        assert_eq!(role(&bo, Duration::ZERO), Some(Role::Viewer), "another user's is not");
        assert_eq!(sessions.lock().len(), OF_ONE_MAX + 1);
        let last = many.last().unwrap();
        sessions.close(last);
        assert_eq!(role(last, Duration::ZERO), None);
        sessions.open(ana, began + LASTS * 2).unwrap();
        assert_eq!(sessions.lock().len(), 1, "those that are over are forgotten");
    }
}
