//! Events upstream of the router: links, their loss, and time.

use std::time::Duration;

use super::World;
use super::model::Model;

impl World {
    /// Links connect, write, and receive up to `most` bytes each.
    pub(super) fn upstream(&mut self, most: usize) -> bool {
        let mut moved = false;
        while let Some(id) = self.router.next_link_to_open() {
            assert!(self.logs_in, "a link for a client that has not logged in");
            self.router.link_connected(id, self.now);
            self.links.push((id, Model::default()));
            moved = true;
        }
        let mut links = std::mem::take(&mut self.links);
        links.retain_mut(|(id, model)| {
            let output = self.router.link_output(*id);
            if !output.is_empty() {
                model.hear(output);
                let len = output.len();
                self.router.link_output_written(*id, len, self.now);
                moved = true;
            }
            if self.router.link_wants_read(*id, self.now) {
                let bytes = model.speak(most);
                if !bytes.is_empty() {
                    self.heard += bytes.len();
                    // Bytes that the link must not bring close it, which is the expected effect.
                    drop(self.router.link_bytes(*id, &bytes, self.now));
                    moved = true;
                }
            }
            let closed = self.router.link_is_closed(*id);
            if closed || model.has_hung_up() {
                if !closed {
                    self.router.link_lost(*id, self.now);
                }
                self.router.forget_link(*id);
                moved = true;
                return false;
            }
            true
        });
        self.links = links;
        moved
    }

    pub(super) fn pass(&mut self, time: Duration) {
        self.now += time;
        self.router.tick(self.now);
    }

    pub(super) fn lose_link(&mut self) {
        if let Some((id, _)) = self.links.pop() {
            self.excused = true;
            self.router.link_lost(id, self.now);
            self.router.forget_link(id);
        }
    }

    pub(super) fn garble_link(&mut self) {
        if let Some((id, _)) = self.links.last() {
            self.excused = true;
            drop(self.router.link_bytes(*id, b"*2\r\n$-1\r\n>1\r\n:1\r\n+x\r\n", self.now));
        }
    }
}
