//! What becomes of a take of jobs: signatures in one batch for each kind, then verdicts,
//! penalties, and inputs for the driver.

use super::cache::CheckedSignatures;
use super::decode::{Answered, Gossiped, Malformed, answer, gossip};
use super::lanes::{Lane, Lanes};
use super::seen::{SeenVotes, VoteName};
use super::{Admission, Checked, From, Job};
use crate::network::{Command, GossipId};
use crate::view::{SubmitError, View};
use std::sync::Arc;
use std::time::Instant;
use timecoin_protocol::block::{CommittedBlock, Proposal};
use timecoin_protocol::codec::{encode, encoded_len};
use timecoin_protocol::engine::{GossipTag, Input, Offence, RequestId, Response, Source, Verdict};
use timecoin_protocol::finality::VoteBatch;
use timecoin_protocol::keys::{PublicKey, Signed, Verified, verify_all};
use timecoin_protocol::transaction::Transaction;
use timecoin_protocol::validator::Epoch;
use timecoin_protocol::wire::{Announcement, StatusResponse, Vote};
use tokio::sync::mpsc;

/// Where verifiers put their results.
#[derive(Debug)]
pub struct Outlets {
    /// Who is a validator now, and counters of what was dropped.
    pub view: Arc<View>,
    /// Signatures checked before.
    pub signatures: CheckedSignatures,
    /// Votes that were passed on.
    pub votes: Arc<SeenVotes>,
    /// To the driver. When a lane is full the verifier waits.
    pub driver: Arc<Lanes<Checked>>,
    /// To the directory. When full the announcement is ignored; it comes again.
    pub announcements: mpsc::Sender<(GossipId, Verified<Announcement>)>,
    /// To the swarm. When full the command is dropped and counted.
    pub commands: mpsc::Sender<Command>,
}

/// Whose message it was, and what hangs on its outcome.
#[derive(Debug)]
enum Origin {
    Gossip(GossipId, From),
    Answer(RequestId, From),
    Local { test_only: bool, admission: Admission },
}

/// Values of one kind, grouped by the message that they came in.
type Groups<T> = Vec<(Origin, Vec<T>)>;

/// A take, sorted by kind.
#[derive(Default)]
struct Sorted {
    transactions: Groups<Transaction>,
    votes: Groups<Vote>,
    proposals: Groups<Proposal>,
    announcements: Groups<Announcement>,
    certificates: Groups<VoteBatch>,
    blocks: Groups<CommittedBlock>,
    statuses: Groups<StatusResponse>,
}

/// Decodes, checks and passes on a take of jobs.
pub(super) fn process(jobs: Vec<Job>, outlets: &Outlets) {
    let mut sorted = Sorted::default();
    for job in jobs {
        sorted.add(job, outlets);
    }
    outlets.judge(sorted.proposals, Outlets::proposal);
    outlets.judge(sorted.votes, Outlets::votes);
    outlets.judge(sorted.statuses, Outlets::status);
    outlets.judge(sorted.certificates, Outlets::certificates);
    outlets.judge(sorted.announcements, Outlets::announcement);
    outlets.judge(sorted.transactions, Outlets::transactions);
    outlets.judge(sorted.blocks, Outlets::blocks);
}

impl Sorted {
    fn add(&mut self, job: Job, outlets: &Outlets) {
        match job {
            Job::Gossip { id, from, topic, bytes } => match gossip(topic, &bytes) {
                Ok(message) => self.add_gossip(Origin::Gossip(id, from), message, outlets),
                Err(Malformed) => outlets.refuse(Origin::Gossip(id, from)),
            },
            Job::Answer { request, from, protocol, bytes } => match answer(protocol, &bytes) {
                Ok(message) => self.add_answer(Origin::Answer(request, from), message, outlets),
                Err(Malformed) => outlets.refuse(Origin::Answer(request, from)),
            },
            Job::Local { transaction, test_only, admission } => {
                self.transactions.push((Origin::Local { test_only, admission }, vec![transaction]));
            }
        }
    }

    fn add_gossip(&mut self, origin: Origin, message: Gossiped, outlets: &Outlets) {
        match message {
            Gossiped::Transactions(transactions) => self.transactions.push((origin, transactions)),
            Gossiped::Announcement(announcement) => self.announcements.push((origin, vec![announcement])),
            Gossiped::Votes(mut votes) => {
                votes.retain(|vote| outlets.is_wanted(vote));
                if votes.is_empty() {
                    outlets.ignore(&origin);
                } else {
                    self.votes.push((origin, votes));
                }
            }
            Gossiped::Proposal(proposal) => match outlets.standing(&proposal.proposer, proposal.block.header.epoch) {
                Standing::Stranger => outlets.ignore(&origin),
                Standing::Member | Standing::Own => self.proposals.push((origin, vec![*proposal])),
            },
        }
    }

    fn add_answer(&mut self, origin: Origin, message: Answered, outlets: &Outlets) {
        match message {
            Answered::Transactions(transactions) => self.transactions.push((origin, transactions)),
            Answered::Certificates(mut batches) => {
                batches.retain(|batch| outlets.standing(&batch.voter, batch.epoch) != Standing::Stranger);
                self.certificates.push((origin, batches));
            }
            Answered::Blocks(blocks) => self.blocks.push((origin, blocks)),
            Answered::Status(status) => self.statuses.push((origin, vec![*status])),
        }
    }
}

/// Who signed, as far as this node can tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    /// A validator of the message's epoch (the present one, the next one, or that of the last block): it is
    /// forwarded.
    Member,
    /// This node's own key, in an epoch whose validators it does not know yet: what the key signed elsewhere silences it
    /// (D-17). It is not forwarded.
    Own,
    /// Nobody whose vote counts, or evidence that is not needed: not even worth a signature check.
    Stranger,
}

impl Outlets {
    /// Whether a vote is worth a signature check: it is new, and of somebody whose vote may count.
    fn is_wanted(&self, vote: &Vote) -> bool {
        self.standing_of(vote) != Standing::Stranger && !self.votes.contains(&VoteName::of(&encode(vote)))
    }

    fn standing_of(&self, vote: &Vote) -> Standing {
        match vote {
            Vote::Finality(batch) => self.standing(&batch.voter, batch.epoch),
            Vote::Block(vote) => self.standing(&vote.voter, vote.epoch),
            Vote::Seal(seal) => self.standing(&seal.voter, seal.epoch),
            // the first against each that has a vote to lose, whatever the epoch.
            Vote::Evidence(evidence) => {
                let offender = evidence.offender();
                let is_new = !self.view.accused.contains_key(&offender);
                let counts = is_new && self.view.state.load().is_accusable(&offender);
                if counts { Standing::Member } else { Standing::Stranger }
            }
        }
    }

    fn standing(&self, key: &PublicKey, epoch: Epoch) -> Standing {
        let state = self.view.state.load();
        match state.set_of(epoch) {
            Some(set) if set.index_of(key).is_some() => Standing::Member,
            None if epoch > state.epoch && self.view.validator == Some(*key) => Standing::Own,
            _ => Standing::Stranger,
        }
    }

    /// Checks all signatures of all groups in one batch (K-3); hands groups without a bad one to
    /// `deliver`, and refuses the others.
    fn judge<T: Signed>(&self, groups: Groups<T>, deliver: fn(&Self, Origin, Vec<Verified<T>>)) {
        if groups.is_empty() {
            return;
        }
        let (origins, items): (Vec<_>, Vec<_>) = groups.into_iter().unzip();
        let judged = verify_all(items, &self.view.genesis_hash, &self.signatures, &mut rand::rng());
        for (origin, group) in origins.into_iter().zip(judged) {
            match group {
                Some(verified) => deliver(self, origin, verified),
                None => self.refuse(origin),
            }
        }
    }

    fn transactions(&self, origin: Origin, transactions: Vec<Verified<Transaction>>) {
        match origin {
            Origin::Gossip(id, from) => {
                let bytes = transactions.iter().map(|transaction| encoded_len(&**transaction)).sum();
                let source = Source::Gossip(from.tag, GossipTag(id.0));
                // The engine gives the verdict: only it knows whether the ledger's rules hold.
                self.hand_over(Lane::Bulk, Checked::Input(Input::Transactions(source, transactions)), bytes);
            }
            Origin::Answer(request, from) => self.answered(request, from, Response::Transactions(transactions)),
            Origin::Local { test_only, admission } => {
                if let Some(transaction) = transactions.into_iter().next() {
                    let bytes = encoded_len(&*transaction);
                    self.hand_over(Lane::Bulk, Checked::Local { transaction, test_only, admission }, bytes);
                }
            }
        }
    }

    fn votes(&self, origin: Origin, votes: Vec<Verified<Vote>>) {
        let Origin::Gossip(id, from) = origin else { return };
        // A bundle is never forwarded: what is new in it leaves in bundles of this node (N-36).
        self.verdict(id, Verdict::Ignore);
        let (now, mut passed_on, mut bytes) = (Instant::now(), Vec::new(), 0);
        let mut fresh = votes;
        fresh.retain(|vote| {
            let encoded = encode(&**vote);
            if !self.votes.insert(VoteName::of(&encoded), now) {
                return false;
            }
            bytes += encoded.len();
            if self.standing_of(vote) == Standing::Member {
                passed_on.push(encoded);
            }
            if let Vote::Evidence(evidence) = &**vote {
                // At once, so that no second piece is passed on before the driver's next turn.
                self.view.accused.entry(evidence.offender()).or_insert(evidence.kind());
            }
            true
        });
        // Passed on before the engine sees it: the next hop need not wait for this node's turn.
        if !passed_on.is_empty() {
            self.command(Command::Votes { votes: passed_on, own: false });
        }
        if !fresh.is_empty() {
            self.hand_over(Lane::Urgent, Checked::Input(Input::Votes(from.tag, fresh)), bytes);
        }
    }

    fn proposal(&self, origin: Origin, proposals: Vec<Verified<Proposal>>) {
        let Origin::Gossip(id, from) = origin else { return };
        for proposal in proposals {
            let standing = self.standing(&proposal.proposer, proposal.block.header.epoch);
            self.verdict(id, if standing == Standing::Member { Verdict::Accept } else { Verdict::Ignore });
            let bytes = encoded_len(&*proposal);
            self.hand_over(Lane::Urgent, Checked::Input(Input::Proposal(from.tag, Box::new(proposal))), bytes);
        }
    }

    fn announcement(&self, origin: Origin, announcements: Vec<Verified<Announcement>>) {
        let Origin::Gossip(id, _) = origin else { return };
        for announcement in announcements {
            if self.announcements.try_send((id, announcement)).is_err() {
                self.view.overload.announcements.count();
                self.verdict(id, Verdict::Ignore);
            }
        }
    }

    fn certificates(&self, origin: Origin, batches: Vec<Verified<VoteBatch>>) {
        if let Origin::Answer(request, from) = origin {
            self.answered(request, from, Response::Certificates(batches));
        }
    }

    fn blocks(&self, origin: Origin, blocks: Vec<Verified<CommittedBlock>>) {
        if let Origin::Answer(request, from) = origin {
            self.answered(request, from, Response::Blocks(blocks));
        }
    }

    fn status(&self, origin: Origin, statuses: Vec<Verified<StatusResponse>>) {
        let Origin::Answer(request, from) = origin else { return };
        for status in statuses {
            self.answered(request, from, Response::Status(status));
        }
    }

    fn answered(&self, request: RequestId, from: From, response: Response) {
        let bytes = response_bytes(&response);
        self.hand_over(Lane::Urgent, Checked::Input(Input::Answered(request, from.tag, response)), bytes);
    }

    fn hand_over(&self, lane: Lane, checked: Checked, bytes: usize) {
        // Fails only when the node stops; then nobody waits for the outcome.
        let _ = self.driver.push(lane, checked, bytes);
    }

    fn ignore(&self, origin: &Origin) {
        if let Origin::Gossip(id, _) = origin {
            self.verdict(*id, Verdict::Ignore);
        }
    }

    /// Malformed, or a bad signature.
    fn refuse(&self, origin: Origin) {
        match origin {
            // The verdict scores the sender down as well: honest peers check before they forward.
            Origin::Gossip(id, _) => self.verdict(id, Verdict::Reject),
            Origin::Answer(request, from) => {
                self.command(Command::Penalize(from.peer, Offence::InvalidAnswer));
                self.hand_over(Lane::Urgent, Checked::Input(Input::Failed(request)), 0);
            }
            Origin::Local { admission, .. } => {
                let _ = admission.send(Err(SubmitError::Signature));
            }
        }
    }

    fn verdict(&self, id: GossipId, verdict: Verdict) {
        self.command(Command::Verdict(id, verdict));
    }

    fn command(&self, command: Command) {
        if self.commands.try_send(command).is_err() {
            self.view.overload.commands.count();
        }
    }
}

/// Encoded size of an answer, for the bounds of the driver's queue.
fn response_bytes(response: &Response) -> usize {
    match response {
        Response::Query(answer) => encoded_len(answer),
        Response::Transactions(transactions) => transactions.iter().map(|one| encoded_len(&**one)).sum(),
        Response::Certificates(batches) => batches.iter().map(|one| encoded_len(&**one)).sum(),
        Response::Blocks(blocks) => blocks.iter().map(|one| encoded_len(&**one)).sum(),
        Response::Status(status) => encoded_len(&**status),
    }
}
