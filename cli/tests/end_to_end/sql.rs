//! The MySQL port with stock clients: Debian's mariadb client and PyMySQL against a real cluster with a sick tablet in
//! it. Columns are held against those that the originals have.

use crate::cluster::{Cluster, STELE, text, until};
use crate::data;
use serde_json::Value;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

/// The originals' columns, in their order; ours may stand behind them.
const COLUMNS: &[(&str, &str)] = &[
    (
        "SHOW PROC '/statistic'",
        "DbId DbName TableNum PartitionNum IndexNum TabletNum ReplicaNum UnhealthyTabletNum InconsistentTabletNum",
    ),
    ("SHOW PROC '/statistic/{db}'", "UnhealthyTablets InconsistentTablets"),
    (
        "ADMIN SHOW REPLICA STATUS FROM t PARTITION (p0) WHERE STATUS = \"NORMAL\"",
        "TabletId ReplicaId BackendId Version LastFailedVersion LastSuccessVersion CommittedVersion SchemaHash \
         VersionNum IsBad State Status",
    ),
    (
        "SHOW TABLET FROM t",
        "TabletId ReplicaId BackendId SchemaHash Version VersionHash LstSuccessVersion LstSuccessVersionHash \
         LstFailedVersion LstFailedVersionHash LstFailedTime DataSize RowCount State LstConsistencyCheckTime \
         CheckVersion CheckVersionHash VersionCount PathHash MetaUrl CompactionStatus",
    ),
    ("ADMIN SHOW REPLICA DISTRIBUTION FROM t", "BackendId ReplicaNum Graph Percent"),
    (
        "SHOW TABLET {tablet}",
        "DbName TableName PartitionName IndexName DbId TableId PartitionId IndexId IsSync DetailCmd",
    ),
    (
        "{detail}",
        "ReplicaId BackendId Version VersionHash LstSuccessVersion LstSuccessVersionHash LstFailedVersion \
         LstFailedVersionHash LstFailedTime SchemaHash DataSize RowCount State IsBad VersionCount PathHash MetaUrl \
         CompactionStatus",
    ),
    ("SHOW PROC '/cluster_balance/pending_tablets'", TASKS),
    ("SHOW PROC '/cluster_balance/running_tablets'", TASKS),
    ("SHOW PROC '/cluster_balance/history_tablets'", TASKS),
    ("ADMIN REPAIR TABLE t PARTITION (p0)", ""),
    ("SHOW PROC '/cluster_balance/priority_repair'", "Database Table Partition RemainingTimeMs"),
    ("ADMIN CANCEL REPAIR TABLE t PARTITION (p0)", ""),
    ("HELP 'ADMIN SHOW REPLICA STATUS'", "name description example"),
];

const TASKS: &str = "TabletId Type Status State OrigPrio DynmPrio SrcBe SrcPath DestBe DestPath Timeout Create LstSched \
                     LstVisit Finished Rate FailedSched FailedRunning LstAdjPrio VisibleVer VisibleVerHash CmtVer \
                     CmtVerHash ErrMsg";

/// Runs statements that come as JSON lines on its input, and answers each with its columns and rows, or its error.
const PYMYSQL: &str = "
import sys, json, pymysql
host, port, user, password, ssl = sys.argv[1:6]
more = {'ssl': {'check_hostname': False, 'verify_mode': 'none'}} if ssl == 'ssl' else {}
try:
    connection = pymysql.connect(host=host, port=int(port), user=user, password=password, **more)
except pymysql.err.MySQLError as error:
    print(json.dumps({'error': error.args[0], 'text': error.args[1]})); sys.exit()
cursor = connection.cursor()
for line in sys.stdin:
    try:
        cursor.execute(json.loads(line))
        columns = [column[0] for column in cursor.description or []]
        print(json.dumps({'columns': columns, 'rows': [[None if v is None else str(v) for v in row] for row in cursor.fetchall()]}))
    except pymysql.err.MySQLError as error:
        print(json.dumps({'error': error.args[0], 'text': error.args[1]}))
";

/// Prepares a statement once and runs it with each set of values; then what is refused. Debian's C client, as Perl has it.
const PERL: &str = r#"
use strict; use DBI; use utf8; binmode(STDOUT, ":utf8");
my ($host, $port) = @ARGV;
my $server = "host=$host;port=$port;mariadb_server_prepare=1;mariadb_server_prepare_disable_fallback=1";
my $db = DBI->connect("DBI:MariaDB:$server", "root", "", { RaiseError => 1, PrintError => 0 });
my $shown = sub { join(",", map { defined $_ ? $_ : "NULL" } @_) };
my $tablets = $db->prepare("SELECT TABLET_ID, PRIORITY, STATUS FROM information_schema.tablets
    WHERE STATUS = ? AND BUCKET < ?");
for my $values (["HEALTHY", 2], ["'; DROP TABLE d.t; -- ", 9], ["healthy", 1]) {
    $tablets->execute(@$values);
    print scalar(@{ $tablets->fetchall_arrayref }), "\n";
}
print "$tablets->{NUM_OF_PARAMS} for ", $shown->(@{ $tablets->{NAME} }), "\n";
my $disk = $db->selectrow_arrayref("SELECT USED_PERCENT, BE_ID, MEDIUM, CAUSE FROM information_schema.disks
    WHERE HOST = ? LIMIT ?", undef, "host-1", 1);
print $disk->[0] >= 0 && $disk->[0] < 1 ? "a part of one," : "$disk->[0],", $shown->(@$disk[1 .. 3]), "\n";
print $db->do("ADMIN REPAIR TABLE d.t PARTITION (?)", undef, "p0"), "\n";
print $shown->($db->selectrow_array("SELECT ?, ?, ?", undef, undef, "it's", "für")), "\n";
for my $refused ("SHOW TABLES FROM ?", "SELECT ?; SELECT ?", "SHOW TABLET ?") {
    eval { $db->do($refused, undef, 7) };
    print $db->err, " ", $db->errstr, "\n";
}
"#;

struct Port {
    host: String,
    port: String,
}

impl Port {
    fn of(cluster: &Cluster) -> Port {
        let file = std::fs::read_to_string(cluster.root.path().join("cluster/cluster.json")).expect("cluster.json");
        let file: Value = serde_json::from_str(&file).expect("JSON");
        let (host, port) = file["sql"].as_str().and_then(|sql| sql.rsplit_once(':')).expect("cluster.json names sql");
        Port { host: host.into(), port: port.into() }
    }

    /// Debian's client, tab-separated, with column names.
    fn mariadb(&self, args: &[&str], sql: &str) -> Output {
        let mut command = Command::new("mariadb");
        command.args(["--no-defaults", "--batch", "-h", &self.host, "-P", &self.port, "-u", "root"]).args(args);
        command.args(["-e", sql]).output().expect("the mariadb client, which .ci/run installs")
    }

    fn pymysql(&self, user: &str, password: &str, ssl: bool, statements: &[&str]) -> Vec<Value> {
        let mut child = Command::new("/usr/bin/python3")
            .args(["-c", PYMYSQL, &self.host, &self.port, user, password, if ssl { "ssl" } else { "plain" }])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("python3, which .ci/run installs");
        let mut input = child.stdin.take().expect("piped");
        for statement in statements {
            // It may have ended already: then it has said why.
            let _ = writeln!(input, "{}", serde_json::to_string(statement).expect("text"));
        }
        drop(input);
        let output = child.wait_with_output().expect("it ends");
        let answers = String::from_utf8_lossy(&output.stdout)
            .lines()
            .map(|line| serde_json::from_str(line).expect("JSON"))
            .collect();
        assert!(output.status.success(), "{output:?}");
        answers
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect((self.host.as_str(), self.port.parse().expect("a port"))).expect("connects");
        stream.set_read_timeout(Some(Duration::from_secs(10))).expect("set");
        stream
    }
}

/// Reads one packet.
fn packet(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let mut head = [0; 4];
    stream.read_exact(&mut head).ok()?;
    let mut payload = vec![0; usize::from(head[0]) | usize::from(head[1]) << 8 | usize::from(head[2]) << 16];
    stream.read_exact(&mut payload).ok()?;
    Some(payload)
}

fn send(stream: &mut TcpStream, seq: u8, payload: &[u8]) {
    let length = (payload.len() as u32).to_le_bytes();
    stream.write_all(&[length[0], length[1], length[2], seq]).and_then(|()| stream.write_all(payload)).expect("sent");
}

/// Logs root in by hand.
fn log_in(port: &Port) -> TcpStream {
    let mut stream = port.connect();
    assert_eq!(packet(&mut stream).expect("a greeting")[0], 10);
    let mut answer = (0x0000_8201_u32).to_le_bytes().to_vec();
    answer.extend([0; 28]);
    answer.extend(b"root\0\0");
    send(&mut stream, 1, &answer);
    assert_eq!(packet(&mut stream).expect("welcome")[0], 0);
    stream
}

fn tablet_with_a_bad_copy(cluster: &mut Cluster) -> u64 {
    cluster.ok(&["table", "create", "d.t", "--replication", "3", "--buckets", "4"]);
    let source = cluster.root.path().join("source");
    data::write(&source, 1, 12);
    cluster.ok(&["load", "d.t", source.to_str().expect("utf-8")]);
    cluster.until_whole(3);
    // Two of three hosts with room are gone, so that a sick tablet stays sick.
    cluster.agents[2].process.kill();
    until(Duration::from_secs(30), "its tablets are sick", || {
        cluster.tablets().iter().all(|tablet| tablet["status"] == "REPLICA_MISSING")
    });
    cluster.tablets()[0]["id"].as_u64().expect("an id")
}

/// Every statement of the originals' pages, by two stock clients, with the columns that they have there.
#[test]
fn stock_clients_run_the_usual_statements() {
    let mut cluster = Cluster::up(3, 1);
    let tablet = tablet_with_a_bad_copy(&mut cluster);
    let port = Port::of(&cluster);
    let ask = |sql: &str| {
        let answer = port.pymysql("root", "", false, &["USE d", sql]).pop().expect("an answer");
        assert!(answer["error"].is_null(), "{sql}: {answer}");
        answer
    };
    let cell = |answer: &Value, row: usize, column: &str| {
        let names = answer["columns"].as_array().expect("columns");
        let place = names.iter().position(|name| name == column).expect("the column");
        answer["rows"][row][place].as_str().unwrap_or_default().to_string()
    };
    let sums = ask("SHOW PROC '/statistic'");
    let (db, detail) = (cell(&sums, 0, "DbId"), cell(&ask(&format!("SHOW TABLET {tablet}")), 0, "DetailCmd"));
    assert_eq!((cell(&sums, 0, "UnhealthyTabletNum"), cell(&sums, 1, "DbId")), ("4".into(), "Total".into()));
    for (statement, columns) in COLUMNS {
        let sql = statement.replace("{db}", &db).replace("{tablet}", &tablet.to_string()).replace("{detail}", &detail);
        let expected: Vec<&str> = columns.split_whitespace().collect();
        let answer = ask(&sql);
        let found: Vec<&str> =
            answer["columns"].as_array().expect("columns").iter().filter_map(Value::as_str).collect();
        assert!(found.starts_with(&expected), "{sql}: {found:?}");
        let output = port.mariadb(&["d"], &sql);
        assert!(output.status.success(), "{sql}: {}", text(&output));
        let printed = String::from_utf8_lossy(&output.stdout).into_owned();
        let first: Vec<&str> = printed.lines().next().unwrap_or_default().split('\t').collect();
        let is_empty = answer["rows"].as_array().is_none_or(Vec::is_empty);
        assert!(is_empty || sql.starts_with("HELP") || first.starts_with(&expected), "{sql}: {printed}");
    }
    let dead = ask("ADMIN SHOW REPLICA STATUS FROM t WHERE STATUS = 'DEAD' ORDER BY TabletId LIMIT 1");
    assert_eq!((cell(&dead, 0, "Status"), cell(&dead, 0, "TabletId")), ("DEAD".into(), tablet.to_string()));
    // Silent at first, lost after `lost_ms`.
    until(Duration::from_secs(20), "the dead host counts as lost", || {
        let dead = ask("ADMIN SHOW REPLICA STATUS FROM t WHERE STATUS = 'DEAD' ORDER BY TabletId LIMIT 1");
        cell(&dead, 0, "Reason").contains("lost")
    });
    let normal = ask("ADMIN SHOW REPLICA STATUS FROM d.t WHERE STATUS = \"NORMAL\"");
    assert_eq!(normal["rows"].as_array().map(Vec::len), Some(8));
    let pending = ask("SHOW PROC '/cluster_balance/pending_tablets'");
    assert_eq!((cell(&pending, 0, "Status"), cell(&pending, 0, "SrcBe")), ("REPLICA_MISSING".into(), "-1".into()));
    assert!(!cell(&pending, 0, "Reason").is_empty() && !cell(&pending, 0, "ErrMsg").is_empty(), "{pending}");
    let url = cell(&ask("SHOW TABLET FROM t WHERE Status = 'OK' LIMIT 1"), 0, "MetaUrl");
    let manifest = crate::cluster::get(
        url.trim_start_matches("http://").split('/').next().expect("a host"),
        &url[url.find("/v1").expect("a path")..],
    );
    assert!(manifest["files"].is_array(), "{url}: {manifest}");
    let count = ask("SELECT COUNT(*) FROM information_schema.tablets WHERE STATUS != 'HEALTHY'");
    assert_eq!(count["rows"][0][0], "4");
    let files = cell(&ask("SELECT SUM(FILES) AS files FROM information_schema.tablets"), 0, "files");
    let tables =
        ask("SELECT TABLE_NAME, TABLE_ROWS, ENGINE FROM information_schema.TABLES t WHERE t.TABLE_SCHEMA = 'd'");
    assert_eq!(tables["rows"], serde_json::json!([["t", files, "Stele"]]));
    let status = ask("SHOW TABLE STATUS LIKE 't%'");
    assert_eq!((cell(&status, 0, "Name"), cell(&status, 0, "Rows")), ("t".into(), files), "{status}");
    let columns =
        ask("SELECT COLUMN_NAME, DATA_TYPE FROM information_schema.columns WHERE TABLE_NAME = 'schemata' LIMIT 2");
    assert_eq!(columns["rows"], serde_json::json!([["CATALOG_NAME", "text"], ["SCHEMA_NAME", "text"]]));
    assert_eq!(cell(&ask("SHOW CREATE DATABASE d"), 0, "Create Database"), "CREATE DATABASE `d`;");
    let states = ask("SELECT STATUS, COUNT(*) AS n FROM information_schema.replicas GROUP BY STATUS ORDER BY n DESC");
    let rows: Vec<_> = (0..2).map(|row| (cell(&states, row, "STATUS"), cell(&states, row, "n"))).collect();
    assert_eq!(rows, [("OK".to_string(), "8".to_string()), ("DEAD".into(), "4".into())], "{states}");

    cluster.agents[2].process.start(&[]);
    cluster.until_whole(3);
    until(Duration::from_secs(20), "the screen is clean again", || {
        cell(&ask("SHOW PROC '/statistic'"), 1, "UnhealthyTabletNum") == "0"
    });
}

/// What is wrong is told with the numbers that clients know, and the connection goes on, or ends.
#[test]
fn errors_are_clear() {
    let cluster = Cluster::up(1, 1);
    let port = Port::of(&cluster);
    let answers = port.pymysql("root", "", false, &["SHWO TABLES", "SHOW TABLES", "SHOW PROC '/nowhere'", "SELECT 1"]);
    let codes: Vec<Option<i64>> = answers.iter().map(|answer| answer["error"].as_i64()).collect();
    assert_eq!(codes, [Some(1064), Some(1046), Some(1105), None], "{answers:?}");
    assert!(answers[0]["text"].as_str().is_some_and(|text| text.contains("line 1, column 1")), "{answers:?}");
    for (user, password) in [("root", "wrong"), ("nobody", "")] {
        let refused = port.pymysql(user, password, false, &[]);
        assert_eq!(refused[0]["error"], 1045, "{refused:?}");
    }
    let tls = port.mariadb(&["--ssl"], "SHOW STATUS; \\s");
    assert!(String::from_utf8_lossy(&tls.stdout).contains("TLS"), "{}", text(&tls));

    let secret = port.pymysql("root", "", true, &["SELECT 1"]);
    assert_eq!(secret[0]["rows"][0][0], "1", "{secret:?}");

    let mut stream = log_in(&port);
    send(&mut stream, 0, &[0x77, b'x']);
    let refused = packet(&mut stream).expect("an answer");
    assert_eq!(code(&refused), 1047);
    send(&mut stream, 0, &[0x0e]);
    assert_eq!(packet(&mut stream).expect("it goes on")[0], 0);
    // More than a stranger may send: refused by the header alone.
    let mut stranger = port.connect();
    packet(&mut stranger).expect("a greeting");
    stranger.write_all(&[0xff, 0xff, 0x7f, 1]).expect("sent");
    let refused = packet(&mut stranger).expect("an answer");
    assert_eq!(code(&refused), 1153);
    assert_eq!(packet(&mut stranger), None);
    let mut garbage = port.connect();
    packet(&mut garbage).expect("a greeting");
    send(&mut garbage, 1, b"GET / HTTP/1.1");
    assert_eq!(packet(&mut garbage).expect("an answer")[0], 0xff);
    // Out of step, before and after login.
    let mut hasty = port.connect();
    packet(&mut hasty).expect("a greeting");
    send(&mut hasty, 7, &[0; 40]);
    assert_eq!(code(&packet(&mut hasty).expect("an answer")), 1156);
    let mut stream = log_in(&port);
    send(&mut stream, 5, &[0x0e]);
    assert_eq!(code(&packet(&mut stream).expect("an answer")), 1156);
    // Who will compress whatever we offer would wait for ever.
    let mut packed = port.connect();
    packet(&mut packed).expect("a greeting");
    let mut answer = (0x0000_8221_u32).to_le_bytes().to_vec();
    answer.extend([0; 28]);
    answer.extend(b"root\0\0");
    send(&mut packed, 1, &answer);
    let refused = packet(&mut packed).expect("an answer");
    assert!(code(&refused) == 1043 && String::from_utf8_lossy(&refused).contains("compression"), "{refused:?}");
}

/// Of an error.
fn code(packet: &[u8]) -> u16 {
    assert_eq!(packet[0], 0xff, "{packet:?}");
    u16::from_le_bytes([packet[1], packet[2]])
}

/// Prepared statements of a stock client: values go to their places whatever stands in them, rows come back as they were
/// announced, and what cannot be prepared is refused with its place.
#[test]
fn prepared_statements() {
    let cluster = Cluster::up(1, 1);
    cluster.ok(&["table", "create", "d.t", "--replication", "1", "--buckets", "4"]);
    cluster.until_whole(1);
    let port = Port::of(&cluster);
    let output = Command::new("/usr/bin/perl").args(["-e", PERL, &port.host, &port.port]).output();
    let output = output.expect("perl, which .ci/run installs with DBD::MariaDB");
    assert!(output.status.success(), "{}", text(&output));
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    let lines: Vec<&str> = printed.lines().collect();
    let told = ["2", "0", "1", "2 for TABLET_ID,PRIORITY,STATUS", "a part of one,10001,HDD,NULL", "0E0"];
    assert_eq!(lines[..6], told, "{printed}");
    assert_eq!(lines[6], "NULL,it's,für");
    assert!(lines[7].starts_with("1064 ") && lines[7].contains("found '?' at line 1, column 18"), "{printed}");
    assert!(lines[8].starts_with("1064 ") && lines[8].contains("these are 2"), "{printed}");
    assert_eq!(lines[9..], ["1105 there is no tablet 7"], "{printed}");

    // Columns are told before there are values, where they do not depend on them; a closed statement is no more.
    let mut stream = log_in(&port);
    for (sql, columns, parameters, packets) in [
        ("SELECT HOST, PATH FROM information_schema.disks WHERE PATH LIKE ? LIMIT ?", 2, 2, 6),
        ("SHOW TABLET ?", 0, 1, 2),
        ("DROP TABLE d.t", 0, 0, 0),
    ] {
        send(&mut stream, 0, &[&[0x16], sql.as_bytes()].concat());
        let told = packet(&mut stream).expect("an answer");
        assert_eq!((told[0], told[5], told[7]), (0, columns, parameters), "{sql}");
        (0..packets).for_each(|_| drop(packet(&mut stream).expect("columns")));
        send(&mut stream, 0, &[&[0x19], &told[1..5]].concat());
        send(&mut stream, 0, &[&[0x17], &told[1..5], &[0, 1, 0, 0, 0]].concat());
        let refused = packet(&mut stream).expect("an answer");
        assert_eq!((refused[0], u16::from_le_bytes([refused[1], refused[2]])), (0xff, 1243), "{sql}");
    }
}

/// Where the port is encrypted by order, who does not speak TLS is told so and sent away before any password is said.
#[test]
fn a_port_that_requires_tls() {
    let cluster = Cluster::up_with(1, 1, &[("STELE__COORDINATOR__SQL_REQUIRES_TLS", "true")]);
    let port = Port::of(&cluster);
    let plain = port.mariadb(&["--skip-ssl"], "SELECT 1");
    assert!(!plain.status.success() && text(&plain).contains("3159"), "{}", text(&plain));
    assert_eq!(port.pymysql("root", "", false, &["SELECT 1"])[0]["error"], 3159);
    let secret = port.mariadb(&["--ssl"], "SELECT 1");
    assert!(secret.status.success(), "{}", text(&secret));
}

/// Thousands of idle connections cost little, and what they cost is given back; the port still answers meanwhile.
#[test]
fn idle_connections_are_cheap() {
    let cluster = Cluster::up(1, 1);
    let port = Port::of(&cluster);
    let resident = || {
        let status = std::fs::read_to_string(format!("/proc/{}/status", cluster.coordinator.pid)).expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("VmRSS").trim().to_string();
        line.trim_end_matches(" kB").parse::<u64>().expect("a number")
    };
    drop((0..50).map(|_| log_in(&port)).collect::<Vec<_>>());
    let before = resident();
    const IDLE: usize = 10_000;
    let files = std::fs::read_to_string("/proc/self/limits").expect("limits");
    let most: usize = files
        .lines()
        .find(|line| line.starts_with("Max open files"))
        .and_then(|line| line.split_whitespace().nth(3)?.parse().ok())
        .unwrap_or(1024);
    // As many as the port has room for here, less a few.
    let number = IDLE.min(most.saturating_sub(8_192).max(most / 2).saturating_sub(200));
    let connections: Vec<TcpStream> = (0..number).map(|_| log_in(&port)).collect();
    let held = resident();
    println!("{number} idle connections: {before} kB before, {held} kB with them");
    assert!(held - before.min(held) < number as u64 * 16, "{} kB for {number} connections", held - before);
    let answers = port.pymysql("root", "", false, &["SHOW BACKENDS"]);
    assert!(answers[0]["error"].is_null(), "{answers:?}");
    std::thread::sleep(Duration::from_secs(2));
    assert!(resident() <= held + 4_096, "memory grows while nothing happens");

    // More than there is room for: each is told so, whoever is in stays in.
    let mut more = Vec::new();
    let refused = loop {
        let mut stream = port.connect();
        let first = packet(&mut stream).expect("a greeting, or why not");
        if first[0] == 0xff {
            break u16::from_le_bytes([first[1], first[2]]);
        }
        more.push(stream);
        assert!(number + more.len() < 13_000, "there is no end to it");
    };
    assert_eq!(refused, 1040);
    let turned_away = port.pymysql("root", "", false, &["SELECT 1"]);
    assert_eq!(turned_away[0]["error"], 1040, "{turned_away:?}");
    drop((connections, more));
    until(Duration::from_secs(10), "the port lets in again", || {
        port.pymysql("root", "", false, &["SELECT 1"])[0]["error"].is_null()
    });
}

/// With a file of users its passwords and roles hold on both doors; it is read again when it changes.
#[test]
fn users_and_roles() {
    let root = tempfile::tempdir().expect("a directory");
    let file = root.path().join("users.toml");
    let stele = |args: &[&str], password: &str| {
        let mut child = Command::new(STELE)
            .args(args)
            .arg("--file")
            .arg(&file)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("stele runs");
        writeln!(child.stdin.take().expect("piped"), "{password}").expect("written");
        let output = child.wait_with_output().expect("it ends");
        assert!(output.status.success(), "{}", text(&output));
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let token = |said: &str| said.lines().find_map(|line| line.strip_prefix("token  ")).expect("a token").to_string();
    let admin = token(&stele(&["user", "add", "ana", "--role", "admin"], "open sesame"));
    let env = [("STELE__COORDINATOR__USERS_FILE", file.to_str().expect("utf-8")), ("STELE_TOKEN", admin.as_str())];
    let cluster = Cluster::up_with(1, 1, &env);
    let port = Port::of(&cluster);
    assert_eq!(port.pymysql("root", "", false, &[])[0]["error"], 1045);
    assert_eq!(port.pymysql("ana", "wrong", false, &[])[0]["error"], 1045);
    let made = port.pymysql("ana", "open sesame", false, &["CREATE DATABASE d", "SELECT USER()"]);
    assert!(made.iter().all(|answer| answer["error"].is_null()), "{made:?}");

    for (method, password, is_let_in) in [
        ("caching_sha2_password", "open sesame", true),
        ("caching_sha2_password", "wrong", false),
        ("mysql_native_password", "open sesame", true),
    ] {
        let secret = format!("-p{password}");
        let args = ["-uana", &secret, &format!("--default-auth={method}")];
        let output = port.mariadb(&args, "SELECT USER()");
        assert_eq!(output.status.success(), is_let_in, "{method}: {}", text(&output));
    }

    let viewer = token(&stele(&["user", "add", "vic", "--role", "viewer"], "look"));
    let seen = port.pymysql("vic", "look", false, &["SHOW DATABASES", "DROP DATABASE d"]);
    assert_eq!((&seen[0]["error"], &seen[1]["error"]), (&Value::Null, &Value::from(1227)), "{seen:?}");
    let sql = |token: &str, statement: &str| {
        let mut command = Command::new(STELE);
        command.args(["sql", statement]).env("STELE_COORDINATOR", &cluster.http).env("STELE_TOKEN", token);
        command.output().expect("stele runs").status.code()
    };
    assert_eq!(sql("", "SHOW DATABASES"), Some(1), "nobody without a token");
    assert_eq!(sql(&viewer, "SHOW DATABASES"), Some(0));
    assert_eq!(sql(&viewer, "DROP DATABASE d"), Some(2));
    assert_eq!(sql(&admin, "DROP DATABASE d"), Some(0));
}
