//! What happens to a message on its way.

use super::chance::Chance;
use super::regions::{Region, Regions};
use super::report::{Fault, Report};
use super::scenario::NetworkFaults;
use timecoin_protocol::engine::Time;

/// How much later than others a message may come, in milliseconds, at most.
const LATE_MS_MAX: u64 = 400;

/// A cut of the network in two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cut {
    /// Bit i set: node i is on the other side.
    pub side: u64,
    /// Whether the other side still hears this one.
    pub one_way: bool,
    /// If the cut comes and goes: how long it stays either way, in milliseconds.
    pub flap_ms: Option<u64>,
}

impl Cut {
    /// Draws a cut.
    pub fn draw(chance: &mut Chance) -> Self {
        let side = chance.bits();
        match chance.below(3) {
            0 => Self { side, one_way: false, flap_ms: None },
            1 => Self { side, one_way: true, flap_ms: None },
            _ => Self { side, one_way: chance.below(2) == 0, flap_ms: Some(20 + chance.below(400)) },
        }
    }

    /// What kind of fault it is.
    pub const fn fault(&self) -> Fault {
        match (self.flap_ms, self.one_way) {
            (Some(_), _) => Fault::Flapping,
            (None, true) => Fault::OneWay,
            (None, false) => Fault::Partition,
        }
    }

    fn stops(&self, now: Time, from: usize, to: usize) -> bool {
        if self.flap_ms.is_some_and(|flap_ms| (now.millis() / flap_ms.max(1)) % 2 == 1) {
            return false;
        }
        let (left, right) = ((self.side >> (from % 64)) & 1, (self.side >> (to % 64)) & 1);
        if self.one_way { left > right } else { left != right }
    }
}

/// The network between the nodes.
#[derive(Debug)]
pub(super) struct Network {
    faults: NetworkFaults,
    regions: Regions,
    places: Vec<Region>,
    pub cut: Option<Cut>,
    /// Whether everything has healed: nothing is lost, late or doubled any more.
    pub healed: bool,
}

impl Network {
    pub fn new(faults: NetworkFaults, regions: Regions, nodes: usize, chance: &mut Chance) -> Self {
        let first = chance.index(regions.len());
        let places = (0..nodes)
            .map(|node| Region((first + regions.of_node(node, faults.regions).0) % regions.len().max(1)))
            .collect();
        Self { faults, regions, places, cut: None, healed: false }
    }

    /// When a message sent now arrives: never, once, or twice.
    pub fn arrivals(
        &self,
        now: Time,
        (from, to): (usize, usize),
        chance: &mut Chance,
        report: &mut Report,
    ) -> Vec<Time> {
        if !self.healed && (self.cut.is_some_and(|cut| cut.stops(now, from, to)) || chance.happens(self.faults.loss)) {
            report.fault(Fault::Lost);
            return Vec::new();
        }
        let twice = !self.healed && chance.happens(self.faults.duplication);
        if twice {
            report.fault(Fault::Twice);
        }
        (0..=u8::from(twice)).map(|_| self.arrival(now, (from, to), chance, report)).collect()
    }

    fn arrival(&self, now: Time, (from, to): (usize, usize), chance: &mut Chance, report: &mut Report) -> Time {
        let place = |node: usize| self.places.get(node).copied().unwrap_or(Region(0));
        let mut delay_us = self.regions.one_way_us(place(from), place(to), chance.bits());
        if !self.healed && chance.happens(self.faults.late) {
            report.fault(Fault::Late);
            delay_us += chance.below(LATE_MS_MAX * 1_000);
        }
        Time(now.0 + delay_us)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Time {
        Time(millis * 1_000)
    }

    #[test]
    fn a_one_way_cut_stops_one_direction() {
        let cut = Cut { side: 0b0011, one_way: true, flap_ms: None };
        assert!(cut.stops(at(5), 0, 2) && !cut.stops(at(5), 2, 0) && !cut.stops(at(5), 0, 1));
        let both = Cut { one_way: false, ..cut };
        assert!(both.stops(at(5), 0, 2) && both.stops(at(5), 2, 0) && !both.stops(at(5), 2, 3));
    }

    #[test]
    fn a_flapping_cut_comes_and_goes() {
        let cut = Cut { side: 1, one_way: false, flap_ms: Some(10) };
        assert_eq!([0, 9, 10, 19, 20].map(|ms| cut.stops(at(ms), 0, 1)), [true, true, false, false, true]);
    }
}
