//! Telling a pprof file by its first bytes. It has no magic number, so every field that is there must be one that
//! profile.proto has, of the right wire type, and so must the fields in its messages.

use super::wire::parse_varint;

/// What a field of a message may be.
#[derive(Clone, Copy)]
enum Kind {
    Number,
    /// Numbers, one by one or packed.
    Numbers,
    Text,
    /// A message with these fields, from field 1 on.
    Message(&'static [Kind]),
}

use Kind::{Message, Number, Numbers, Text};

const VALUE_TYPE: &[Kind] = &[Number, Number];
const LABEL: &[Kind] = &[Number, Number, Number, Number];
const LINE: &[Kind] = &[Number, Number, Number];
const SAMPLE: &[Kind] = &[Numbers, Numbers, Message(LABEL)];
const MAPPING: &[Kind] = &[Number; 10];
const LOCATION: &[Kind] = &[Number, Number, Number, Message(LINE), Number];
const FUNCTION: &[Kind] = &[Number, Number, Number, Number, Number];
const PROFILE: &[Kind] = &[
    Message(VALUE_TYPE),
    Message(SAMPLE),
    Message(MAPPING),
    Message(LOCATION),
    Message(FUNCTION),
    Text,
    Number,
    Number,
    Number,
    Number,
    Message(VALUE_TYPE),
    Number,
    Numbers,
    Number,
    Number,
];

/// Whether the (decompressed) input may be a pprof file, and if not, why.
pub(crate) fn sniff(prefix: &[u8]) -> Result<(), String> {
    if let Some(legacy) = legacy(prefix) {
        return Err(format!(
            "it is {legacy}, of before pprof's protobuf: convert it with `go tool pprof -proto FILE > profile.pb.gz`"
        ));
    }
    let mut rest = prefix;
    let mut messages = 0;
    let mut first_text = true;
    while !rest.is_empty() {
        let position = prefix.len() - rest.len();
        let at = |what: String| format!("{what} at byte {position}");
        let Some(field) = next(PROFILE, rest).map_err(at)? else { break };
        match field.kind {
            Message(fields) => {
                check(fields, field.payload, field.whole).map_err(at)?;
                // A few bytes of one that is cut off prove nothing.
                messages += usize::from(field.whole || field.payload.len() > 16);
            }
            Text if std::mem::take(&mut first_text) && !field.payload.is_empty() => {
                return Err(at("the first text of the string table is not empty".into()));
            }
            Text => messages += usize::from(field.whole),
            Number | Numbers => {}
        }
        if !field.whole {
            break;
        }
        rest = &rest[field.length..];
    }
    if messages == 0 { Err("it does not begin with a message of profile.proto".into()) } else { Ok(()) }
}

/// A field of a message.
struct Field<'a> {
    kind: Kind,
    /// What is there of its payload.
    payload: &'a [u8],
    /// Whether that is all.
    whole: bool,
    /// Length of the field with its tag.
    length: usize,
}

/// The first field; `None` if not even its head is there.
fn next<'a>(fields: &[Kind], bytes: &'a [u8]) -> Result<Option<Field<'a>>, String> {
    let Some((tag, tag_length)) = parse_varint(bytes) else {
        return if bytes.len() < 10 { Ok(None) } else { Err("no protobuf field".into()) };
    };
    let (number, wire) = (tag >> 3, tag & 7);
    let kind = number.checked_sub(1).and_then(|index| fields.get(usize::try_from(index).ok()?));
    let Some(kind) = kind.copied() else {
        return Err(format!("no field of profile.proto (number {number})"));
    };
    let fits = match kind {
        Number => wire == 0,
        Numbers => wire == 0 || wire == 2,
        Text | Message(_) => wire == 2,
    };
    if !fits {
        return Err(format!("a field of the wrong type (number {number}, wire type {wire})"));
    }
    let rest = &bytes[tag_length..];
    let Some((value, length)) = parse_varint(rest) else {
        return if rest.len() < 10 { Ok(None) } else { Err("a number of more than 64 bits".into()) };
    };
    let head = tag_length + length;
    if wire == 0 {
        return Ok(Some(Field { kind: Number, payload: &rest[..length], whole: true, length: head }));
    }
    let rest = &rest[length..];
    let payload = usize::try_from(value).ok().and_then(|value| rest.get(..value));
    let (whole, payload) = (payload.is_some(), payload.unwrap_or(rest));
    Ok(Some(Field { kind, payload, whole, length: head + payload.len() }))
}

/// Whether a message, or what is there of it, has only fields that it may have. Messages nest two deep at most.
fn check(fields: &[Kind], mut bytes: &[u8], whole: bool) -> Result<(), String> {
    while !bytes.is_empty() {
        let field = match next(fields, bytes)? {
            Some(field) if field.whole || !whole => field,
            None if !whole => return Ok(()),
            _ => return Err("a message that is cut off".into()),
        };
        if let Message(inner) = field.kind {
            check(inner, field.payload, field.whole)?;
        }
        bytes = &bytes[field.length..];
    }
    Ok(())
}

/// What older format it is, if it is one.
fn legacy(prefix: &[u8]) -> Option<&'static str> {
    const TEXTS: &[(&str, &str)] = &[
        ("heap profile:", "a legacy heap profile"),
        ("heapz", "a legacy heap profile"),
        ("--- heapz", "a legacy heap profile"),
        ("growthz", "a legacy heap growth profile"),
        ("--- growthz", "a legacy heap growth profile"),
        ("--- contention", "a legacy contention profile"),
        ("--- mutex", "a legacy mutex profile"),
        ("--- threadz", "a legacy thread profile"),
        ("--- Thread", "a legacy thread profile"),
        ("goroutine profile:", "a goroutine profile in text"),
        ("threadcreate profile:", "a thread creation profile in text"),
    ];
    // A symbol section may come before.
    let head = String::from_utf8_lossy(&prefix[..prefix.len().min(4096)]);
    if let Some((_, what)) = TEXTS.iter().find(|(start, _)| head.lines().any(|line| line.starts_with(start))) {
        return Some(what);
    }
    is_cpu_words(prefix).then_some("a legacy CPU profile")
}

/// gperftools' CPU profiles are words of the machine's size: 0, 3 or more, 0, period, 0.
fn is_cpu_words(prefix: &[u8]) -> bool {
    [4, 8].iter().any(|size| {
        [false, true].iter().any(|big_endian| {
            let word = |index: usize| {
                let bytes = prefix.get(index * size..(index + 1) * size)?;
                let add = |sum: u64, byte: &u8| sum << 8 | u64::from(*byte);
                Some(if *big_endian { bytes.iter().fold(0, add) } else { bytes.iter().rev().fold(0, add) })
            };
            word(0) == Some(0) && matches!(word(1), Some(3..=16)) && word(2) == Some(0) && word(4) == Some(0)
        })
    })
}
