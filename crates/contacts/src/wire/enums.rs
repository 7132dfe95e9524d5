//! The proto's enums of the domain's words.

use proto::contacts::v1::{self, contact, qualification, source};

use crate::domain::contacts::{Change, State};
use crate::domain::facts::{Channel, Kind, ReferralKind, RelationshipKind, Verdict};

pub(super) fn kind_to_wire(kind: Kind) -> contact::Kind {
    match kind {
        Kind::Person => contact::Kind::Person,
        Kind::Company => contact::Kind::Company,
        Kind::Group => contact::Kind::Group,
    }
}

pub(super) fn relationship_kind_to_wire(kind: RelationshipKind) -> contact::RelationshipKind {
    match kind {
        RelationshipKind::Customer => contact::RelationshipKind::Customer,
        RelationshipKind::Vendor => contact::RelationshipKind::Vendor,
        RelationshipKind::Supplier => contact::RelationshipKind::Supplier,
        RelationshipKind::Partner => contact::RelationshipKind::Partner,
        RelationshipKind::Investor => contact::RelationshipKind::Investor,
        RelationshipKind::Employee => contact::RelationshipKind::Employee,
        RelationshipKind::Adviser => contact::RelationshipKind::Adviser,
    }
}

pub(super) fn channel_to_wire(channel: Channel) -> source::Channel {
    match channel {
        Channel::Direct => source::Channel::Direct,
        Channel::Form => source::Channel::Form,
        Channel::Referral => source::Channel::Referral,
        Channel::Event => source::Channel::Event,
        Channel::Ad => source::Channel::Ad,
        Channel::Social => source::Channel::Social,
        Channel::TradeShow => source::Channel::TradeShow,
        Channel::Import => source::Channel::Import,
        Channel::Call => source::Channel::Call,
    }
}

pub(super) fn referral_kind_to_wire(kind: ReferralKind) -> source::ReferralKind {
    match kind {
        ReferralKind::Unsaid => source::ReferralKind::Unspecified,
        ReferralKind::OwnerRelation => source::ReferralKind::OwnerRelation,
        ReferralKind::Business => source::ReferralKind::Business,
    }
}

pub(super) fn verdict_to_wire(verdict: Verdict) -> qualification::Verdict {
    match verdict {
        Verdict::Open => qualification::Verdict::Unspecified,
        Verdict::Qualified => qualification::Verdict::Qualified,
        Verdict::Disqualified => qualification::Verdict::Disqualified,
    }
}

pub(super) fn state_to_wire(state: State) -> contact::State {
    match state {
        State::Active => contact::State::Active,
        State::Deleting => contact::State::Deleting,
        State::Deleted => contact::State::Deleted,
        State::Merging => contact::State::Merging,
        State::Merged => contact::State::Merged,
    }
}

/// The kind of change that callers see.
pub fn change_kind(change: Change) -> v1::contact_change::Kind {
    use v1::contact_change::Kind;
    match change {
        Change::Created => Kind::Created,
        Change::Updated => Kind::Updated,
        Change::Deleting => Kind::Deleting,
        Change::Deleted => Kind::Deleted,
        Change::Undeleted => Kind::Undeleted,
        Change::PositionRecorded => Kind::PositionRecorded,
        Change::Purged => Kind::Purged,
    }
}
