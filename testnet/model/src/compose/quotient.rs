//! Local states that nobody can tell apart are made one: partition refinement.

use super::graph::{Graph, MessageId, NeedsId};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::Hash;

/// A step between classes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClassStep {
    /// What must have been said.
    pub needs: NeedsId,
    /// Where it leads.
    pub to: u32,
}

/// Classes of local states of one node.
pub struct Classes {
    /// The class in which it begins.
    pub first: u32,
    /// One state of each class.
    pub members: Vec<u32>,
    /// What leads from each class to others, with the number of a name.
    pub steps: Vec<Vec<(ClassStep, u32)>>,
}

/// Numbers values in the order in which they come.
fn number<T: Eq + Hash>(values: impl Iterator<Item = T>) -> (Vec<u32>, usize) {
    let mut ids = HashMap::new();
    let numbers = values.map(|value| {
        let next = u32::try_from(ids.len()).unwrap_or(u32::MAX);
        *ids.entry(value).or_insert(next)
    });
    let numbers = numbers.collect();
    (numbers, ids.len())
}

/// The coarsest classes such that all members of a class look the same, and whatever can happen to one of them can
/// happen to each, with the same messages, and leads to the same class. Steps that stay in a class are left out.
pub fn classes(graph: &Graph, needs: &[Vec<MessageId>]) -> Classes {
    let (mut of, mut count) = number(graph.looks.iter().copied());
    loop {
        let seen = (0..graph.looks.len()).map(|at| {
            let steps: BTreeSet<ClassStep> = outgoing(graph, &of, at).map(|(step, _)| step).collect();
            (of[at], least(&steps, needs))
        });
        let (finer, more) = number(seen);
        of = finer;
        if more == count {
            break;
        }
        count = more;
    }
    let mut members = vec![u32::MAX; count];
    for (at, class) in of.iter().enumerate().rev() {
        members[*class as usize] = u32::try_from(at).unwrap_or(u32::MAX);
    }
    let steps = members.iter().map(|member| {
        let all: BTreeMap<ClassStep, u32> = outgoing(graph, &of, *member as usize).collect();
        least(&all.keys().copied().collect(), needs).into_iter().map(|step| (step, all[&step])).collect()
    });
    Classes { first: of[0], steps: steps.collect(), members }
}

fn outgoing<'a>(graph: &'a Graph, of: &'a [u32], at: usize) -> impl Iterator<Item = (ClassStep, u32)> + 'a {
    graph.steps[at]
        .iter()
        .filter(move |step| of[step.to as usize] != of[at])
        .map(|step| (ClassStep { needs: step.needs, to: of[step.to as usize] }, step.name))
}

/// Without steps that need more than another one to the same class.
fn least(steps: &BTreeSet<ClassStep>, needs: &[Vec<MessageId>]) -> Vec<ClassStep> {
    let of = |step: &ClassStep| &needs[step.needs as usize];
    let is_part = |part: &ClassStep, step: &ClassStep| {
        part != step && part.to == step.to && of(part).iter().all(|message| of(step).contains(message))
    };
    steps.iter().filter(|step| !steps.iter().any(|part| is_part(part, step))).copied().collect()
}
