//! Listening on a socket in the file system.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use socket2::{Domain, SockAddr, Socket, Type};

use crate::net::options::BACKLOG;

/// The file of a socket of ours; removed on drop, unless another has taken its place.
#[derive(Debug)]
pub(crate) struct SocketFile {
    path: PathBuf,
    id: Id,
}

/// Which file it is: the device, the number there, which may be given to another file later, and
/// when it was made.
type Id = (u64, u64, i64, i64);

/// Listens on `path`, with the permissions `mode`. A socket that nobody listens on any more is
/// removed first; it is an error if somebody does, or if another kind of file is there.
pub(crate) fn listen(path: &Path, mode: u32) -> io::Result<(UnixListener, SocketFile)> {
    remove_stale(path)?;
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    socket.bind(&SockAddr::unix(path)?)?;
    let file = SocketFile { path: path.to_owned(), id: id(path)? };
    // Before anybody can connect.
    fs::set_permissions(path, Permissions::from_mode(mode))?;
    socket.listen(BACKLOG.into())?;
    Ok((socket.into(), file))
}

fn remove_stale(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(found) if found.file_type().is_socket() => match UnixStream::connect(path) {
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path),
            _ => Err(io::ErrorKind::AddrInUse.into()),
        },
        Ok(_) => Err(io::Error::new(
            io::ErrorKind::AlreadyExists,
            "there is a file of another kind; move it away",
        )),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

fn id(path: &Path) -> io::Result<Id> {
    let metadata = fs::symlink_metadata(path)?;
    Ok((metadata.dev(), metadata.ino(), metadata.mtime(), metadata.mtime_nsec()))
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if id(&self.path).is_ok_and(|id| id == self.id) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_nobody_uses_is_replaced_and_only_our_own_removed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        let (listener, file) = listen(&path, 0o600).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(listen(&path, 0o600).unwrap_err().kind(), io::ErrorKind::AddrInUse);
        drop(listener);
        // In another tick of the file system's clock, as the number of the file may come again.
        let made = fs::metadata(&path).unwrap().modified().unwrap();
        let later = dir.path().join("later");
        while fs::write(&later, "").and_then(|()| fs::metadata(&later)?.modified()).unwrap() == made
        {
        }
        let (listener, second) = listen(&path, 0o666).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o666);
        drop(file);
        assert!(path.exists(), "it is another's by now");
        drop((listener, second));
        assert!(!path.exists());
        fs::write(&path, "precious").unwrap();
        assert!(listen(&path, 0o600).is_err());
        assert_eq!(fs::read(&path).unwrap(), b"precious");
    }
}
