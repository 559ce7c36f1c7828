//! Validators ("masternodes"), rounds and quorums.

use super::args::Args;
use super::context::Context;
use super::table::{Answer, Handler, Method};
use crate::view::MasternodeEntry;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use timecoin_protocol::block::CommittedBlock;
use timecoin_protocol::engine::{Reputation, Voice};
use timecoin_protocol::keys::PublicKey;
use timecoin_protocol::ledger::{ChainState, validators_from_bonds};
use timecoin_protocol::validator::{Round, Validator, ValidatorSet};

/// The methods of this subject.
pub const METHODS: &[Method] = &[
    Method {
        name: "masternodelist",
        about: "The validators of this epoch and those that come, and where their nodes are, as far as this node was told.",
        params: &[],
        result: "list of objects: index (null before its first epoch), key, weight, tier, share_ppm (millionths of the whole \
                 weight), payout, next_weight (in the next epoch), bonded (in the one after that, as things are), status \
                 (active, joining, leaving, removed), since_epoch (when a joining one gets its vote, a leaving or removed \
                 one loses it), offender (null, or of one that contradicted itself: kind, namely double_prevote, \
                 double_precommit, double_proposal, double_prepare, double_commit or double_seal, and height of the block \
                 that takes it the vote, null while there is evidence and no such block yet), peer_id, addresses, announced_ms, connected, reputation (of validators of this epoch; what this node \
                 saw of it since it started: queries it answered and failed to answer, its usual answer time in \
                 microseconds, whether it is not asked at the moment, recent blocks and how many of them it signed, the \
                 same as participation_ppm)",
        errors: &[],
        example: "[]",
        unsafe_method: false,
        handler: Handler::Memory(masternode_list),
    },
    Method {
        name: "masternodestatus",
        about: "Whether this node is a validator, and whether its votes count.",
        params: &[],
        result: "object: validator (its key or null), active (in the set of this epoch), status, index, weight, tier, \
                 share_ppm, payout, signed_last_block, synced, peer_id, voice (whether it signs: follows (no key), speaks, listens \
                 (asks others first, after a start), silent), voice_reason (why it does not, and until when; else null), \
                 silent_after_epoch and silent_after_ms (a silence ends when a later epoch begins, by a block dated later; \
                 else null)",
        errors: &[],
        example: "[]",
        unsafe_method: false,
        handler: Handler::Storage(masternode_status),
    },
    Method {
        name: "getconsensusinfo",
        about: "Block agreement now: height in progress, round, proposer, quorum, and the network's fixed rules.",
        params: &[],
        result: "object: height, round, epoch, proposer, validators, total_weight, quorum_weight, last_block_time_ms, \
                 polls, block_interval_ms, block_reward_units, unbonding_blocks, epoch_start, epoch_blocks, sealing \
                 (the epoch ends: payments wait for the next), next_validators (their number in the next epoch)",
        errors: &[],
        example: "[]",
        unsafe_method: false,
        handler: Handler::Memory(consensus_info),
    },
];

/// `weight` of `total` in millionths.
fn share_ppm(weight: u64, total: u64) -> u64 {
    let share = u128::from(weight) * 1_000_000 / u128::from(total.max(1));
    u64::try_from(share).unwrap_or(u64::MAX)
}

fn member(context: &Context, set: &ValidatorSet, validator: &Validator) -> Value {
    json!({
        "index": set.index_of(&validator.key),
        "key": validator.key,
        "weight": validator.weight,
        "tier": validator.weight.tier(),
        "share_ppm": share_ppm(validator.weight.0, set.total().0),
        "payout": context.address(&validator.payout),
    })
}

/// The validators that the bonds of now would make.
fn bonded(state: &ChainState) -> ValidatorSet {
    validators_from_bonds(state.bonds.iter().map(|(outpoint, utxo)| (*outpoint, *utxo)))
}

/// How a validator stands: the word for it, and the epoch in which that changes what it may do (of one that stays, the
/// present one). Nothing for a key without a bond.
fn standing(state: &ChainState, bonded: &ValidatorSet, key: &PublicKey) -> Option<(&'static str, u64)> {
    let next = state.set_of_next_epoch();
    let [now, soon, later] = [&*state.validators, &*next, bonded].map(|set| set.index_of(key).is_some());
    let epoch = state.epoch.0;
    match (now, soon, later) {
        _ if state.offenders.contains_key(key) => Some(("removed", epoch + u64::from(now))),
        (true, true, true) => Some(("active", epoch)),
        (true, false, _) => Some(("leaving", epoch + 1)),
        (_, true, false) => Some(("leaving", epoch + 2)),
        (false, true, true) => Some(("joining", epoch + 1)),
        (false, false, true) => Some(("joining", epoch + 2)),
        (false, false, false) => None,
    }
}

fn masternode_list(context: &Context, _: &Args) -> Answer {
    let state = context.view.state.load_full();
    let (next, bonded) = (state.set_of_next_epoch(), bonded(&state));
    let (peers, reputations) = (context.view.peers.load(), context.view.reputations.load());
    let mut members: BTreeMap<PublicKey, Validator> = BTreeMap::new();
    for set in [&*state.validators, &*next, &bonded] {
        for validator in set.members() {
            members.entry(validator.key).or_insert(*validator);
        }
    }
    let list = members.into_values().map(|validator| {
        let key = validator.key;
        let announced = context.view.masternodes.get(&key).map(|entry| entry.value().clone());
        let validator = Validator { weight: state.validators.weight_of(&key), ..validator };
        let mut fields = member(context, &state.validators, &validator);
        let own = context.view.validator == Some(key);
        let is_connected = |entry: &MasternodeEntry| {
            let peer_id = entry.peer.to_string();
            own || peers.iter().any(|peer| peer.peer_id == peer_id)
        };
        let conduct = reputations.iter().find(|entry| entry.key == key).map(reputation);
        let standing = standing(&state, &bonded, &key);
        super::shape::extend(
            &mut fields,
            json!({
                "reputation": conduct,
                "next_weight": next.weight_of(&key),
                "bonded": bonded.weight_of(&key),
                "status": standing.map(|(word, _)| word),
                "since_epoch": standing.map(|(_, epoch)| epoch),
                "offender": offender(context, &state, &key),
                "peer_id": announced.as_ref().map(|entry| entry.peer.to_string()),
                "addresses": announced.as_ref().map(addresses).unwrap_or_default(),
                "announced_ms": announced.as_ref().map(|entry| entry.announced_ms),
                "connected": announced.as_ref().map_or(own, is_connected),
            }),
        );
        fields
    });
    Ok(list.collect())
}

/// What a validator did twice, and the block that takes it the vote: none yet while there is only evidence.
fn offender(context: &Context, state: &ChainState, key: &PublicKey) -> Value {
    if let Some(offender) = state.offenders.get(key) {
        return json!({ "kind": offender.kind, "height": offender.height });
    }
    let kind = context.view.accused.get(key).map(|kind| *kind);
    kind.map_or(Value::Null, |kind| json!({ "kind": kind, "height": null }))
}

/// What this node has seen of a validator since it started (S-17).
fn reputation(seen: &Reputation) -> Value {
    json!({
        "answers": seen.answers,
        "failures": seen.failures,
        "latency_us": seen.latency_us,
        "benched": seen.benched,
        "blocks": seen.blocks,
        "signed": seen.signed,
        "participation_ppm": share_ppm(seen.signed.into(), seen.blocks.into()),
    })
}

fn addresses(entry: &MasternodeEntry) -> Vec<String> {
    entry.addresses.iter().map(ToString::to_string).collect()
}

fn masternode_status(context: &Context, _: &Args) -> Answer {
    let state = context.view.state.load_full();
    let Some(key) = context.view.validator else {
        return Ok(own_status(context, None, "this node follows and relays; it has no validator key"));
    };
    let place = state.validators.index_of(&key).and_then(|index| state.validators.at(index));
    let Some(validator) = place else {
        let text = match standing(&state, &bonded(&state), &key) {
            Some((_, epoch)) => format!("votes from epoch {epoch} on"),
            None => "the validator key has no bond".to_owned(),
        };
        return Ok(own_status(context, Some(key), &text));
    };
    let mut fields = own_status(context, Some(key), "active");
    super::shape::extend(&mut fields, member(context, &state.validators, validator));
    let last = if state.height.0 == 0 { None } else { context.view.chain.block(state.height)? };
    let signed = last.and_then(|block| signed(&block, &state, &key));
    super::shape::extend(&mut fields, json!({"active": true, "signed_last_block": signed}));
    Ok(fields)
}

fn own_status(context: &Context, key: Option<PublicKey>, status: &str) -> Value {
    let voice = context.view.gauges.load().voice;
    let silence = if let Voice::Silent(silence) = voice { Some(silence) } else { None };
    json!({
        "validator": key,
        "active": false,
        "status": status,
        "synced": context.synced(),
        "peer_id": context.view.peer_id.to_string(),
        "voice": crate::voice::word(&voice),
        "voice_reason": crate::voice::reason(&voice),
        "silent_after_epoch": silence.map(|silence| silence.after_epoch),
        "silent_after_ms": silence.map(|silence| silence.after_ms),
    })
}

/// Whether `key` precommitted the last block; unknown if it had no vote then.
fn signed(last: &CommittedBlock, state: &ChainState, key: &PublicKey) -> Option<bool> {
    let index = state.signers.validators.index_of(key)?;
    Some(last.commit.signatures.iter().any(|signature| signature.validator == index))
}

fn consensus_info(context: &Context, _: &Args) -> Answer {
    let (state, gauges) = (context.view.state.load(), context.view.gauges.load());
    let params = &context.view.genesis.params;
    let height = state.height.next();
    // The round is of the last turn; after a block that is not counted yet it starts anew.
    let round = Round(if gauges.height == state.height.0 { gauges.round } else { 0 });
    Ok(json!({
        "height": height,
        "round": round,
        "epoch": state.epoch,
        "proposer": state.validators.proposer(height, round).map(|validator| validator.key),
        "validators": state.validators.len(),
        "total_weight": state.validators.total(),
        "quorum_weight": state.validators.quorum(),
        "last_block_time_ms": state.time_ms,
        "polls": gauges.polls,
        "block_interval_ms": params.block_interval_ms,
        "block_reward_units": params.block_reward_units,
        "unbonding_blocks": params.unbonding_blocks,
        "epoch_start": state.epoch_start,
        "epoch_blocks": params.epoch_blocks,
        "sealing": state.is_sealing(params),
        "next_validators": state.set_of_next_epoch().len(),
    }))
}

#[cfg(test)]
mod tests {
    use super::share_ppm;

    #[test]
    fn a_share_is_in_millionths_and_never_divides_by_zero() {
        assert_eq!(share_ppm(1, 3), 333_333);
        assert_eq!(share_ppm(u64::MAX, u64::MAX), 1_000_000);
        assert_eq!(share_ppm(0, 0), 0);
    }
}
