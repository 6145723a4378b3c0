//! The walls that a worker puts around itself before it touches a byte from outside: a decoder that an attacker took
//! over finds no network, no other program, no other process, and no file but libraries and its own scratch directory.
//!
//! Must be entered while the process has one thread. A wall that this kernel cannot build is reported, never fatal.

mod calls;
mod files;
mod limits;
mod user;

use std::fmt::Display;
use std::path::PathBuf;

use crate::job::Device;
use crate::message::Wall;

/// What the walls must leave room for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SandboxPlan {
    /// Device that must stay reachable.
    pub device: Device,
    /// Memory the process may have written to, bytes; `None` = no bound.
    pub memory: Option<u64>,
    /// The only directory that may be written.
    pub scratch: Option<PathBuf>,
    /// Files and directories to be read besides the system's libraries, e.g. the plugin registry.
    pub readable: Vec<PathBuf>,
}

/// The first thing in `main`: drops what was inherited and binds this process to its parent. Closes every descriptor
/// above 2, so nothing may be open yet. Give the answer to [`enter`].
pub fn begin() -> Vec<Wall> {
    vec![
        wall("descriptors", limits::close_descriptors()),
        wall("parent-death", limits::die_with_parent()),
        wall("no-new-privileges", limits::no_new_privileges()),
    ]
}

/// Puts up the other walls, once it is known what must stay reachable, and says which of all stand. The process must
/// still have one thread.
pub fn enter(plan: &SandboxPlan, mut walls: Vec<Wall>) -> Vec<Wall> {
    if user::needed() {
        walls.push(wall("own-user", user::leave_root(plan)));
    }
    walls.extend([
        wall("not-dumpable", limits::not_dumpable()),
        wall("limits", limits::set(plan.memory)),
        wall("landlock", files::restrict(plan)),
        wall("capabilities", limits::drop_capabilities()),
        wall("seccomp", calls::restrict()),
    ]);
    walls
}

fn wall<E: Display>(name: &str, built: Result<(), E>) -> Wall {
    Wall {
        name: name.into(),
        missing: built.err().map(|error| error.to_string()),
    }
}
