//! The `Retry-After` header (RFC 9110 section 10.2.3).

use core::time::Duration;

/// How long a server asks to wait. `None` if it does not, or not so that it can be understood.
///
/// A date is compared with `date`, when the server sent it, so there is no clock to be wrong.
pub(super) fn retry_after(value: Option<&[u8]>, date: Option<&[u8]>) -> Option<Duration> {
    let value = value?;
    if !value.is_empty() && value.iter().all(u8::is_ascii_digit) {
        let seconds = value.iter().fold(0_u64, |seconds, digit| {
            seconds
                .saturating_mul(10)
                .saturating_add(u64::from(digit - b'0'))
        });
        return Some(Duration::from_secs(seconds));
    }
    let until = seconds_of(value)?.saturating_sub(seconds_of(date?)?);
    // A moment that has passed asks for nothing.
    Some(Duration::from_secs(until))
}

/// The seconds from the year 0 to a date such as `Sun, 06 Nov 1994 08:49:37 GMT`, the one format
/// that is still to be sent (RFC 9110 section 5.6.7).
fn seconds_of(date: &[u8]) -> Option<u64> {
    const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let date = core::str::from_utf8(date).ok()?;
    let (weekday, rest) = date.strip_suffix(" GMT")?.split_once(", ")?;
    if !DAYS.contains(&weekday) {
        return None;
    }
    let mut parts = rest.split(' ');
    let day = number(parts.next()?, 2)?;
    let month_name = parts.next()?;
    let month_index = MONTHS.iter().position(|name| *name == month_name)?;
    let year = number(parts.next()?, 4)?;
    let mut time = parts.next()?.split(':');
    let [hour, minute, second] = [(); 3].map(|()| number(time.next()?, 2));
    let (hour, minute, second) = (hour?, minute?, second?);
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let lengths = [
        31,
        28 + u64::from(is_leap),
        31,
        30,
        31,
        30,
        31,
        31,
        30,
        31,
        30,
        31,
    ];
    let is_over = parts.next().is_none() && time.next().is_none();
    // 60 is a leap second.
    let is_time = hour < 24 && minute < 60 && second <= 60;
    if !(is_over && is_time && 1 <= day && day <= *lengths.get(month_index)?) {
        return None;
    }
    // Leap years before this one; the year 0 is one.
    let last = year.checked_sub(1);
    let leap_years = last.map_or(0, |last| last / 4 - last / 100 + last / 400 + 1);
    let days = year * 365 + leap_years + lengths.iter().take(month_index).sum::<u64>() + day - 1;
    Some(((days * 24 + hour) * 60 + minute) * 60 + second)
}

/// A number of exactly so many digits.
fn number(digits: &str, count: usize) -> Option<u64> {
    let is_number = digits.len() == count && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| digits.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: &[u8] = b"Sun, 06 Nov 1994 08:49:37 GMT";

    #[track_caller]
    fn asks(value: &str, seconds: Option<u64>) {
        let expected = seconds.map(Duration::from_secs);
        assert_eq!(
            retry_after(Some(value.as_bytes()), Some(NOW)),
            expected,
            "{value}"
        );
    }

    #[test]
    fn seconds() {
        asks("0", Some(0));
        asks("120", Some(120));
        asks("000120", Some(120));
        asks("99999999999999999999999999", Some(u64::MAX));
        for bad in ["", "-1", "+1", "1.5", "1 ", "0x10", "one", "1, 2"] {
            asks(bad, None);
        }
        assert_eq!(retry_after(None, Some(NOW)), None);
    }

    #[test]
    fn dates() {
        asks("Sun, 06 Nov 1994 08:49:37 GMT", Some(0));
        asks("Sun, 06 Nov 1994 08:49:38 GMT", Some(1));
        asks("Mon, 07 Nov 1994 08:49:37 GMT", Some(86_400));
        asks("Sun, 01 Jan 1995 00:00:00 GMT", Some(4_806_623));
        // Past.
        asks("Sun, 06 Nov 1994 08:49:36 GMT", Some(0));
        for bad in [
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun Nov  6 08:49:37 1994",
            "Sun, 6 Nov 1994 08:49:37 GMT",
            "Sun, 06 Nov 1994 08:49:37",
            "Sun, 06 Nov 1994 08:49:37 CET",
            "Sun, 06 Nov 1994 08:49 GMT",
            "Sun, 06 Nov 1994 08:49:37:00 GMT",
            "Sun, 06 Nov 1994 24:49:37 GMT",
            "Sun, 06 Nov 1994 08:60:37 GMT",
            "Sun, 06 Nov 1994 08:49:61 GMT",
            "Sun, 31 Nov 1994 08:49:37 GMT",
            "Sun, 29 Feb 2100 08:49:37 GMT",
            "Sun, 00 Nov 1994 08:49:37 GMT",
            "Sun, 06 nov 1994 08:49:37 GMT",
            "Xxx, 06 Nov 1994 08:49:37 GMT",
            "Sun, 06 Nov 1994  08:49:37 GMT",
            "Sun, +6 Nov 1994 08:49:37 GMT",
        ] {
            asks(bad, None);
        }
        let later = Some(&b"Mon, 07 Nov 1994 08:49:37 GMT"[..]);
        assert_eq!(retry_after(later, None), None);
    }

    /// The slow and obvious way: one day after the other.
    #[test]
    fn days_follow_each_other() {
        const NAMES: [&str; 12] = [
            "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
        ];
        let mut last: Option<u64> = None;
        for year in 0..2500 {
            for month in NAMES {
                for day in 1..=31 {
                    let date = std::format!("Mon, {day:02} {month} {year:04} 00:00:00 GMT");
                    let Some(seconds) = seconds_of(date.as_bytes()) else {
                        assert!(day > 28, "{date}");
                        continue;
                    };
                    assert!(last.is_none_or(|last| seconds == last + 86_400), "{date}");
                    last = Some(seconds);
                }
            }
        }
        let epoch = seconds_of(b"Thu, 01 Jan 1970 00:00:00 GMT").unwrap();
        assert_eq!(seconds_of(NOW).unwrap() - epoch, 784_111_777);
    }
}
