//! Bytes that somebody else wrote, as text: UTF-8 if they are, or else what they look most like. Knows nothing of where they
//! come from.

use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use encoding_rs::Encoding;

/// The text of these bytes; never fails, but may guess wrong where they are not UTF-8.
pub(crate) fn decode(bytes: Vec<u8>) -> String {
    // A mark at the beginning says what follows; that of UTF-8 stays, as in Python.
    let marked = Encoding::for_bom(&bytes).filter(|(encoding, _)| *encoding != encoding_rs::UTF_8);
    if let Some((encoding, mark)) = marked {
        return encoding
            .decode_without_bom_handling(&bytes[mark..])
            .0
            .into_owned();
    }
    match String::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => {
            let bytes = error.into_bytes();
            let mut detector = EncodingDetector::new(Iso2022JpDetection::Allow);
            detector.feed(&bytes, true);
            let encoding = detector.guess(None, Utf8Detection::Deny);
            encoding.decode_without_bom_handling(&bytes).0.into_owned()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::decode;

    #[test]
    fn utf8_is_taken_as_it_is() {
        assert_eq!(decode("grün ☃ \u{0}".into()), "grün ☃ \u{0}");
        assert_eq!(decode(Vec::new()), "");
    }

    #[test]
    fn other_encodings_are_detected() {
        let (latin, ..) = encoding_rs::WINDOWS_1252
            .encode("Der Prüfstand fährt über die Brücke; alles größer als nötig.");
        assert_eq!(
            decode(latin.into_owned()),
            "Der Prüfstand fährt über die Brücke; alles größer als nötig."
        );
        let (japanese, ..) =
            encoding_rs::SHIFT_JIS.encode("これは日本語の文章です。障害を起こします。");
        assert_eq!(
            decode(japanese.into_owned()),
            "これは日本語の文章です。障害を起こします。"
        );
        let utf16: Vec<u8> = [0xff, 0xfe]
            .into_iter()
            .chain("né".encode_utf16().flat_map(u16::to_le_bytes))
            .collect();
        assert_eq!(decode(utf16), "né");
    }

    #[test]
    fn any_bytes_become_text() {
        for byte in 0..=u8::MAX {
            assert!(!decode(vec![byte, 0xff, byte]).is_empty());
        }
    }
}
