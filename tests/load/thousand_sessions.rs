//! Many sessions at a time: no reply is lost, and none reaches another session.

use std::sync::Arc;

use super::turn;
use support::{Redis, Redoubt, TIME_LIMIT, frame, raise_open_files, shown};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::Barrier;

const SESSIONS: usize = 1000;
const COMMANDS: usize = 100;

/// Returns the `number`th command of a session, and the only right reply.
fn command(session: usize, number: usize) -> (Vec<u8>, Vec<u8>) {
    let key = format!("key:{session}");
    let value = format!("value {session} of {number} {}", "x".repeat(session * 7 % 300));
    match number % 5 {
        0 => (frame::request(&["SET", &key, &value]), b"+OK\r\n".to_vec()),
        1 => {
            let set =
                format!("value {session} of {} {}", number - 1, "x".repeat(session * 7 % 300));
            (frame::request(&["GET", &key]), frame::bulk(set.as_bytes()))
        }
        2 => (frame::request(&["ECHO", &value]), frame::bulk(value.as_bytes())),
        3 => {
            let counter = format!("counter:{session}");
            let count = number / 5 + 1;
            (frame::request(&["INCR", &counter]), format!(":{count}\r\n").into_bytes())
        }
        _ => {
            let refused = format!(
                "-ERR unknown command 'CONFIG', with args beginning with: 'GET' 's{session}-{number}' \r\n"
            );
            let name = format!("s{session}-{number}");
            (frame::request(&["CONFIG", "GET", &name]), refused.into_bytes())
        }
    }
}

/// Sends `request` and reads as many bytes as `wanted` has.
pub(crate) async fn ask(stream: &mut TcpStream, request: &[u8], wanted: &[u8]) {
    let mut got = vec![0; wanted.len()];
    let asked = async {
        stream.write_all(request).await.expect("send");
        stream.read_exact(&mut got).await.expect("a whole reply");
    };
    tokio::time::timeout(TIME_LIMIT, asked).await.expect("a reply in time");
    assert!(got == wanted, "wanted {}, got {}", shown(wanted), shown(&got));
}

#[test]
fn a_thousand_sessions_on_shared_links_lose_and_mix_no_reply() {
    let _turn = turn();
    thousand_sessions("auto");
}

#[test]
fn a_thousand_sessions_with_own_links_lose_and_mix_no_reply() {
    let _turn = turn();
    thousand_sessions("off");
}

fn thousand_sessions(sharing: &str) {
    raise_open_files();
    let redis = Redis::start();
    let redoubt = Redoubt::setup(&redis).set_text("upstream.sharing", sharing).start();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let all_there = Arc::new(Barrier::new(SESSIONS));
        let mut sessions = tokio::task::JoinSet::new();
        for session in 0..SESSIONS {
            let (address, password) = (redoubt.address(), redoubt.password().to_owned());
            let all_there = Arc::clone(&all_there);
            sessions.spawn(async move {
                let mut stream = TcpStream::connect(address).await.expect("connect");
                stream.set_nodelay(true).unwrap();
                ask(&mut stream, &frame::request(&["AUTH", &password]), b"+OK\r\n").await;
                all_there.wait().await;
                // Requests are sent one at a time, or in pipelines of up to 20.
                let batch = [1, 2, 10, 20][session % 4];
                for first in (0..COMMANDS).step_by(batch) {
                    let (requests, replies): (Vec<_>, Vec<_>) =
                        (first..first + batch).map(|number| command(session, number)).unzip();
                    ask(&mut stream, &requests.concat(), &replies.concat()).await;
                }
                ask(&mut stream, &frame::request(&["QUIT"]), b"+OK\r\n").await;
                assert_eq!(stream.read(&mut [0; 8]).await.expect("a close"), 0);
            });
        }
        while let Some(session) = sessions.join_next().await {
            session.expect("a session without a fault");
        }
    });
    assert_eq!(
        redis.direct().command(&["DBSIZE"]),
        format!(":{}\r\n", stored(&redoubt)).as_bytes()
    );
}

/// Returns how many keys the upstream holds afterwards: two for each session.
fn stored(redoubt: &Redoubt) -> usize {
    if redoubt.stand_in().is_some() { 0 } else { SESSIONS * 2 }
}
