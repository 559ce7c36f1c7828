//! Regions of the world and how long messages take between them.
//!
//! The matrix in `testnet/data/region-rtt-ms.csv` has measured round-trip times between ten cloud
//! regions. A round trip was measured from both ends, so the two directions differ a little; each
//! way is taken as half of the round trip measured by its sender. On top of it comes jitter, which
//! the caller's chance decides, so that a seed gives the same delays again.

/// The measured matrix: a header row with the regions, then one row for each of them, in milliseconds.
const MEASURED: &str = include_str!("../../data/region-rtt-ms.csv");
/// Most that jitter adds to a delay, in thousandths of it.
const JITTER_PERMILLE_MAX: u64 = 100;
/// One way within a region, in microseconds, without jitter: the matrix says zero.
const WITHIN_REGION_US: u64 = 250;

/// A region, by its position in the matrix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Region(pub usize);

/// Round-trip times between regions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Regions {
    names: Vec<String>,
    /// In microseconds; row: who measured.
    rtt_us: Vec<Vec<u64>>,
}

/// Why a text is no matrix of round-trip times.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MatrixError {
    /// There is no header, or no region in it.
    #[error("the matrix of round-trip times names no region")]
    Empty,
    /// A row for another region than the header has in its place, or none.
    #[error("row {row} of the matrix of round-trip times is not that of region {wanted}")]
    Row {
        /// From 1, the header not counted.
        row: usize,
        /// The region that the header has there.
        wanted: String,
    },
    /// A field that is no time, or too few or too many of them.
    #[error(
        "the row of region {region} in the matrix of round-trip times does not hold {wanted} times in milliseconds"
    )]
    Times {
        /// Whose row.
        region: String,
        /// How many there must be.
        wanted: usize,
    },
}

impl Regions {
    /// The ten measured regions.
    ///
    /// # Errors
    /// Never with the file as it is; a test reads it.
    pub fn measured() -> Result<Self, MatrixError> {
        Self::parse(MEASURED)
    }

    /// Reads a matrix; lines that begin with `#` are remarks.
    ///
    /// # Errors
    /// [`MatrixError`] names the first defect.
    pub fn parse(text: &str) -> Result<Self, MatrixError> {
        let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        let header = lines.next().ok_or(MatrixError::Empty)?;
        let names: Vec<String> = header.split(',').skip(1).map(|name| name.trim().to_owned()).collect();
        if names.is_empty() {
            return Err(MatrixError::Empty);
        }
        let mut rtt_us = Vec::with_capacity(names.len());
        for (at, name) in names.iter().enumerate() {
            let row = lines.next().and_then(|line| line.split_once(',')).filter(|(from, _)| from.trim() == name);
            let (_, times) = row.ok_or_else(|| MatrixError::Row { row: at + 1, wanted: name.clone() })?;
            let times: Option<Vec<u64>> = times.split(',').map(micros).collect();
            let fitting = times.filter(|times| times.len() == names.len());
            rtt_us.push(fitting.ok_or_else(|| MatrixError::Times { region: name.clone(), wanted: names.len() })?);
        }
        match lines.next() {
            Some(_) => Err(MatrixError::Row { row: names.len() + 1, wanted: "none".to_owned() }),
            None => Ok(Self { names, rtt_us }),
        }
    }

    /// Number of regions.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.names.len()
    }

    /// Whether there are none; a matrix that was read has one at least.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// The name of a region.
    #[must_use]
    pub fn name(&self, region: Region) -> Option<&str> {
        self.names.get(region.0).map(String::as_str)
    }

    /// Where node number `index` is, if nodes are dealt out to the first `count` regions in turn.
    #[must_use]
    pub fn of_node(&self, index: usize, count: usize) -> Region {
        Region(index % count.clamp(1, self.len().max(1)))
    }

    /// The round trip that `from` measured to `to`, in microseconds; zero for a region that is not
    /// in the matrix.
    #[must_use]
    pub fn rtt_us(&self, from: Region, to: Region) -> u64 {
        self.rtt_us.get(from.0).and_then(|row| row.get(to.0)).copied().unwrap_or_default()
    }

    /// How long a message takes from `from` to `to`, in microseconds: half the round trip and jitter of
    /// up to a tenth of that. `chance` is any 64 random bits.
    #[must_use]
    pub fn one_way_us(&self, from: Region, to: Region, chance: u64) -> u64 {
        let base = (self.rtt_us(from, to) / 2).max(WITHIN_REGION_US);
        base + base * (chance % (JITTER_PERMILLE_MAX + 1)) / 1_000
    }
}

/// Milliseconds with at most three digits after the point, as microseconds. Without floating point:
/// the same on every machine.
fn micros(text: &str) -> Option<u64> {
    let (whole, fraction) = text.trim().split_once('.').unwrap_or((text.trim(), ""));
    if fraction.len() > 3 || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let millis: u64 = whole.parse().ok()?;
    let rest: u64 = format!("{fraction:0<3}").parse().ok()?;
    millis.checked_mul(1_000)?.checked_add(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn region(regions: &Regions, name: &str) -> Region {
        (0..regions.len()).map(Region).find(|region| regions.name(*region) == Some(name)).unwrap()
    }

    #[test]
    fn the_measured_matrix_has_ten_regions_and_the_times_of_its_file() {
        let regions = Regions::measured().unwrap();
        assert_eq!(regions.len(), 10);
        let [virginia, ireland, sydney, california] =
            ["us-east-1", "eu-west-1", "ap-southeast-2", "us-west-1"].map(|name| region(&regions, name));
        assert_eq!(regions.rtt_us(virginia, ireland), 80_550);
        assert_eq!(regions.rtt_us(virginia, sydney), 230_000);
        assert_eq!(regions.rtt_us(virginia, california), 72_740);
        assert_eq!(regions.rtt_us(california, virginia), 71_630, "each direction as its sender measured it");
        assert_eq!(regions.rtt_us(virginia, Region(10)), 0);
    }

    #[test]
    fn the_two_directions_of_a_measured_pair_differ_by_little() {
        let regions = Regions::measured().unwrap();
        for from in (0..10).map(Region) {
            assert_eq!(regions.rtt_us(from, from), 0);
            for to in (0..10).map(Region).filter(|to| *to != from) {
                let (there, back) = (regions.rtt_us(from, to), regions.rtt_us(to, from));
                assert!(there.abs_diff(back) <= 2_000 && there > 15_000, "{from:?} {to:?}: {there} and {back}");
            }
        }
    }

    #[test]
    fn a_message_takes_half_a_round_trip_and_up_to_a_tenth_more() {
        let regions = Regions::measured().unwrap();
        let (from, to) = (Region(0), Region(3));
        assert_eq!(regions.one_way_us(from, to, 0), 40_275);
        assert_eq!(regions.one_way_us(from, to, 100), 44_302);
        assert_eq!(regions.one_way_us(from, to, 101), 40_275, "chance is taken modulo the steps");
        assert_eq!(regions.one_way_us(from, from, 0), WITHIN_REGION_US);
    }

    #[test]
    fn nodes_are_dealt_out_to_the_regions_in_turn() {
        let regions = Regions::measured().unwrap();
        let at = |index, count| regions.of_node(index, count).0;
        assert_eq!([at(0, 4), at(3, 4), at(4, 4), at(9, 10), at(10, 10)], [0, 3, 0, 9, 0]);
        assert_eq!([at(12, 99), at(5, 0)], [2, 0], "never beyond the matrix");
    }

    #[test]
    fn a_defect_in_a_matrix_is_named() {
        let good = "# remark\nfrom,a,b\na,0,1.5\nb,2,0\n";
        assert_eq!(Regions::parse(good).unwrap().rtt_us(Region(0), Region(1)), 1_500);
        let row = |row, wanted: &str| MatrixError::Row { row, wanted: wanted.to_owned() };
        let times = |region: &str| MatrixError::Times { region: region.to_owned(), wanted: 2 };
        let defects = [
            ("# nothing\n", MatrixError::Empty),
            ("from\n", MatrixError::Empty),
            ("from,a,b\na,0,1\n", row(2, "b")),
            ("from,a,b\nb,0,1\na,1,0\n", row(1, "a")),
            ("from,a,b\na,0,1\nb,1,0\nc,1,1\n", row(3, "none")),
            ("from,a,b\na,0,1\nb,1\n", times("b")),
            ("from,a,b\na,0,1,2\nb,1,0\n", times("a")),
            ("from,a,b\na,0,-1\nb,1,0\n", times("a")),
            ("from,a,b\na,0,1.2345\nb,1,0\n", times("a")),
            ("from,a,b\na,0,1.-2\nb,1,0\n", times("a")),
        ];
        for (text, defect) in defects {
            assert_eq!(Regions::parse(text), Err(defect), "{text}");
        }
    }
}
