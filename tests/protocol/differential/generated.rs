//! Generated inputs: a server and Redoubt get the same random requests, in both protocols.
//!
//! `REDOUBT_GENERATED_COUNT` is the number of inputs for each protocol, `REDOUBT_GENERATED_SEED` the
//! number of the first.

use super::{Case, Redis, Step, frame, note, run, secret, shown, ways};
use support::rng::Rng;
use support::{differences, servers};

/// Inputs for each protocol in `make test`.
const COUNT: u64 = 150;

/// Commands with data, whose replies are the same each time. `K` stands for a key, `V` for a value.
const DATA: [&str; 44] = [
    "SET K V",
    "GET K",
    "GETSET K V",
    "SETEX K 100 V",
    "INCR K",
    "INCRBYFLOAT K 1.5",
    "APPEND K V",
    "STRLEN K",
    "GETRANGE K 0 2",
    "SETRANGE K 2 V",
    "DEL K K",
    "EXISTS K K",
    "TYPE K",
    "MGET K K",
    "MSET K V K V",
    "LPUSH K V V",
    "RPOP K",
    "LRANGE K 0 -1",
    "LLEN K",
    "LPOS K V",
    "HSET K V V",
    "HGET K V",
    "HGETALL K",
    "SADD K V",
    "SISMEMBER K V",
    "ZADD K 1 V",
    "ZSCORE K V",
    "ZRANGE K 0 -1 WITHSCORES",
    "ZINCRBY K 2 V",
    "RENAME K K",
    "COPY K K",
    "PERSIST K",
    "SETBIT K 7 1",
    "BITCOUNT K",
    "PFADD K V",
    "PFCOUNT K",
    "XLEN K",
    "ECHO V",
    "PING",
    "PING V",
    "DBSIZE",
    "GETDEL K",
    "SINTERCARD 2 K K",
    "OBJECT ENCODING K",
];

/// Commands that change what the connection is, and errors.
const STATE: [&str; 30] = [
    "MULTI",
    "EXEC",
    "DISCARD",
    "WATCH K",
    "UNWATCH",
    "SELECT 0",
    "SELECT 3",
    "SELECT 99",
    "SELECT V",
    "CLIENT SETNAME V",
    "CLIENT GETNAME",
    "CLIENT SETNAME",
    "CLIENT NOSUCH V",
    "NOSUCH V V",
    "GET",
    "GET K K",
    "SET K",
    "FLUSHALL",
    "FLUSHDB V",
    "CONFIG GET V",
    "DEBUG SLEEP 0",
    "KEYS",
    "SCRIPT NOSUCH",
    "RPOPLPUSH K K",
    "EVAL V 0",
    "EVAL return{1,ARGV[1]} 0 V",
    "BLPOP K 0.01",
    "LMOVE K K LEFT RIGHT",
    "BRPOP V",
    "HELLO 9",
];

/// Requests about replies that are not wanted, and empty ones.
const REPLIES: [&str; 6] =
    ["CLIENT REPLY SKIP", "CLIENT REPLY OFF", "CLIENT REPLY ON", "CLIENT REPLY V", "", "PING V"];

/// Subscriptions.
const PUBSUB: [&str; 9] = [
    "SUBSCRIBE c",
    "SUBSCRIBE d",
    "PSUBSCRIBE p*",
    "UNSUBSCRIBE c",
    "PUNSUBSCRIBE p*",
    "PING V",
    "GET K",
    "NOSUCH V",
    "PING",
];

/// Requests before authentication.
const BEFORE: [&str; 17] = [
    "GET K",
    "GET",
    "NOSUCH V",
    "PING",
    "FLUSHALL",
    "CLIENT NOSUCH",
    "CLIENT",
    "AUTH V",
    "AUTH",
    "AUTH V V V",
    "HELLO",
    "HELLO 2",
    "HELLO 3 AUTH default V",
    "HELLO 2 AUTH default W SETNAME V",
    "HELLO 3 SETNAME V AUTH default W",
    "AUTH W",
    "EXEC",
];

/// Requests with a wrong password.
const WRONG_CLAIMS: [&str; 2] = ["AUTH V", "HELLO 3 AUTH default V"];

fn answers_wrong_claims(server: &str) -> bool {
    !differences::is_expected(server, "auth between remote commands")
}

fn answers_errors_behind_waits(server: &str) -> bool {
    !differences::is_expected(server, "an error after a blocking command")
}

/// Bytes of a broken protocol; the first three end nothing.
const BROKEN: [&[u8]; 12] = [
    b"*0\r\n",
    b"\r\n",
    b"*-1\r\n",
    b"*1\r\n$4\rXPING\r\n",
    b"*2\r\n$4\r\nECHO\r\n$1\r\naXY",
    b"*x\r\n",
    b"*1\r\nPING\r\n",
    b"*1\r\n$x\r\n",
    b"ECHO \"a\r\n",
    b"ECHO 'a b' \r\n",
    b"*1\r\n$-1\r\n",
    b"*1\r\n$4\r\nPING\rX",
];

/// Returns the request of a template.
fn request(rng: &mut Rng, template: &str, password: &str) -> Vec<u8> {
    if template.is_empty() {
        return b"\r\n".to_vec();
    }
    let words = template.split(' ').map(|word| match word {
        "K" => (*rng.pick(&["a", "b", "c"])).to_owned(),
        "V" => (*rng.pick(&["1", "x", "", "two words", "\0", "\r\n+OK\r\n"])).to_owned(),
        "W" => password.to_owned(),
        word if rng.one_in(4) => word.to_ascii_lowercase(),
        word => word.to_owned(),
    });
    frame::request(&words.collect::<Vec<_>>())
}

/// Returns the input with this number.
fn input(number: u64, protocol: &str, password: &str) -> Case {
    let mut rng = Rng::new(number);
    let theme = rng.below(5);
    let mut bytes = Vec::new();
    if theme != 4 && protocol == "3" {
        bytes.extend(frame::request(&["HELLO", "3"]));
    }
    for _ in 0..=rng.below(8) {
        let from: &[&str] = match (theme, rng.below(3)) {
            (0, _) | (1, 0) => &DATA,
            (1, _) => &STATE,
            (2, 0) => &DATA,
            (2, _) => &REPLIES,
            (3, _) => &PUBSUB,
            _ => &BEFORE,
        };
        let template = *rng.pick(from);
        // Some servers do not answer it (see `differences`).
        if WRONG_CLAIMS.contains(&template) && !answers_wrong_claims(servers::tested()) {
            continue;
        }
        bytes.extend(request(&mut rng, template, password));
    }
    let broken = rng.one_in(6).then(|| *rng.pick(&BROKEN));
    // Some servers do not answer an error behind a command that has blocked (see `differences`).
    let blocks = memchr::memmem::find(&bytes.to_ascii_lowercase(), b"\r\nblpop\r\n").is_some();
    let broken = broken.filter(|_| !blocks || answers_errors_behind_waits(servers::tested()));
    // With replies off, Valkey 9.1 leaves a connection open after a protocol error; Redoubt closes it.
    if let Some(broken) = broken.filter(|_| theme != 2) {
        bytes.extend(broken);
    }
    if theme == 2 {
        // A server does not close after a QUIT whose reply is not wanted.
        bytes.extend(frame::request(&["CLIENT", "REPLY", "ON"]));
    }
    Case {
        name: format!("input {number}"),
        noauth: theme == 4,
        mask_id: true,
        steps: vec![Step::Send(bytes)],
        ..Case::default()
    }
}

#[test]
fn generated_inputs_get_the_same_bytes_from_redoubt_as_from_the_server() {
    let set = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
    let count = set("REDOUBT_GENERATED_COUNT").unwrap_or(COUNT);
    let first = set("REDOUBT_GENERATED_SEED").unwrap_or(0);
    let password = secret();
    let server = Redis::setup().password(&password).hide_refused().start();
    let ways = ways(&password, false);
    let mut differing = 0;
    for number in first..first + count {
        for protocol in ["2", "3"] {
            let case = input(number, protocol, &password);
            server.flush();
            let wanted = run(&case, false, (server.address(), &password), &server);
            for (sharing, upstream, redoubt) in &ways {
                let behind = redoubt.stand_in().unwrap_or(upstream);
                behind.flush();
                let got = run(&case, false, (redoubt.address(), &password), behind);
                if wanted != got {
                    differing += 1;
                    let Some(Step::Send(bytes)) = case.steps.first() else { continue };
                    note(&format!(
                        "--- {}, RESP{protocol}, sharing {sharing}\nSent:    {}\nServer:  {}\nRedoubt: {}\n",
                        case.name,
                        shown(bytes),
                        shown(&wanted),
                        shown(&got)
                    ));
                }
            }
        }
    }
    assert_eq!(differing, 0, "replies differ; REDOUBT_GENERATED_SEED=number begins with one input");
}
