//! Large requests, which are forwarded piece by piece.

use super::apply::Body;
use super::route::Route;
use super::{Next, Pipeline};
use crate::router::session::{Asked, Streaming};
use crate::session::{Action, CloseReason, Decision};

impl Pipeline<'_> {
    /// Begins to carry out `decision` for the large request that `input` begins with.
    pub(super) fn begin_large(
        &mut self,
        decision: Decision,
        route: Route,
        asked: Asked,
        input: &[u8],
    ) -> Next {
        let (action, asked) = match decision {
            Decision::Special(special) => self.change(special, asked),
            // A decision is plain only for a whole request.
            Decision::Plain => (Action::Silence, asked),
        };
        let link = action.need().and_then(|_| self.take_link(route));
        self.session.streaming = Some(Streaming { action, link, asked, passed: 0 });
        self.pass_large(input)
    }

    /// Forwards, or drops, the bytes of a large request that have come.
    pub(super) fn pass_large(&mut self, input: &[u8]) -> Next {
        let limits = self.session.state.request_limits(&self.rules.limits);
        let streamed = match self.session.parser.stream(input, limits) {
            Ok(streamed) => streamed,
            Err(error) => return self.protocol_error(&error, input.len()),
        };
        let Some(Streaming { action, link, passed, .. }) = &mut self.session.streaming else {
            return Next::After(streamed.len);
        };
        *passed = passed.saturating_add(streamed.len);
        if *passed > self.rules.limits.request_size {
            return self.too_large(streamed.len);
        }
        if let Action::Forward { .. } = action
            && let Some(link) = *link
            && let Some(requests) = self.links.requests(link, self.id)
        {
            requests.extend_from_slice(input.get(..streamed.len).unwrap_or_default());
            if let Some((sent, last)) = requests.last_mut().zip(streamed.last) {
                *sent = last;
            }
            self.links.complete_request();
        }
        if streamed.done {
            if let Some(Streaming { action, link, asked, .. }) = self.session.streaming.take() {
                self.count();
                self.act(action, link.map_or(Route::Local, Route::Link), asked, Body::Sent);
            }
            if self.draining {
                self.session.end(CloseReason::Shutdown);
            }
        } else if streamed.len == 0 {
            return Next::More;
        }
        Next::After(streamed.len)
    }
}
