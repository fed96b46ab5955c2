//! What this process gives up before it reads anything, and that no freed memory keeps what it held.
//!
//! The unit closes more, but a unit cannot make a process undumpable, and by hand there is none. All
//! of it is permanent and inherited by children, except the dumpability, which each new program resets.

use crate::system::logging;
use rustix::io;
use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};
use rustix::thread::{CapabilitySet, CapabilitySets, capabilities, set_capabilities, set_no_new_privs};
use std::alloc::System;
use zeroizing_alloc::ZeroAlloc;

/// Wipes what is freed. Keys and tokens pass through buffers of ureq, rustls and serde_json, which no type
/// of our own reaches.
#[global_allocator]
static WIPING: ZeroAlloc<System> = ZeroAlloc(System);

/// What root keeps of its capabilities: by hand, a document may be in the closed directory of another user. Nothing is
/// written there. The unit leaves not even this one.
const KEPT: CapabilitySet = CapabilitySet::DAC_READ_SEARCH;

/// Anything that cannot be given up is logged, and the run continues.
pub(crate) fn give_up_privileges() {
    for (what, result) in [
        // Keeps the children from regaining, as root's, the capabilities that this process gives up.
        ("no new privileges", set_no_new_privs(true)),
        // The memory holds credentials: no core file, and no debugger of the same user.
        ("no memory dump", set_dumpable_behavior(DumpableBehavior::NotDumpable)),
        ("no core file of a child", setrlimit(Resource::Core, NOTHING)),
        ("no capabilities", drop_capabilities()),
    ] {
        if let Err(error) = result {
            logging::complain(&format!("the kernel refused \"{what}\" for this process: {error}"));
        }
    }
}

const NOTHING: Rlimit = Rlimit { current: Some(0), maximum: Some(0) };

/// The ambient ones go with the inheritable ones; the bounding set counts for nothing without new privileges.
///
/// # Errors
/// The kernel refuses.
fn drop_capabilities() -> io::Result<()> {
    let before = capabilities(None)?;
    let kept = before.permitted & KEPT;
    let after = CapabilitySets { effective: kept, permitted: kept, inheritable: CapabilitySet::empty() };
    // Under the unit there is nothing left to give up, and the call is one that its filter refuses.
    if before == after { Ok(()) } else { set_capabilities(None, after) }
}
