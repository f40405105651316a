//! Dates and times of YAML 1.1, as the journal of the reference prints them: in the form of ISO 8601.

use jiff::civil::{Date, Time};

/// The parts of a date, and of a time if there is one.
struct Parts<'a> {
    date: [&'a str; 3],
    time: Option<TimeParts<'a>>,
}

struct TimeParts<'a> {
    time: [&'a str; 3],
    fraction: &'a str,
    zone: &'a str,
}

/// Digits at the beginning, between so many and so many of them.
fn digits(text: &str, least: usize, most: usize) -> Option<(&str, &str)> {
    let count = text.bytes().take(most).take_while(u8::is_ascii_digit);
    let count = count.count();
    (count >= least).then(|| text.split_at(count))
}

fn parse(text: &str) -> Option<Parts<'_>> {
    let (year, rest) = digits(text, 4, 4)?;
    let (month, rest) = digits(rest.strip_prefix('-')?, 1, 2)?;
    let (day, rest) = digits(rest.strip_prefix('-')?, 1, 2)?;
    let date = [year, month, day];
    if rest.is_empty() {
        return Some(Parts { date, time: None });
    }
    let blanks = rest.trim_start_matches([' ', '\t']);
    let rest = match rest.strip_prefix(['T', 't']) {
        Some(rest) => rest,
        None if blanks.len() < rest.len() => blanks,
        None => return None,
    };
    let (hour, rest) = digits(rest, 1, 2)?;
    let (minute, rest) = digits(rest.strip_prefix(':')?, 2, 2)?;
    let (second, rest) = digits(rest.strip_prefix(':')?, 2, 2)?;
    let (fraction, rest) = match rest.strip_prefix('.') {
        Some(rest) => digits(rest, 0, usize::MAX)?,
        None => ("", rest),
    };
    let zone = rest.trim_start_matches([' ', '\t']);
    // Blanks alone are no zone.
    if zone.is_empty() != rest.is_empty() || !is_zone(zone) {
        return None;
    }
    let time = Some(TimeParts {
        time: [hour, minute, second],
        fraction,
        zone,
    });
    Some(Parts { date, time })
}

fn is_zone(zone: &str) -> bool {
    if matches!(zone, "" | "Z") {
        return true;
    }
    let Some((_, rest)) = zone
        .strip_prefix(['-', '+'])
        .and_then(|zone| digits(zone, 1, 2))
    else {
        return false;
    };
    match rest.strip_prefix(':') {
        Some(minutes) => digits(minutes, 2, 2).is_some_and(|(_, rest)| rest.is_empty()),
        None => rest.is_empty(),
    }
}

/// Whether a scalar without a tag is a date or a time: without a time all digits of a date must be there.
pub(super) fn is_implied(text: &str) -> bool {
    parse(text).is_some_and(|parts| parts.time.is_some() || text.len() == 10)
}

/// Such a date or time, if there is such a day and such a time of day.
pub(super) fn iso(text: &str) -> Option<String> {
    let Parts { date, time } = parse(text)?;
    let [year, month, day] = date;
    let year: i16 = year.parse().ok()?;
    if year == 0 {
        return None;
    }
    let date = Date::new(year, month.parse().ok()?, day.parse().ok()?).ok()?;
    let date = format!("{year:04}-{:02}-{:02}", date.month(), date.day());
    let Some(TimeParts {
        time: [hour, minute, second],
        fraction,
        zone,
    }) = time
    else {
        return Some(date);
    };
    let short = |text: &str| text.parse::<i8>().ok();
    let time = Time::new(short(hour)?, short(minute)?, short(second)?, 0).ok()?;
    let (hour, minute, second) = (time.hour(), time.minute(), time.second());
    let fraction = format!("{:0<6}", fraction.get(..6).unwrap_or(fraction));
    let fraction = match &*fraction {
        "000000" => String::new(),
        fraction => format!(".{fraction}"),
    };
    let zone = offset(zone)?;
    Some(format!(
        "{date}T{hour:02}:{minute:02}:{second:02}{fraction}{zone}"
    ))
}

fn offset(zone: &str) -> Option<String> {
    if zone.is_empty() {
        return Some(String::new());
    }
    let (hours, minutes) = match zone.get(1..).unwrap_or_default().split_once(':') {
        Some((hours, minutes)) => (hours, minutes),
        None => (zone.get(1..).unwrap_or_default(), "0"),
    };
    let (hours, minutes): (u32, u32) = match hours {
        "" => (0, 0),
        hours => (hours.parse().ok()?, minutes.parse().ok()?),
    };
    let all = hours * 60 + minutes;
    // Python knows no offset of a day or more.
    if all >= 24 * 60 {
        return None;
    }
    let sign = if zone.starts_with('-') && all > 0 {
        '-'
    } else {
        '+'
    };
    Some(format!("{sign}{:02}:{:02}", all / 60, all % 60))
}
