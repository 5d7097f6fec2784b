//! Values on the command line that several commands take.

use std::time::Duration;

use sockeye::{CloseCode, Limits, MAX_REASON_LEN};

/// The largest message that `bench` makes.
const MAX_SENT: usize = 1 << 30;

/// The largest message that is received.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct MaxMessage {
    /// The largest message to receive, such as 64k, 16M or 1G.
    #[arg(long, value_name = "SIZE", default_value = "64M", value_parser = size)]
    max_message: usize,
}

impl MaxMessage {
    pub(crate) fn limits(self) -> Limits {
        let bytes = self.max_message as u64;
        Limits::new()
            .with_max_message_size(bytes)
            .with_max_frame_size(bytes)
    }
}

/// The code and reason of a Close frame.
#[derive(Clone, Debug)]
pub(crate) struct Close {
    pub(crate) code: CloseCode,
    pub(crate) reason: String,
}

impl Default for Close {
    fn default() -> Self {
        Self {
            code: CloseCode::NORMAL,
            reason: String::new(),
        }
    }
}

/// `CODE` or `CODE:REASON`.
pub(crate) fn close(text: &str) -> Result<Close, String> {
    let (code, reason) = text.split_once(':').unwrap_or((text, ""));
    let code = code
        .parse::<u16>()
        .map_err(|_| "the code is not a number")?;
    let code = CloseCode::from(code);
    if !code.is_sendable() {
        return Err("codes are 1000 to 1003, 1007 to 1014, and 3000 to 4999".into());
    }
    if reason.len() > MAX_REASON_LEN {
        return Err(format!("the reason is longer than {MAX_REASON_LEN} bytes"));
    }
    Ok(Close {
        code,
        reason: reason.into(),
    })
}

/// A number of bytes, perhaps with k, M or G of 1024.
pub(crate) fn size(text: &str) -> Result<usize, String> {
    let text = text
        .strip_suffix("iB")
        .or_else(|| text.strip_suffix('B'))
        .unwrap_or(text);
    let (digits, unit) = match text.char_indices().last() {
        Some((at, 'k' | 'K')) => (text.get(..at), 1 << 10),
        Some((at, 'm' | 'M')) => (text.get(..at), 1 << 20),
        Some((at, 'g' | 'G')) => (text.get(..at), 1 << 30),
        _ => (Some(text), 1),
    };
    digits
        .and_then(|digits| digits.parse::<usize>().ok()?.checked_mul(unit))
        .ok_or_else(|| "a size is as 512, 64k, 16M or 1G".into())
}

/// As [`size`], for messages that are sent: what is larger is a slip, and no memory has room for it.
pub(crate) fn sent_size(text: &str) -> Result<usize, String> {
    size(text).and_then(|bytes| match bytes {
        0..=MAX_SENT => Ok(bytes),
        _ => Err("at most 1G is sent as one message".into()),
    })
}

/// Seconds, perhaps with a fraction, or with `ms`, `s`, `m` or `h`.
pub(crate) fn seconds(text: &str) -> Result<Duration, String> {
    let units = [("ms", 0.001), ("s", 1.0), ("m", 60.0), ("h", 3600.0)];
    let (digits, unit) = units
        .iter()
        .find_map(|(suffix, unit)| Some((text.strip_suffix(suffix)?, *unit)))
        .unwrap_or((text, 1.0));
    digits
        .parse::<f64>()
        .ok()
        .and_then(|count| Duration::try_from_secs_f64(count * unit).ok())
        // Beyond that, clocks overflow.
        .filter(|time| *time <= Duration::from_secs(1_000_000_000))
        .ok_or_else(|| "a time is as 0.5, 10, 200ms, 5m or 1h".into())
}

/// As [`seconds`], but more than none.
pub(crate) fn interval(text: &str) -> Result<Duration, String> {
    seconds(text).and_then(|time| match time.is_zero() {
        true => Err("must be more than 0".into()),
        false => Ok(time),
    })
}

/// How long to wait for something that may never come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Patience {
    For(Duration),
    Forever,
}

/// Seconds, or `forever`.
pub(crate) fn patience(text: &str) -> Result<Patience, String> {
    match text {
        "forever" => Ok(Patience::Forever),
        text => seconds(text).map(Patience::For),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        for (text, bytes) in [
            ("0", 0),
            ("512", 512),
            ("64k", 65_536),
            ("64KiB", 65_536),
            ("2M", 2 << 20),
            ("1GB", 1 << 30),
        ] {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        for text in [
            "",
            "k",
            "-1",
            "1.5k",
            "1T",
            "99999999999999999999",
            "9999999999999G",
            "é",
        ] {
            assert!(size(text).is_err(), "{text}");
        }
    }

    #[test]
    fn sizes_that_are_sent() {
        assert_eq!(sent_size("1G"), Ok(1 << 30));
        assert!(sent_size("1025M").is_err());
        assert!(sent_size("9000000000G").is_err());
    }

    #[test]
    fn times() {
        for (text, millis) in [
            ("2", 2000),
            ("0.25", 250),
            ("200ms", 200),
            ("1m", 60_000),
            ("1h", 3_600_000),
        ] {
            assert_eq!(seconds(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        for text in ["", "-1", "s", "NaN", "inf", "1e300", "1 s x"] {
            assert!(seconds(text).is_err(), "{text}");
        }
        assert!(interval("0").is_err());
        assert_eq!(patience("forever"), Ok(Patience::Forever));
    }

    #[test]
    fn close_codes() {
        let bye = close("4000:good: bye").unwrap();
        assert_eq!((u16::from(bye.code), &*bye.reason), (4000, "good: bye"));
        for text in ["", "999", "1005", "1006", "5000", "70000", "x:y"] {
            assert!(close(text).is_err(), "{text}");
        }
        assert!(close(&format!("1000:{}", "x".repeat(124))).is_err());
    }
}
