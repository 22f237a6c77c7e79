//! `stele user`: who may come in. Edits the coordinator's file of users, which is read again when it changes.
//!
//! The file holds digests only, is readable by its owner alone, and is replaced as a whole.

use crate::exit::{Exit, Failure, Outcome};
use crate::flags::Global;
use crate::table::{self, Rows};
use clap::{Args, Subcommand, ValueEnum};
use serde::Serialize;
use std::fs::File;
use std::io::{BufRead, IsTerminal, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use stele_common::Digest;
use stele_coordinator::front::users::{Role, User, UserFile};

#[derive(Debug, Subcommand)]
pub enum UserVerb {
    /// Let somebody in
    Add(AddArgs),
    /// Everybody who may come in
    #[command(after_help = "Example:\n  stele user list --file /etc/stele/users.toml")]
    List(FileArg),
    /// Let somebody in no more
    #[command(after_help = "Example:\n  stele user remove ana --file /etc/stele/users.toml")]
    Remove(OneArgs),
    /// Set another password
    #[command(after_help = "Example:\n  stele user passwd ana --file /etc/stele/users.toml")]
    Passwd(OneArgs),
    /// Make another token for HTTP; the old one ends
    #[command(after_help = "Example:\n  stele user token ana --file /etc/stele/users.toml")]
    Token(OneArgs),
}

#[derive(Debug, Args)]
pub struct FileArg {
    /// The coordinator's `users_file`
    #[arg(long, env = "STELE_USERS_FILE", value_name = "FILE")]
    file: PathBuf,
}

#[derive(Debug, Args)]
pub struct OneArgs {
    /// The user's name
    name: String,
    #[command(flatten)]
    place: FileArg,
}

#[derive(Debug, Args)]
#[command(
    after_help = "The password is asked for; where standard input is no terminal its first line is taken, and an empty one means none
(then the user comes in from the coordinator's machine only). The token for HTTP is printed once: STELE_TOKEN.

Example:
  stele user add ana --role operator --file /etc/stele/users.toml"
)]
pub struct AddArgs {
    /// The user's name
    name: String,
    /// What the user may do
    #[arg(long, value_enum)]
    role: RoleFlag,
    #[command(flatten)]
    place: FileArg,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum RoleFlag {
    /// Look
    Viewer,
    /// Repair, drain, load, too
    Operator,
    /// Everything
    Admin,
}

impl RoleFlag {
    fn meant(self) -> Role {
        match self {
            RoleFlag::Viewer => Role::Viewer,
            RoleFlag::Operator => Role::Operator,
            RoleFlag::Admin => Role::Admin,
        }
    }
}

pub fn run(global: &Global, verb: &UserVerb) -> Outcome {
    match verb {
        UserVerb::Add(args) => add(args),
        UserVerb::List(place) => list(global, place),
        UserVerb::Remove(args) => change(args, |file, place| {
            file.users.remove(place);
            Ok(format!("removed user {}", args.name))
        }),
        UserVerb::Passwd(args) => change(args, |file, place| {
            let user = file.users[place].clone();
            file.users[place] = with_password(User { native: None, sha2: None, ..user }, &password()?);
            Ok(format!("user {} has another password", args.name))
        }),
        UserVerb::Token(args) => change(args, |file, place| {
            let token = random()?;
            file.users[place] = file.users[place].clone().with_token(&token);
            Ok(format!("token  {token}"))
        }),
    }
}

fn add(args: &AddArgs) -> Outcome {
    let place = &args.place.file;
    let mut file = if place.exists() { read(place)? } else { UserFile::default() };
    if file.users.iter().any(|user| user.name == args.name) {
        return Err(Failure::refused(format!("user {} is there already", args.name)).next("see 'stele user list'"));
    }
    let token = random()?;
    let user = with_password(User::new(&args.name, args.role.meant()), &password()?);
    file.users.push(user.with_token(&token));
    write(place, &file)?;
    table::line(&format!("added user {}, {}\ntoken  {token}", args.name, args.role.meant().as_str()))?;
    Ok(Exit::Done)
}

fn change(args: &OneArgs, edit: impl FnOnce(&mut UserFile, usize) -> Result<String, Failure>) -> Outcome {
    let place = &args.place.file;
    let mut file = read(place)?;
    let found = file.users.iter().position(|user| user.name == args.name);
    let found = found.ok_or_else(|| Failure::not_found(format!("there is no user {}", args.name)))?;
    let said = edit(&mut file, found)?;
    write(place, &file)?;
    table::line(&said)?;
    Ok(Exit::Done)
}

#[derive(Debug, Serialize)]
struct Shown {
    users: Vec<ShownUser>,
}

#[derive(Debug, Serialize)]
struct ShownUser {
    name: String,
    role: &'static str,
    password: bool,
    token: bool,
}

impl Rows for Shown {
    fn columns(&self) -> Vec<&str> {
        vec!["user", "role", "password", "token"]
    }

    fn rows(&self) -> Vec<Vec<String>> {
        let yes = |is: bool| if is { "yes" } else { "no" }.to_string();
        let row = |user: &ShownUser| vec![user.name.clone(), user.role.into(), yes(user.password), yes(user.token)];
        self.users.iter().map(row).collect()
    }

    fn empty(&self) -> &'static str {
        "nobody may come in"
    }
}

fn list(global: &Global, place: &FileArg) -> Outcome {
    let shown = |user: &User| ShownUser {
        name: user.name.clone(),
        role: user.role.as_str(),
        password: user.native.is_some(),
        token: user.token.is_some(),
    };
    let file = read(&place.file)?;
    global.printer().list(&Shown { users: file.users.iter().map(shown).collect() })?;
    Ok(Exit::Done)
}

fn with_password(user: User, password: &str) -> User {
    if password.is_empty() { user } else { user.with_password(password) }
}

fn random() -> Result<String, Failure> {
    let mut bytes = [0u8; 32];
    getrandom::fill(&mut bytes).map_err(|error| Failure::io("cannot get random bytes", error))?;
    Ok(Digest(bytes).to_string())
}

/// One line of standard input; on a terminal it is not shown.
fn password() -> Result<String, Failure> {
    let failed = |error: std::io::Error| Failure::io("cannot read the password", error);
    let input = std::io::stdin();
    let mut line = String::new();
    if !input.is_terminal() {
        input.lock().read_line(&mut line).map_err(failed)?;
        return Ok(line.trim_end_matches(['\r', '\n']).to_string());
    }
    use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
    write!(anstream::stderr(), "password: ").map_err(failed)?;
    let shown = tcgetattr(&input).map_err(|error| failed(error.into()))?;
    let mut hidden = shown.clone();
    hidden.local_modes.remove(LocalModes::ECHO);
    tcsetattr(&input, OptionalActions::Now, &hidden).map_err(|error| failed(error.into()))?;
    let read = input.lock().read_line(&mut line);
    tcsetattr(&input, OptionalActions::Now, &shown).map_err(|error| failed(error.into()))?;
    writeln!(anstream::stderr()).map_err(failed)?;
    read.map_err(failed)?;
    Ok(line.trim_end_matches(['\r', '\n']).to_string())
}

fn read(place: &Path) -> Result<UserFile, Failure> {
    let text = std::fs::read_to_string(place).map_err(|error| {
        let failure = Failure::io(format_args!("cannot read the users in {}", place.display()), &error);
        failure.next("the first 'stele user add' makes the file")
    })?;
    UserFile::parse(&text, place).map_err(Failure::error)
}

fn write(place: &Path, file: &UserFile) -> Result<(), Failure> {
    let failed = |error: std::io::Error| Failure::io(format_args!("cannot write {}", place.display()), error);
    let text = toml::to_string(file).map_err(|error| Failure::error(format!("cannot write the users: {error}")))?;
    UserFile::parse(&text, place).map_err(Failure::usage)?;
    let part = place.with_extension("part");
    std::fs::remove_file(&part).ok();
    let mut out = File::options().write(true).create_new(true).mode(0o600).open(&part).map_err(failed)?;
    out.write_all(text.as_bytes()).and_then(|()| out.sync_all()).map_err(failed)?;
    std::fs::rename(&part, place).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    /// A file that is written is private, and read back as it was; one with a faulty name is never written.
    #[test]
    fn the_file() {
        let dir = tempfile::tempdir().unwrap();
        let place = dir.path().join("users.toml");
        let ana = User::new("ana", Role::Operator).with_password("x").with_token("t");
        let file = UserFile { users: vec![ana, User::new("bo", Role::Viewer)] };
        write(&place, &file).unwrap();
        assert_eq!(read(&place).unwrap(), file);
        assert_eq!(std::fs::metadata(&place).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(!std::fs::read_to_string(&place).unwrap().contains("password"));
        let faulty = UserFile { users: vec![User::new("a b", Role::Admin)] };
        assert!(write(&place, &faulty).is_err());
        assert_eq!(read(&place).unwrap(), file);
    }
}
