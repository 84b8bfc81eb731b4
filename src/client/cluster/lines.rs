//! A body of lines, as watches send it: one JSON object per line, in chunks cut anywhere.

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use kube::client::Body;

/// Longest line that is read; a Kubernetes object is at most 3 MiB.
const LIMIT: usize = 16 << 20;

/// Reads a body line by line.
#[derive(Debug)]
pub(super) struct Lines {
    body: Body,
    buffer: BytesMut,
    /// How much of the buffer is known to hold no line end.
    searched: usize,
}

/// Why there is no further line.
#[derive(Debug)]
pub(super) enum LinesEnd {
    /// The body ended. What followed the last line end, if anything, is incomplete.
    Complete,
    /// The connection failed, or a line is too long.
    Broken(Box<dyn std::error::Error + Send + Sync>),
}

impl Lines {
    /// Reads this body.
    pub(super) fn new(body: Body) -> Self {
        Self {
            body,
            buffer: BytesMut::new(),
            searched: 0,
        }
    }

    /// The next line without its end. Empty lines are skipped.
    ///
    /// # Cancel safety
    /// Nothing is lost if dropped.
    pub(super) async fn next(&mut self) -> Result<Bytes, LinesEnd> {
        loop {
            while let Some(line) = self.buffered() {
                if !line.is_empty() {
                    return Ok(line);
                }
            }
            if self.buffer.len() > LIMIT {
                return Err(LinesEnd::Broken("a line of a watch is too long".into()));
            }
            match self.body.frame().await {
                None => return Err(LinesEnd::Complete),
                Some(Err(error)) => return Err(LinesEnd::Broken(error.into())),
                Some(Ok(frame)) => {
                    if let Some(data) = frame.data_ref() {
                        self.buffer.extend_from_slice(data);
                    }
                }
            }
        }
    }

    /// A complete line of the buffer.
    fn buffered(&mut self) -> Option<Bytes> {
        let found = self.buffer[self.searched..]
            .iter()
            .position(|byte| *byte == b'\n');
        let Some(offset) = found else {
            self.searched = self.buffer.len();
            return None;
        };
        let line = self.buffer.split_to(self.searched + offset + 1).freeze();
        self.searched = 0;
        Some(line.slice(..line.trim_ascii_end().len()))
    }
}
