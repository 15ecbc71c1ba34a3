//! The names of users in the server's errors.
//!
//! Links log in as users that clients do not know. From Redis 7.2 on, the error about a command that a user may
//! not run names the user, also inside the reply to `EXEC` and where a script has called the command. Clients are
//! shown the name of their identity in its place. Nothing else of a reply is changed: text of a client or a script
//! outside these errors is passed on as it is.

use bytes::BytesMut;

use crate::auth::{Identities, IdentityId};
use crate::resp::ReplyScanner;
use crate::router::session::Session;
use crate::session::{Frame, Limits};
use crate::upstream::refusal;

/// What errors on one link name, and what clients are shown in its place.
pub(in crate::router) struct Renaming<'a> {
    /// What errors say of the users that the link is, or was, logged in as (see
    /// [`Link::refusals`](crate::upstream::Link::refusals)).
    pub(in crate::router) refusals: &'a [Box<[u8]>],
    pub(in crate::router) identities: &'a Identities,
    /// The identity on whose behalf the link is logged in.
    pub(in crate::router) identity: IdentityId,
}

/// The end of what has come of an error's text, if that may be the beginning of a name.
#[derive(Default)]
pub(in crate::router) struct Begun(BytesMut);

impl Begun {
    /// Gives `session` more of the text of an error in `frame`.
    #[cold]
    pub(in crate::router) fn append(
        &mut self,
        more: BytesMut,
        session: &mut Session,
        (frame, scanner): (Frame, &ReplyScanner),
        renaming: &Renaming<'_>,
        limits: &Limits,
    ) {
        let mut text = std::mem::take(&mut self.0);
        text.unsplit(more);
        if scanner.is_in_error_text() {
            let kept = renaming.begun_in(&text);
            self.0 = text.split_off(text.len().saturating_sub(kept));
        }
        session.append_piece(frame, &renaming.renamed(text), limits);
    }
}

impl Renaming<'_> {
    /// Returns how many bytes at the end of `text` may be the beginning of what names a user.
    fn begun_in(&self, text: &[u8]) -> usize {
        let begun = |phrase: &[u8]| {
            let most = phrase.len().saturating_sub(1).min(text.len());
            let ends = |len: &usize| {
                let end = text.len().checked_sub(*len).and_then(|start| text.get(start..));
                end.is_some_and(|end| phrase.starts_with(end))
            };
            (1..=most).rev().find(ends).unwrap_or(0)
        };
        self.refusals.iter().map(|phrase| begun(phrase)).max().unwrap_or(0)
    }

    /// Returns `text` with the identity's name in the place of the users' names.
    fn renamed(&self, mut text: BytesMut) -> BytesMut {
        for phrase in self.refusals {
            let mut rest: &[u8] = &text;
            let mut renamed = BytesMut::new();
            while let Some(place) = memchr::memmem::find(rest, phrase)
                && let Some(name) = self.identities.user_of(self.identity)
            {
                let (before, after) = rest.split_at(place);
                renamed.extend_from_slice(before);
                renamed.extend_from_slice(&refusal(name));
                rest = after.get(phrase.len()..).unwrap_or_default();
            }
            if !renamed.is_empty() {
                renamed.extend_from_slice(rest);
                text = renamed;
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::Identity;

    #[test]
    fn only_what_names_the_user_of_the_link_is_renamed() {
        let identities = Identities::from(Identity::new(Some("app"), &"secret".to_owned().into()));
        let refusals = ["redoubt-1-2", "redoubt-3-4"].map(refusal);
        let renaming =
            Renaming { refusals: &refusals, identities: &identities, identity: IdentityId::FIRST };
        let renamed = |text: &str| {
            String::from_utf8(renaming.renamed(text.as_bytes().into()).to_vec()).unwrap()
        };
        let get = |name: &str| {
            format!("NOPERM User {name} has no permissions to run the 'get' command\r\n")
        };
        assert_eq!(renamed(&get("redoubt-1-2")), get("app"));
        assert_eq!(renamed(&get("redoubt-3-4")), get("app"));
        assert_eq!(renamed(&get("redoubt-1-2").repeat(2)), get("app").repeat(2));
        for unchanged in [get("redoubt-1-20"), get("app"), "ERR redoubt-1-2 is here".to_owned()] {
            assert_eq!(renamed(&unchanged), unchanged);
        }
        assert_eq!(renaming.begun_in(b"NOPERM User redoubt-1"), "User redoubt-1".len());
        assert_eq!(renaming.begun_in(b"NOPERM User redoubt-2"), 0);
        assert_eq!(renaming.begun_in(get("redoubt-1-2").as_bytes()), 0);
    }
}
