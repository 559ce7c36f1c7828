//! A message between nodes, with what is counted of it.

use crate::sim::trace::{fingerprint, short};
use std::rc::Rc;
use std::sync::Arc;
use timecoin_protocol::block::{CommittedBlock, Proposal};
use timecoin_protocol::codec::encode;
use timecoin_protocol::engine::{Reply, Request, RequestId};
use timecoin_protocol::hash::Txid;
use timecoin_protocol::transaction::Transaction;
use timecoin_protocol::wire::Vote;

/// A message between nodes.
#[derive(Debug)]
pub(super) enum Message {
    Transactions(Vec<Arc<Transaction>>),
    Vote(Vote),
    Proposal(Arc<Proposal>),
    Asked(RequestId, Request),
    Answered(RequestId, Answered),
}

#[derive(Debug)]
pub(super) enum Answered {
    Reply(Reply),
    Blocks(Vec<CommittedBlock>),
}

/// A message with what is counted of it.
#[derive(Debug)]
pub(super) struct Envelope {
    pub message: Message,
    /// Names the request that an answer belongs to, beyond the life of a process.
    pub serial: u64,
    pub bytes: u64,
    pub fingerprint: u64,
}

impl Message {
    fn encoded(&self) -> Vec<u8> {
        match self {
            Self::Transactions(transactions) => encode(transactions),
            Self::Vote(vote) => encode(vote),
            Self::Proposal(proposal) => encode(&**proposal),
            Self::Asked(_, request) => match request {
                Request::Query(query) => encode(&**query),
                Request::Transactions(request) => encode(request),
                Request::Certificates(request) => encode(request),
                Request::Blocks(request) => encode(request),
                Request::Status(request) => encode(request),
            },
            Self::Answered(_, Answered::Blocks(blocks)) => encode(blocks),
            Self::Answered(_, Answered::Reply(reply)) => match reply {
                Reply::Query(answer) => encode(answer),
                Reply::Transactions(transactions) => encode(transactions),
                Reply::Certificates(batches) => encode(batches),
                Reply::Status(status) => encode(status),
                Reply::Admission(_) => Vec::new(),
            },
        }
    }

    /// What it says, for people.
    pub fn line(&self) -> String {
        let several = |txids: &[Txid]| txids.iter().map(|txid| short(&txid.0)).collect::<Vec<_>>().join(" ");
        match self {
            Self::Transactions(transactions) => {
                let txids: Vec<Txid> = transactions.iter().map(|transaction| transaction.txid()).collect();
                format!("payments {}", several(&txids))
            }
            Self::Vote(Vote::Finality(batch)) => format!("{:?} {}", batch.phase, several(&batch.txids)),
            Self::Vote(Vote::Block(vote)) => {
                let block = vote.block.map_or("nil".to_owned(), |block| short(&block.0));
                format!("{:?} {block} at {}, round {}", vote.phase, vote.height, vote.round)
            }
            Self::Vote(Vote::Seal(seal)) => format!("seal of epoch {} {}", seal.epoch, several(&seal.txids)),
            Self::Vote(Vote::Evidence(evidence)) => {
                let offender = short(&evidence.offender().0);
                format!("evidence of {} by {offender} in epoch {}", evidence.kind(), evidence.epoch())
            }
            Self::Proposal(proposal) => {
                let block = &proposal.block;
                let hash = short(&block.header.hash().0);
                let height = block.header.height;
                format!("proposal {hash} of {} at {height}, round {}", block.txids.len(), proposal.round)
            }
            Self::Asked(id, request) => match request {
                Request::Query(query) => format!("query {} {}", id.0, several(&query.txids)),
                Request::Transactions(request) => format!("asks {} for bodies {}", id.0, several(&request.txids)),
                Request::Certificates(request) => format!("asks {} for votes {}", id.0, several(&request.txids)),
                Request::Blocks(request) => format!("asks {} for blocks from {}", id.0, request.from),
                Request::Status(request) => format!("asks {} for status at {}", id.0, request.tip),
            },
            Self::Answered(id, Answered::Blocks(blocks)) => format!("answers {} with {} blocks", id.0, blocks.len()),
            Self::Answered(id, Answered::Reply(reply)) => match reply {
                Reply::Query(answer) => format!("answers {} {:?}", id.0, answer.opinions),
                _ => format!("answers {}", id.0),
            },
        }
    }
}

impl Envelope {
    pub fn new(message: Message, serial: u64) -> Rc<Self> {
        let encoded = message.encoded();
        let (bytes, fingerprint) = (u64::try_from(encoded.len()).unwrap_or(u64::MAX), fingerprint(&encoded));
        Rc::new(Self { message, serial, bytes, fingerprint })
    }
}
