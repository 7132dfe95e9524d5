//! Which places of a service are taken, and who may take the next one.
//!
//! There are common places and reserved ones. Critical calls take a reserved place first, then a
//! common one; sheddable calls never take more than half of the common ones.

/// What becomes of a call when there are more than can be served, the first to be refused first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Class {
    /// Lists and reports.
    Sheddable,
    /// What people do.
    Default,
    /// What the other services of the suite wait for.
    Critical,
}

impl Class {
    /// From the first to be served to the last.
    pub(crate) const BY_RANK: [Self; 3] = [Self::Critical, Self::Default, Self::Sheddable];

    /// The name in refusals, as the method options write it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Sheddable => "SHEDDABLE",
            Self::Default => "DEFAULT",
            Self::Critical => "CRITICAL",
        }
    }
}

/// The kind of a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lane {
    /// For critical calls alone.
    Reserved,
    /// For all.
    Common,
}

/// The places of one service.
#[derive(Debug)]
pub(super) struct Lanes {
    common_max: usize,
    reserved_max: usize,
    common: usize,
    reserved: usize,
    sheddable: usize,
}

impl Lanes {
    pub(super) fn new(common_max: usize, reserved_max: usize) -> Self {
        Self {
            common_max,
            reserved_max,
            common: 0,
            reserved: 0,
            sheddable: 0,
        }
    }

    /// How many common places are taken.
    pub(super) fn common(&self) -> usize {
        self.common
    }

    /// How many common places there are.
    pub(super) fn common_max(&self) -> usize {
        self.common_max
    }

    /// Takes a place if there is one for this class.
    pub(super) fn take(&mut self, class: Class) -> Option<Lane> {
        let lane = match class {
            Class::Critical if self.reserved < self.reserved_max => Lane::Reserved,
            Class::Sheddable if self.sheddable >= self.common_max.div_ceil(2) => return None,
            _ if self.common < self.common_max => Lane::Common,
            _ => return None,
        };
        self.retake(class, lane);
        Some(lane)
    }

    /// Takes a place that was had before, whether there is one or not.
    pub(super) fn retake(&mut self, class: Class, lane: Lane) {
        match lane {
            Lane::Reserved => self.reserved += 1,
            Lane::Common => self.common += 1,
        }
        if class == Class::Sheddable {
            self.sheddable += 1;
        }
    }

    /// Gives a place back.
    pub(super) fn give(&mut self, class: Class, lane: Lane) {
        match lane {
            Lane::Reserved => self.reserved -= 1,
            Lane::Common => self.common -= 1,
        }
        if class == Class::Sheddable {
            self.sheddable -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many calls of this class get a place.
    fn fill(lanes: &mut Lanes, class: Class) -> usize {
        std::iter::from_fn(|| lanes.take(class)).count()
    }

    #[test]
    fn each_class_leaves_places_to_those_above_it() {
        let mut lanes = Lanes::new(9, 2);
        assert_eq!(fill(&mut lanes, Class::Sheddable), 5);
        assert_eq!(fill(&mut lanes, Class::Default), 4);
        assert_eq!(fill(&mut lanes, Class::Critical), 2);
        lanes.give(Class::Default, Lane::Common);
        assert_eq!(lanes.take(Class::Sheddable), None, "half is all it gets");
        lanes.give(Class::Sheddable, Lane::Common);
        assert_eq!(lanes.take(Class::Critical), Some(Lane::Common));
        assert_eq!(lanes.take(Class::Sheddable), Some(Lane::Common));
        assert_eq!(lanes.take(Class::Critical), None);
    }

    #[test]
    fn who_comes_back_has_a_place_in_any_case_and_the_next_waits_for_two() {
        let mut lanes = Lanes::new(1, 0);
        let lane = lanes.take(Class::Default).expect("the first");
        lanes.give(Class::Default, lane);
        lanes.take(Class::Default).expect("it stepped aside");
        lanes.retake(Class::Default, lane);
        lanes.give(Class::Default, lane);
        assert_eq!(lanes.take(Class::Default), None);
        lanes.give(Class::Default, lane);
        assert!(lanes.take(Class::Default).is_some());
    }
}
