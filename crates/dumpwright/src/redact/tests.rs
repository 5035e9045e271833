use super::*;
use crate::Error;
use proptest::prelude::*;

fn redactor(patterns: &[&str]) -> Redactor {
    let patterns: Vec<_> = patterns
        .iter()
        .map(|regex| RedactPattern { name: "p".into(), regex: (*regex).into() })
        .collect();
    Redactor::new(&patterns).unwrap()
}

fn wide(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

#[test]
fn text_is_overwritten_in_each_encoding_at_any_alignment() {
    let redactor = redactor(&["(?i)secret-[0-9]{2,}", "größe|😀x"]);
    let mut bytes = b"a SECRET-123 z".to_vec();
    redactor.redact(&mut bytes);
    assert_eq!(bytes, b"a ********** z");
    for lead in 0..2 {
        let mut bytes = [vec![7; lead], wide("a secret-12 größe z 😀x")].concat();
        let found = redactor.redact(&mut bytes);
        assert_eq!(bytes[lead..], wide("a ********* ***** z ***"));
        assert_eq!(found.len(), 3);
        assert_eq!((found[0].address, found[0].length), (lead as u64 + 4, 18));
    }
}

#[test]
fn patterns_that_cannot_be_carried_out_are_refused() {
    for (regex, reason) in [
        ("a*", "nothing"),
        ("^abc", "start"),
        ("abc$", "start"),
        ("(", "unclosed"),
        (r"a{70000}", "bytes"),
    ] {
        let pattern = RedactPattern { name: "mine".into(), regex: regex.into() };
        let error = Redactor::new(&[pattern]).unwrap_err();
        assert!(matches!(error, Error::InvalidRequest(_)));
        let text = error.to_string();
        assert!(text.contains(reason) && text.contains("mine"), "{regex}: {text}");
        assert_eq!(text.lines().count(), 1, "{text}");
    }
    assert!(redactor(&[r"\bfoo\b"]).redact(&mut b"xfoo".to_vec()).is_empty());
}

#[test]
fn a_match_goes_on_for_as_long_as_it_may_and_no_further() {
    let redactor = redactor(&["key=[a-z]+"]);
    let long = MAX_MATCH + 100;
    let text = [b"key=".to_vec(), vec![b'a'; long], b" end".to_vec()].concat();
    let mut scanner = Scanner::new(&redactor);
    let mut out = Vec::new();
    for (index, piece) in text.chunks(1000).enumerate() {
        scanner.feed(index as u64 * 1000, piece, &mut out);
    }
    scanner.flush(&mut out);
    let stars = out.split(|b| *b != b'*').map(<[u8]>::len).max().unwrap();
    assert!(stars >= MAX_MATCH, "{stars}");
    assert_eq!(out.len(), text.len());
    assert!(out.ends_with(b" end"));
}

#[test]
fn what_does_not_follow_in_memory_is_not_one_text() {
    let redactor = redactor(&["abcd"]);
    let mut scanner = Scanner::new(&redactor);
    let mut out = Vec::new();
    scanner.feed(0x1000, b"ab", &mut out);
    scanner.feed(0x2000, b"cd ab", &mut out);
    scanner.feed(0x2005, b"cd", &mut out);
    scanner.flush(&mut out);
    assert_eq!(out, b"abcd ****");
}

#[test]
fn what_stands_before_a_match_counts_wherever_it_is_cut() {
    let words = redactor(&[r"\Bkey\d", r"\bpin\d"]);
    let text =
        [b"-xkey1 xpin2 key3 \xc3\x9fkey4 pin5 ".to_vec(), vec![b'-'; 2 * MAX_MATCH]].concat();
    for cut in 0..36 {
        let mut scanner = Scanner::new(&words);
        let mut out = Vec::new();
        // All before the cut is given out with the first piece.
        let first = cut + MAX_MATCH;
        scanner.feed(0, &text[..first], &mut out);
        scanner.feed(first as u64, &text[first..], &mut out);
        scanner.flush(&mut out);
        assert_eq!(out.len(), text.len());
        assert!(out.starts_with(b"-x**** xpin2 key3 \xc3\x9f**** **** --"), "{cut}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    /// However memory is cut into pieces, what comes out is what one look at all
    /// of it gives.
    #[test]
    fn pieces_do_not_matter(
        text in proptest::collection::vec(prop_oneof![Just(b'a'), Just(b'b'), Just(b'1'), Just(0)], 1..400),
        cuts in proptest::collection::vec(1usize..40, 1..40),
        copies in 1usize..4,
    ) {
        let redactor = redactor(&["ab+1?", "a1a|bb", "1[ab]{1,3}1"]);
        // Long enough for pieces to be given out before the end.
        let filler = vec![b'.'; MAX_MATCH / 2];
        let text: Vec<u8> = (0..copies).flat_map(|_| [text.clone(), filler.clone()]).flatten().collect();
        let mut whole = text.clone();
        let found = redactor.redact(&mut whole);
        let mut scanner = Scanner::new(&redactor);
        let mut out = Vec::new();
        let (mut at, mut cut) = (0, cuts.iter().cycle());
        while at < text.len() {
            let step = if at % 1000 < 400 { *cut.next().unwrap() } else { 5000 };
            let end = (at + step).min(text.len());
            scanner.feed(at as u64, &text[at..end], &mut out);
            at = end;
        }
        scanner.flush(&mut out);
        prop_assert_eq!(&out, &whole);
        let mut again = scanner.into_found();
        let key = |f: &Found| (f.address, f.length, f.pattern);
        let mut found = found;
        again.sort_by_key(key);
        found.sort_by_key(key);
        prop_assert_eq!(again, found);
    }
}
