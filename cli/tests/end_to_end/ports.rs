//! Garbage, oversize frames and slow writers on every port: the connection is closed, memory stays flat, work goes on.

use crate::cluster::{Cluster, until};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

fn resident_kib(pid: i32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|word| word.parse().ok()).unwrap_or(0)
}

fn closed_after(address: &str, bytes: &[u8], limit: Duration) -> bool {
    let mut socket = TcpStream::connect(address).expect("a listening port");
    socket.set_read_timeout(Some(limit)).expect("set");
    let _ = socket.write_all(bytes);
    let mut sink = [0u8; 4096];
    loop {
        match socket.read(&mut sink) {
            Ok(0) => return true,
            Ok(_) => {}
            Err(error) => return error.kind() == std::io::ErrorKind::ConnectionReset,
        }
    }
}

/// Each port survives each kind of nonsense.
#[test]
fn nonsense_is_shut_out() {
    let cluster = Cluster::up(3, 1);
    let config =
        std::fs::read_to_string(cluster.root.path().join("cluster/coordinator/coordinator.toml")).expect("config");
    let agents_port = config
        .lines()
        .find_map(|l| l.trim().strip_prefix("agents = "))
        .expect("the agent port")
        .trim_matches('"')
        .to_string();
    let peer = {
        let json: serde_json::Value =
            serde_json::from_slice(&std::fs::read(cluster.root.path().join("cluster/cluster.json")).expect("there"))
                .expect("json");
        json["agents"][0]["peer"].as_str().expect("peer").to_string()
    };
    let agent_http = cluster.agents[0].http.clone();
    let pids = [cluster.coordinator.pid, cluster.agents[0].process.pid];
    let before = pids.map(resident_kib);

    let mut oversize = 0xffff_fff0u32.to_be_bytes().to_vec();
    oversize.extend_from_slice(&[0x41; 100_000]);
    let mut malformed = 16u32.to_be_bytes().to_vec();
    malformed.extend_from_slice(&[0xc1; 16]);
    for address in [&agents_port, &peer] {
        for nonsense in [&b"GET / HTTP/1.1\r\n\r\n"[..], &oversize, &malformed] {
            for _ in 0..20 {
                assert!(
                    closed_after(address, nonsense, Duration::from_secs(15)),
                    "{address} keeps a talker of nonsense"
                );
            }
        }
        // A slow writer: a length, then nothing.
        assert!(closed_after(address, &64u32.to_be_bytes(), Duration::from_secs(20)), "{address} waits for ever");
    }
    for address in [&cluster.http, &agent_http] {
        for nonsense in [
            &b"\x16\x03\x01\x02\x00\x01\x00"[..],
            b"POST /v1/tables HTTP/1.1\r\nhost: x\r\ncontent-length: 99999999999\r\n\r\n{",
        ] {
            assert!(closed_after(address, nonsense, Duration::from_secs(30)), "{address} keeps a talker of nonsense");
        }
    }
    let after = pids.map(resident_kib);
    for (before, after) in before.iter().zip(after) {
        assert!(after < before + 64 * 1024, "memory grew from {before} to {after} KiB");
    }
    until(Duration::from_secs(10), "the cluster works on", || cluster.get("/v1/status")["nodes"]["alive"] == 3);
    cluster.ok(&["table", "create", "d.t", "--replication", "3", "--buckets", "2"]);
}
