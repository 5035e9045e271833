//! Looks for patterns in bytes that come piece by piece.

use super::{Encoding, Found, MAX_MATCH, Redactor};

/// What stands in the place of each character.
const FILL: u8 = b'*';
/// Bytes given out that are still looked at: the longest character, which says
/// whether a word begins behind it.
const BEFORE: usize = 4;

/// Takes bytes in, and gives them out redacted, [`MAX_MATCH`] bytes behind.
pub(crate) struct Scanner<'a> {
    redactor: &'a Redactor,
    /// What was taken in and not given out, as it was, behind what was given
    /// out last.
    pending: Vec<u8>,
    /// Bytes of `pending` that were given out.
    given: usize,
    /// Address of its first byte.
    address: u64,
    /// Where in `pending` each search goes on.
    next: Vec<usize>,
    /// Matches that reach into `pending`, as positions in it.
    marks: Vec<Mark>,
    found: Vec<Found>,
}

#[derive(Clone, Copy)]
struct Mark {
    /// Position of its first byte; negative where it was given out already.
    start: i64,
    end: i64,
    encoding: Encoding,
}

impl<'a> Scanner<'a> {
    pub(crate) fn new(redactor: &'a Redactor) -> Scanner<'a> {
        Scanner {
            redactor,
            pending: Vec::new(),
            given: 0,
            address: 0,
            next: vec![0; redactor.searches.len()],
            marks: Vec::new(),
            found: Vec::new(),
        }
    }

    /// Takes the bytes at `address` in, and appends to `out` what can be given
    /// out. What comes before them is done with if they do not follow it.
    pub(crate) fn feed(&mut self, address: u64, bytes: &[u8], out: &mut Vec<u8>) {
        if address != self.address + self.pending.len() as u64 {
            self.flush(out);
            self.address = address;
        }
        self.pending.extend_from_slice(bytes);
        self.search(false, out);
    }

    /// Gives everything out.
    pub(crate) fn flush(&mut self, out: &mut Vec<u8>) {
        self.search(true, out);
        self.address += self.pending.len() as u64;
        self.pending.clear();
        self.given = 0;
        self.marks.clear();
        self.next.fill(0);
    }

    /// The matches, in the order in which they were found.
    pub(crate) fn into_found(self) -> Vec<Found> {
        self.found
    }

    fn search(&mut self, last: bool, out: &mut Vec<u8>) {
        let end = self.pending.len();
        // Matches that begin later may not be there whole.
        let sure = if last { end } else { end.saturating_sub(MAX_MATCH).max(self.given) };
        let mut done = sure;
        for (search, next) in self.redactor.searches.iter().zip(&mut self.next) {
            while *next < sure {
                let hit = search.regex.find_at(&self.pending, *next);
                let Some(hit) = hit.filter(|hit| hit.start() < sure) else {
                    *next = sure;
                    break;
                };
                if hit.end() == end && !last && hit.len() < MAX_MATCH {
                    // It may go on in what comes.
                    done = done.min(hit.start());
                    *next = hit.start();
                    break;
                }
                *next = hit.end();
                self.marks.push(Mark {
                    start: hit.start() as i64,
                    end: hit.end() as i64,
                    encoding: search.encoding,
                });
                self.found.push(Found {
                    pattern: search.pattern,
                    encoding: search.encoding,
                    address: self.address + hit.start() as u64,
                    length: hit.len() as u64,
                });
            }
        }
        self.give_out(done, out);
    }

    /// Gives out what stands before `done`.
    fn give_out(&mut self, done: usize, out: &mut Vec<u8>) {
        let from = out.len();
        out.extend_from_slice(&self.pending[self.given..done]);
        let given = &mut out[from..];
        let first = self.given as i64;
        for mark in &self.marks {
            let to = mark.end.min(done as i64);
            for position in mark.start.max(first)..to {
                let odd = (position - mark.start) % 2 == 1;
                let fill = if mark.encoding == Encoding::Utf16 && odd { 0 } else { FILL };
                given[(position - first) as usize] = fill;
            }
        }
        self.given = done.min(BEFORE);
        let gone = done - self.given;
        let kept = self.given as i64;
        self.marks.retain_mut(|mark| {
            mark.start -= gone as i64;
            mark.end -= gone as i64;
            mark.end > kept
        });
        self.pending.drain(..gone);
        self.address += gone as u64;
        for next in &mut self.next {
            *next = next.saturating_sub(gone).max(self.given);
        }
    }
}
