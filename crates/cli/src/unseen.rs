//! What could not be seen of processes, in words.

use linksnap_inode::limits;
use linksnap_toolbox::holders::Others;

use crate::size::counted;

/// A line for the processes that could not be looked into, and one for those that are not even listed.
pub fn words(unseen: u64, others: Others) -> Vec<String> {
    let hidden = "processes of other users are hidden in /proc here (hidepid); run as root";
    let processes = counted(unseen, "process", "processes");
    let unseen = (unseen > 0).then(|| match limits::is_root() {
        false => format!("{processes} of other users could not be looked into; run as root"),
        true => format!(
            "{processes} could not be looked into, not even by root here \
             (CAP_SYS_PTRACE is missing, or a security module forbids it)"
        ),
    });
    unseen.into_iter().chain((others == Others::Hidden).then(|| hidden.to_owned())).collect()
}
