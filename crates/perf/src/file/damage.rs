//! What was wrong with a file: counted while it is read, told once at the end.

/// Something in the file that was not understood or was wrong, and did not prevent reading the rest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// What it is and what follows from it.
    pub message: String,
    /// Offset in the file where it was met first.
    pub at: Option<u64>,
    /// How often it was met.
    pub count: u64,
}

impl Warning {
    pub(super) fn at(message: impl Into<String>, at: u64) -> Warning {
        Warning { message: message.into(), at: Some(at), count: 1 }
    }
}

/// Bytes that were passed over, in how many places, and where first.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Skipped {
    pub(super) bytes: u64,
    places: u64,
    first: u64,
    end: u64,
}

impl Skipped {
    pub(super) fn add(&mut self, at: u64, bytes: u64) {
        if self.places == 0 {
            self.first = at;
        }
        // A hole may be found piece by piece.
        self.places += u64::from(self.places == 0 || at != self.end);
        self.end = at.saturating_add(bytes);
        self.bytes = self.bytes.saturating_add(bytes);
    }

    /// The same, if there are any bytes.
    pub(super) fn add_some(&mut self, at: u64, bytes: u64) {
        if bytes > 0 {
            self.add(at, bytes);
        }
    }

    fn warning(&self, message: impl FnOnce(u64) -> String) -> Option<Warning> {
        (self.places > 0).then(|| Warning { message: message(self.bytes), at: Some(self.first), count: self.places })
    }
}

/// Everything that was wrong with the records.
#[derive(Debug, Default)]
pub(super) struct Damage {
    /// Where no records are.
    pub(super) holes: Skipped,
    /// After the file's end, by what its header says.
    pub(super) missing: Skipped,
    /// What decompression could not read. In bytes as compressed.
    pub(super) compressed: Skipped,
    /// Why not.
    pub(super) compressed_why: Option<&'static str>,
    /// AUX area data and the like.
    pub(super) aux: Skipped,
    /// Records of perf's own that make no sense.
    pub(super) senseless: Skipped,
    /// Samples with an id that no event has.
    pub(super) unknown: Skipped,
    /// Records that came after later ones had been handed out.
    pub(super) disordered: Skipped,
    /// The file was not finished.
    pub(super) unfinished: bool,
    /// Samples that were read, and the bytes of all records that were.
    pub(super) samples: u64,
    pub(super) record_bytes: u64,
    /// Compressed bytes that were read, and what they became.
    pub(super) deflated: u64,
    pub(super) inflated: u64,
}

impl Damage {
    /// Samples in so many bytes, by those that were read.
    fn samples_in(&self, bytes: u64) -> String {
        if self.samples == 0 || self.record_bytes == 0 {
            return "an unknown number of samples".to_owned();
        }
        let samples = (bytes as f64 * self.samples as f64 / self.record_bytes as f64).round() as u64;
        match samples {
            0 => "less than one sample, going by the rest,".to_owned(),
            1 => "about 1 sample".to_owned(),
            samples => format!("about {samples} samples"),
        }
    }

    pub(super) fn warnings(&self) -> Vec<Warning> {
        let mut warnings = Vec::new();
        if self.unfinished {
            warnings.push(Warning {
                message: "perf record was killed before it could finish the file: what it had written is read; the \
                          machine, the command and build-ids are not known"
                    .to_owned(),
                at: None,
                count: 1,
            });
        }
        let missing = self.missing.warning(|bytes| {
            format!("the file is cut: {bytes} bytes ({}) are missing at its end", self.samples_in(bytes))
        });
        let holes =
            self.holes.warning(|bytes| format!("{bytes} bytes ({}) are damaged and left out", self.samples_in(bytes)));
        let ratio = self.inflated as f64 / self.deflated.max(1) as f64;
        let compressed = self.compressed.warning(|bytes| {
            let samples = self.samples_in((bytes as f64 * ratio) as u64);
            let why = self.compressed_why.unwrap_or("the data is damaged");
            format!("{bytes} bytes of compressed records ({samples}) can't be decompressed and are left out: {why}")
        });
        let aux = self.aux.warning(|bytes| {
            format!("{bytes} bytes of traces (AUX area or tracing data) are skipped: only samples are read")
        });
        let senseless = self
            .senseless
            .warning(|bytes| format!("records of perf's own that make no sense are left out ({bytes} bytes)"));
        let unknown =
            self.unknown.warning(|_| "samples of an event that the file doesn't describe are left out".into());
        let disordered =
            self.disordered.warning(|_| "records come much later than their time: they are out of order".into());
        let all = [missing, holes, compressed, aux, senseless, unknown, disordered];
        warnings.extend(all.into_iter().flatten());
        warnings
    }
}
