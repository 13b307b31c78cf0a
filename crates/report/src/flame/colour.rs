//! Colours: a hue for the kind of code, a shade for the name, the same in every picture.

use burnmark_analysis::FrameKind;

/// What a frame is, as far as colours tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// Compiled code.
    Native,
    /// Compiled code, inlined.
    Inlined,
    /// The kernel.
    Kernel,
    /// Code made at run time.
    Jit,
    /// No code: a process, a thread, an ellipsis.
    Group,
}

impl Kind {
    pub(super) fn new(kind: FrameKind, inlined: bool) -> Self {
        match kind {
            FrameKind::Native if inlined => Self::Inlined,
            FrameKind::Native => Self::Native,
            FrameKind::Kernel => Self::Kernel,
            FrameKind::Jit => Self::Jit,
            FrameKind::Group => Self::Group,
        }
    }

    /// For the subtitle.
    pub(super) fn legend(self) -> Option<&'static str> {
        match self {
            Self::Native | Self::Group => None,
            Self::Inlined => Some("pale: inlined"),
            Self::Kernel => Some("blue: kernel"),
            Self::Jit => Some("green: JIT"),
        }
    }

    /// For the tooltip.
    pub(super) fn note(self) -> Option<&'static str> {
        match self {
            Self::Native | Self::Group => None,
            Self::Inlined => Some("inlined"),
            Self::Kernel => Some("kernel"),
            Self::Jit => Some("JIT"),
        }
    }

    /// Red, green and blue. Black text is legible on all of them.
    pub(super) fn rgb(self, name: &str) -> (u8, u8, u8) {
        let (hues, saturation, lightness) = match self {
            Self::Native => (8.0..46.0, 0.88, 0.64),
            Self::Inlined => (46.0..60.0, 0.78, 0.82),
            Self::Kernel => (196.0..226.0, 0.60, 0.74),
            Self::Jit => (88.0..140.0, 0.48, 0.70),
            Self::Group => (0.0..1.0, 0.0, 0.80),
        };
        let hash = fnv(name);
        let shade = (hash >> 32) as f64 / f64::from(u32::MAX);
        let hue = hues.start + (hues.end - hues.start) * shade;
        // A little lighter or darker too, so that neighbours of a similar hue can be told apart.
        let lightness = lightness + 0.05 * ((hash & 0xffff) as f64 / 65_535.0 - 0.5);
        hsl(hue, saturation, lightness)
    }
}

/// FNV-1a with a final mix: the high bits of FNV alone change little with a text's last bytes.
fn fnv(text: &str) -> u64 {
    let hash = text
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd)
}

/// CSS Color Module Level 3, 4.2.4.
fn hsl(hue: f64, saturation: f64, lightness: f64) -> (u8, u8, u8) {
    let amount = saturation * lightness.min(1.0 - lightness);
    let channel = |offset: f64| {
        let k = (offset + hue / 30.0) % 12.0;
        let value = lightness - amount * (k - 3.0).min(9.0 - k).clamp(-1.0, 1.0);
        (value * 255.0).round() as u8
    };
    (channel(0.0), channel(8.0), channel(4.0))
}
