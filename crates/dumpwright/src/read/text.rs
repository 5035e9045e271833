//! Comments, soft errors and the streams that are the bytes of Linux files.

use super::error::ReadResult;
use super::minidump::Minidump;
use super::string::{eight_bit, utf16};
use dumpwright_format::minidump::StreamType;
use zerocopy::little_endian::U32;

/// The BreakpadInfo stream: which threads had to do with the dump.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BreakpadInfo {
    /// The thread that wrote the dump.
    pub dump_thread_id: Option<u32>,
    /// The thread that asked for it, or crashed.
    pub requesting_thread_id: Option<u32>,
}

impl Minidump {
    /// The comment of the CommentA stream: UTF-8 if it is that, else Latin-1.
    pub fn comment_a(&self) -> ReadResult<Option<String>> {
        Ok(self.stream_bytes(StreamType::COMMENT_A)?.map(|bytes| eight_bit(&bytes)))
    }

    /// The comment of the CommentW stream.
    pub fn comment_w(&self) -> ReadResult<Option<String>> {
        Ok(self.stream_bytes(StreamType::COMMENT_W)?.map(|bytes| utf16(&bytes).0))
    }

    /// The comment: the wide one where there are both.
    pub fn comment(&self) -> ReadResult<Option<String>> {
        match self.comment_w()? {
            Some(comment) => Ok(Some(comment)),
            None => self.comment_a(),
        }
    }

    /// What went wrong while the dump was written: JSON text.
    pub fn soft_errors(&self) -> ReadResult<Option<String>> {
        self.text_stream(StreamType::MOZ_SOFT_ERRORS)
    }

    /// A stream that is a text file of `/proc` or `/etc`, such as
    /// [`StreamType::LINUX_MAPS`]. What is not UTF-8 becomes U+FFFD.
    pub fn text_stream(&self, stream_type: StreamType) -> ReadResult<Option<String>> {
        let bytes = self.stream_bytes(stream_type)?;
        Ok(bytes
            .map(|bytes| String::from_utf8_lossy(&bytes).trim_end_matches(['\0', '\n']).to_owned()))
    }

    /// A stream of NUL-terminated strings: [`StreamType::LINUX_CMD_LINE`] and
    /// [`StreamType::LINUX_ENVIRON`].
    pub fn strings_stream(&self, stream_type: StreamType) -> ReadResult<Option<Vec<String>>> {
        let bytes = self.stream_bytes(stream_type)?;
        Ok(bytes.map(|bytes| {
            let bytes = bytes.strip_suffix(&[0]).unwrap_or(&bytes);
            if bytes.is_empty() {
                return Vec::new();
            }
            bytes.split(|b| *b == 0).map(|s| String::from_utf8_lossy(s).into_owned()).collect()
        }))
    }

    /// Which threads had to do with the dump, from the BreakpadInfo stream.
    pub fn breakpad_info(&self) -> ReadResult<Option<BreakpadInfo>> {
        let Some(bytes) = self.load(StreamType::BREAKPAD_INFO)? else { return Ok(None) };
        let [validity, dump, requesting]: [U32; 3] = bytes.get(0)?;
        let valid = |bit: u32, id: U32| (validity.get() & bit != 0).then(|| id.get());
        Ok(Some(BreakpadInfo {
            dump_thread_id: valid(1, dump),
            requesting_thread_id: valid(2, requesting),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::super::synth::Synth;
    use super::*;

    #[test]
    fn the_wide_comment_goes_before_the_narrow_one() {
        let mut synth = Synth::new();
        synth.stream(StreamType::COMMENT_A, b"narrow\0");
        assert_eq!(synth.open().comment().unwrap().as_deref(), Some("narrow"));
        let wide: Vec<u8> = "weit\0".encode_utf16().flat_map(u16::to_le_bytes).collect();
        synth.stream(StreamType::COMMENT_W, &wide);
        assert_eq!(synth.open().comment().unwrap().as_deref(), Some("weit"));
    }

    #[test]
    fn arguments_keep_their_bounds_and_empty_ones() {
        let mut synth = Synth::new();
        synth.stream(StreamType::LINUX_CMD_LINE, b"app\0\0last one\0");
        let arguments = synth.open().strings_stream(StreamType::LINUX_CMD_LINE).unwrap().unwrap();
        assert_eq!(arguments, ["app", "", "last one"]);
    }
}
