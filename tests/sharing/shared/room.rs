//! Room on a full link, and the order in which sessions get it.

use redoubt_core::router::{LinkId, SessionId};

use crate::places::Places;
use support::bench::{assert_bytes, request};

/// Most bytes of one read of a client's socket.
const READ: usize = 64 << 10;
const KIB: usize = 1 << 10;

/// Plays Redis for a client that reads nothing before it has sent everything.
fn pipeline(places: &mut Places, id: SessionId, reply: &[u8]) {
    const REQUESTS: usize = 100_000;
    let one = request(&["GET", "k"]);
    let said = one.repeat(REQUESTS);
    let (mut taken, mut sent, mut answered, mut heard) = (0, 0, 0, 0);
    let mut links: Vec<LinkId> = Vec::new();
    let mut begun = 0;
    while heard < REQUESTS * reply.len() {
        let before = (taken, sent, answered, heard, begun);
        if taken < said.len() && places.bench.router.wants_read(id) {
            let piece = &said[taken..said.len().min(taken + READ)];
            taken += piece.len();
            places.bench.say(id, piece);
        }
        if let Some((link, bytes)) = places.flush() {
            assert!(bytes.len() < 512 * KIB);
            sent += bytes.len() / one.len();
            links.retain(|known| *known != link);
            links.push(link);
        }
        // A session's requests are never divided among links, so the last link owes all replies.
        let link = *links.last().expect("a link");
        while answered < sent && places.bench.router.link_wants_read(link, places.bench.now) {
            let piece = &reply[begun..reply.len().min(begun + READ)];
            begun += piece.len();
            places.bench.reply(link, piece);
            if begun == reply.len() {
                (begun, answered) = (0, answered + 1);
            }
        }
        let unread = places.bench.router.output(id).len();
        assert!(unread < 2 << 20, "{unread} bytes wait for the client");
        if taken == said.len() {
            heard += places.bench.read(id).len();
        }
        let now = (taken, sent, answered, heard, begun);
        assert_ne!(before, now, "stuck, with {unread} bytes unread");
    }
    assert_eq!((sent, answered), (REQUESTS, REQUESTS));
}

#[test]
fn a_naive_pipeliner_gets_all_its_replies() {
    for length in [1, 100, 1000] {
        let mut places = Places::new();
        let (id, _) = places.plain();
        let reply = format!("${length}\r\n{}\r\n", "v".repeat(length));
        pipeline(&mut places, id, reply.as_bytes());
        // The next request uses a lease, or the common link.
        places.link_of(id);
    }
}

#[test]
fn a_long_pipeline_waits_so_that_others_need_not() {
    let mut places = Places::new();
    let (many, common) = places.plain();
    let (few, _) = places.plain();
    let one = request(&["GET", "k"]);
    places.bench.say(many, &b"GET k\r\n".repeat(2000));
    assert_eq!(places.bench.sent(common).len() / one.len(), 512);
    assert!(!places.bench.router.wants_read(many), "a session with waiting requests is not read");
    let (link, sent) = places.send(few, b"GET f\r\n");
    assert_eq!(link, common);
    assert_bytes(&sent, &request(&["GET", "f"]));
    // Each reply makes room for one request.
    let mut sent = 512;
    while sent < 2000 {
        places.bench.reply(common, &b"$-1\r\n".repeat(100));
        if sent == 512 {
            places.bench.reply(common, &b"$-1\r\n".repeat(412));
            places.bench.reply(common, b"$1\r\nf\r\n");
            assert_bytes(&places.bench.read(few), b"$1\r\nf\r\n");
        }
        let more = places.bench.sent(common).len() / one.len();
        assert!((1..=512).contains(&more), "{more} more");
        sent += more;
    }
    places.bench.reply(common, &b"$-1\r\n".repeat(100));
    while places.bench.router.output(many).len() < 2000 * 5 {
        places.bench.reply(common, b"$-1\r\n");
    }
    assert_bytes(&places.bench.read(many), &b"$-1\r\n".repeat(2000));
    assert!(places.bench.router.wants_read(many));
}

#[test]
fn requests_in_flight_on_a_link_are_bounded() {
    let mut places = Places::new();
    let (many, common) = places.plain();
    let (few, _) = places.plain();
    places.fill(common);
    assert!(places.try_send(many, &b"GET k\r\n".repeat(1000)).is_none());
    assert!(places.try_send(few, b"GET f\r\n").is_none());
    assert!(!places.bench.router.wants_read(many) && !places.bench.router.wants_read(few));
    places.bench.reply(common, &b"$-1\r\n".repeat(3000));
    let (link, sent) = places.flush().expect("there is room");
    assert_eq!(link, common);
    let mine = request(&["GET", "f"]);
    assert!(
        sent.windows(mine.len()).any(|part| part == mine),
        "both sessions get a part of the room"
    );
    assert!(places.bench.router.wants_read(few));
}

#[test]
fn room_on_a_link_is_given_in_order_of_waiting() {
    let mut places = Places::new();
    let (first, common) = places.plain();
    let (second, _) = places.plain();
    let (third, _) = places.plain();
    places.fill(common);
    // The first session has more requests than fit; the other sessions come after it.
    places.bench.say(first, &request(&["GET", "k"]).repeat(20));
    places.bench.say(second, &request(&["GET", "s"]).repeat(2));
    places.bench.say(third, &request(&["GET", "t"]));
    let mut order = String::new();
    for _ in 0..8 {
        places.bench.reply(common, b"$-1\r\n");
        let sent = String::from_utf8(places.bench.sent(common)).unwrap();
        let mut keys = sent.split("$1\r\n").skip(1).map(|rest| &rest[..1]);
        order.extend(keys.next());
        assert!(keys.next().is_none(), "each free place sends one request");
    }
    // A session that was served goes to the end of the queue.
    assert_eq!(order, "kstkskkk");
    assert!(places.bench.router.wants_read(second) && places.bench.router.wants_read(third));
}

#[test]
fn unsent_bytes_of_a_link_pause_its_sessions() {
    let mut places = Places::new();
    let (many, common) = places.plain();
    let (few, _) = places.plain();
    let value = "v".repeat(1000);
    while places.bench.router.wants_read(many) {
        places.bench.say(many, &request(&["SET", "k", &value]));
    }
    let waiting = places.bench.router.link_output(common).len();
    assert!((256 * KIB..258 * KIB).contains(&waiting), "{waiting} bytes wait");
    places.bench.say(few, b"GET k\r\n");
    assert!(!places.bench.router.wants_read(few));
    let rest = places.bench.sent(common);
    assert!(
        rest.ends_with(&request(&["GET", "k"])),
        "the session continues when the link has written some bytes"
    );
    assert!(places.bench.router.wants_read(few) && places.bench.router.wants_read(many));
    assert_bytes(&places.bench.read(few), b"");
}

#[test]
fn sessions_that_wait_for_room_continue_on_a_new_link_when_theirs_is_lost() {
    let mut places = Places::new();
    let (few, common) = places.plain();
    let fillers = places.fill(common);
    assert!(places.try_send(few, b"GET f\r\n").is_none());
    places.bench.router.link_lost(common, places.bench.now);
    let (link, sent) = places.flush().expect("its request");
    assert_ne!(link, common);
    assert_bytes(&sent, &request(&["GET", "f"]));
    places.bench.reply(link, b"$1\r\nf\r\n");
    assert_bytes(&places.bench.read(few), b"$1\r\nf\r\n");
    assert!(fillers.into_iter().all(|id| places.bench.router.is_finished(id)));
}
