//! An archive that every `tar` reads (POSIX ustar): files by name and bytes, one behind the other. It only writes.

use std::io::{self, Write};

/// Everything in an archive comes in pieces of this size.
const BLOCK: usize = 512;

pub struct Archive<W: Write> {
    out: W,
    /// Seconds since 1970 that every file bears.
    at: u64,
}

impl<W: Write> Archive<W> {
    pub fn new(out: W, at: u64) -> Archive<W> {
        Archive { out, at }
    }

    pub fn add(&mut self, name: &str, bytes: &[u8]) -> io::Result<()> {
        self.out.write_all(&header(name, bytes.len(), self.at)?)?;
        self.out.write_all(bytes)?;
        self.out.write_all(&vec![0; bytes.len().next_multiple_of(BLOCK) - bytes.len()])
    }

    /// Two empty blocks say that nothing follows.
    pub fn finish(mut self) -> io::Result<W> {
        self.out.write_all(&[0; 2 * BLOCK])?;
        Ok(self.out)
    }
}

/// A plain file that only its owner reads.
fn header(name: &str, size: usize, at: u64) -> io::Result<[u8; BLOCK]> {
    let mut header = [0; BLOCK];
    let mut put = |at: usize, text: &str| header[at..at + text.len()].copy_from_slice(text.as_bytes());
    // The format's own bounds: 155 bytes of directories, 100 of name behind them, eleven octal digits of size.
    let does_not_fit = || io::Error::other(format!("{name}, {size} bytes, does not fit into an archive"));
    let places = name.match_indices('/').map(|(at, _)| (&name[..at], &name[at + 1..]));
    let mut splits = std::iter::once(("", name)).chain(places);
    let is_short = |(directory, file): &(&str, &str)| directory.len() <= 155 && file.len() <= 100;
    let (directory, file) = splits.find(is_short).filter(|_| size < 1 << 33).ok_or_else(does_not_fit)?;
    put(0, file);
    put(345, directory);
    put(100, "0000600\0");
    put(108, "0000000\0");
    put(116, "0000000\0");
    put(124, &format!("{size:011o}\0"));
    put(136, &format!("{at:011o}\0"));
    // The sum is made as if it were blanks itself.
    put(148, "        ");
    put(156, "0");
    put(257, "ustar\x0000");
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    Ok(header)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The system's own `tar` lists and reads what was written, to the byte.
    #[test]
    fn tar_reads_it() {
        let dir = tempfile::tempdir().expect("a directory");
        let mut archive = Archive::new(Vec::new(), 1_800_000_000);
        let long = vec![b'x'; BLOCK];
        for (name, bytes) in [("b/empty", &b""[..]), ("b/one.txt", b"hello\n"), ("b/block", &long)] {
            archive.add(name, bytes).unwrap();
        }
        assert!(archive.add(&"n".repeat(101), b"").is_err());
        let file = dir.path().join("a.tar");
        std::fs::write(&file, archive.finish().unwrap()).unwrap();
        let done = std::process::Command::new("tar").arg("-xf").arg(&file).arg("-C").arg(dir.path()).status();
        assert!(done.expect("tar is there").success());
        let read = |name: &str| std::fs::read(dir.path().join(name)).expect("unpacked");
        assert_eq!((read("b/empty"), read("b/one.txt"), read("b/block")), (vec![], b"hello\n".to_vec(), long));
    }
}
