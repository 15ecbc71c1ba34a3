//! The forms of values that several tables use, and those of the keys at the top of the file.

use std::net::IpAddr;
use std::path::PathBuf;

use ipnet::IpNet;
use secrecy::SecretString;

use super::super::declare::{Form, Node, Wrong, list, quoted_list, secret};
use super::endpoint::{self, Endpoint};
use super::listen::Listen;

/// A place where clients connect, or a list of such places, not empty.
pub(crate) fn listen() -> Form<Vec<Listen>> {
    let read = |node: &Node<'_>| {
        let texts = match (node.get_ref().as_str(), node.get_ref().as_array()) {
            (Some(text), _) => vec![text],
            (None, Some(items)) => {
                let texts = items.iter().map(|item| item.get_ref().as_str().ok_or(item));
                texts.collect::<Result<_, _>>().map_err(Wrong::at)?
            }
            (None, None) => return Err(Wrong::at(node)),
        };
        let found: Option<Vec<_>> = texts.into_iter().map(Listen::parse).collect();
        found.filter(|found| !found.is_empty()).ok_or_else(|| Wrong::at(node))
    };
    let expects = "host:port, tls://host:port or unix:///path, or a list of these";
    let write = |listen: &Vec<Listen>| Some(quoted_list(listen.iter().map(Listen::to_string)));
    Form::new(expects, read, write)
}

/// `host:port`.
pub(crate) fn endpoint() -> Form<Endpoint> {
    Form::text("host:port", endpoint::parse, Endpoint::to_string)
}

/// Networks in CIDR notation; an address alone is a network with one address.
pub(crate) fn networks() -> Form<Vec<IpNet>> {
    let expects = "a list of networks such as 10.0.0.0/8 or addresses, each in quotes";
    let parse = |text: &str| {
        let network = text.parse::<IpNet>().map(|network| network.trunc()).ok();
        let address = || text.parse::<IpAddr>().map(IpNet::from).ok();
        network.or_else(address).ok_or(None)
    };
    list(expects, usize::MAX, parse, IpNet::to_string)
}

/// The permissions of a file.
pub(crate) fn octal_mode() -> Form<u32> {
    let parse = |text: &str| u32::from_str_radix(text, 8).ok().filter(|_| text.len() == 3);
    Form::text("three octal digits in quotes", parse, |mode| format!("{mode:o}"))
}

/// The file of a password. An empty path is accepted here: it causes an error when the file is
/// read, which happens only if no environment variable wins over it.
pub(super) fn password_file() -> Form<PathBuf> {
    let format = |path: &PathBuf| path.display().to_string();
    Form::text("the path of a file in quotes", |text| Some(PathBuf::from(text)), format)
}

/// The password of a user, in the configuration file itself.
pub(super) fn password() -> Form<SecretString> {
    secret("the password in quotes")
}

/// A user name without spaces, as the ACL of Redis requires.
pub(super) fn user() -> Form<String> {
    /// Most characters of a user name.
    const MOST: usize = 256;
    let fits = |name: &str| {
        (1..=MOST).contains(&name.chars().count())
            && !name.chars().any(|c| c.is_whitespace() || c.is_control())
    };
    let parse = move |text: &str| fits(text).then(|| text.to_owned());
    Form::text("a name of 1 to 256 characters without spaces", parse, String::clone)
}
