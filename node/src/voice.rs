//! Whether this node signs, in words: for logs, RPC and the command line (`SPEC.md` D-15, D-18).

use timecoin_protocol::engine::{Cause, Silence, Voice};

/// One word for it.
#[must_use]
pub const fn word(voice: &Voice) -> &'static str {
    match voice {
        Voice::Follows => "follows",
        Voice::Speaks => "speaks",
        Voice::Listens { .. } => "listens",
        Voice::Silent(_) => "silent",
    }
}

/// Why it signs nothing, and until when; nothing to say of one that signs.
#[must_use]
pub fn reason(voice: &Voice) -> Option<String> {
    match voice {
        Voice::Follows | Voice::Speaks => None,
        Voice::Listens { heard, total } => Some(format!(
            "it asks other validators what they know of its signatures before it signs anything; weight {heard} of \
             {total} has answered, more than two thirds are needed"
        )),
        Voice::Silent(silence) => Some(format!("{}; {}", why(silence.cause), until(silence))),
    }
}

/// What is in doubt about a history.
#[must_use]
pub const fn why(cause: Cause) -> &'static str {
    match cause {
        Cause::Missing => "there was no vote history for this key, which may have voted elsewhere",
        Cause::Copied => {
            "the vote history was copied or restored, and not by `timed history export` and `import`: the key may have \
             voted since"
        }
        Cause::OlderThanBlocks => "the vote history is older than the blocks: the key may have voted since",
        Cause::NewerThanBlocks => "the blocks are older than the vote history and are fetched again",
        Cause::OwnSignature => {
            "a message signed with this key came that its history does not have: the history is old, or the key is in \
             use elsewhere"
        }
    }
}

/// When a silence ends.
#[must_use]
pub fn until(silence: &Silence) -> String {
    let epoch = silence.after_epoch.next();
    match silence.after_ms {
        0 => format!("it signs again when epoch {epoch} begins"),
        after_ms => format!(
            "it signs again when an epoch, {epoch} or later, begins by a block dated after {} s since 1970 UTC",
            after_ms.div_ceil(1_000)
        ),
    }
}
