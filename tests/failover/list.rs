//! Several addresses in a list.

use support::servers::{MAIN, on_each};

use crate::group::Group;

#[test]
fn the_first_of_a_list_that_is_a_primary_is_used_and_followed() {
    on_each(&MAIN, |server| {
        let group = Group::start(server, 2);
        let redoubt =
            group.behind_list(&[1, 0, 2]).set_text("upstream.failover_timeout", "60s").start();
        redoubt.wait_until_it_serves();
        let mut session = redoubt.session();
        assert_eq!(session.command(&["SET", "k", "0"]), b"+OK\r\n");
        assert_eq!(group.servers[0].direct().command(&["GET", "k"]), b"$1\r\n0\r\n");
        for index in [2, 1] {
            group.promote(index);
            let promoted = group.servers[index].address().to_string();
            let is_found = |line: &str| {
                line.contains("the primary is here") && line.contains(&format!("{promoted}\""))
            };
            assert!(redoubt.log().wait(is_found).is_some(), "{:?}", redoubt.log().all());
            let value = index.to_string();
            assert_eq!(session.command(&["SET", "k", &value]), b"+OK\r\n");
            let found = group.servers[index].direct().command(&["GET", "k"]);
            assert_eq!(found, format!("$1\r\n{value}\r\n").into_bytes());
        }
    });
}

#[test]
fn a_list_without_a_primary_is_said_in_the_log_with_the_reason_of_each_server() {
    let mut group = Group::start(support::servers::REDIS_7_0, 1);
    group.servers[0].kill();
    let redoubt = group.behind_list(&[0, 1]).start();
    let said = redoubt.log().wait(|line| line.contains("\"no primary\"")).expect("a line");
    let [dead, replica] = [0, 1].map(|index| group.servers[index].address());
    assert!(said.contains(&format!("{dead}: cannot connect to")), "{said}");
    assert!(said.contains(&format!("{replica}: which is a replica")), "{said}");
    group.servers[0].restart();
    redoubt.wait_until_it_serves();
}
