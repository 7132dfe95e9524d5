//! Transitions as the protos show them.

use proto::contacts::v1::Role;
use proto::convert::{role_to_wire, timestamp_to_wire};
use proto::pipeline::v1::{self, transition::Cause};
use types::Micros;

use crate::domain::transitions::Transition;

/// The engine's names of the causes that the protos show as one; `word` is the proto's without its
/// prefix.
pub fn causes(word: &str) -> &'static [&'static str] {
    match word {
        "OPENING" => &["OPENING", "IMPORT"],
        "COMMAND" => &["MANUAL"],
        "TRIGGER" => &["ACTIVITY", "FACT", "OPPORTUNITY"],
        "TIMER" => &["TIMER"],
        "ACTIVATION" => &["ACTIVATION"],
        "REMOVAL" => &["DELETION"],
        "MERGE" => &["MERGE"],
        "REVERT" => &["UNDELETION"],
        _ => &[],
    }
}

/// The proto's causes by their names without prefix.
pub const CAUSES: &[&str] = &[
    "OPENING",
    "COMMAND",
    "TRIGGER",
    "TIMER",
    "ACTIVATION",
    "REMOVAL",
    "MERGE",
    "REVERT",
];

fn cause(name: &str) -> Cause {
    let word = CAUSES.iter().find(|word| causes(word).contains(&name));
    word.and_then(|word| Cause::from_str_name(&format!("CAUSE_{word}")))
        .unwrap_or_default()
}

/// The role of a name in a row; `ROLE_UNSPECIFIED` for none.
pub fn role(name: &str) -> Role {
    role_to_wire(name.parse().ok())
}

/// The transition as it is shown.
pub fn transition(transition: &Transition) -> v1::Transition {
    let moved = &transition.moved;
    v1::Transition {
        name: transition.name().to_string(),
        contact: transition.contact.to_string(),
        from_stage: moved.from.clone(),
        to_stage: moved.to.clone(),
        from_role: role(&moved.from_role) as i32,
        to_role: role(&moved.to_role) as i32,
        skip: moved.skip,
        cause: cause(&moved.cause) as i32,
        actor: if moved.trigger.is_empty() {
            moved.actor.clone()
        } else {
            moved.trigger.clone()
        },
        reason: moved.reason.clone(),
        note: moved.note.clone(),
        policy_revision: transition.policy.name(&transition.contact.workspace),
        revision: transition.revision,
        effective_time: Some(timestamp_to_wire(Micros(moved.effective_time))),
        record_time: Some(timestamp_to_wire(transition.record_time)),
        hash: hex(&transition.hash),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        for digit in [byte >> 4, byte & 15] {
            text.extend(char::from_digit(u32::from(digit), 16));
        }
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cause_of_the_engine_is_shown() {
        for known in policy::Cause::ALL {
            assert_ne!(cause(known.as_str()), Cause::Unspecified, "{known}");
        }
        assert_eq!(cause("MANUAL"), Cause::Command);
    }

    #[test]
    fn hashes_are_hex() {
        assert_eq!(hex(&[0, 0xab, 0x10]), "00ab10");
    }
}
