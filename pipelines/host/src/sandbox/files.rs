//! The file system as a worker sees it: libraries and a few facts about the machine to read, its scratch directory and
//! its device to write, nothing else. Also no TCP, and no signals or abstract sockets out of the sandbox.

use std::path::PathBuf;

use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, Ruleset, RulesetAttr, RulesetCreatedAttr,
    RulesetError, RulesetStatus, Scope, path_beneath_rules,
};

use super::SandboxPlan;
use crate::job::Device;

/// Newest kernel interface whose rights are asked for; older kernels give what they have.
const NEWEST: ABI = ABI::V6;

/// Libraries, plugins and their configuration; facts about the processor; this process.
const READABLE: [&str; 13] = [
    "/usr",
    "/lib",
    "/lib64",
    "/etc/ld.so.cache",
    "/etc/localtime",
    "/proc/self",
    "/proc/cpuinfo",
    "/proc/meminfo",
    "/proc/stat",
    "/sys/devices/system/cpu",
    "/sys/devices/system/node",
    "/dev/urandom",
    "/dev/random",
];

/// What the NVIDIA driver's libraries look up.
const READABLE_NVIDIA: [&str; 6] = [
    "/proc/driver/nvidia",
    "/proc/devices",
    "/proc/modules",
    "/sys/module/nvidia",
    "/sys/bus/pci",
    "/sys/devices",
];

#[derive(Debug, thiserror::Error)]
pub(super) enum FilesError {
    #[error(transparent)]
    Ruleset(#[from] RulesetError),
    #[error("this kernel lacks landlock or has it switched off")]
    Absent,
    #[error("this kernel enforces only a part of it")]
    Partial,
}

pub(super) fn restrict(plan: &SandboxPlan) -> Result<(), FilesError> {
    // No right to execute: libraries are mapped, which does not need it.
    let read = AccessFs::ReadFile | AccessFs::ReadDir;
    let write = AccessFs::from_all(NEWEST) & !AccessFs::Execute;
    let node = read | AccessFs::WriteFile | AccessFs::IoctlDev;
    let status = Ruleset::default()
        .handle_access(AccessFs::from_all(NEWEST))?
        .handle_access(AccessNet::from_all(NEWEST))?
        .scope(Scope::from_all(NEWEST))?
        .create()?
        .add_rules(path_beneath_rules(READABLE, read))?
        .add_rules(path_beneath_rules(&plan.readable, read))?
        .add_rules(path_beneath_rules(["/dev/null"], node))?
        .add_rules(path_beneath_rules(&plan.scratch, scratch_rights(write)))?
        .add_rules(path_beneath_rules(device_facts(&plan.device), read))?
        .add_rules(path_beneath_rules(device_nodes(&plan.device), node))?
        .restrict_self()?;
    match status.ruleset {
        RulesetStatus::FullyEnforced => Ok(()),
        RulesetStatus::PartiallyEnforced => Err(FilesError::Partial),
        RulesetStatus::NotEnforced => Err(FilesError::Absent),
    }
}

/// Files and directories only: no device nodes, sockets or pipes.
fn scratch_rights(all: BitFlags<AccessFs>) -> BitFlags<AccessFs> {
    all & !(AccessFs::MakeBlock
        | AccessFs::MakeChar
        | AccessFs::MakeSock
        | AccessFs::MakeFifo
        | AccessFs::IoctlDev)
}

fn device_facts(device: &Device) -> &'static [&'static str] {
    match device {
        Device::Cpu => &[],
        Device::Nvidia(_) => &READABLE_NVIDIA,
    }
}

/// Device nodes of the driver. All cards: which node belongs to which CUDA index is only known to the driver.
pub(super) fn device_nodes(device: &Device) -> Vec<PathBuf> {
    match device {
        Device::Cpu => Vec::new(),
        Device::Nvidia(_) => std::fs::read_dir("/dev")
            .into_iter()
            .flatten()
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| {
                path.file_name()
                    .is_some_and(|name| name.as_encoded_bytes().starts_with(b"nvidia"))
            })
            .collect(),
    }
}
