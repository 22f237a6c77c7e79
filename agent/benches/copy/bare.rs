//! The yardstick: the least program with the same promises as a clone.
//!
//! One thread sends files with `sendfile`, the other reads them from the socket, hashes (BLAKE3) and writes, and one
//! `syncfs` makes the whole copy durable. No manifest, no resume, no protocol: name and size, then bytes.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};

const BUFFER: usize = 1 << 20;

/// Copies every file of `from` (flat) into `to` over loopback; returns the digests so that nothing is optimised away.
pub fn copy(from: &Path, to: &Path) -> io::Result<Vec<blake3::Hash>> {
    let handle = File::open(to)?;
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let files = list(from)?;
    let sender = std::thread::spawn(move || send(listener, files));
    let digests = receive(TcpStream::connect(address)?, to)?;
    sender.join().expect("the sending thread does not panic")?;
    rustix::fs::syncfs(&handle)?;
    Ok(digests)
}

fn list(from: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files: Vec<PathBuf> = fs::read_dir(from)?.map(|entry| entry.map(|e| e.path())).collect::<Result<_, _>>()?;
    files.sort();
    Ok(files)
}

fn send(listener: TcpListener, files: Vec<PathBuf>) -> io::Result<()> {
    let (socket, _) = listener.accept()?;
    let mut out = io::BufWriter::with_capacity(256 * 1024, socket);
    for path in files {
        let mut file = File::open(&path)?;
        let size = file.metadata()?.len();
        let name = path.file_name().expect("read_dir names files").to_string_lossy().into_owned();
        out.write_all(&(name.len() as u32).to_be_bytes())?;
        out.write_all(name.as_bytes())?;
        out.write_all(&size.to_be_bytes())?;
        if size <= 64 * 1024 {
            io::copy(&mut file, &mut out)?;
            continue;
        }
        out.flush()?;
        let mut left = size as usize;
        while left > 0 {
            let sent = rustix::fs::sendfile(out.get_ref(), &file, None, left)?;
            if sent == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            left -= sent;
        }
    }
    out.write_all(&0u32.to_be_bytes())?;
    out.flush()
}

fn receive(socket: TcpStream, to: &Path) -> io::Result<Vec<blake3::Hash>> {
    let mut input = io::BufReader::with_capacity(BUFFER, socket);
    let mut digests = Vec::new();
    let mut buffer = vec![0u8; BUFFER];
    loop {
        let mut word = [0u8; 4];
        input.read_exact(&mut word)?;
        let length = u32::from_be_bytes(word) as usize;
        if length == 0 {
            return Ok(digests);
        }
        let mut name = vec![0u8; length];
        input.read_exact(&mut name)?;
        let mut word = [0u8; 8];
        input.read_exact(&mut word)?;
        let mut left = u64::from_be_bytes(word) as usize;
        let mut file = File::create(to.join(String::from_utf8_lossy(&name).as_ref()))?;
        let mut hasher = blake3::Hasher::new();
        while left > 0 {
            let wanted = left.min(BUFFER);
            let got = input.read(&mut buffer[..wanted])?;
            if got == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            hasher.update(&buffer[..got]);
            file.write_all(&buffer[..got])?;
            left -= got;
        }
        digests.push(hasher.finalize());
    }
}
