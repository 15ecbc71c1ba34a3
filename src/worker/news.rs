//! What the watch of the upstream tells workers about links, and what they do then.

use std::time::Duration;

use redoubt_core::router::LinkId;

use super::Worker;
use crate::net::keepalive::give_up_after;
use crate::net::now;

/// What the watch has found out about links.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LinkNews {
    /// The server does not answer, or does again.
    Stalls(bool),
    /// The host has acknowledged nothing for this long: links that are older are of no use.
    Silent(Duration),
    /// The server that is found at the address is another than the links go to.
    Elsewhere,
}

impl Worker {
    /// Acts on what the watch has found out.
    pub(crate) fn hear(&mut self, news: LinkNews) {
        match news {
            LinkNews::Stalls(stalls) => {
                self.upstream_stalls = stalls;
                let dead_after = self.in_force.borrow().target.dead_after.filter(|_| !stalls);
                self.links.values().for_each(|io| give_up_after(io.stream(), dead_after));
            }
            LinkNews::Silent(lasts) => {
                let since = now().checked_sub(lasts);
                let links: Vec<_> = self.links.keys().map(LinkId::from_key).collect();
                for id in links {
                    if self.router.link_is_older(id, since) {
                        self.router.link_lost(id, now());
                    }
                }
            }
            LinkNews::Elsewhere => self.router.replace_links(now()),
        }
        self.settle(None);
    }
}
