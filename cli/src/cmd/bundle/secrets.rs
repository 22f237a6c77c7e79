//! Taking secrets out of texts that leave the house: tokens, digests of passwords, private keys.
//!
//! In: texts, and the secrets that are known. Out: the texts without them, and how many there were. What is known goes
//! wherever it stands; what is not known goes where its surroundings give it away. Digests of files stay: they are no
//! secret, and needed.

use std::path::Path;

const REMOVED: &str = "[removed]";
/// Words behind which a value is a secret: `token = "x"`, `"password": "x"`, `Bearer x`.
const KEYS: [&str; 6] = ["password", "passwd", "secret", "token", "native", "sha2"];
/// Shorter runs of letters and digits in a file of secrets are its words, not its secrets.
const SECRET_MIN: usize = 16;

/// Secrets that are known by their very text.
#[derive(Default)]
pub struct Secrets {
    known: Vec<String>,
}

impl Secrets {
    pub fn know(&mut self, secret: &str) {
        let secret = secret.trim();
        if !secret.is_empty() {
            self.known.push(secret.to_string());
        }
    }

    /// Whatever looks like a key in a file that holds nothing but secrets; one that cannot be read gives none away.
    pub fn know_file(&mut self, file: &Path) {
        let text = std::fs::read_to_string(file).unwrap_or_default();
        let is_part = |sign: char| sign.is_ascii_alphanumeric() || "+/=_-$".contains(sign);
        let words = text.split(|sign| !is_part(sign)).filter(|word| word.len() >= SECRET_MIN);
        words.for_each(|word| self.know(word));
    }

    /// The text without secrets, and how many were taken out.
    pub fn scrub(&self, text: &str) -> (String, usize) {
        let (mut clean, mut removed, mut in_key) = (String::with_capacity(text.len()), 0, false);
        for line in text.split_inclusive('\n') {
            let begins = line.contains("-----BEGIN") && line.contains("PRIVATE KEY");
            if begins {
                removed += 1;
                clean += REMOVED;
            }
            if begins || in_key {
                in_key = !line.contains("-----END");
                if !in_key {
                    clean.push('\n');
                }
                continue;
            }
            let (line, count) = self.scrub_line(line);
            clean += &line;
            removed += count;
        }
        (clean, removed)
    }

    /// Without those that are known by their very text.
    pub fn scrub_known(&self, text: &str) -> (String, usize) {
        let (mut text, mut removed) = (text.to_string(), 0);
        for secret in &self.known {
            removed += text.matches(secret.as_str()).count();
            text = text.replace(secret.as_str(), REMOVED);
        }
        (text, removed)
    }

    fn scrub_line(&self, line: &str) -> (String, usize) {
        let (mut line, mut removed) = self.scrub_known(line);
        let mut from = 0;
        while let Some((start, end)) = value_of_a_key(&line, from) {
            from = start + REMOVED.len();
            if &line[start..end] != REMOVED {
                line.replace_range(start..end, REMOVED);
                removed += 1;
            }
        }
        (line, removed)
    }
}

/// Where the next value stands that belongs to one of the keys.
fn value_of_a_key(line: &str, from: usize) -> Option<(usize, usize)> {
    // Only letters of ASCII change, so that places stay the same.
    let lower = line.to_ascii_lowercase();
    let behind = |(at, key): (usize, &str)| {
        let rest = &line[at + key.len()..];
        let value = rest.trim_start_matches(['\\', '"']).trim_start();
        let value = match key {
            "bearer " => value,
            _ => value.strip_prefix([':', '='])?.trim_start(),
        };
        let value = value.strip_prefix("Some(").unwrap_or(value).trim_start_matches('\\');
        // In quotes a value may hold anything but them.
        let length = match value
            .strip_prefix('"')
            .map(|inner| (inner, '"'))
            .or(value.strip_prefix('\'').map(|inner| (inner, '\'')))
        {
            Some((inner, quote)) => return quoted(line, inner, quote, from),
            None => value.find(['"', '\'', ' ', ',', ';', '&', '}', ')', '\n']).unwrap_or(value.len()),
        };
        let start = line.len() - value.len();
        let is_value = length > 0 && !matches!(&value[..length], "null" | "true" | "false" | "{" | "[");
        (is_value && start >= from).then_some((start, start + length))
    };
    let keys = KEYS.into_iter().chain(["bearer "]);
    keys.flat_map(|key| lower.match_indices(key)).filter_map(behind).min()
}

/// The value that `inner` begins with, to its closing quote.
fn quoted(line: &str, inner: &str, quote: char, from: usize) -> Option<(usize, usize)> {
    let length = inner.find(quote).unwrap_or(inner.trim_end().len());
    let length = inner[..length].trim_end_matches('\\').len();
    let start = line.len() - inner.len();
    (length > 0 && start >= from).then_some((start, start + length))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Secrets go in every place that they are found in; what only looks like one stays.
    #[test]
    fn secrets_go() {
        let mut secrets = Secrets::default();
        secrets.know("swordfish");
        secrets.know("");
        for (text, clean, count) in [
            ("said swordfish, twice swordfish\n", "said [removed], twice [removed]\n", 2),
            ("password = \"abc\"\nhost = \"h\"\n", "password = \"[removed]\"\nhost = \"h\"\n", 1),
            ("  \"token\": \"abc\",\n", "  \"token\": \"[removed]\",\n", 1),
            ("Authorization: Bearer abc.def\n", "Authorization: Bearer [removed]\n", 1),
            ("login token=abc password=def done\n", "login token=[removed] password=[removed] done\n", 2),
            ("token=swordfish\n", "token=[removed]\n", 1),
            ("a\n-----BEGIN PRIVATE KEY-----\nMII\n-----END PRIVATE KEY-----\nb\n", "a\n[removed]\nb\n", 1),
            ("password = \"correct horse, battery\" # x\n", "password = \"[removed]\" # x\n", 1),
            ("Ask { token: Some(\"abc\"), by: 1 }\n", "Ask { token: Some(\"[removed]\"), by: 1 }\n", 1),
            ("\"body\":\"{\\\"token\\\":\\\"abc\\\"}\"\n", "\"body\":\"{\\\"token\\\":\\\"[removed]\\\"}\"\n", 1),
            ("token_file = \"/etc/stele/token\"\n", "token_file = \"/etc/stele/token\"\n", 0),
            ("no token was given; password: null\n", "no token was given; password: null\n", 0),
            ("digest 0123456789abcdef0123456789abcdef\n", "digest 0123456789abcdef0123456789abcdef\n", 0),
        ] {
            assert_eq!(secrets.scrub(text), (clean.to_string(), count), "{text}");
        }
    }

    /// Whatever a file of secrets holds is known, its words are not.
    #[test]
    fn files_of_secrets() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("users.toml");
        std::fs::write(&file, "[[user]]\nname = \"ann\"\nsha2 = \"0011223344556677889900\"\n").expect("written");
        let mut secrets = Secrets::default();
        secrets.know_file(&file);
        secrets.know_file(&dir.path().join("none"));
        let (clean, count) = secrets.scrub("ann came with 0011223344556677889900");
        assert_eq!((clean.as_str(), count), ("ann came with [removed]", 1));
    }
}
