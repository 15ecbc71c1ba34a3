//! Barriers, which keep the replies of one session apart from those of the next on one link.
//!
//! A server may answer one request with several replies, or with none. On a link that carries the
//! requests of many sessions, each session's run of requests is therefore closed by a barrier: a
//! request of Redoubt's own with a random token that the server repeats. All bytes before the token
//! answer that run and must not reach another session, whatever they look like: the token is searched in
//! the bytes themselves and not in the replies that they seem to be.
//!
//! No barrier is sent while one session alone uses the link: until another session sends something, all
//! bytes can only answer the first session.

use std::collections::{BTreeSet, VecDeque};

use bytes::BytesMut;
use sha2::{Digest, Sha256};

use crate::auth::IdentityId;
use crate::resp::{Protocol, encode_command};
use crate::router::SessionId;

/// Bytes of a token in a request: 128 bits in hexadecimal.
const TOKEN: usize = 32;
/// The error of `HELLO` about an unknown option: the text before and after the option.
const HELLO_ERROR: [&[u8]; 2] = [b"-ERR Syntax error in HELLO option '", b"'\r\n"];

/// A text that only Redoubt and the server know until the server has repeated it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::router) struct Token([u8; TOKEN]);

/// Generates tokens. The next token cannot be computed from known tokens.
struct Tokens {
    key: [u8; 32],
    made: u64,
    /// The second half of the last digest, until it is used for a token.
    left: Option<[u8; TOKEN / 2]>,
}

impl Tokens {
    fn new(key: [u8; 32]) -> Self {
        Self { key, made: 0, left: None }
    }

    fn next(&mut self) -> Token {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let bytes = self.left.take().unwrap_or_else(|| self.digest());
        let mut token = [0; TOKEN];
        for (pair, byte) in token.chunks_exact_mut(2).zip(bytes) {
            let digit = |nibble: u8| DIGITS.get(usize::from(nibble)).copied().unwrap_or(b'0');
            pair.copy_from_slice(&[digit(byte >> 4), digit(byte & 15)]);
        }
        Token(token)
    }

    /// Returns half of a new digest, and keeps the other half.
    fn digest(&mut self) -> [u8; TOKEN / 2] {
        self.made = self.made.wrapping_add(1);
        let digest: [u8; TOKEN] = Sha256::new()
            .chain_update(self.key)
            .chain_update(self.made.to_le_bytes())
            .finalize()
            .into();
        self.left = digest.last_chunk().copied();
        digest.first_chunk().copied().unwrap_or_default()
    }
}

/// What a worker's barriers have in common.
pub(in crate::router) struct Barriers {
    tokens: Tokens,
    /// The identities of which the server has said that their users may not run `ECHO`.
    without_echo: BTreeSet<IdentityId>,
}

impl Barriers {
    /// Barriers with tokens from a secret `key`, which must come from the system's source of randomness.
    pub(in crate::router) fn new(key: [u8; 32]) -> Self {
        Self { tokens: Tokens::new(key), without_echo: BTreeSet::new() }
    }

    /// Returns a token that nobody knows yet.
    pub(in crate::router) fn next_token(&mut self) -> Token {
        self.tokens.next()
    }

    /// Returns the form that the server answers with the token on links of `identity`, as far as is known.
    pub(in crate::router) fn form(&self, identity: IdentityId) -> Form {
        if self.without_echo.contains(&identity) { Form::Hello } else { Form::Echo }
    }

    /// Uses no `ECHO` on links of `identity` from now on if `may_not_echo`: the server has refused it to the user
    /// of these links.
    pub(in crate::router) fn note_refusal(&mut self, identity: IdentityId, may_not_echo: bool) {
        if may_not_echo {
            self.without_echo.insert(identity);
        }
    }

    /// Uses `ECHO` again on links of `identity`: they log in as another user from now on.
    pub(in crate::router) fn forget_refusal(&mut self, identity: IdentityId) {
        self.without_echo.remove(&identity);
    }
}

/// The request that carries the token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::router) enum Form {
    /// `ECHO token`.
    Echo,
    /// `HELLO version token`, which is refused with an error that repeats the token. The server gives this
    /// answer also while a script overruns, and to every user; but the answer counts as an error in `INFO`, so
    /// this form is used only where the server does not answer `ECHO`.
    Hello,
}

/// A request with a token, and the reply that proves that everything before it has been answered.
pub(in crate::router) struct Barrier {
    /// The session whose run of requests it closes.
    pub(in crate::router) session: SessionId,
    pub(in crate::router) form: Form,
    reply: Vec<u8>,
}

impl Barrier {
    /// Creates a barrier behind the run of `session`, and adds its request to `requests`.
    pub(in crate::router) fn write(
        session: SessionId,
        form: Form,
        protocol: Protocol,
        token: Token,
        requests: &mut BytesMut,
    ) -> Self {
        let reply = match form {
            Form::Echo => {
                encode_command([b"ECHO".as_slice(), &token.0], requests);
                [b"$32\r\n".as_slice(), &token.0, b"\r\n"].concat()
            }
            Form::Hello => {
                let version: &[u8] = match protocol {
                    Protocol::Resp2 => b"2",
                    Protocol::Resp3 => b"3",
                };
                encode_command([b"HELLO".as_slice(), version, &token.0], requests);
                [HELLO_ERROR[0], &token.0, HELLO_ERROR[1]].concat()
            }
        };
        Self { session, form, reply }
    }

    /// Returns the server's reply to it.
    pub(in crate::router) fn reply(&self) -> &[u8] {
        &self.reply
    }

    /// Returns the position of the reply in `input`.
    pub(in crate::router) fn find(&self, input: &[u8]) -> Option<usize> {
        memchr::memmem::find(input, &self.reply)
    }

    /// Returns how many bytes at the end of `input`, which does not contain the reply, may be its beginning.
    pub(in crate::router) fn begun_in(&self, input: &[u8]) -> usize {
        let most = self.reply.len().saturating_sub(1).min(input.len());
        let ends = |len: &usize| {
            let end = input.len().checked_sub(*len).and_then(|start| input.get(start..));
            end.is_some_and(|end| self.reply.starts_with(end))
        };
        (1..=most).rev().find(ends).unwrap_or(0)
    }
}

/// The state of a link whose sessions are kept apart by barriers.
#[derive(Default)]
pub(in crate::router) struct Fence {
    /// The session that has sent last, while no barrier closes its run.
    pub(in crate::router) open: Option<SessionId>,
    /// Barriers that have been sent and are not answered yet.
    pub(in crate::router) sent: VecDeque<Barrier>,
    /// Bytes that may be the beginning of a barrier's reply.
    pub(in crate::router) begun: BytesMut,
    /// True if all bytes up to the next token are dropped, because the sessions that they may belong to end.
    pub(in crate::router) skips: bool,
    /// Bytes since a barrier was answered with an error: it is not known yet to which session they belong.
    pub(in crate::router) unproved: Option<BytesMut>,
    /// True if a barrier must be sent although no session sends a request.
    pub(in crate::router) wants_barrier: bool,
    /// True if barriers take the form that is always answered.
    pub(in crate::router) insists: bool,
    /// True if the server has said that this user may not run `ECHO`.
    pub(in crate::router) may_not_echo: bool,
}

impl Fence {
    /// Number of unproved bytes that are held. With more, the link is closed.
    pub(in crate::router) const MAX_UNPROVED: usize = 1 << 20;

    /// Returns whether `reply`, in the place of a barrier's reply, says that the server refused the `ECHO`; `None`
    /// while that is not known. This is no proof, because a session may have caused the error.
    pub(in crate::router) fn is_refusal(reply: &[u8]) -> Option<bool> {
        begins_with_any(reply, NO_ECHO.into_iter().chain([b"-BUSY ".as_slice()]))
    }

    /// The same for an `ECHO` that the server will refuse the next time too.
    pub(in crate::router) fn is_refusal_for_good(reply: &[u8]) -> bool {
        begins_with_any(reply, NO_ECHO) == Some(true)
    }
}

/// The errors of a server whose user may not run `ECHO`, or that has `ECHO` under another name.
const NO_ECHO: [&[u8]; 2] = [b"-NOPERM ", b"-ERR unknown command "];

/// Returns whether `bytes` begin with one of `texts`; `None` while that is not known.
pub(in crate::router) fn begins_with_any<'a>(
    bytes: &[u8],
    texts: impl IntoIterator<Item = &'a [u8]>,
) -> Option<bool> {
    let mut pending = false;
    for text in texts {
        if bytes.starts_with(text) {
            return Some(true);
        }
        pending |= text.starts_with(bytes);
    }
    (!pending).then_some(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn barrier(form: Form) -> (Barrier, BytesMut) {
        let mut requests = BytesMut::new();
        let token = Tokens::new([7; 32]).next();
        let nobody = SessionId(slotmap::DefaultKey::default());
        let barrier = Barrier::write(nobody, form, Protocol::Resp3, token, &mut requests);
        (barrier, requests)
    }

    #[test]
    fn tokens_differ_by_key_and_by_number() {
        let mut first = Tokens::new([1; 32]);
        let mut second = Tokens::new([2; 32]);
        let tokens: Vec<_> =
            (0..5).map(|_| first.next()).chain((0..5).map(|_| second.next())).collect();
        for (at, token) in tokens.iter().enumerate() {
            assert!(token.0.iter().all(u8::is_ascii_hexdigit));
            assert!(!tokens[..at].contains(token));
        }
    }

    #[test]
    fn a_barrier_is_answered_with_its_token() {
        let (echo, request) = barrier(Form::Echo);
        let token = String::from_utf8(echo.reply()[5..37].to_vec()).unwrap();
        let sent = format!("*2\r\n$4\r\nECHO\r\n$32\r\n{token}\r\n");
        assert_eq!(request, sent.as_bytes());
        let (hello, request) = barrier(Form::Hello);
        let sent = format!("*3\r\n$5\r\nHELLO\r\n$1\r\n3\r\n$32\r\n{token}\r\n");
        assert_eq!(request, sent.as_bytes());
        let answer = format!("-ERR Syntax error in HELLO option '{token}'\r\n");
        assert_eq!(hello.reply(), answer.as_bytes());
    }

    #[test]
    fn the_beginning_of_a_reply_is_found_wherever_it_is_cut() {
        let (barrier, _) = barrier(Form::Echo);
        for end in 1..barrier.reply().len() {
            let input = [b"$3\r\nabc\r\n".as_slice(), &barrier.reply()[..end]].concat();
            assert_eq!((barrier.find(&input), barrier.begun_in(&input)), (None, end));
        }
        let whole = [b":1\r\n".as_slice(), barrier.reply(), b":2\r\n"].concat();
        assert_eq!(barrier.find(&whole), Some(4));
        assert_eq!(barrier.begun_in(b"+OK\r\n"), 0);
        assert_eq!(barrier.begun_in(b""), 0);
    }

    #[test]
    fn refusals_of_echo_are_recognized() {
        assert_eq!(Fence::is_refusal(b"-BUSY Redis is"), Some(true));
        assert_eq!(Fence::is_refusal(b"-NOPERM "), Some(true));
        assert_eq!(Fence::is_refusal(b"-ERR unknown command 'ECHO', with"), Some(true));
        assert_eq!(Fence::is_refusal(b"-"), None);
        assert_eq!(Fence::is_refusal(b"-ERR"), None);
        assert_eq!(Fence::is_refusal(b"-ERR no"), Some(false));
        assert!(
            Fence::is_refusal_for_good(b"-NOPERM x") && !Fence::is_refusal_for_good(b"-BUSY x")
        );
        assert_eq!(Fence::is_refusal(b"$32\r\n"), Some(false));
    }
}
