//! Passwords: their sources, their required strength, and how changes are found.

mod changed;
mod origin;
mod password;
mod previous;
mod upstream_url;

pub(crate) use changed::{Secret, is_in_file, is_in_text};
pub use origin::Origin;
pub use password::read_password;
pub(crate) use password::{Candidates, MASK, MAX_PASSWORD, Password, STRONG_PASSWORD};
pub use previous::PreviousPassword;
pub(crate) use previous::{milliseconds, seconds, wall_clock};
pub use upstream_url::UpstreamUrl;
pub(crate) use upstream_url::is_host_byte;
