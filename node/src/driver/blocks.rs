//! Answers requests for blocks from storage, without the driver.

use crate::bounds::{BLOCK_READS_MAX, RESPONSE_MARGIN_BYTES};
use crate::network::{Command, InboundId};
use crate::store::StoreError;
use crate::view::View;
use std::sync::Arc;
use timecoin_protocol::block::CommittedBlock;
use timecoin_protocol::bounds::{REQUEST_BLOCKS_MAX, RESPONSE_BYTES_MAX};
use timecoin_protocol::codec::{encode, encoded_len};
use timecoin_protocol::validator::Height;
use timecoin_protocol::wire::BlocksRequest;
use tokio::sync::{Semaphore, mpsc};
use tokio_util::task::TaskTracker;

/// Serves blocks to peers; a bounded number of requests at once.
#[derive(Clone, Debug)]
pub struct BlockServer {
    view: Arc<View>,
    commands: mpsc::Sender<Command>,
    permits: Arc<Semaphore>,
    tasks: TaskTracker,
}

impl BlockServer {
    /// A server of the blocks that `view` sees; what it reads is one of `tasks`.
    #[must_use]
    pub fn new(view: Arc<View>, commands: mpsc::Sender<Command>, tasks: TaskTracker) -> Self {
        Self { view, commands, permits: Arc::new(Semaphore::new(BLOCK_READS_MAX)), tasks }
    }

    /// Answers on a thread that may block; refuses when too many are being answered.
    pub fn serve(&self, id: InboundId, request: BlocksRequest) {
        let Ok(permit) = Arc::clone(&self.permits).try_acquire_owned() else {
            self.view.overload.requests.count();
            return self.send(Command::Refuse(id));
        };
        let server = self.clone();
        self.tasks.spawn_blocking(move || {
            let answer = response(request, |height| server.view.chain.block(height));
            server.send(answer.map_or(Command::Refuse(id), |body| Command::Respond(id, body)));
            drop(permit);
        });
    }

    fn send(&self, command: Command) {
        if self.commands.try_send(command).is_err() {
            self.view.overload.commands.count();
        }
    }
}

/// The encoded `BlocksResponse`: consecutive blocks, as many as are there and fit (N-22).
fn response(
    request: BlocksRequest,
    block: impl Fn(Height) -> Result<Option<Arc<CommittedBlock>>, StoreError>,
) -> Result<Vec<u8>, StoreError> {
    let count = usize::try_from(request.count).unwrap_or(usize::MAX).min(REQUEST_BLOCKS_MAX);
    let mut blocks: Vec<Arc<CommittedBlock>> = Vec::new();
    let (mut height, mut room) = (request.from, RESPONSE_BYTES_MAX - RESPONSE_MARGIN_BYTES);
    // Height 0 is the genesis description, which is no block.
    while blocks.len() < count
        && height.0 > 0
        && let Some(block) = block(height)?
    {
        let Some(rest) = room.checked_sub(encoded_len(&*block)) else { break };
        room = rest;
        height = height.next();
        blocks.push(block);
    }
    // A list encodes as the response whose only field it is (W-1).
    Ok(encode(&blocks))
}
