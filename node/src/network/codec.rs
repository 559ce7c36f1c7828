//! Requests and responses on a stream: a length of four bytes, little-endian, then the body (N-14).
//! Runs in the task of the connection, not in the swarm's.

use futures::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use libp2p::{StreamProtocol, request_response};
use std::io;
use timecoin_protocol::bounds::{REQUEST_BYTES_MAX, RESPONSE_BYTES_MAX};

/// Bytes reserved for a body before any of it has come: a length alone costs the reader no more.
const RESERVED_BYTES: usize = 64 * 1024;

/// Bodies as bytes; what they mean is checked elsewhere.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct BytesCodec;

impl request_response::Codec for BytesCodec {
    type Protocol = StreamProtocol;
    type Request = Vec<u8>;
    type Response = Vec<u8>;

    async fn read_request<T>(&mut self, _: &StreamProtocol, io: &mut T) -> io::Result<Vec<u8>>
    where
        T: AsyncRead + Unpin + Send,
    {
        read(io, REQUEST_BYTES_MAX).await
    }

    async fn read_response<T>(&mut self, _: &StreamProtocol, io: &mut T) -> io::Result<Vec<u8>>
    where
        T: AsyncRead + Unpin + Send,
    {
        read(io, RESPONSE_BYTES_MAX).await
    }

    async fn write_request<T>(&mut self, _: &StreamProtocol, io: &mut T, body: Vec<u8>) -> io::Result<()>
    where
        T: AsyncWrite + Unpin + Send,
    {
        write(io, body, REQUEST_BYTES_MAX).await
    }

    async fn write_response<T>(&mut self, _: &StreamProtocol, io: &mut T, body: Vec<u8>) -> io::Result<()>
    where
        T: AsyncWrite + Unpin + Send,
    {
        write(io, body, RESPONSE_BYTES_MAX).await
    }
}

fn too_long(len: usize, max: usize) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("body of {len} bytes is above the limit of {max} bytes"))
}

async fn read<T: AsyncRead + Unpin + Send>(io: &mut T, max: usize) -> io::Result<Vec<u8>> {
    let mut prefix = [0; 4];
    io.read_exact(&mut prefix).await?;
    let declared = u32::from_le_bytes(prefix);
    let len = usize::try_from(declared).unwrap_or(usize::MAX);
    if len > max {
        return Err(too_long(len, max));
    }
    let mut body = Vec::with_capacity(len.min(RESERVED_BYTES));
    io.take(u64::from(declared)).read_to_end(&mut body).await?;
    if body.len() < len {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(body)
}

async fn write<T: AsyncWrite + Unpin + Send>(io: &mut T, mut body: Vec<u8>, max: usize) -> io::Result<()> {
    let prefix = u32::try_from(body.len()).ok().filter(|_| body.len() <= max);
    let Some(prefix) = prefix else {
        return Err(too_long(body.len(), max));
    };
    // Moving the body by four bytes is cheaper than a frame of its own for the length.
    body.splice(0..0, prefix.to_le_bytes());
    io.write_all(&body).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::executor::block_on;
    use futures::io::Cursor;

    fn written(body: &[u8]) -> Vec<u8> {
        let mut out = Cursor::new(Vec::new());
        block_on(write(&mut out, body.to_vec(), 100)).unwrap();
        out.into_inner()
    }

    #[test]
    fn a_body_follows_its_length_in_four_little_endian_bytes() {
        // N-14
        assert_eq!(written(b"abc"), b"\x03\0\0\0abc");
        assert_eq!(written(b""), b"\0\0\0\0");
    }

    #[test]
    fn what_is_written_is_read_back() {
        let bytes = written(b"some bytes");
        assert_eq!(block_on(read(&mut Cursor::new(bytes), 100)).unwrap(), b"some bytes");
    }

    #[test]
    fn a_body_above_the_limit_is_neither_written_nor_read() {
        // N-14
        let mut out = Cursor::new(Vec::new());
        assert_eq!(block_on(write(&mut out, vec![0; 101], 100)).unwrap_err().kind(), io::ErrorKind::InvalidData);
        assert!(out.into_inner().is_empty());
        let declared = 101_u32.to_le_bytes().to_vec();
        assert_eq!(block_on(read(&mut Cursor::new(declared), 100)).unwrap_err().kind(), io::ErrorKind::InvalidData);
    }

    #[test]
    fn a_body_shorter_than_its_length_is_an_error() {
        let bytes = b"\x05\0\0\0abc".to_vec();
        assert_eq!(block_on(read(&mut Cursor::new(bytes), 100)).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }
}
