//! The suite against a real Spark; everything that `check` knows about it stands here.

use crate::report::Outcome;
use crate::workspace::Workspace;

const FOLDER: &str = "tests/interop";

/// Says that there is no suite, and refuses to overlook one that has appeared.
pub(super) fn check(workspace: &Workspace) -> Outcome {
    if workspace.root.join(FOLDER).exists() {
        Outcome::Failed(format!(
            "{FOLDER} exists, but xtask/src/check/interop.rs does not run it"
        ))
    } else {
        Outcome::LeftOut(format!("{FOLDER} does not exist yet"))
    }
}
