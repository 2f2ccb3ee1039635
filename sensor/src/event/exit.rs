//! A process ended.

/// How it ended: exactly one of the two is known.
#[derive(Debug, PartialEq, Eq)]
pub struct Exit {
    /// Exit code, when it was not ended by a signal.
    pub code: Option<u8>,
    /// The signal that ended it.
    pub signal: Option<u8>,
}

impl Exit {
    /// From a status as `wait(2)` reports it.
    pub fn new(status: u32) -> Self {
        let [low, high, ..] = status.to_le_bytes();
        // Bit 7 says that a core was dumped.
        match low & 0x7f {
            0 => Self { code: Some(high), signal: None },
            signal => Self { code: None, signal: Some(signal) },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Exit;

    #[test]
    fn tells_codes_from_signals() {
        for (status, code, signal) in
            [(0, Some(0), None), (0x100, Some(1), None), (9, None, Some(9)), (0x8b, None, Some(11))]
        {
            assert_eq!(Exit::new(status), Exit { code, signal }, "{status:#x}");
        }
    }
}
