//! Requests of a client without a password.

use support::bench::{CLIENT_PASSWORD, request};

/// Returns bytes by which an attacker might try to pass the authentication.
pub(crate) fn hostile() -> Vec<Vec<u8>> {
    let mut inputs: Vec<Vec<u8>> = [
        &b"PING\r\n"[..],
        b"GET k\r\n",
        b"FLUSHALL\r\n",
        b"CONFIG GET requirepass\r\n",
        b"MULTI\r\nSET a b\r\nEXEC\r\n",
        b"AUTH\r\nPING\r\n",
        b"AUTH wrong\r\nGET k\r\n",
        b"AUTH default wrong\r\nGET k\r\n",
        b"AUTH \"\"\r\nGET k\r\n",
        b"AUTH default\r\nGET k\r\n",
        b"AUTH a b c\r\nGET k\r\n",
        b"HELLO\r\nGET k\r\n",
        b"HELLO 3\r\nGET k\r\n",
        b"HELLO 3 AUTH default wrong\r\nGET k\r\n",
        b"HELLO 3 AUTH default\r\nGET k\r\n",
        b"HELLO 3 SETNAME x\r\nGET k\r\n",
        b"HELLO 4 AUTH default \"the password that clients have to say\"\r\nGET k\r\n",
        b"HELLO 3 SETNAME \"a b\" AUTH default \"the password that clients have to say\"\r\nGET k\r\n",
        b"HELLO 3 FOO AUTH default \"the password that clients have to say\"\r\nGET k\r\n",
        b"AUTH \"the password that clients have to say\" x\r\nGET k\r\n",
        b"AUTH nobody \"the password that clients have to say\"\r\nGET k\r\n",
        b"AUTH DEFAULT \"the password that clients have to say\"\r\nGET k\r\n",
        b"AUTH \"the password that clients have to say \"\r\nGET k\r\n",
        b"AUTH \"the password that clients have to say\\x00\"\r\nGET k\r\n",
        b"AUTH \"the password that clients have to sa\"\r\nGET k\r\n",
        b"AUTH\0 \"the password that clients have to say\"\r\nGET k\r\n",
        b"*2\r\n$5\r\nAUTH\0\r\n$37\r\nthe password that clients have to say\r\n*1\r\n$4\r\nPING\r\n",
        b"RESET\r\nPING\r\nRESET\r\nGET k\r\n",
        b"SUBSCRIBE a\r\nMONITOR\r\nSYNC\r\nPSYNC ? -1\r\n",
        b"EVAL \"return redis.call('GET','k')\" 0\r\n",
        b"CLIENT REPLY OFF\r\nCLIENT SETNAME x\r\nPING\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\n\r\nGET k\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"*0\r\n*-1\r\n\r\n\r\nPING\r\n",
        b"*1\r\n*1\r\n$4\r\nPING\r\n",
        b"*1\r\n+PING\r\n",
        b"*99999999\r\n$4\r\nPING\r\n",
        b"*11\r\n$4\r\nMGET\r\n",
        b"*2\r\n$4\r\nECHO\r\n$16385\r\n",
        b"*1\r\n$-1\r\n",
        b"*1\r\n$4\r\nPINGxx*1\r\n$4\r\nPING\r\n",
        b"*3\n$3\n",
        b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03",
        b"\0\0\0\0",
        b"\xff\xfe\xfd\r\n",
        b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\nPING\r\n",
        b"\"unbalanced\r\nPING\r\n",
        b"quit\r\nGET k\r\n",
        b"+OK\r\n",
        b"-ERR\r\n",
        b"QUIT x y\r\nPING\r\n",
    ]
    .map(<[u8]>::to_vec)
    .into();
    inputs.push(vec![b'a'; 200_000]);
    inputs.push(b"PING ".repeat(1000));
    inputs.push(b"*1\r\n".repeat(10_000));
    let mut cut = request(&["AUTH", CLIENT_PASSWORD]);
    cut.pop();
    inputs.push(cut);
    inputs
}
