//! Listens on Unix sockets.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use socket2::{Domain, SockAddr, Socket, Type};

use crate::net::options::BACKLOG;

/// The file of a Unix socket that Redoubt made; removed on drop, unless another file has taken its
/// place.
#[derive(Debug)]
pub(crate) struct SocketFile {
    path: PathBuf,
    id: Id,
}

/// Identifies a file: device, inode number, and time of creation in seconds and nanoseconds. The
/// time is needed because an inode number is used again.
type Id = (u64, u64, i64, i64);

/// Listens on `path`, with the permissions `mode`. Removes a socket file that no process listens on
/// any more. Fails if a process listens on it, or if another kind of file is there.
pub(crate) fn listen(path: &Path, mode: u32) -> io::Result<(UnixListener, SocketFile)> {
    remove_stale(path)?;
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    socket.bind(&SockAddr::unix(path)?)?;
    let file = SocketFile { path: path.to_owned(), id: id(path)? };
    // The permissions are set before any client can connect.
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
    fn only_unused_sockets_are_replaced_and_only_own_files_removed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        let (listener, file) = listen(&path, 0o600).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(listen(&path, 0o600).unwrap_err().kind(), io::ErrorKind::AddrInUse);
        drop(listener);
        // The new file must have another time, as it may get the same inode number.
        let made = fs::metadata(&path).unwrap().modified().unwrap();
        let later = dir.path().join("later");
        while fs::write(&later, "").and_then(|()| fs::metadata(&later)?.modified()).unwrap() == made
        {
        }
        let (listener, second) = listen(&path, 0o666).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o666);
        drop(file);
        assert!(path.exists(), "the file belongs to another process");
        drop((listener, second));
        assert!(!path.exists());
        fs::write(&path, "precious").unwrap();
        assert!(listen(&path, 0o600).is_err());
        assert_eq!(fs::read(&path).unwrap(), b"precious");
    }
}
