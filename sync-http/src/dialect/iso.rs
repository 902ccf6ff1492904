//! Dates as JavaScript writes them: `2026-11-22T13:13:08.870Z`.

use sync_core::time::Timestamp;

const MILLIS_PER_DAY: i64 = 86_400_000;

/// A date and time with what is needed to write it in the same form again.
struct Iso<'a> {
    /// Milliseconds since 1970 of the date and time as written, whatever the zone.
    local: i64,
    /// What stands between date and time.
    separator: char,
    /// The digits after the point.
    fraction: &'a str,
    /// `Z`, an offset, or nothing.
    zone: &'a str,
}

impl<'a> Iso<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let (date, time) = (text.get(..10)?, text.get(11..)?);
        let separator = text.get(10..11)?.chars().next()?;
        let clock = time.get(..8)?;
        let rest = time.get(8..)?;
        let end = |text: &str| {
            text.find(|c: char| !c.is_ascii_digit())
                .unwrap_or(text.len())
        };
        let (fraction, zone) = rest
            .strip_prefix('.')
            .map_or(("", rest), |rest| rest.split_at(end(rest)));
        let date: [i64; 3] = numbers(date, '-')?;
        let clock: [i64; 3] = numbers(clock, ':')?;
        let [hour, minute, second] = clock;
        let in_range = (1..=12).contains(&date[1])
            && (1..=31).contains(&date[2])
            && (0..24).contains(&hour)
            && (0..60).contains(&minute)
            && (0..=60).contains(&second);
        if !in_range || !matches!(separator, 'T' | 't' | ' ') {
            return None;
        }
        let millis: i64 = format!("{fraction:0<3}").get(..3)?.parse().ok()?;
        Some(Self {
            local: days(date) * MILLIS_PER_DAY
                + ((hour * 60 + minute) * 60 + second) * 1000
                + millis,
            separator,
            fraction,
            zone,
        })
    }

    /// How far the zone is ahead of UTC, in milliseconds.
    fn offset(&self) -> Option<i64> {
        let (sign, offset) = match self.zone.as_bytes().first() {
            None | Some(b'Z' | b'z') => return Some(0),
            Some(b'+') => (1, self.zone.get(1..)?),
            Some(b'-') => (-1, self.zone.get(1..)?),
            Some(_) => return None,
        };
        let [hours, minutes] = numbers(offset, ':')?;
        Some(sign * (hours * 60 + minutes) * 60_000)
    }

    fn render(&self) -> String {
        let [year, month, day] = date(self.local.div_euclid(MILLIS_PER_DAY));
        let in_day = self.local.rem_euclid(MILLIS_PER_DAY);
        let (seconds, millis) = (in_day / 1000, in_day % 1000);
        let (minutes, second) = (seconds / 60, seconds % 60);
        let (hour, minute) = (minutes / 60, minutes % 60);
        // What is finer than a millisecond stays as it was.
        let finer = self.fraction.get(3..).unwrap_or_default();
        let (separator, zone) = (self.separator, self.zone);
        format!(
            "{year:04}-{month:02}-{day:02}{separator}{hour:02}:{minute:02}:{second:02}.{millis:03}{finer}{zone}"
        )
    }
}

/// The same date one millisecond later, in the same form; `None` when it is no date.
pub(super) fn just_after(text: &str) -> Option<String> {
    let mut iso = Iso::parse(text)?;
    iso.local += 1;
    Some(iso.render())
}

/// The time that a date stands for.
pub(super) fn parse(text: &str) -> Option<Timestamp> {
    let iso = Iso::parse(text)?;
    Some(Timestamp::from_millis(iso.local - iso.offset()?))
}

/// A time as a feed writes it: a date in UTC, as `2026-11-22T13:13:08.870Z`.
#[must_use]
pub fn format(at: Timestamp) -> String {
    Iso {
        local: at.as_millis(),
        separator: 'T',
        fraction: "",
        zone: "Z",
    }
    .render()
}

fn numbers<const N: usize>(text: &str, separator: char) -> Option<[i64; N]> {
    let mut parts = text.split(separator);
    let mut numbers = [0; N];
    for number in &mut numbers {
        let part = parts.next()?;
        // No part of a date is longer, and what is must not overflow.
        if part.len() > 4 || !part.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        *number = part.parse().ok()?;
    }
    parts.next().is_none().then_some(numbers)
}

/// Days since 1970-01-01 in the Gregorian calendar, after Howard Hinnant's `days_from_civil`.
fn days([year, month, day]: [i64; 3]) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// The inverse of [`days`].
fn date(days: i64) -> [i64; 3] {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 {
        shifted + 3
    } else {
        shifted - 9
    };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    [year, month, day]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_millisecond_later_carries_and_keeps_the_form() {
        let cases = [
            ("2026-11-22T13:13:08.870Z", "2026-11-22T13:13:08.871Z"),
            ("2026-12-31T23:59:59.999Z", "2027-01-01T00:00:00.000Z"),
            (
                "2024-02-28T23:59:59.999+02:00",
                "2024-02-29T00:00:00.000+02:00",
            ),
            ("2100-02-28T23:59:59.999Z", "2100-03-01T00:00:00.000Z"),
            ("2026-11-22 13:13:08", "2026-11-22 13:13:08.001"),
            ("2026-11-22T13:13:08.5Z", "2026-11-22T13:13:08.501Z"),
            ("2026-11-22T13:13:08.870123Z", "2026-11-22T13:13:08.871123Z"),
            ("1969-12-31T23:59:59.999Z", "1970-01-01T00:00:00.000Z"),
        ];
        for (before, after) in cases {
            assert_eq!(just_after(before).as_deref(), Some(after));
        }
    }

    #[test]
    fn what_is_no_date_is_left_alone() {
        for text in [
            "",
            "now",
            "2026-13-01T00:00:00Z",
            "2026-11-22",
            "2026-11-22T1é:13:08Z",
            "20é6-11-22T13:13:08Z",
        ] {
            assert_eq!(just_after(text), None, "{text}");
        }
    }

    #[test]
    fn a_date_stands_for_the_same_time_in_every_zone() {
        let at = Timestamp::from_millis(1_795_353_188_870);
        assert_eq!(format(at), "2026-11-22T13:13:08.870Z");
        for text in [
            "2026-11-22T13:13:08.870Z",
            "2026-11-22T14:43:08.870+01:30",
            "2026-11-22T08:13:08.870-05:00",
        ] {
            assert_eq!(parse(text), Some(at), "{text}");
        }
        for zone in ["+9223372036854775807:00", "+1", "UTC", "+-1:00"] {
            assert_eq!(parse(&format!("2026-11-22T13:13:08{zone}")), None, "{zone}");
        }
    }
}
