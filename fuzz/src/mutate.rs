//! Random mutations of an input: coarser than those of a guided fuzzer, and the same on every machine.

/// What a decoder may have thoughts about.
const WORDS: &str = include_str!("../dictionary.txt");

/// Mutates inputs; the seed decides everything.
#[derive(Clone, Debug)]
pub struct Mutator {
    state: u64,
    words: Vec<Vec<u8>>,
}

impl Mutator {
    /// A mutator whose mutations this seed decides.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self {
            state: seed,
            words: WORDS.lines().filter_map(word).collect(),
        }
    }

    /// The input with one to four changes; `other` is another one, to take parts from.
    #[must_use]
    pub fn mutate(&mut self, input: &[u8], other: &[u8]) -> Vec<u8> {
        let mut output = input.to_vec();
        for _ in 0..=self.below(4) {
            let (start, end) = self.range(output.len());
            let with = match self.below(6) {
                0 => Vec::new(),
                1 => {
                    let word = self.below(self.words.len());
                    self.words[word].clone()
                }
                2 => output[start..end].repeat(2),
                3 => {
                    let (from, to) = self.range(other.len());
                    other[from..to].to_vec()
                }
                4 => vec![self.below(256) as u8],
                _ => {
                    // A few bytes, so that lists and objects lose an end.
                    let end = output.len().min(start + 1 + self.below(3));
                    output.drain(start..end);
                    continue;
                }
            };
            output.splice(start..end, with);
        }
        output
    }

    /// Where something is changed: between two places at which JSON may be taken apart, or anywhere.
    fn range(&mut self, len: usize) -> (usize, usize) {
        let start = self.below(len + 1);
        let longest = if self.below(2) == 0 { 4 } else { 80 };
        (start, len.min(start + self.below(longest)))
    }

    /// A number below this one, by SplitMix64.
    pub fn below(&mut self, limit: usize) -> usize {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.state;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((bits ^ (bits >> 31)) % limit.max(1) as u64) as usize
    }
}

/// A line of a dictionary of libFuzzer's: a string with `\"`, `\\` and `\xNN` escaped.
fn word(line: &str) -> Option<Vec<u8>> {
    let line = line.trim().strip_prefix('"')?.strip_suffix('"')?;
    let mut word = Vec::new();
    let mut bytes = line.bytes();
    while let Some(byte) = bytes.next() {
        word.push(match byte {
            b'\\' => match bytes.next()? {
                b'x' => {
                    let digits = [bytes.next()?, bytes.next()?];
                    u8::from_str_radix(str::from_utf8(&digits).ok()?, 16).ok()?
                }
                escaped => escaped,
            },
            byte => byte,
        });
    }
    Some(word)
}
