//! Categories of tax on the wire.

use proto::billing::v1;

use crate::domain::tax::TaxCategory;

/// The category that a number on the wire stands for; none where nothing was said.
pub(super) fn category_from_wire(category: i32) -> Option<TaxCategory> {
    match v1::TaxCategory::try_from(category).unwrap_or_default() {
        v1::TaxCategory::Unspecified => None,
        v1::TaxCategory::Standard => Some(TaxCategory::Standard),
        v1::TaxCategory::Zero => Some(TaxCategory::Zero),
        v1::TaxCategory::Exempt => Some(TaxCategory::Exempt),
        v1::TaxCategory::ReverseCharge => Some(TaxCategory::ReverseCharge),
        v1::TaxCategory::IntraCommunity => Some(TaxCategory::IntraCommunity),
        v1::TaxCategory::Export => Some(TaxCategory::Export),
        v1::TaxCategory::OutOfScope => Some(TaxCategory::OutOfScope),
        v1::TaxCategory::CanaryIslands => Some(TaxCategory::CanaryIslands),
        v1::TaxCategory::CeutaMelilla => Some(TaxCategory::CeutaMelilla),
    }
}

/// The category on the wire.
pub(super) fn category_to_wire(category: TaxCategory) -> v1::TaxCategory {
    match category {
        TaxCategory::Standard => v1::TaxCategory::Standard,
        TaxCategory::Zero => v1::TaxCategory::Zero,
        TaxCategory::Exempt => v1::TaxCategory::Exempt,
        TaxCategory::ReverseCharge => v1::TaxCategory::ReverseCharge,
        TaxCategory::IntraCommunity => v1::TaxCategory::IntraCommunity,
        TaxCategory::Export => v1::TaxCategory::Export,
        TaxCategory::OutOfScope => v1::TaxCategory::OutOfScope,
        TaxCategory::CanaryIslands => v1::TaxCategory::CanaryIslands,
        TaxCategory::CeutaMelilla => v1::TaxCategory::CeutaMelilla,
    }
}
