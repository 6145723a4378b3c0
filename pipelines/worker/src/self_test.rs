//! What an attacker inside the worker would try first. Each attempt must be refused; the outcome is printed.

use std::io;
use std::net::{TcpStream, UdpSocket};
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::Command;

use host::message::Wall;
use nix::libc;
use serde::Serialize;

#[derive(Debug, Serialize)]
pub(crate) struct Findings {
    /// Number of the user behind the walls.
    user: u32,
    walls: Vec<Wall>,
    attempts: Vec<Attempt>,
}

#[derive(Debug, Serialize)]
struct Attempt {
    name: &'static str,
    /// Error number of the refusal; `None` when it worked.
    refused: Option<i32>,
}

/// Tries everything. `forbidden` is a directory that holds a file `secret`.
pub(crate) fn run(walls: Vec<Wall>, forbidden: &Path) -> Findings {
    let attempts = vec![
        attempt("udp socket", UdpSocket::bind("127.0.0.1:0")),
        attempt("tcp connection", TcpStream::connect("127.0.0.1:9")),
        attempt("unix socket", UnixDatagram::unbound()),
        attempt(
            "tipc pair",
            call(libc::SYS_socketpair, [libc::AF_TIPC.into(), 1, 0, 0]),
        ),
        attempt("child process", Command::new("/bin/true").spawn()),
        attempt("fork", clone_process()),
        attempt("exec", nix::unistd::execv(c"/bin/true", &[c"true"])),
        attempt(
            "be root",
            nix::unistd::setuid(nix::unistd::Uid::from_raw(0)),
        ),
        attempt("ptrace", call(libc::SYS_ptrace, [0; 4])),
        attempt("name space", call(libc::SYS_unshare, [0; 4])),
        attempt("mount", call(libc::SYS_mount, [0; 4])),
        attempt("bpf", call(libc::SYS_bpf, [-1, 0, 0, 0])),
        attempt("io_uring", call(libc::SYS_io_uring_setup, [0; 4])),
        attempt(
            "signal to parent",
            call(libc::SYS_kill, [parent(), 0, 0, 0]),
        ),
        attempt(
            "thread signal to parent",
            call(libc::SYS_tgkill, [parent(), parent(), 0, 0]),
        ),
        attempt(
            "memory of parent",
            std::fs::File::open(format!("/proc/{}/mem", parent())),
        ),
        attempt("dumpable again", nix::sys::prctl::set_dumpable(true)),
        attempt("outlive parent", nix::sys::prctl::set_pdeathsig(None)),
        attempt("more memory", call(libc::SYS_prlimit64, [0, 2, 1, 0])),
        attempt("terminal input", call(libc::SYS_ioctl, [2, 0x5412, 0, 0])),
        attempt("x32 call", call(0x4000_0000 + libc::SYS_getpid, [0; 4])),
        attempt("read secret", std::fs::read(forbidden.join("secret"))),
        attempt("list directory", std::fs::read_dir(forbidden)),
        attempt("write file", std::fs::write(forbidden.join("new"), "x")),
        attempt(
            "write library",
            std::fs::write("/usr/orchestrion-self-test", "x"),
        ),
    ];
    Findings {
        user: nix::unistd::geteuid().as_raw(),
        walls,
        attempts,
    }
}

fn attempt<T, E: Into<io::Error>>(name: &'static str, outcome: Result<T, E>) -> Attempt {
    let refused = outcome
        .err()
        .map(|error| error.into().raw_os_error().unwrap_or(-1));
    Attempt { name, refused }
}

fn parent() -> i64 {
    nix::unistd::getppid().as_raw().into()
}

/// Calls with arguments that do no harm if the call is allowed after all.
fn call(number: libc::c_long, arguments: [i64; 4]) -> io::Result<()> {
    let [a, b, c, d] = arguments;
    // SAFETY: no call in this file is given a pointer other than null or an invalid one, which the kernel checks, and
    // none changes memory of this process.
    #[allow(unsafe_code)]
    let outcome = unsafe { libc::syscall(number, a, b, c, d) };
    if outcome == -1 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// `fork` by its modern name.
fn clone_process() -> nix::Result<()> {
    // SAFETY: the child, should there be one, calls nothing but `_exit`.
    #[allow(unsafe_code)]
    match unsafe { nix::unistd::fork() }? {
        // SAFETY: ends the child at once without running handlers of the parent.
        #[allow(unsafe_code)]
        nix::unistd::ForkResult::Child => unsafe { libc::_exit(0) },
        nix::unistd::ForkResult::Parent { .. } => Ok(()),
    }
}
