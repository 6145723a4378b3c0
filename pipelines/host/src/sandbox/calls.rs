//! The system calls a worker may not make.
//!
//! A deny list, because GStreamer's plugins and drivers are not ours and a missing harmless call would cost streams.
//! It is closed from above instead: every number beyond a known kernel is "not implemented", which also covers the x32
//! numbers, and calls of another architecture kill the process.

use std::collections::BTreeMap;

use nix::libc;
use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition,
    SeccompFilter, SeccompRule, TargetArch, apply_filter_all_threads, sock_filter,
};

/// Refused whatever the arguments are.
const DENIED: &[libc::c_long] = &[
    // network and other processes' sockets; the link is open already. `socketpair` stays: both its ends are in the
    // process, and GStreamer waits on one.
    libc::SYS_socket,
    libc::SYS_connect,
    libc::SYS_bind,
    libc::SYS_listen,
    libc::SYS_accept,
    libc::SYS_accept4,
    // other programs
    libc::SYS_execve,
    libc::SYS_execveat,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_fork,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_vfork,
    // other processes
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_process_madvise,
    libc::SYS_pidfd_open,
    libc::SYS_pidfd_getfd,
    libc::SYS_pidfd_send_signal,
    libc::SYS_kcmp,
    libc::SYS_kill,
    libc::SYS_tkill,
    libc::SYS_rt_sigqueueinfo,
    libc::SYS_rt_tgsigqueueinfo,
    // other identities
    libc::SYS_setuid,
    libc::SYS_setgid,
    libc::SYS_setreuid,
    libc::SYS_setregid,
    libc::SYS_setresuid,
    libc::SYS_setresgid,
    libc::SYS_setfsuid,
    libc::SYS_setfsgid,
    libc::SYS_setgroups,
    libc::SYS_capset,
    libc::SYS_personality,
    // name spaces and mounts
    libc::SYS_unshare,
    libc::SYS_setns,
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_open_tree,
    libc::SYS_move_mount,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_mount_setattr,
    libc::SYS_mknodat,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_mknod,
    // ways around path checks
    libc::SYS_name_to_handle_at,
    libc::SYS_open_by_handle_at,
    // the kernel itself, and its richest targets
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_fanotify_init,
    libc::SYS_keyctl,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_kexec_load,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_kexec_file_load,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_iopl,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_ioperm,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_modify_ldt,
    libc::SYS_reboot,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_acct,
    libc::SYS_quotactl,
    libc::SYS_syslog,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_clock_adjtime,
    libc::SYS_adjtimex,
    libc::SYS_vhangup,
    libc::SYS_setrlimit,
];

/// Answered as if the kernel did not have them: libraries fall back to what can be checked. The flags of `clone3` stand
/// in memory, where a filter cannot look; the ring makes calls that no filter sees.
const ABSENT: &[libc::c_long] = &[
    libc::SYS_clone3,
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
];

/// Last call that was looked at for the lists above (`mseal`, Linux 6.10; numbers are common to all architectures here).
const LAST_KNOWN: u32 = 462;

/// `PR_SET_PTRACER`: would let a chosen process look in.
const PR_SET_PTRACER: u64 = 0x5961_6d61;

#[derive(Debug, thiserror::Error)]
pub(super) enum CallsError {
    #[error("no filter for this processor: {0}")]
    Backend(#[from] BackendError),
    #[error(transparent)]
    Install(#[from] seccompiler::Error),
}

pub(super) fn restrict() -> Result<(), CallsError> {
    apply_filter_all_threads(&ceiling())?;
    apply_filter_all_threads(&filter(always(ABSENT), libc::ENOSYS)?)?;
    let mut denied = always(DENIED);
    denied.extend(conditional()?);
    apply_filter_all_threads(&filter(denied, libc::EPERM)?)?;
    Ok(())
}

type Rules = BTreeMap<i64, Vec<SeccompRule>>;

fn filter(rules: Rules, errno: i32) -> Result<BpfProgram, BackendError> {
    SeccompFilter::new(
        rules,
        SeccompAction::Allow,
        SeccompAction::Errno(errno.cast_unsigned()),
        TargetArch::try_from(std::env::consts::ARCH)?,
    )?
    .try_into()
}

fn always(calls: &[libc::c_long]) -> Rules {
    calls.iter().map(|&call| (call, Vec::new())).collect()
}

/// Calls that are refused with certain arguments only.
fn conditional() -> Result<Rules, BackendError> {
    use SeccompCmpArgLen::{Dword, Qword};
    use SeccompCmpOp::{Eq, MaskedEq, Ne};
    let rule = |argument, length, operator, value| {
        SeccompRule::new(vec![SeccompCondition::new(
            argument, length, operator, value,
        )?])
    };
    let thread = libc::CLONE_THREAD.cast_unsigned().into();
    let own = u64::from(std::process::id());
    // What would take down a wall again.
    let options = [
        libc::PR_SET_PDEATHSIG.cast_unsigned().into(),
        libc::PR_SET_DUMPABLE.cast_unsigned().into(),
        PR_SET_PTRACER,
    ];
    let options: Result<_, BackendError> = options
        .into_iter()
        .map(|option| rule(0, Dword, Eq, option))
        .collect();
    // Typing into a terminal that somebody else reads.
    let terminal = [0x5412_u64, 0x541c];
    let terminal: Result<_, BackendError> = terminal
        .into_iter()
        .map(|request| rule(1, Dword, Eq, request))
        .collect();
    Ok(BTreeMap::from([
        // a pair reaches nobody else; GStreamer wakes its own threads with it
        (
            libc::SYS_socketpair,
            vec![rule(0, Dword, Ne, libc::AF_UNIX.cast_unsigned().into())?],
        ),
        // a new thread is fine, a new process is not
        (libc::SYS_clone, vec![rule(0, Dword, MaskedEq(thread), 0)?]),
        // `abort` and `raise` are for oneself
        (libc::SYS_tgkill, vec![rule(0, Dword, Ne, own)?]),
        // limits may be read
        (libc::SYS_prlimit64, vec![rule(2, Qword, Ne, 0)?]),
        (libc::SYS_prctl, options?),
        (libc::SYS_ioctl, terminal?),
    ]))
}

/// Every call beyond [`LAST_KNOWN`] is "not implemented".
fn ceiling() -> BpfProgram {
    const LOAD_NUMBER: u16 = 0x20;
    const JUMP_IF_GREATER: u16 = 0x25;
    const RETURN: u16 = 0x06;
    let step = |code, jt, jf, k| sock_filter { code, jt, jf, k };
    vec![
        step(LOAD_NUMBER, 0, 0, 0),
        step(JUMP_IF_GREATER, 0, 1, LAST_KNOWN),
        step(
            RETURN,
            0,
            0,
            libc::SECCOMP_RET_ERRNO | libc::ENOSYS.cast_unsigned(),
        ),
        step(RETURN, 0, 0, libc::SECCOMP_RET_ALLOW),
    ]
}
