//! A user of its own for every worker of a daemon that runs as root: what is left when another wall fails is a stranger
//! without a home, who is not even its neighbour among the workers.

use std::fs::Metadata;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::unistd::{Gid, Uid, chown, geteuid, getgroups, getppid, setgroups, setresgid, setresuid};

use super::{SandboxPlan, files, limits};

/// First number of the users; the process id is added. Above what systems give to people, services and containers'
/// maps, below what is no user at all.
const FIRST: u32 = 0x7000_0000;
/// Threads of one worker: no ladder comes near.
const THREADS: u64 = 4096;

#[derive(Debug, thiserror::Error)]
pub(super) enum UserError {
    #[error("{0} cannot be read by other users: open it and its directories to them (chmod o+rx)")]
    Closed(PathBuf),
    #[error("no user of its own can be had here: {0}")]
    Kernel(#[from] Errno),
    #[error("the daemon ended meanwhile")]
    Orphan,
}

/// Whether this process is root and so must become somebody else.
pub(super) fn needed() -> bool {
    geteuid().is_root()
}

/// Becomes a user that nothing else runs as. Device nodes stay open to it by their groups.
pub(super) fn leave_root(plan: &SandboxPlan) -> Result<(), UserError> {
    for path in &plan.readable {
        reachable(path)?;
    }
    if let Some(scratch) = &plan.scratch {
        scratch.parent().map_or(Ok(()), passable)?;
    }
    let parent = getppid();
    let number = FIRST + std::process::id();
    let (user, group) = (Uid::from_raw(number), Gid::from_raw(number));
    let groups: Vec<Gid> = files::device_nodes(&plan.device)
        .iter()
        .filter_map(|node| Some(Gid::from_raw(node.metadata().ok()?.gid())))
        .filter(|group| group.as_raw() != 0)
        .collect();
    let before = getgroups()?;
    setgroups(&groups)?;
    // In a container without a map for the number this fails; then nothing has changed.
    if let Err(refused) = setresgid(group, group, group) {
        setgroups(&before)?;
        return Err(refused.into());
    }
    if let Some(scratch) = &plan.scratch {
        chown(scratch, Some(user), Some(group))?;
        for entry in std::fs::read_dir(scratch).into_iter().flatten().flatten() {
            chown(&entry.path(), Some(user), Some(group))?;
        }
    }
    limits::threads(THREADS)?;
    setresuid(user, user, user)?;
    // The kernel forgets it with the change of user.
    limits::die_with_parent()?;
    if getppid() != parent {
        return Err(UserError::Orphan);
    }
    Ok(())
}

/// Whether a user without any rights gets at `path`. What is not there needs no rights.
fn reachable(path: &Path) -> Result<(), UserError> {
    let Ok(metadata) = path.metadata() else {
        return Ok(());
    };
    let wanted = if metadata.is_dir() { 0o5 } else { 0o4 };
    if !grants(&metadata, wanted) {
        return Err(UserError::Closed(path.to_owned()));
    }
    path.parent().map_or(Ok(()), passable)
}

fn passable(directory: &Path) -> Result<(), UserError> {
    let closed = |directory: &&Path| {
        directory
            .metadata()
            .is_ok_and(|metadata| !grants(&metadata, 0o1))
    };
    match directory.ancestors().find(closed) {
        Some(closed) => Err(UserError::Closed(closed.to_owned())),
        None => Ok(()),
    }
}

fn grants(metadata: &Metadata, wanted: u32) -> bool {
    metadata.permissions().mode() & wanted == wanted
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;

    use super::*;

    #[test]
    fn what_lies_in_a_closed_directory_is_told_before_root_is_left() {
        let top = tempfile::tempdir().expect("directory");
        let inner = top.path().join("models");
        std::fs::create_dir(&inner).expect("directory");
        let file = inner.join("weights");
        std::fs::write(&file, "x").expect("file");
        let open = |path: &Path, mode| {
            std::fs::set_permissions(path, Permissions::from_mode(mode)).expect("mode");
        };
        open(&file, 0o644);
        open(&inner, 0o755);
        open(top.path(), 0o700);
        let told = |path: &Path| match reachable(path) {
            Err(UserError::Closed(closed)) => Some(closed),
            _ => None,
        };
        assert_eq!(told(&file), Some(top.path().to_owned()));
        open(top.path(), 0o711);
        assert_eq!(told(&file), None);
        open(&file, 0o640);
        assert_eq!(told(&file), Some(file.clone()));
        open(&inner, 0o711);
        assert_eq!(told(&inner), Some(inner.clone()), "its list is closed");
        assert_eq!(told(&top.path().join("absent")), None);
    }
}
