//! What the demo's threads do. Every piece returns a number that depends on its result, so that none is optimized away.

use std::collections::HashMap;
use std::io::{Read, Write};

use flate2::Compression;
use regex::Regex;

/// Text that is in every checkout: prose, code and tables.
const TEXTS: [&str; 3] =
    [include_str!("../../../README.md"), include_str!("../../../Cargo.lock"), include_str!("../../../LICENSE-APACHE")];

/// One unit of work should take about ten milliseconds: phases are counted in units.
const CHUNK: usize = 200_000;

/// What the work is done on.
pub(super) struct Inputs {
    text: String,
    packed: Vec<u8>,
    json: String,
    value: serde_json::Value,
    patterns: Vec<Regex>,
}

impl Inputs {
    /// Prepares the inputs.
    pub(super) fn new() -> anyhow::Result<Self> {
        let text: String = TEXTS.iter().flat_map(|text| text.chars()).cycle().take(CHUNK).collect();
        let value = words_as_json(&text);
        let patterns = [r"(?i)[a-z]+(?:ing|tion)\b", r#"name = "([a-z0-9_-]+)""#, r"\b\d+\.\d+\.\d+\b"];
        Ok(Self {
            packed: deflate(&text, Compression::default())?,
            json: serde_json::to_string_pretty(&value)?,
            patterns: patterns.iter().map(|pattern| Regex::new(pattern)).collect::<Result<_, _>>()?,
            text,
            value,
        })
    }
}

/// One object per line, with its words and their lengths.
fn words_as_json(text: &str) -> serde_json::Value {
    text.lines()
        .enumerate()
        .map(|(number, line)| {
            let words = line.split_whitespace().map(|word| serde_json::json!({ "word": word, "length": word.len() }));
            serde_json::json!({ "line": number, "words": words.collect::<Vec<_>>() })
        })
        .collect()
}

fn deflate(text: &str, level: Compression) -> std::io::Result<Vec<u8>> {
    let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), level);
    encoder.write_all(text.as_bytes())?;
    encoder.finish()
}

pub(super) fn deflate_fast(inputs: &Inputs) -> u64 {
    deflate(&inputs.text, Compression::fast()).map_or(0, |packed| packed.len() as u64)
}

pub(super) fn deflate_best(inputs: &Inputs) -> u64 {
    deflate(&inputs.text, Compression::best()).map_or(0, |packed| packed.len() as u64)
}

pub(super) fn inflate(inputs: &Inputs) -> u64 {
    let mut text = Vec::new();
    let mut decoder = flate2::read::DeflateDecoder::new(&inputs.packed[..]);
    decoder.read_to_end(&mut text).map_or(0, |_| checksum_of(&text))
}

pub(super) fn json_parse(inputs: &Inputs) -> u64 {
    let value = serde_json::from_str::<serde_json::Value>(&inputs.json);
    value.ok().and_then(|value| value.as_array().map(Vec::len)).unwrap_or_default() as u64
}

pub(super) fn json_write(inputs: &Inputs) -> u64 {
    serde_json::to_string(&inputs.value).map_or(0, |json| json.len() as u64)
}

pub(super) fn regex_search(inputs: &Inputs) -> u64 {
    inputs.patterns.iter().map(|pattern| pattern.find_iter(&inputs.text).count() as u64).sum()
}

pub(super) fn count_words(inputs: &Inputs) -> u64 {
    let mut counts = HashMap::<&str, u64>::new();
    for word in inputs.text.split(|letter: char| !letter.is_alphanumeric()).filter(|word| !word.is_empty()) {
        *counts.entry(word).or_default() += 1;
    }
    counts.values().copied().max().unwrap_or_default()
}

pub(super) fn checksum(inputs: &Inputs) -> u64 {
    (0..8).map(|_| checksum_of(inputs.text.as_bytes())).fold(0, u64::wrapping_add)
}

/// FNV-1a over 64-bit words, in three inlined steps: hot code that only inline frames can tell apart.
fn checksum_of(bytes: &[u8]) -> u64 {
    let mut words = bytes.chunks_exact(8);
    let mut hash = 0xcbf2_9ce4_8422_2325;
    for word in &mut words {
        hash = mix(hash, load(word));
    }
    words.remainder().iter().fold(hash, |hash, byte| mix(hash, u64::from(*byte)))
}

#[inline(always)]
fn load(word: &[u8]) -> u64 {
    word.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte))
}

#[inline(always)]
fn mix(hash: u64, word: u64) -> u64 {
    spread(hash ^ word).wrapping_mul(0x0000_0100_0000_01b3)
}

#[inline(always)]
fn spread(hash: u64) -> u64 {
    hash ^ hash.rotate_left(29)
}
