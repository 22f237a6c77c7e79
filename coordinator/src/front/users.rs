//! Who may come in, and what each may do: a file of users with roles, kept digests of passwords and of HTTP tokens.
//!
//! Without a file there is one user, `root`, who may do everything and needs no password, from this machine only. The
//! file is read again when it has changed; one that has become unreadable lets nobody in until it is mended.

use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

/// The user without a file.
pub const ROOT: &str = "root";

/// What a user may do; each may do what those before it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Looks.
    Viewer,
    /// Repairs, drains, takes leases.
    Operator,
    /// Everything: tables, knobs, levels, removing nodes.
    Admin,
}

impl Role {
    pub const ALL: [Role; 3] = [Role::Viewer, Role::Operator, Role::Admin];

    pub fn as_str(self) -> &'static str {
        match self {
            Role::Viewer => "viewer",
            Role::Operator => "operator",
            Role::Admin => "admin",
        }
    }
}

/// What is kept of a password: its digests, twice over, by the two methods of MySQL clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Secret {
    pub native: Vec<u8>,
    pub sha2: Vec<u8>,
}

impl Secret {
    pub fn of(password: &str) -> Secret {
        let twice = |algorithm| digest(algorithm, digest(algorithm, password.as_bytes()).as_ref()).as_ref().to_vec();
        Secret { native: twice(&SHA1_FOR_LEGACY_USE_ONLY), sha2: twice(&SHA256) }
    }
}

/// One user of the file.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct User {
    pub name: String,
    pub role: Role,
    /// Hex; absent: no password, and only from this machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub native: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha2: Option<String>,
    /// Digest of the token for HTTP, hex.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
}

impl fmt::Debug for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "User({}, {})", self.name, self.role.as_str())
    }
}

impl User {
    pub fn new(name: &str, role: Role) -> User {
        User { name: name.into(), role, native: None, sha2: None, token: None }
    }

    pub fn with_password(mut self, password: &str) -> User {
        let secret = Secret::of(password);
        (self.native, self.sha2) = (Some(hex(&secret.native)), Some(hex(&secret.sha2)));
        self
    }

    pub fn with_token(mut self, token: &str) -> User {
        self.token = Some(token_digest(token));
        self
    }

    /// `None`: the user has no password.
    pub fn secret(&self) -> Option<Secret> {
        Some(Secret { native: from_hex(self.native.as_ref()?)?, sha2: from_hex(self.sha2.as_ref()?)? })
    }

    fn fault(&self) -> Option<String> {
        let is_name = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
        if self.name.is_empty() || self.name.len() > 64 || !self.name.chars().all(is_name) {
            return Some(format!("`{}` is no name of a user: letters, digits, `_`, `-`, `.`", self.name));
        }
        let length = |text: &Option<String>| text.as_ref().map(|text| from_hex(text).map_or(0, |bytes| bytes.len()));
        match (length(&self.native), length(&self.sha2), length(&self.token)) {
            (None, None, None | Some(32)) | (Some(20), Some(32), None | Some(32)) => None,
            _ => Some(format!("what is kept for user `{}` is not whole: set the password again", self.name)),
        }
    }
}

/// The file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UserFile {
    #[serde(default, rename = "user")]
    pub users: Vec<User>,
}

impl UserFile {
    /// What the text of `origin` says.
    pub fn parse(text: &str, origin: &Path) -> Result<UserFile, String> {
        let file: UserFile = stele_common::config::parse(text, &origin.display().to_string(), &BTreeMap::new())
            .map_err(|error| error.to_string())?;
        let fault = file.users.iter().find_map(User::fault);
        let twice = || {
            let known = |index: usize, name: &str| file.users[..index].iter().any(|user| user.name == name);
            let twice = file.users.iter().enumerate().find(|(index, user)| known(*index, &user.name));
            twice.map(|(_, user)| format!("user `{}` is there twice", user.name))
        };
        match fault.or_else(twice) {
            Some(fault) => Err(format!("{}: {fault}", origin.display())),
            None => Ok(file),
        }
    }
}

/// Everybody who may come in.
#[derive(Debug)]
pub struct Users {
    file: Option<PathBuf>,
    read: Mutex<Read>,
}

#[derive(Debug, Default)]
struct Read {
    stamp: Option<(SystemTime, u64)>,
    users: Vec<User>,
}

impl Users {
    /// With a file: it must be there and sound.
    pub fn open(file: Option<PathBuf>) -> Result<Users, String> {
        let users = Users { file, read: Mutex::default() };
        users.refreshed(&mut users.read.lock().unwrap_or_else(PoisonError::into_inner))?;
        Ok(users)
    }

    /// Nobody has been named: root may come in without a password, from this machine.
    pub fn is_open_house(&self) -> bool {
        self.file.is_none()
    }

    pub fn named(&self, name: &str) -> Option<User> {
        self.find(|user| user.name == name)
    }

    /// Who that is, if the password is right.
    pub fn with_password(&self, name: &str, password: &str) -> Option<User> {
        self.named(name).filter(|user| user.secret().is_some_and(|secret| secret == Secret::of(password)))
    }

    /// Whose token this is.
    pub fn with_token(&self, token: &str) -> Option<User> {
        let digest = token_digest(token);
        self.find(|user| user.token.as_deref() == Some(&digest))
    }

    fn find(&self, is_it: impl Fn(&User) -> bool) -> Option<User> {
        if self.is_open_house() {
            return Some(User::new(ROOT, Role::Admin)).filter(|root| is_it(root));
        }
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = self.refreshed(&mut read) {
            tracing::error!(error, "nobody may come in");
            *read = Read::default();
        }
        read.users.iter().find(|user| is_it(user)).cloned()
    }

    /// Reads the file if it has changed.
    fn refreshed(&self, read: &mut Read) -> Result<(), String> {
        let Some(file) = &self.file else { return Ok(()) };
        let failed = |error: std::io::Error| format!("cannot read the users in {}: {error}", file.display());
        let meta = std::fs::metadata(file).map_err(failed)?;
        let stamp = Some((meta.modified().map_err(failed)?, meta.len()));
        if read.stamp != stamp {
            let users = UserFile::parse(&std::fs::read_to_string(file).map_err(failed)?, file)?.users;
            *read = Read { stamp, users };
        }
        Ok(())
    }
}

/// Tokens are long and random, so one digest of them is enough.
pub fn token_digest(token: &str) -> String {
    hex(digest(&SHA256, token.as_bytes()).as_ref())
}

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digit = |c: u8| (c as char).to_digit(16).map(|digit| digit as u8);
    let pairs = text.as_bytes().chunks(2).map(|pair| Some(digit(pair[0])? << 4 | digit(*pair.get(1)?)?));
    pairs.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Root is there until a file is; then its users are, and a change of it is seen at once.
    #[test]
    fn users_of_a_file() {
        let open = Users::open(None).unwrap();
        assert_eq!(open.named(ROOT).map(|user| (user.role, user.secret())), Some((Role::Admin, None)));
        assert!(open.named("ana").is_none());

        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("users.toml");
        assert!(Users::open(Some(path.clone())).unwrap_err().contains("cannot read the users"));
        let ana = User::new("ana", Role::Operator).with_password("x").with_token("secret-token");
        let write = |users: Vec<User>| std::fs::write(&path, toml_text(&users)).unwrap();
        write(vec![ana.clone()]);
        let users = Users::open(Some(path.clone())).unwrap();
        assert!(users.named(ROOT).is_none());
        assert_eq!(users.named("ana").and_then(|user| user.secret()), Some(Secret::of("x")));
        assert_eq!(users.with_token("secret-token"), Some(ana.clone()));
        assert!(users.with_token("other").is_none());

        write(vec![ana, User::new("bo", Role::Viewer)]);
        assert_eq!(users.named("bo").map(|user| user.role), Some(Role::Viewer));
        std::fs::write(&path, "user = 3").unwrap();
        assert!(users.named("bo").is_none());
    }

    fn toml_text(users: &[User]) -> String {
        let one = |user: &User| {
            let more = [("native", &user.native), ("sha2", &user.sha2), ("token", &user.token)];
            let more =
                more.iter().filter_map(|(key, value)| value.as_ref().map(|value| format!("{key} = '{value}'\n")));
            format!("[[user]]\nname = '{}'\nrole = '{}'\n{}", user.name, user.role.as_str(), more.collect::<String>())
        };
        users.iter().map(one).collect()
    }

    /// A file whose users are twice there, or half there, is refused.
    #[test]
    fn faulty_files() {
        let parse = |text: &str| UserFile::parse(text, Path::new("users.toml"));
        let twice = "[[user]]\nname='a'\nrole='viewer'\n".repeat(2);
        assert!(parse(&twice).unwrap_err().contains("twice"));
        assert!(parse("[[user]]\nname='a'\nrole='viewer'\nnative='00'\n").unwrap_err().contains("not whole"));
        assert!(parse("[[user]]\nname='a b'\nrole='viewer'\n").unwrap_err().contains("no name"));
        assert!(parse("[[user]]\nname='a'\nrole='king'\n").is_err());
    }
}
