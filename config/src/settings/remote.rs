//! The split between orchestrator and transcoder: whom the secret lets in, and where a standalone transcoder registers.

use super::{Reader, Roles};
use crate::addresses::{self, ServiceAddr};
use crate::kind::list_items;
use crate::secret::Secret;
use serde::Serialize;

/// What joins the two halves of a split node.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Remote {
    /// What both halves know. `None`: an orchestrator takes no remote transcoders.
    pub secret: Option<Secret>,
    /// Where a standalone transcoder registers; `None` for every other node.
    pub orchestrator: Option<ServiceAddr>,
}

pub(super) fn read(reader: &mut Reader<'_>, roles: &Roles) -> Remote {
    let secret = reader.secret_or_file("orchSecret");
    let standalone = (roles.transcoder || roles.ai_worker) && !roles.orchestrator;
    let role = if roles.transcoder {
        "transcoder"
    } else {
        "aiWorker"
    };
    if secret.is_none() && roles.orchestrator && !roles.transcoder && !roles.ai_worker {
        reader.wrong(
            "orchestrator",
            "without -transcoder takes remote transcoders, which need -orchSecret; give it, or add -transcoder or -aiWorker",
        );
    }
    if !standalone {
        return Remote {
            secret,
            orchestrator: None,
        };
    }
    if secret.is_none() {
        reader.wrong(
            role,
            "without -orchestrator registers with one, which needs -orchSecret; give it, or add -orchestrator",
        );
    }
    Remote {
        secret,
        orchestrator: orchestrator(reader, role),
    }
}

fn orchestrator(reader: &mut Reader<'_>, role: &str) -> Option<ServiceAddr> {
    let text = reader.text("orchAddr").to_owned();
    let mut addresses = list_items(&text);
    let Some(first) = addresses.next() else {
        reader.wrong(
            role,
            "without -orchestrator registers with one; name it with -orchAddr host:port, or add -orchestrator",
        );
        return None;
    };
    if addresses.next().is_some() {
        reader.report.warn(format!(
            "-orchAddr: a transcoder works for one orchestrator; the first, {first}, is used"
        ));
    }
    match addresses::service(first) {
        Ok(address @ ServiceAddr::Uri { port: Some(_), .. }) => Some(address),
        Ok(_) => {
            reader.wrong("orchAddr", "must be host:port, as 10.0.0.1:8935");
            None
        }
        Err(remedy) => {
            reader.wrong("orchAddr", remedy);
            None
        }
    }
}
