//! Payment load against a network of real nodes, and what must hold afterwards.
//!
//! A run goes one way: `plan` (what is sent, when and where; the seed decides) → `funding` (one coin
//! for each payment) → `sign` (everything, ahead) → `send` (an open loop) beside `watch` (what the
//! nodes say) and `sample` (pools, processes), all of which write to the `board` → `gather` (asks
//! every node) → `check` (judges) → `stats` and `report`. [`run`](run()) puts it together;
//! [`find_max`] repeats it with other rates.

pub(crate) mod board;
pub(crate) mod check;
mod find_max;
pub(crate) mod funding;
pub(crate) mod gather;
pub(crate) mod plan;
mod report;
mod run;
mod sample;
mod send;
pub(crate) mod sign;
mod stats;
mod usage;
pub(crate) mod watch;

pub use check::{SETTLE_MS_MAX, SETTLED_SHARE_MIN, Violation};
pub use find_max::{Hold, Limits, Search, Step, holds};
pub use plan::{PAYMENTS_MAX, RATE_MAX, Shape};
pub use report::{Blocks, Pool, Report};
pub use run::{Connections, run};
pub use sample::PoolSample;
pub use stats::{Counts, DoubleSpends, Latencies, Latency};
pub use usage::ProcessUsage;
