//! Token information, raw: what is in it depends on the platform.

use super::error::ReadResult;
use super::minidump::Minidump;
use dumpwright_format::minidump::{StreamType, TokenInfoHeader, TokenInfoList};

/// An entry of the Token stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// The process or thread id that the token belongs to.
    pub token_id: u32,
    /// Handle value.
    pub token_handle: u64,
    /// What follows the head of the entry; text in dumps of Linux processes
    /// that dumpwright wrote.
    pub data: Vec<u8>,
}

impl Minidump {
    /// Tokens, from the Token stream.
    ///
    /// An entry's size counts its own head of 16 bytes. The size of that head
    /// that the stream's own states cannot be relied on: Windows 10 says 72.
    pub fn tokens(&self) -> ReadResult<Option<Vec<Token>>> {
        const HEAD: usize = size_of::<TokenInfoHeader>();
        let Some(bytes) = self.load(StreamType::TOKEN)? else { return Ok(None) };
        let list: TokenInfoList = bytes.get(0)?;
        let mut at = list.list_header_size.get() as usize;
        let mut tokens = Vec::new();
        for index in 0..list.token_list_entries.get() {
            let head: TokenInfoHeader = bytes.get(at)?;
            let size = head.token_size.get() as usize;
            let data = at.checked_add(size).and_then(|end| bytes.data.get(at + HEAD..end));
            let Some(data) = data else {
                let reason =
                    format!("token {index} has {size} bytes and does not fit into its stream");
                return Err(bytes.malformed(at, reason));
            };
            tokens.push(Token {
                token_id: head.token_id.get(),
                token_handle: head.token_handle.get(),
                data: data.to_vec(),
            });
            at += size;
        }
        Ok(Some(tokens))
    }
}

#[cfg(test)]
mod tests {
    use super::super::synth::Synth;
    use super::*;
    use zerocopy::IntoBytes;

    fn stream(count: u32, token_size: u32) -> Vec<u8> {
        let list = TokenInfoList {
            token_list_size: 0.into(),
            token_list_entries: count.into(),
            list_header_size: 16.into(),
            element_header_size: 16.into(),
        };
        let head = TokenInfoHeader {
            token_size: token_size.into(),
            token_id: 5.into(),
            token_handle: 0.into(),
        };
        [list.as_bytes(), head.as_bytes(), b"uid: 0"].concat()
    }

    #[test]
    fn a_token_has_the_bytes_behind_its_head() {
        let mut synth = Synth::new();
        synth.stream(StreamType::TOKEN, &stream(1, 22));
        let tokens = synth.open().tokens().unwrap().unwrap();
        assert_eq!((tokens[0].token_id, tokens[0].data.as_slice()), (5, &b"uid: 0"[..]));
    }

    #[test]
    fn sizes_that_would_loop_or_leave_the_stream_are_malformed() {
        for (count, size) in [(u32::MAX, 0), (1, 0), (1, 23), (2, 22), (1, u32::MAX)] {
            let mut synth = Synth::new();
            synth.stream(StreamType::TOKEN, &stream(count, size));
            assert!(synth.open().tokens().is_err(), "{count} entries of {size} bytes");
        }
    }
}
