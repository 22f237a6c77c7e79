//! Holds the documentation to the command line: every command that a page shows is one that this binary understands.

use crate::flags::Cli;
use clap::Parser;
use clap::error::ErrorKind;
use std::path::Path;

/// The `stele` commands of a page: in back-quotes, or alone on a line of a block. Templates with choices are no commands.
fn commands(page: &str) -> Vec<String> {
    let spans = page.split('`').skip(1).step_by(2).map(str::to_string);
    let lines = page.lines().map(|line| line.trim().trim_start_matches("$ ").to_string());
    let starts = spans.chain(lines).filter(|text| text.starts_with("stele ") && !text.starts_with("stele help"));
    // What stands after a gap, or after the first of several, is not this command's.
    let first = starts.map(|text| text.split(" && ").next().unwrap_or_default().to_string());
    let first = first.map(|text| text.split("   ").next().unwrap_or_default().to_string());
    let plain =
        |text: &String| !text.contains("...") && !text.contains(['`', '[', '|', '<', '>', '─', '\n', ',', ';', '{']);
    first.filter(plain).collect()
}

/// A word for a placeholder, such as ID.
fn filled(word: &str) -> String {
    let (kind, name) = word.rsplit_once(':').map_or(("", word), |(kind, name)| (kind, name));
    let is_placeholder = name.len() > 1 && name.chars().all(|c| c.is_ascii_uppercase() || c == '_');
    match (is_placeholder, kind) {
        (true, "") => "1".into(),
        (true, kind) => format!("{kind}:1"),
        (false, _) => word.trim_matches(['\'', '"']).into(),
    }
}

/// Up to a comment, with quoted texts as one word.
fn words(command: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut quote: Option<char> = None;
    for word in command.split_whitespace().take_while(|word| !word.starts_with('#')) {
        match quote {
            Some(_) => words.last_mut().expect("a quote began in a word").push_str(word),
            None => words.push(word.into()),
        }
        let last = words.last().expect("just pushed");
        quote = ['\'', '"'].into_iter().find(|quote| last.matches(*quote).count() % 2 == 1);
    }
    words.iter().map(|word| filled(word)).collect()
}

/// No page shows a command or flag that is not there.
#[test]
fn every_command_shown_is_one() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut pages: Vec<_> = std::fs::read_dir(root.join("docs"))
        .expect("docs are there")
        .map(|entry| entry.expect("readable").path())
        .filter(|path| path.extension().is_some_and(|kind| kind == "md"))
        .collect();
    pages.push(root.join("README.md"));
    let (mut seen, mut wrong) = (0, Vec::new());
    for page in pages {
        for command in commands(&std::fs::read_to_string(&page).expect("readable")) {
            seen += 1;
            match Cli::try_parse_from(words(&command)) {
                Ok(_) => {}
                // A command named without its arguments is a name.
                Err(error)
                    if matches!(
                        error.kind(),
                        ErrorKind::MissingRequiredArgument
                            | ErrorKind::DisplayHelp
                            | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
                            | ErrorKind::MissingSubcommand
                    ) => {}
                Err(error) => wrong.push(format!("{}: `{command}`: {}", page.display(), error.kind())),
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(seen > 60, "only {seen} commands were found");
}
