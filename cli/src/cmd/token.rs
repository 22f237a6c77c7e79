//! `stele token`: a new cluster token, which a bind outside loopback needs on every side.

use crate::exit::{Exit, Failure, Outcome};
use crate::table;
use clap::Args;
use std::fs::File;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use stele_common::Digest;

#[derive(Debug, Args)]
#[command(
    after_help = "The file is the `token_file` of the coordinator and of every agent; keep it secret.\n\nExample:\n  stele token /etc/stele/token"
)]
pub struct TokenArgs {
    /// File to write, readable by its owner only; standard output unless given
    file: Option<PathBuf>,
}

pub fn run(args: &TokenArgs) -> Outcome {
    let mut token = [0u8; 32];
    getrandom::fill(&mut token).map_err(|error| Failure::io("cannot get random bytes", error))?;
    let text = Digest(token).to_string();
    let Some(place) = &args.file else {
        table::line(&text)?;
        return Ok(Exit::Done);
    };
    let failed = |error: std::io::Error| {
        let failure = Failure::io(format_args!("cannot write the token file {}", place.display()), &error);
        match error.kind() {
            std::io::ErrorKind::AlreadyExists => failure.next("a token in use is never overwritten; remove it first"),
            _ => failure,
        }
    };
    let mut file = File::options().write(true).create_new(true).mode(0o600).open(place).map_err(failed)?;
    writeln!(file, "{text}").and_then(|()| file.sync_all()).map_err(failed)?;
    table::line(&format!("wrote a new token to {}; copy it to every host", place.display()))?;
    Ok(Exit::Done)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    /// A token file is private, is what the handshake reads, and is never overwritten.
    #[test]
    fn token_files() {
        let dir = tempfile::tempdir().unwrap();
        let args = TokenArgs { file: Some(dir.path().join("token")) };
        run(&args).unwrap();
        let place = dir.path().join("token");
        assert_eq!(std::fs::metadata(&place).unwrap().permissions().mode() & 0o777, 0o600);
        let text = std::fs::read_to_string(&place).unwrap();
        assert!(stele_common::handshake::token_from_text(&text).is_some());
        assert!(run(&args).unwrap_err().to_string().contains("never overwritten"));
    }
}
