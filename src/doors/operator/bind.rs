//! Where the operator port listens, and that it does not listen openly by mistake.

use std::fmt;
use std::fs::Permissions;
use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use crate::doors::token::{SHORTEST, Token};

/// An address of the operator port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Listen {
    /// TCP.
    Tcp(SocketAddr),
    /// A unix socket, usable by the node's own user only.
    Unix(PathBuf),
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => path.display().fmt(f),
        }
    }
}

/// How the operator port is to listen.
#[derive(Debug, Clone)]
pub struct OperatorBind {
    /// Where.
    pub listen: Listen,
    /// Demanded of every request over TCP when set; must be set when `listen` is not loopback.
    pub token: Option<Token>,
    /// Names by which the port may be called besides loopback names and plain addresses.
    pub allowed_hosts: Vec<String>,
}

/// The operator port cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OperatorError {
    /// Anyone could command the node.
    #[error(
        "operator port {0} can be reached from other machines: set a token of at least {SHORTEST} characters, or listen on 127.0.0.1 or a unix socket"
    )]
    OpenWithoutToken(SocketAddr),
    /// Another process listens there already, or the address is not ours.
    #[error("operator port {address} cannot be opened: {source}")]
    Bind {
        /// Address or path.
        address: String,
        /// The system's answer.
        source: std::io::Error,
    },
}

impl OperatorBind {
    /// Refuses an address that others can reach when there is no token.
    pub(super) fn check(&self) -> Result<(), OperatorError> {
        match self.listen {
            Listen::Tcp(address)
                if !address.ip().to_canonical().is_loopback() && self.token.is_none() =>
            {
                Err(OperatorError::OpenWithoutToken(address))
            }
            Listen::Tcp(_) | Listen::Unix(_) => Ok(()),
        }
    }

    /// Opens the socket.
    pub(super) fn open(&self) -> Result<Socket, OperatorError> {
        let opened = match &self.listen {
            Listen::Tcp(address) => TcpListener::bind(address).map(Socket::Tcp),
            Listen::Unix(path) => unix(path).map(Socket::Unix),
        };
        opened.map_err(|source| OperatorError::Bind {
            address: self.listen.to_string(),
            source,
        })
    }
}

/// An opened socket.
pub(super) enum Socket {
    /// TCP.
    Tcp(TcpListener),
    /// Unix.
    Unix(UnixListener),
}

/// A unix socket that only this user may use. It is made in a private folder and moved into place, so that it is never
/// open to others; a socket left behind by a dead process is replaced, a live one is not.
fn unix(path: &Path) -> std::io::Result<UnixListener> {
    if let Ok(found) = path.symlink_metadata() {
        if !found.file_type().is_socket() {
            return Err(std::io::Error::new(
                ErrorKind::AlreadyExists,
                "the path exists and is no socket",
            ));
        }
        if UnixStream::connect(path).is_ok() {
            return Err(std::io::Error::new(
                ErrorKind::AddrInUse,
                "another process answers on this socket",
            ));
        }
    }
    let parent = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    let private = tempfile::Builder::new()
        .prefix(".operator")
        .tempdir_in(parent)?;
    let made = private.path().join("s");
    let listener = UnixListener::bind(&made)?;
    std::fs::set_permissions(&made, Permissions::from_mode(0o600))?;
    std::fs::rename(&made, path)?;
    Ok(listener)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tcp(address: &str, token: Option<&str>) -> Result<(), OperatorError> {
        let bind = OperatorBind {
            listen: Listen::Tcp(address.parse().expect("address")),
            token: token.and_then(Token::new),
            allowed_hosts: Vec::new(),
        };
        bind.check()
    }

    #[test]
    fn an_open_address_needs_a_token() {
        for open in [
            "0.0.0.0:7935",
            "[::]:7935",
            "192.168.1.4:7935",
            "[::ffff:10.0.0.1]:7935",
        ] {
            assert!(
                matches!(tcp(open, None), Err(OperatorError::OpenWithoutToken(_))),
                "{open}"
            );
            assert!(tcp(open, Some("0123456789abcdef")).is_ok(), "{open}");
        }
        for closed in [
            "127.0.0.1:7935",
            "[::1]:0",
            "127.8.8.8:1",
            "[::ffff:127.0.0.1]:1",
        ] {
            assert!(tcp(closed, None).is_ok(), "{closed}");
        }
    }

    #[test]
    fn a_stale_socket_is_replaced_and_a_live_one_or_a_file_is_not() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("operator.sock");
        let live = unix(&path).expect("new");
        let mode = path.metadata().expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(unix(&path).expect_err("live").kind(), ErrorKind::AddrInUse);
        drop(live);
        drop(unix(&path).expect("stale is replaced"));
        std::fs::remove_file(&path).expect("removed");
        std::fs::write(&path, "precious").expect("written");
        assert_eq!(
            unix(&path).expect_err("file").kind(),
            ErrorKind::AlreadyExists
        );
        assert_eq!(
            std::fs::read_to_string(&path).expect("still there"),
            "precious"
        );
    }
}
