//! Lines below a sample's header: frames and source lines.

/// A frame as one line, or a part of one, shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FrameText<'a> {
    /// The symbol without `+0xoffset`; `None` if it is unknown or not printed.
    pub(super) symbol: Option<&'a [u8]>,
    /// Path or name of the module; `None` if it is unknown or not printed.
    pub(super) module: Option<&'a [u8]>,
    /// Whether it is a function inlined into the next frame.
    pub(super) inlined: bool,
}

/// The source line that `-F +srcline` prints below a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SourceText<'a> {
    /// File and line; `None` where perf knew none and printed `symbol+0xoffset` or `module[address]`.
    pub(super) place: Option<(&'a [u8], u32)>,
    /// Whether the frame above is inlined: then the mark stands here.
    pub(super) inlined: bool,
}

/// What remains of a frame line when indentation and address are off; `None` if there is no address.
///
/// perf writes a tab, the address right-aligned in 16 columns, and a space.
pub(super) fn after_address(line: &[u8]) -> Option<&[u8]> {
    let text = line.trim_ascii_start();
    let digits = text.strip_prefix(b"0x").unwrap_or(text);
    let length = digits.iter().take_while(|byte| is_hex(**byte)).count();
    match digits.get(length) {
        _ if length == 0 || length > 16 => None,
        None => Some(&[]),
        Some(b' ' | b'\t') => Some(&digits[length + 1..]),
        Some(_) => None,
    }
}

/// The address that a frame's line begins with.
pub(super) fn address_of(line: &[u8]) -> Option<u64> {
    let rest = after_address(line)?;
    let text = line[..line.len() - rest.len()].trim_ascii();
    let digits = text.strip_prefix(b"0x").unwrap_or(text);
    u64::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

/// perf prints lower case.
pub(super) fn is_hex(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'a'..=b'f')
}

/// The parts of `symbol+0xoffset (module)`, each of which may be missing.
pub(super) fn parse_frame(text: &[u8]) -> FrameText<'_> {
    let text = text.trim_ascii();
    let Some((symbol, module)) = split_module(text) else {
        return FrameText { symbol: known(without_offset(text)), module: None, inlined: false };
    };
    let symbol = known(without_offset(symbol.trim_ascii_end()));
    if module == b"inlined" {
        return FrameText { symbol, module: None, inlined: true };
    }
    FrameText { symbol, module: known(without_offset(module)), inlined: false }
}

/// Whether a line without an address can be taken for a frame all the same.
pub(super) fn is_frame_without_address(line: &[u8]) -> bool {
    matches!(split_module(line.trim_ascii()), Some((symbol, module))
        if !symbol.is_empty() && (module == b"inlined" || starts_like_module(module)))
}

/// Splits off the module: what the last balanced parentheses hold, as both symbols (`f(int) const`) and paths
/// (`/opt/my (new) app/lib.so (deleted)`) may contain parentheses and spaces.
fn split_module(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let inner_end = text.len().checked_sub(1)?;
    if text[inner_end] != b')' {
        return None;
    }
    let split = |open: usize| (&text[..open], &text[open + 1..inner_end]);
    let balanced = balanced_open(text).filter(|open| *open == 0 || text[open - 1] == b' ').map(split);
    match balanced {
        Some((symbol, module)) if starts_like_module(module) => return Some((symbol, module)),
        // A name in parentheses with nothing before it is a symbol such as `(anonymous)`.
        Some((b"", _)) => return None,
        Some((symbol, b"inlined")) => return Some((symbol, b"inlined")),
        _ => {}
    }
    // A path whose own parentheses don't match: it starts where a path can start.
    let start = (1..inner_end)
        .rev()
        .find(|at| text[*at] == b'(' && text[at - 1] == b' ' && starts_like_module(&text[at + 1..inner_end]));
    start.map(split).or(balanced)
}

pub(super) fn starts_like_module(module: &[u8]) -> bool {
    matches!(module.first(), Some(b'/' | b'['))
}

/// The parenthesis that the last byte closes.
fn balanced_open(text: &[u8]) -> Option<usize> {
    let mut depth = 0usize;
    for (at, byte) in text.iter().enumerate().rev() {
        match byte {
            b')' => depth += 1,
            b'(' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Some(at);
        }
    }
    None
}

/// Takes `+0xoffset` off the end.
pub(super) fn without_offset(name: &[u8]) -> &[u8] {
    let digits = name.iter().rev().take_while(|byte| is_hex(**byte)).count();
    match name[..name.len() - digits].strip_suffix(b"+0x") {
        Some(before) if digits > 0 && !before.is_empty() => before,
        _ => name,
    }
}

fn known(name: &[u8]) -> Option<&[u8]> {
    (!name.is_empty() && name != b"[unknown]").then_some(name)
}

/// Reads `  file:line`, with `(inlined)` and `(discriminator N)` behind it or not, or what perf prints instead.
pub(super) fn parse_source(line: &[u8]) -> Option<SourceText<'_>> {
    if !line.starts_with(b"  ") {
        return None;
    }
    let text = line.trim_ascii();
    let (text, inlined) = match text.strip_suffix(b" (inlined)") {
        Some(text) => (text, true),
        None => (text, false),
    };
    let text = match text.strip_suffix(b")").and_then(|inner| find(inner, b" (discriminator ")) {
        Some(at) => &text[..at],
        None => text,
    };
    if without_offset(text).len() < text.len() || is_module_with_address(text) {
        return Some(SourceText { place: None, inlined });
    }
    let colon = text.iter().rposition(|byte| *byte == b':')?;
    let (file, digits) = (&text[..colon], &text[colon + 1..]);
    if digits == b"?" || file == b"??" {
        return Some(SourceText { place: None, inlined });
    }
    let line = parse_u32(digits)?;
    (!file.is_empty()).then_some(SourceText { place: Some((file, line)), inlined })
}

/// `module[address]`, perf's stand-in for an unknown source line.
fn is_module_with_address(text: &[u8]) -> bool {
    let Some(inner) = text.strip_suffix(b"]") else { return false };
    let digits = inner.iter().rev().take_while(|byte| is_hex(**byte)).count();
    digits > 0 && inner.len() > digits + 1 && inner[inner.len() - digits - 1] == b'['
}

fn parse_u32(digits: &[u8]) -> Option<u32> {
    std::str::from_utf8(digits).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()))?.parse().ok()
}

pub(super) fn find(text: &[u8], wanted: &[u8]) -> Option<usize> {
    text.windows(wanted.len()).position(|window| window == wanted)
}

/// What perf's other fields look like below a header: branch stacks, registers, instructions.
pub(super) fn is_other_field(line: &[u8]) -> bool {
    let text = line.trim_ascii_start();
    let first = text.split(|byte| *byte == b' ').next().unwrap_or_default();
    let fields: Vec<&[u8]> = first.split(|byte| *byte == b'/').collect();
    let is_branch =
        fields.len() >= 5 && fields[fields.len() - 4..].iter().filter(|field| field.len() <= 2).count() >= 2;
    is_branch || text.starts_with(b"ABI:") || text.starts_with(b"insn: ") || text.starts_with(b"... FP chain")
}

/// Frames that stand behind each other on one line, leaf first: each starts with an address right-aligned in 16
/// columns or behind an arrow.
pub(super) fn frames_on_line(text: &[u8]) -> impl Iterator<Item = FrameText<'_>> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let frame = after_address(rest?)?;
        let end = next_address(frame);
        let text = &frame[..end.unwrap_or(frame.len())];
        rest = end.map(|end| &frame[end..]);
        let text = text.trim_ascii_end();
        Some(parse_frame(text.strip_suffix(b"<-").unwrap_or(text)))
    })
}

/// Where the next right-aligned address, with the blanks before it, begins.
pub(super) fn next_address(text: &[u8]) -> Option<usize> {
    let mut at = 0;
    while at < text.len() {
        let blanks = text[at..].iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
        let token = &text[at + blanks..];
        let length = token.iter().take_while(|byte| !matches!(byte, b' ' | b'\t')).count();
        let is_address = length > 0 && length <= 16 && token[..length].iter().all(|byte| is_hex(*byte));
        let after_arrow = text[..at].ends_with(b"<-");
        if is_address && (after_arrow || (blanks > 0 && blanks - 1 + length >= 16)) {
            return Some(at);
        }
        at += blanks + length;
    }
    None
}
